"""Bringing trunks to a running switch without dropping a call.

`rescan` takes gateways that are new and leaves the others as they are, so a changed one is first
forgotten. Its calls go on: they need the gateway only to begin.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

import structlog
from sqlalchemy.orm import Session

from calltree.config import Settings
from calltree.telephony import commands
from calltree.telephony.config import writing
from calltree.telephony.config.profiles import EXTERNAL
from calltree.telephony.config.wanted import ConfigError, Wanted
from calltree.telephony.esl import CommandRefused, Link

log = structlog.get_logger(__name__)

MUSIC = "sounds/music/"
UNKNOWN = "Invalid Gateway!"
_GONE_S = 4.0
_LOOK_S = 0.1


def load(link: Link, wanted: Wanted, settings: Settings) -> str:
    """Write the configuration and let the switch take its trunks.

    Returns '' or the code of what went wrong: 'no_config_dir', 'config_not_written',
    'config_not_read', 'gateway_stays', 'gateway_missing'. Raises LinkDown.
    """
    out = settings.switch_place.config_dir_of(wanted.node)
    if out is None:
        return "no_config_dir"
    try:
        mark = writing.read_mark(out)
        wanted = replace(wanted, test_carrier=bool(mark.get("test_carrier")))
        written = writing.write(out, wanted, group=settings.switch_place.group)
        changed = writing.trunks_to_load(out)
    except (ConfigError, OSError) as error:
        log.warning("configuration not written", why=str(error))
        return "config_not_written"
    failure = _take(link, changed, [trunk.name for trunk in wanted.gateways])
    if not failure:
        writing.trunks_loaded(out)
    if any(name.startswith(MUSIC) for name in written.changed):
        with suppress(CommandRefused):  # then it is taken when the present tune ends
            link.api(commands.restart_music())
    return failure


def outdated(session: Session, settings: Settings, *, node: str) -> list[str]:
    """Name the files of a switch's directory that the settings and this version would write anew.

    Empty where the directory is not ours or was never written. Raises ConfigError, OSError.
    """
    out = settings.switch_place.config_dir_of(node)
    mark = writing.read_mark(out) if out else {}
    if out is None or not mark:
        return []
    carrier = bool(mark.get("test_carrier"))
    wanted = Wanted.read(session, settings, node=node, test_carrier=carrier)
    return writing.differing(out, wanted)


def _take(link: Link, changed: list[str], names: list[str]) -> str:
    try:
        link.api(commands.reload_xml())
        for name in changed:
            _forget(link, name)
        if not all(_is_gone(link, name) for name in changed):
            return "gateway_stays"
        link.api(commands.rescan(EXTERNAL))
    except CommandRefused as refused:
        log.warning("trunks not taken", reply=refused.reply)
        return "config_not_read"
    missing = [name for name in names if not _is_known(link, name)]
    return "gateway_missing" if missing else ""


def _forget(link: Link, name: str) -> None:
    if _is_known(link, name):
        link.api(commands.kill_gateway(EXTERNAL, name))


def _is_known(link: Link, name: str) -> bool:
    return UNKNOWN not in link.api(commands.gateway_xml(name))


def _is_gone(link: Link, name: str) -> bool:
    """The switch removes it in a round of its own, which comes once a second."""
    deadline = time.monotonic() + _GONE_S
    while _is_known(link, name):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)
    return True
