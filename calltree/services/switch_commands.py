"""What presses ask of the switch: the row is the command, the queue only its doorbell.

`ask` writes the row in the press's own transaction and rings after the commit. Whoever serves a
command takes it by compare-and-set, so the worker and the leader's sweep never both serve it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from calltree.db import announce
from calltree.models.calls import CommandKind, SwitchCommand

# Built once: every command is written and taken.
_ASK = insert(SwitchCommand).returning(SwitchCommand.id)
_TAKE = (
    update(SwitchCommand)
    .where(SwitchCommand.id == bindparam("of"), SwitchCommand.taken_at.is_(None))
    .values(taken_at=bindparam("now"), taken_by=bindparam("by"))
    .returning(SwitchCommand)
    .execution_options(synchronize_session=False, populate_existing=True)
)
_BEFORE = aliased(SwitchCommand)
_DIALS_BEHIND = (
    select(SwitchCommand.id)
    .join(_BEFORE, and_(_BEFORE.id == bindparam("of"), _BEFORE.node == SwitchCommand.node))
    .where(
        SwitchCommand.id > bindparam("of"),
        SwitchCommand.kind == CommandKind.DIAL,
        SwitchCommand.taken_at.is_(None),
    )
    .order_by(SwitchCommand.id)
    .limit(bindparam("most"))
)


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
    asked = write(
        session,
        kind=kind,
        node=node,
        now=now,
        attempt_id=attempt_id,
        user_id=user_id,
        args=args or {},
    )
    return session.get_one(SwitchCommand, asked)


def write(session: Session, *, now: datetime, **values: Any) -> int:
    """As `ask`, for who has no use for the row: its id."""
    session.flush()  # the row may name an attempt that was only just made
    written = session.connection().execute(_ASK, values | {"created_at": now})
    command_id = int(written.scalar_one())
    announce(session, "command", command_id=command_id, node=values["node"])
    return command_id


def take(session: Session, *, command_id: int, by: str, now: datetime) -> SwitchCommand | None:
    """Take a command for serving; None when somebody else has it or it does not exist."""
    return session.scalar(_TAKE, {"of": command_id, "now": now, "by": by})


def dials_behind(session: Session, *, command_id: int, most: int) -> list[int]:
    """Give the ids of the next dials on the same node that nobody took, oldest first."""
    return list(session.scalars(_DIALS_BEHIND, {"of": command_id, "most": most}))


def finish(session: Session, *, command_id: int, now: datetime, failure: str = "") -> None:
    """Note that a command was sent, or why it was not. `failure` is a code, never a number."""
    session.execute(
        update(SwitchCommand)
        .where(SwitchCommand.id == command_id)
        .values(done_at=now, failure=failure[:128])
        .execution_options(synchronize_session=False)
    )


def unserved(session: Session, *, node: str, older_than: datetime) -> list[int]:
    """Give the ids of this node's commands that nobody took, oldest first.

    Those about the switch itself are left out: they take seconds, which no call may wait for.
    """
    return list(
        session.scalars(
            select(SwitchCommand.id)
            .where(
                SwitchCommand.node == node,
                SwitchCommand.taken_at.is_(None),
                SwitchCommand.kind.not_in((CommandKind.LOAD_TRUNKS, CommandKind.CHECK)),
                SwitchCommand.created_at <= older_than,
            )
            .order_by(SwitchCommand.id)
            .limit(100)
        )
    )


AWAITED_S = 30
"""An order that nobody has served by then is taken for lost."""


def still_awaited(command: SwitchCommand, now: datetime) -> bool:
    """Whether an order about the switch itself may still be served."""
    return command.done_at is None and now - command.created_at < timedelta(seconds=AWAITED_S)


def latest(session: Session, *, kind: CommandKind, nodes: Iterable[str]) -> list[SwitchCommand]:
    """Return the latest command of a kind for each switch that had one."""
    newest = (
        select(func.max(SwitchCommand.id))
        .where(SwitchCommand.kind == kind, SwitchCommand.node.in_(list(nodes)))
        .group_by(SwitchCommand.node)
    )
    query = select(SwitchCommand).where(SwitchCommand.id.in_(newest)).order_by(SwitchCommand.node)
    return list(session.scalars(query))
