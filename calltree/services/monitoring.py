"""Listening in (モニタリング), whispering (ささやき) and barging in (割り込み), by one's own leg.

A row of `monitors` says whose leg is in whose call and who hears it there. It is written with the
command, and goes when the switch says that the leg is parked again, or is gone: at the call's end,
at 終了, when the page is reloaded or left. Whoever listens is given no call meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, delete, or_, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    Attempt,
    CallState,
    CommandKind,
    LegState,
    Monitor,
    MonitorMode,
    Operator,
    OperatorState,
    SwitchCommand,
    User,
)
from calltree.services import audit, operators, switch_commands
from calltree.services.rights import Right, Viewer

HEARD = (CallState.EARLY, CallState.TALKING, CallState.HELD)
"""A call in which somebody's leg can be."""
SETTLES = timedelta(seconds=5)
"""By then the switch has done what a row was written with."""
UNATTENDED = timedelta(seconds=60)
_DONE = {
    MonitorMode.LISTEN: "monitor.listen",
    MonitorMode.WHISPER: "monitor.whisper",
    MonitorMode.BARGE: "monitor.barge",
}
"""What the audit log calls each."""

# Built once: every leg that parks, and every call that ends, asks.
_OF_LEG = (
    select(Monitor)
    .join(Operator, Operator.user_id == Monitor.user_id)
    .where(Operator.leg_uuid == bindparam("leg"))
)
_ENDING = (
    select(SwitchCommand)
    .where(
        SwitchCommand.user_id == bindparam("of"),
        SwitchCommand.kind == CommandKind.MONITOR_END,
        SwitchCommand.done_at.is_(None),
        SwitchCommand.created_at >= bindparam("since"),
    )
    .limit(1)
)
_IN_CALL = select(Monitor).where(Monitor.attempt_id == bindparam("of"))


def begin(
    session: Session, *, viewer: Viewer, user_id: int, mode: MonitorMode, now: datetime
) -> SwitchCommand:
    """Enter an operator's call, or change who hears one there; audited each time.

    Raises NotAllowed; Refused 'own_call', 'in_a_call', 'wrap_up_open', 'nobody_talks',
    'monitor_no_leg' before one's own telephone is connected, 'monitor_elsewhere' where the two are
    on different switches.
    """
    right = Right.LISTEN if mode is MonitorMode.LISTEN else Right.WATCH
    if not viewer.may(right):
        raise NotAllowed(right)
    if user_id == viewer.user_id:
        raise Refused("own_call")
    operators.ensure(session, user_id=viewer.user_id, now=now)
    operators.require_free(session, user_id=viewer.user_id)
    mine = session.get_one(Operator, viewer.user_id, populate_existing=True)
    watched, attempt = _call_of(session, user_id)
    if mine.leg_state not in operators.LIVE_LEGS:
        raise Refused("monitor_no_leg")
    if mine.leg_node != attempt.node:
        raise Refused("monitor_elsewhere")
    if mine.state is OperatorState.READY:
        operators.go_away(session, user_id=mine.user_id, reason="", now=now)
    _write(session, mine, watched, attempt, mode, now)
    audit.note(
        session, viewer=viewer, action=_DONE[mode], kind="user", object_id=user_id, now=now,
        call=attempt.id,
    )  # fmt: skip
    return switch_commands.ask(
        session,
        kind=CommandKind.MONITOR,
        node=mine.leg_node,
        user_id=mine.user_id,
        args={
            "uuid": mine.leg_uuid,
            "of": watched.leg_uuid,
            "mode": mode.value,
            "attempt": attempt.id,
        },
        now=now,
    )


def _call_of(session: Session, user_id: int) -> tuple[Operator, Attempt]:
    watched = session.get(Operator, user_id, populate_existing=True)
    attempt = (
        session.get(Attempt, watched.attempt_id, populate_existing=True)
        if watched is not None and watched.attempt_id is not None
        else None
    )
    if watched is None or attempt is None or attempt.state not in HEARD:
        raise Refused("nobody_talks")
    if watched.leg_state not in operators.LIVE_LEGS or attempt.joined_at is None:
        raise Refused("nobody_talks")
    return watched, attempt


