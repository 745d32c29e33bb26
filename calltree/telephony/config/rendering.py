"""All files of one switch's configuration, as bytes. The same input gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from calltree.services.trunks import DEFAULT_GATEWAY
from calltree.telephony.config import dialplan, profiles, system
from calltree.telephony.config.sounds import sounds
from calltree.telephony.config.wanted import Wanted
from calltree.telephony.config.xml import document

TRUNKS = f"sip_profiles/{profiles.EXTERNAL}/"


@dataclass(frozen=True, slots=True)
class Rendering:
    """Files by their names below the directory."""

    files: dict[str, bytes]
    secret: frozenset[str]
    """Those that hold a password."""
    replaceable: frozenset[str]
    """Those that an administrator may put own ones in place of."""


def render(wanted: Wanted) -> Rendering:
    """Write down a configuration. Raises ConfigError."""
    conf = "autoload_configs/"
    secret = {
        f"{conf}event_socket.conf.xml": (
            "The event socket.",
            system.event_socket(wanted),
        ),
        f"{conf}xml_curl.conf.xml": ("Look-ups of operators.", system.directory(wanted)),
        **{
            f"{TRUNKS}{trunk.name}.xml": ("A trunk.", profiles.gateway(trunk))
            for trunk in wanted.gateways
        },
    }
    plain = {
        f"{conf}switch.conf.xml": ("The core.", system.core(wanted)),
        f"{conf}modules.conf.xml": ("Modules.", system.modules()),
        f"{conf}logfile.conf.xml": ("The log file.", system.log_file()),
        f"{conf}acl.conf.xml": ("Lists of addresses.", system.access()),
        f"{conf}local_stream.conf.xml": ("Music on hold.", system.music()),
        f"{conf}sofia.conf.xml": ("SIP.", profiles.sofia()),
        "sip_profiles/internal.xml": ("Operators.", profiles.internal(wanted)),
        "sip_profiles/external.xml": ("Carriers.", profiles.external(wanted)),
        "dialplan/agents.xml": ("Operators' legs.", dialplan.agents()),
        "dialplan/calltree.xml": ("Customers left alone.", dialplan.orphanage()),
        "dialplan/public.xml": ("Calls from outside.", dialplan.public(wanted.fallbacks)),
    }
    if wanted.test_carrier:
        plain |= {
            "sip_profiles/testcarrier.xml": ("The test carrier.", profiles.test_carrier(wanted)),
            f"{TRUNKS}{DEFAULT_GATEWAY}.xml": (
                "The way to the test carrier.",
                profiles.test_gateway(wanted, DEFAULT_GATEWAY),
            ),
            "dialplan/testcarrier.xml": ("The test carrier.", dialplan.test_carrier()),
        }
    files = {
        name: document(lines, about=about) for name, (about, lines) in (plain | secret).items()
    }
    files |= {f"sounds/{one.file}": one.sound for one in wanted.fallbacks if one.file}
    ours = {f"sounds/{name}": data for name, data in _sounds().items()}
    chosen = {f"sounds/{name}": data for name, data in wanted.sounds.items()}
    return Rendering(
        {"freeswitch.xml": system.top(), **files, **ours, **chosen},
        frozenset(secret),
        frozenset(ours) - frozenset(chosen),
    )


@cache
def _sounds() -> dict[str, bytes]:
    return sounds()
