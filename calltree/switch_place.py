"""Where a real switch stands: addresses, ports and directories of its configuration."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

AUTO = "auto"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,200}[A-Za-z0-9])?"
_EXTERNAL = re.compile(rf"(?:host:|stun:){_HOST}(?::[0-9]{{1,5}})?")
_OF_ONE = (
    "SWITCH_ADDRESS",
    "SWITCH_EXTERNAL",
    "SWITCH_RTP_PORTS",
    "SWITCH_SIP_PORT",
    "SWITCH_TRUNK_PORT",
    "SWITCH_WS_LISTEN",
    "SWITCH_WSS_LISTEN",
)
"""What may differ from switch to switch."""
_PATH = re.compile(r"/[A-Za-z0-9_./-]+")
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class SwitchPlace:
    """What `switch config` writes of the machine that FreeSWITCH runs on.

    Every value is of a form that may stand in a configuration file; `from_env` refuses the rest.
    """

    config_dir: str = ""
    """Its configuration, when we may write there; `{node}` stands for the switch's name."""
    group: str = ""
    """The group that reads our files when FreeSWITCH runs as another user."""
    address: str = AUTO
    """The address for SIP and sound; AUTO: the one FreeSWITCH finds."""
    external: str = ""
    """What the outside sees instead: an address, host:NAME or stun:NAME."""
    rtp_ports: tuple[int, int] = (20000, 29999)
    sip_port: int = 5060
    """Desk phones."""
    trunk_port: int = 5080
    """Carriers."""
    ws: str = "127.0.0.1:5066"
    """Browsers, through a proxy that ends TLS."""
    wss: str = ""
    """Browsers, directly; needs `certs`."""
    certs: str = ""
    """Directory with wss.pem."""

    @classmethod
    def each(cls, env: Mapping[str, str], switches: int) -> tuple[Self, ...]:
        """Read one for each switch: a variable has one value for all, or one each, with commas.

        Raises ValueError naming the variable and the expected form.
        """
        given = {name: [one.strip() for one in env.get(name, "").split(",")] for name in _OF_ONE}
        for name, values in given.items():
            if len(values) not in (1, switches):
                raise ValueError(f"{name}: write one value, or one for each switch of ESL_URL")
        return tuple(
            cls.from_env({**env, **{name: each[at % len(each)] for name, each in given.items()}})
            for at in range(switches)
        )

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the variables. Raises ValueError naming the variable and the expected form."""
        wss, certs = env.get("SWITCH_WSS_LISTEN", ""), env.get("SWITCH_CERTS", "")
        if wss and not certs:
            raise ValueError(
                "SWITCH_CERTS: write the directory of wss.pem, SWITCH_WSS_LISTEN is set"
            )
        return cls(
            config_dir=_path(env, "SWITCH_CONFIG_DIR"),
            group=_matching(env, "SWITCH_GROUP", _GROUP, "the name of a group"),
            address=_address(env),
            external=_external(env),
            rtp_ports=_range(env),
            sip_port=_port(env, "SWITCH_SIP_PORT", 5060),
            trunk_port=_port(env, "SWITCH_TRUNK_PORT", 5080),
            ws=_listen(env, "SWITCH_WS_LISTEN", "127.0.0.1:5066"),
            wss=_listen(env, "SWITCH_WSS_LISTEN", ""),
            certs=_path(env, "SWITCH_CERTS"),
        )

    def config_dir_of(self, node: str) -> Path | None:
        """Give one switch's configuration directory; None when it is not ours to write."""
        return Path(self.config_dir.replace("{node}", node)) if self.config_dir else None


def is_switch_path(text: str) -> bool:
    """Whether an absolute path is of a form that a configuration file may hold."""
    return _PATH.fullmatch(text) is not None


def _matching(env: Mapping[str, str], name: str, form: re.Pattern[str], what: str) -> str:
    given = env.get(name, "")
    if given and not form.fullmatch(given):
        raise ValueError(f"{name}: write {what}")
    return given


def _path(env: Mapping[str, str], name: str) -> str:
    given = env.get(name, "")
    if given and not is_switch_path(given.replace("{node}", "node")):
        raise ValueError(f"{name}: write an absolute path of letters, digits, '_', '-' and '.'")
    return given


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _address(env: Mapping[str, str]) -> str:
    given = env.get("SWITCH_ADDRESS") or AUTO
    if given != AUTO and not _is_address(given):
        raise ValueError("SWITCH_ADDRESS: write an IP address of FreeSWITCH's machine, or auto")
    return given


def _external(env: Mapping[str, str]) -> str:
    given = env.get("SWITCH_EXTERNAL", "")
    if given and not _is_address(given) and not _EXTERNAL.fullmatch(given):
        raise ValueError("SWITCH_EXTERNAL: write an IP address, host:NAME or stun:NAME")
    return given


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    port = _number(env.get(name) or str(default))
    if not 0 < port < 65536:
        raise ValueError(f"{name}: write a number from 1 to 65535")
    return port


def _range(env: Mapping[str, str]) -> tuple[int, int]:
    first, _dash, last = (env.get("SWITCH_RTP_PORTS") or "20000-29999").partition("-")
    low, high = _number(first), _number(last)
    if not 1024 <= low < high < 65536:
        raise ValueError("SWITCH_RTP_PORTS: write two ports such as 20000-29999")
    return low, high


def _listen(env: Mapping[str, str], name: str, default: str) -> str:
    given = env.get(name) or default
    host, _colon, port = given.rpartition(":")
    if given and (not _is_address(host.strip("[]")) or not 0 < _number(port) < 65536):
        raise ValueError(f"{name}: write address:port such as 0.0.0.0:7443")
    return given
