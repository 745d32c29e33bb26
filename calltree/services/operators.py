"""Operators: which state each is in, for whom each is locked, and how long (R-CL-14).

`MOVES` is the whole table. A state is written by compare-and-set together with its interval, so
two who move one operator at once never both succeed. The one lock on an operator is
`Operator.attempt_id`: CALL, pacer, inbound and transfer take it with `lock`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Update, bindparam, case, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from calltree.db import announce
from calltree.errors import Refused
from calltree.models.calls import LegState, Operator, OperatorInterval, OperatorState
from calltree.models.people import LegKind, User
from calltree.models.projects import Site
from calltree.models.supervision import Monitor
from calltree.text.days import site_day

S = OperatorState


class Move(StrEnum):
    """What may happen to an operator."""

    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    GO_AWAY = "go_away"
    OPEN_CUSTOMER = "open_customer"
    CLOSE_CUSTOMER = "close_customer"
    BECOME_READY = "become_ready"
    OFFER = "offer"
    DIAL = "dial"
    JOIN = "join"
    END_CALL = "end_call"
    """Whatever ended it: the result is still to be saved."""
    NO_CALL = "no_call"
    """The lock is released and nothing had left for the network."""
    WITHDRAW = "withdraw"
    """A customer who was pushed did not come: back to 待機, with nothing to save."""
    SAVE_RESULT = "save_result"


_FREE = (S.AWAY, S.BROWSING, S.READY)
_LOCKABLE = (S.AWAY, S.BROWSING, S.READY, S.WRAP_UP)
_IN_CALL = (S.OFFERED, S.DIALLING, S.TALKING)


def _from(states: tuple[OperatorState, ...], to: OperatorState) -> dict[S, S]:
    return dict.fromkeys(states, to)


MOVES: Mapping[Move, Mapping[OperatorState, OperatorState]] = {
    Move.SIGN_IN: _from((S.SIGNED_OUT,), S.AWAY),
    # Leaving with an unsaved result leaves 空白 behind (R-CL-6); leaving a call is not possible.
    Move.SIGN_OUT: _from((*_FREE, S.WRAP_UP), S.SIGNED_OUT),
    Move.GO_AWAY: _from(_FREE, S.AWAY),
    Move.OPEN_CUSTOMER: _from(_FREE, S.BROWSING),
    Move.CLOSE_CUSTOMER: _from((S.BROWSING, S.WRAP_UP), S.AWAY),
    Move.BECOME_READY: _from(_FREE, S.READY),
    Move.OFFER: _from((S.READY, S.BROWSING), S.OFFERED),
    # From 後処理 too: dialling the same customer again leaves 空白 (R-CL-6); the gate sees to it.
    Move.DIAL: _from((*_LOCKABLE, S.OFFERED), S.DIALLING),
    Move.JOIN: _from((S.OFFERED, S.DIALLING), S.TALKING),
    Move.END_CALL: _from(_IN_CALL, S.WRAP_UP),
    Move.NO_CALL: _from(_IN_CALL, S.BROWSING),
    # From a talk too: a colleague who was only asked about a customer has nothing to save.
    Move.WITHDRAW: _from((S.OFFERED, S.TALKING), S.READY),
    Move.SAVE_RESULT: _from((S.WRAP_UP,), S.BROWSING),
}

LIVE_LEGS = (LegState.PARKED, LegState.JOINED)

# Built once: every call moves its operator three times, and building costs more than running.
_SEEN = select(Operator.state, Operator.reason).where(Operator.user_id == bindparam("of"))
_NEWEST = (
    select(OperatorInterval.id)
    .where(OperatorInterval.user_id == bindparam("of"))
    .order_by(OperatorInterval.started_at.desc())
    .limit(1)
    .scalar_subquery()
)
_CLOSE_INTERVAL = (
    update(OperatorInterval)
    .where(OperatorInterval.id == _NEWEST)
    .values(
        ended_at=func.coalesce(
            OperatorInterval.ended_at,
            case(
                (OperatorInterval.started_at > bindparam("now"), OperatorInterval.started_at),
                else_=bindparam("now"),
            ),
        )
    )
    .returning(OperatorInterval.id, OperatorInterval.started_at)
)
_INTERVAL = insert(OperatorInterval)


class _Lock(StrEnum):
    """Whose lock a change of state asks for."""

    ANY = "any"
    NONE = "none"
    MINE = "mine"


class _Seen(NamedTuple):
    """The part of an operator's row by which a move is judged."""

    state: OperatorState
    reason: str


