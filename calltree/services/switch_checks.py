"""Asking how a switch is, and keeping what was read for the page that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import CommandKind, Setting, SwitchCommand
from calltree.services import switch_commands
from calltree.services.rights import Viewer


def ask(
    session: Session, *, viewer: Viewer, nodes: Iterable[str], now: datetime
) -> list[SwitchCommand]:
    """Let each switch be read; the calls worker does it within a few seconds."""
    return [
        switch_commands.ask(
            session, kind=CommandKind.CHECK, node=node, user_id=viewer.user_id, now=now
        )
        for node in nodes
    ]


def last_asked(session: Session, *, nodes: Iterable[str]) -> list[SwitchCommand]:
    """Return each switch's latest order to be read."""
    return switch_commands.latest(session, kind=CommandKind.CHECK, nodes=nodes)


def keep(session: Session, *, node: str, reading: dict[str, Any]) -> None:
    """Keep what was read of a switch in place of what was read before."""
    row = session.get(Setting, _name(node))
    if row is None:
        session.add(Setting(name=_name(node), value=reading))
    else:
        row.value = reading
    announce(session, "switch")


def last(session: Session, *, node: str) -> dict[str, Any] | None:
    """Return what was last read of a switch; None when it never was."""
    row = session.get(Setting, _name(node))
    return row.value if row else None


def kept(node: str) -> Select[dict[str, Any]]:
    """The query for what was last read of a switch."""
    return select(Setting.value).where(Setting.name == _name(node))


def _name(node: str) -> str:
    return f"switch:{node}"[:64]
