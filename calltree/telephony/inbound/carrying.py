"""Carrying a caller's step out over the command link."""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from calltree.db import Store
from calltree.errors import NotFound
from calltree.services import guidance_files
from calltree.telephony import safe_parts
from calltree.telephony.esl import CommandRefused, Link
from calltree.telephony.inbound import callers
from calltree.telephony.inbound.callers import Carry
from calltree.telephony.inbound.chains import Wanted, commands_for
from calltree.telephony.safe_parts import SwitchPath

log = structlog.get_logger(__name__)


def carry(act: Carry, link: Link, *, store: Store, root: str, own: Path | None) -> None:
    """Tell the switch what this caller hears now. Raises LinkDown.

    `root` is the recordings directory as the switch sees it, `own` as we do: a guidance's file is
    written there first. One that cannot be is left out; the caller is served all the same.
    """
    if not _still_wanted(act, store):
        return
    asked = commands_for(
        Wanted(
            caller=act.caller,
            attempt_id=act.attempt_id,
            site_id=act.site_id,
            action=act.action,
            answered=act.answered,
            seconds=act.seconds,
            parked=act.parked,
            guidance=_guidance(act.guidance_id, act.guidance, store, root, own),
            place=act.place,
            place_sound=_guidance(act.place_guidance_id, act.place_guidance, store, root, own),
            message=_path(root, act.message),
            forward=act.forward,
        )
    )
    for command in asked:
        try:
            link.api(command)
        except CommandRefused as refused:  # mostly a caller who has just gone
            log.info("switch refused", command=command.partition(" ")[0], reply=refused.reply)


def _still_wanted(act: Carry, store: Store) -> bool:
    try:
        with store.read() as session:
            return callers.still_wanted(session, act)
    except SQLAlchemyError as error:
        log.error("caller not looked up", attempt=act.attempt_id, error=type(error).__name__)
        return True  # rather heard twice than nothing


def _path(root: str, name: str) -> SwitchPath | None:
    return safe_parts.switch_path(root, *name.split("/")) if name else None


def _guidance(
    guidance_id: int | None, name: str, store: Store, root: str, own: Path | None
) -> SwitchPath | None:
    if not name or guidance_id is None:
        return None
    try:
        if own is not None:
            with store.read() as session:
                guidance_files.put(session, guidance_id=guidance_id, name=name, root=own)
    except (OSError, SQLAlchemyError, NotFound) as error:
        log.error("guidance not written", guidance=guidance_id, error=type(error).__name__)
        return None
    return _path(root, name)