def _look(session: Session, user_id: int) -> _Seen | None:
    row = session.connection().execute(_SEEN, {"of": user_id}).one_or_none()
    return None if row is None else _Seen(*row)


@cache
def _change(columns: tuple[str, ...], lock: _Lock) -> Update:
    """Set these columns to :new_…, if the state is still :seen and the lock is as asked for."""
    where = [Operator.user_id == bindparam("of"), Operator.state == bindparam("seen")]
    if lock is _Lock.NONE:
        where.append(Operator.attempt_id.is_(None))
        # whose own leg is in another's call is given none
        where.append(~exists().where(Monitor.user_id == Operator.user_id))
    elif lock is _Lock.MINE:
        where.append(Operator.attempt_id == bindparam("call"))
    new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return update(Operator).where(*where).values(new)


@cache
def _leg_change(columns: tuple[str, ...]) -> Update:
    new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return (
        update(Operator)
        .where(
            Operator.user_id == bindparam("of"),
            Operator.leg_uuid == bindparam("leg"),
            # Dropped on purpose: it stays down.
            Operator.leg_state.not_in((bindparam("to"), LegState.NONE)),
        )
        .values(new)
    )


def next_state(state: OperatorState, move: Move) -> OperatorState | None:
    """Give the state after `move`, or None when `state` does not know it."""
    return MOVES[move].get(state)


def ensure(session: Session, *, user_id: int, now: datetime) -> Operator:
    """Give the operator's row, made (signed out) when there is none."""
    operator = session.get(Operator, user_id)
    if operator is None:
        kind = leg_kind(session, user_id=user_id)
        # a page's first requests come together: the other one's row is as good
        on_postgres = session.get_bind().dialect.name == "postgresql"
        new = postgres_insert(Operator) if on_postgres else sqlite_insert(Operator)
        values = {"user_id": user_id, "since": now, "leg_kind": kind}
        session.execute(new.values(values).on_conflict_do_nothing())
        operator = session.get_one(Operator, user_id)
    return operator


def move(
    session: Session,
    *,
    user_id: int,
    by: Move,
    now: datetime,
    reason: str = "",
    **fields: Any,
) -> bool:
    """Move the operator if the table allows it; True when it did.

    The interval is closed and the next one opened in the same transaction. A move into the state
    one is already in changes only `fields`, except for 離席 with another reason.
    """
    return _move(session, user_id, by, now, reason, fields)


def _move(
    session: Session,
    user_id: int,
    by: Move,
    now: datetime,
    reason: str,
    fields: dict[str, Any],
    lock: _Lock = _Lock.ANY,
    call: int | None = None,
    looked: _Seen | None = None,
) -> bool:
    """As `move`, if the lock is as asked for too; `looked`: what is loaded, tried first."""
    for _ in range(4):  # another writer may come between the look and the set (Postgres)
        guessed, looked = looked, None
        seen = guessed or _look(session, user_id)
        if seen is None:
            ensure(session, user_id=user_id, now=now)
            continue
        target = next_state(seen.state, by)
        if target is None and guessed:
            continue
        if target is None:
            return False
        same = target == seen.state and reason == seen.reason
        values = dict(fields)
        if not same:
            values |= {"state": target, "reason": reason, "since": now}
        if not values:
            return True
        asked = (
            {"seen": seen.state} if lock is not _Lock.MINE else {"seen": seen.state, "call": call}
        )
        changed = _write(session, _change(tuple(values), lock), user_id, asked, values)
        if changed and not same:
            _begin_interval(session, user_id, target, reason, now)
        _tell(session, user_id, when=changed)
        if changed:
            return True
    return False


def lock(
    session: Session, *, user_id: int, attempt_id: int, now: datetime, by: Move = Move.DIAL
) -> bool:
    """Take the operator for one call and move to 発信中 (or 着信中 with `Move.OFFER`).

    True for exactly one of several that try at once. False while locked for another call, or in
    a state that knows no such move.
    """
    operator = ensure(session, user_id=user_id, now=now)
    taken = {"attempt_id": attempt_id, "muted": False}
    looked = _Seen(operator.state, operator.reason)
    return _move(session, user_id, by, now, "", taken, _Lock.NONE, looked=looked)


def unlock(
    session: Session, *, user_id: int, attempt_id: int, now: datetime, by: Move = Move.END_CALL
) -> bool:
    """Release the lock that this call holds and move on: to 後処理, or back with `Move.NO_CALL`.

    False, and nothing changed, when the operator is locked for another call or for none.
    """
    free = {"attempt_id": None}
    if _move(session, user_id, by, now, "", free, _Lock.MINE, attempt_id):
        return True
    return _clear_lock(session, user_id, attempt_id)  # a state that knows no such move stays


