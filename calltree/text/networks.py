"""Networks from which one may sign in (R-US-6): 203.0.113.0/24, 2001:db8::/32 or one address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def read(text: str) -> str:
    """Give a network or an address in its one form. Raises ValueError for anything else."""
    return str(ipaddress.ip_network(text.strip(), strict=False))


def allows(networks: Iterable[str], address: str) -> bool:
    """Whether an address is in one of the networks; none at all allow every address.

    The server itself always may, so that nobody is locked out for good.
    """
    allowed = [ipaddress.ip_network(network) for network in networks]
    if not allowed:
        return True
    try:
        given = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = getattr(given, "ipv4_mapped", None) or given
    return plain.is_loopback or any(plain in network for network in allowed)


_UNICAST = ipaddress.ip_network("2000::/3")
"""All of the IPv6 internet; elsewhere are old and relayed forms of private addresses."""
_RELAYED = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32")))
"""IPv6 addresses that stand for an IPv4 one, which may be a private one."""


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet: no private, loopback or special one."""
    given = _plain(address)
    if given is None or given.is_multicast or not given.is_global:
        return False
    if given.version == 6 and given not in _UNICAST:
        return False
    return not any(given in relayed for relayed in _RELAYED)


def holds(networks: Iterable[str], address: str) -> bool:
    """Whether an address is in one of the networks; none hold none."""
    given = _plain(address)
    return given is not None and any(given in ipaddress.ip_network(one) for one in networks)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        given = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(given, "ipv4_mapped", None) or given
