"""What presses ask of the switch: the row is the command, the queue only its doorbell.

`ask` writes the row in the press's own transaction and rings after the commit. Whoever serves a
command takes it by compare-and-set, so the worker and the leader's sweep never both serve it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models.calls import CommandKind, SwitchCommand


def ask(
    session: Session,
    *,
    kind: CommandKind,
    node: str,
    now: datetime,
    attempt_id: int | None = None,
    user_id: int | None = None,
    args: dict[str, Any] | None = None,
) -> SwitchCommand:
    """Write a command and ring for it once this transaction is committed."""
    command = SwitchCommand(
        node=node,
        kind=kind,
        attempt_id=attempt_id,
        user_id=user_id,
        args=args or {},
        created_at=now,
    )
    session.add(command)
    session.flush()
    announce(session, "command", command_id=command.id, node=node)
    return command


def take(session: Session, *, command_id: int, by: str, now: datetime) -> SwitchCommand | None:
    """Take a command for serving; None when somebody else has it or it does not exist."""
    return session.scalar(
        update(SwitchCommand)
        .where(SwitchCommand.id == command_id, SwitchCommand.taken_at.is_(None))
        .values(taken_at=now, taken_by=by)
        .returning(SwitchCommand)
        .execution_options(synchronize_session=False, populate_existing=True)
    )


def finish(session: Session, *, command_id: int, now: datetime, failure: str = "") -> None:
    """Note that a command was sent, or why it was not. `failure` is a code, never a number."""
    session.execute(
        update(SwitchCommand)
        .where(SwitchCommand.id == command_id)
        .values(done_at=now, failure=failure[:128])
        .execution_options(synchronize_session=False)
    )


def unserved(session: Session, *, node: str, older_than: datetime) -> list[int]:
    """Give the ids of this node's commands that nobody took, oldest first."""
    return list(
        session.scalars(
            select(SwitchCommand.id)
            .where(
                SwitchCommand.node == node,
                SwitchCommand.taken_at.is_(None),
                SwitchCommand.created_at <= older_than,
            )
            .order_by(SwitchCommand.id)
            .limit(100)
        )
    )