def sign_in(session: Session, *, user_id: int, now: datetime) -> None:
    """Begin with 離席; someone who is signed in elsewhere keeps their state."""
    ensure(session, user_id=user_id, now=now)
    kind = leg_kind(session, user_id=user_id)
    move(session, user_id=user_id, by=Move.SIGN_IN, now=now, leg_kind=kind)


def sign_out(session: Session, *, user_id: int, now: datetime) -> None:
    """End the day. Raises Refused('in_a_call') during a call."""
    _require_no_call(session, user_id)
    move(
        session,
        user_id=user_id,
        by=Move.SIGN_OUT,
        now=now,
        customer_id=None,
        queue_id=None,
        campaign_id=None,
        leaves_campaign=False,
    )


def go_away(session: Session, *, user_id: int, reason: str, now: datetime) -> None:
    """Go to 離席 with a reason.

    Raises Refused: 'in_a_call' during a call, 'wrap_up_open' before the result is saved.
    """
    require_free(session, user_id=user_id)
    move(session, user_id=user_id, by=Move.GO_AWAY, now=now, reason=reason)


def become_ready(session: Session, *, user_id: int, now: datetime) -> None:
    """Go to 待機. The table alone decides it: a live leg, no open call, 後処理 saved.

    Raises Refused: 'in_a_call', 'wrap_up_open', 'no_leg', 'monitoring'.
    """
    require_free(session, user_id=user_id)
    if session.scalar(select(Monitor.user_id).where(Monitor.user_id == user_id)) is not None:
        raise Refused("monitoring")
    if not has_live_leg(session, user_id=user_id):
        raise Refused("no_leg")
    move(session, user_id=user_id, by=Move.BECOME_READY, now=now, customer_id=None)


def open_customer(
    session: Session, *, user_id: int, customer_id: int, queue_id: int | None, now: datetime
) -> None:
    """Go to 閲覧中 with this customer open. Raises Refused('in_a_call' | 'wrap_up_open')."""
    require_free(session, user_id=user_id)
    move(
        session,
        user_id=user_id,
        by=Move.OPEN_CUSTOMER,
        now=now,
        customer_id=customer_id,
        queue_id=queue_id,
    )


def close_customer(session: Session, *, user_id: int, now: datetime) -> None:
    """Leave the call screen; the record that was open becomes 空白. Raises Refused('in_a_call')."""
    _require_no_call(session, user_id)
    move(session, user_id=user_id, by=Move.CLOSE_CUSTOMER, now=now, customer_id=None, queue_id=None)


def result_saved(session: Session, *, user_id: int, now: datetime) -> bool:
    """End 後処理. False when there was none, as on saving a second time."""
    return move(session, user_id=user_id, by=Move.SAVE_RESULT, now=now)


def has_live_leg(session: Session, *, user_id: int) -> bool:
    """Answer whether the operator could hear a customer now."""
    state = session.scalar(select(Operator.leg_state).where(Operator.user_id == user_id))
    return state in LIVE_LEGS


def leg_kind(session: Session, *, user_id: int) -> LegKind:
    """Give how this user's ear is reached: as set for them, a simulated device in practice.

    The practice switch carries no sound of browsers.
    """
    site = session.get(Site, 1)
    if site is None or site.practice:
        return LegKind.DEVICE
    return session.get_one(User, user_id).leg_kind


def may_bring_leg(operator: Operator) -> bool:
    """Answer whether a leg that comes by itself, from a page, may be this operator's."""
    return operator.leg_kind is LegKind.BROWSER and operator.state is not S.SIGNED_OUT


def connect_leg(session: Session, *, user_id: int, uuid: str, node: str, now: datetime) -> bool:
    """Note the leg being made. False while another is being made or lives."""
    ensure(session, user_id=user_id, now=now)
    changed = _rows(
        session,
        update(Operator)
        .where(
            Operator.user_id == user_id,
            Operator.leg_state.in_((LegState.NONE, LegState.LOST)),
        )
        .values(leg_uuid=uuid, leg_node=node, leg_state=LegState.CONNECTING, leg_since=now),
    )
    _tell(session, user_id, when=changed)
    return changed