def _write(
    session: Session,
    mine: Operator,
    watched: Operator,
    attempt: Attempt,
    mode: MonitorMode,
    now: datetime,
) -> None:
    row = session.get(Monitor, mine.user_id, populate_existing=True)
    if row is not None and row.attempt_id != attempt.id:
        _forget(session, row, now)
        row = None
    if row is None:
        row = Monitor(user_id=mine.user_id, began_at=now)
        session.add(row)
    row.of_user_id, row.attempt_id = watched.user_id, attempt.id
    row.mode, row.changed_at = mode, now
    session.flush()
    operators.leg_moved(
        session, user_id=mine.user_id, uuid=mine.leg_uuid, to=LegState.JOINED, now=now
    )
    _tell(session, row)


def of(session: Session, *, user_id: int) -> Monitor | None:
    """Return what this user listens to."""
    return session.get(Monitor, user_id, populate_existing=True)


@dataclass(frozen=True, slots=True)
class Listening:
    """Whom somebody listens to."""

    of_user_id: int
    name: str
    mode: MonitorMode
    began_at: datetime


def listening(session: Session, *, user_id: int) -> Listening | None:
    """Return whom this user listens to, by name."""
    row = session.execute(
        select(Monitor.of_user_id, User.name, Monitor.mode, Monitor.began_at)
        .join(User, User.id == Monitor.of_user_id)
        .where(Monitor.user_id == user_id)
    ).one_or_none()
    return Listening(*row) if row else None


def any_unattended(session: Session, *, now: datetime) -> bool:
    """Answer whether `sweep` has anybody to take out."""
    return session.scalar(_unattended(now).limit(1)) is not None


def sweep(session: Session, *, now: datetime) -> None:
    """Take out whoever's page was not heard of for a minute: nobody listens unattended."""
    for row in session.scalars(_unattended(now)).all():
        _ask_end(session, row, now)


def _unattended(now: datetime) -> Select[Any]:
    since = now - UNATTENDED
    return (
        select(Monitor)
        .join(Operator, Operator.user_id == Monitor.user_id)
        .where(
            Monitor.changed_at < since,
            or_(Operator.page_seen_at.is_(None), Operator.page_seen_at < since),
        )
    )


def end(session: Session, *, user_id: int, now: datetime) -> SwitchCommand | None:
    """終了: take one's leg out of the call; None when it is in none."""
    row = of(session, user_id=user_id)
    return _ask_end(session, row, now) if row is not None else None


def call_ended(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """Take out of a call that is over whoever is in it: an operator alone is not listened to."""
    for row in session.scalars(_IN_CALL, {"of": attempt.id}).all():
        _ask_end(session, row, now)


def _ask_end(session: Session, row: Monitor, now: datetime) -> SwitchCommand:
    asked = session.scalar(_ENDING, {"of": row.user_id, "since": row.changed_at})
    if asked is not None:
        return asked
    mine = session.get_one(Operator, row.user_id)
    return switch_commands.ask(
        session,
        kind=CommandKind.MONITOR_END,
        node=mine.leg_node,
        user_id=row.user_id,
        args={"uuid": mine.leg_uuid, "attempt": row.attempt_id},
        now=now,
    )


def leg_left(session: Session, *, leg_uuid: str, now: datetime) -> bool:
    """Note that a leg is parked or gone, so in nobody's call. False: it was in none before."""
    row = session.scalar(_OF_LEG, {"leg": leg_uuid}) if leg_uuid else None
    if row is None:
        return False
    _forget(session, row, now)
    return True


def _forget(session: Session, row: Monitor, now: datetime) -> None:
    user = session.get_one(User, row.user_id)
    audit.note(
        session, viewer=Viewer.of(user), action="monitor.ended", kind="user",
        object_id=row.of_user_id, now=now, call=row.attempt_id,
        seconds=max(int((now - row.began_at).total_seconds()), 0),
    )  # fmt: skip
    session.execute(delete(Monitor).where(Monitor.user_id == row.user_id))
    session.expunge(row)
    _tell(session, row)


def _tell(session: Session, row: Monitor) -> None:
    for user_id in (row.user_id, row.of_user_id):
        announce(session, "supervision", user_id=user_id)
