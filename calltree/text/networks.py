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