def leg_moved(session: Session, *, user_id: int, uuid: str, to: LegState, now: datetime) -> bool:
    """Note what was heard of the leg `uuid`; a leg that is no longer theirs changes nothing.

    Losing the leg ends 待機 at once: nobody may be given a customer whom they cannot hear.
    """
    values: dict[str, Any] = {"leg_state": to, "leg_since": now}
    if to is LegState.NONE:
        values["muted"] = False  # a lost one comes again, and is muted again
    asked = {"leg": uuid, "to": to}
    changed = _write(session, _leg_change(tuple(values)), user_id, asked, values)
    if changed and to in (LegState.NONE, LegState.LOST):
        state = session.scalar(select(Operator.state).where(Operator.user_id == user_id))
        if state == S.READY:
            move(session, user_id=user_id, by=Move.GO_AWAY, now=now)
    _tell(session, user_id, when=changed)
    return changed


def leave_leg(session: Session, *, operator: Operator, node: str, now: datetime) -> None:
    """Forget the operator's leg on a switch that is gone; the next one is made on `node`."""
    user_id, uuid = operator.user_id, operator.leg_uuid
    if uuid:
        leg_moved(session, user_id=user_id, uuid=uuid, to=LegState.NONE, now=now)
    session.execute(
        update(Operator).where(Operator.user_id == user_id).values(leg_uuid="", leg_node=node)
    )
    _tell(session, user_id, when=True)


def set_muted(session: Session, *, user_id: int, muted: bool) -> None:
    """Note that the operator's microphone was shut or opened at the switch."""
    changed = _rows(
        session, update(Operator).where(Operator.user_id == user_id).values(muted=muted)
    )
    _tell(session, user_id, when=changed)


def split_intervals(session: Session, *, now: datetime) -> int:
    """Cut what is open since before today, so that each day's 稼働時間 is its own. Idempotent."""
    today = site_day(now)
    stale = session.scalars(
        select(OperatorInterval).where(
            OperatorInterval.ended_at.is_(None), OperatorInterval.site_day < today
        )
    ).all()
    for interval in stale:
        interval.ended_at = now
        session.add(
            OperatorInterval(
                user_id=interval.user_id,
                site_day=today,
                state=interval.state,
                reason=interval.reason,
                started_at=now,
            )
        )
    return len(stale)


def _require_no_call(session: Session, user_id: int) -> None:
    seen = session.execute(
        select(Operator.state, Operator.attempt_id).where(Operator.user_id == user_id)
    ).one_or_none()
    if seen is not None and (seen.attempt_id is not None or seen.state in _IN_CALL):
        raise Refused("in_a_call")


def require_free(session: Session, *, user_id: int) -> None:
    """Raise Refused 'in_a_call' during a call, 'wrap_up_open' before the result is saved."""
    _require_no_call(session, user_id)
    state = session.scalar(select(Operator.state).where(Operator.user_id == user_id))
    if state == S.WRAP_UP:
        raise Refused("wrap_up_open")


def _write(
    session: Session, change: Update, user_id: int, asked: dict[str, Any], values: dict[str, Any]
) -> bool:
    """Change the row by a statement built once, and what is loaded of it as well."""
    session.flush()
    new = {f"new_{name}": value for name, value in values.items()}
    changed = session.connection().execute(change, {"of": user_id} | asked | new).rowcount
    loaded = session.identity_map.get(identity_key(Operator, user_id)) if changed else None
    if loaded is not None:
        for name, value in values.items():
            set_committed_value(loaded, name, value)
    return bool(changed)


def _begin_interval(
    session: Session, user_id: int, state: OperatorState, reason: str, now: datetime
) -> None:
    connection = session.connection()
    closed = connection.execute(_CLOSE_INTERVAL, {"of": user_id, "now": now}).one_or_none()
    if state == S.SIGNED_OUT:
        return
    begun: dict[str, Any] = {"state": state, "reason": reason, "ended_at": None}
    if closed is not None and closed.started_at >= now:
        # Two moves in one moment: the first took no time, so its row becomes the second's.
        changed = update(OperatorInterval).where(OperatorInterval.id == closed.id)
        connection.execute(changed.values(**begun))
        return
    begun |= {"user_id": user_id, "site_day": site_day(now), "started_at": now}
    connection.execute(_INTERVAL, begun)


def _clear_lock(session: Session, user_id: int, attempt_id: int) -> bool:
    return _rows(
        session,
        update(Operator)
        .where(Operator.user_id == user_id, Operator.attempt_id == attempt_id)
        .values(attempt_id=None),
    )


def _rows(session: Session, statement: Any) -> bool:
    result = session.execute(statement)
    assert isinstance(result, CursorResult)  # noqa: S101 - an UPDATE has a cursor
    return bool(result.rowcount)


def _tell(session: Session, user_id: int, *, when: bool) -> None:
    if when:
        announce(session, "operator", user_id=user_id)
