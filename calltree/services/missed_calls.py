"""不在着信・留守番電話: callers whom nobody talked with, until somebody calls them back (R-IN-3).

MGR and SV see all of them. An operator who may answer sees those that rang for everybody or for
their groups, those of customers in their lists, and those that are theirs to call back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    TO_BE_CALLED_BACK,
    Attempt,
    CallerNumber,
    CallRecord,
    InboundCall,
    InboundOutcome,
    Origin,
    Recording,
    RecordingState,
    User,
)
from calltree.services import gate, inbound_matches, manual_calls, number_search, people, scope
from calltree.services.inbound_matches import Known
from calltree.services.rights import Right, Viewer
from calltree.services.tasks import Whose

PAGE = 50
TOPIC = "missed"
"""Announced whenever one is added or changes."""


class Stand(StrEnum):
    """Whether it has been seen to."""

    OPEN = "open"
    DONE = "done"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is looked for; the default is what waits."""

    stand: Stand = Stand.OPEN
    outcome: InboundOutcome | None = None
    who: Whose | int = Whose.EVERYBODY
    number: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """One call with what its line shows."""

    call: InboundCall
    attempt: Attempt
    ours: CallerNumber | None
    assigned: str
    """Empty: anyone."""
    done_by: str
    called_back: Attempt | None
    recording_id: int | None
    """Of the message; only if the viewer may play it and it can be played."""
    known: Known = field(default_factory=Known)

    @property
    def waited_s(self) -> float:
        """How long the caller held on."""
        ended = self.attempt.ended_at or self.attempt.created_at
        return max((ended - self.attempt.created_at).total_seconds(), 0.0)


def seen(viewer: Viewer) -> ColumnElement[bool]:
    """Condition on InboundCall joined with Attempt: to be called back, and shown to this viewer."""
    return and_(InboundCall.outcome.in_(TO_BE_CALLED_BACK), scope.inbound_seen(viewer))


def page(
    session: Session, *, viewer: Viewer, criteria: Criteria, before: int | None = None
) -> list[Shown]:
    """Return the newest, or those before the call with this id; at most PAGE."""
    assigned, done_by, back = aliased(User), aliased(User), aliased(Attempt)
    sound = and_(
        Recording.record_id == CallRecord.id,
        Recording.state == RecordingState.STORED,
        scope.recordings_played(session, viewer=viewer),
    )
    query = (
        select(InboundCall, Attempt, CallerNumber, assigned.name, done_by.name, back, Recording.id)
        .join(Attempt, Attempt.id == InboundCall.attempt_id)
        .outerjoin(CallerNumber, CallerNumber.id == Attempt.caller_number_id)
        .outerjoin(assigned, assigned.id == InboundCall.assigned_user_id)
        .outerjoin(done_by, done_by.id == InboundCall.done_by_id)
        .outerjoin(back, back.id == InboundCall.called_back_attempt_id)
        .outerjoin(CallRecord, CallRecord.attempt_id == Attempt.id)
        .outerjoin(Recording, sound)
        .where(seen(viewer), *_conditions(criteria))
        .order_by(InboundCall.attempt_id.desc())
        .limit(PAGE)
    )
    if before is not None:
        query = query.where(InboundCall.attempt_id < before)
    rows = session.execute(query).all()
    numbers = {row[1].number for row in rows} - {""}
    known = inbound_matches.known(session, viewer=viewer, numbers=numbers)
    return [
        Shown(*row[:3], row[3] or "", row[4] or "", row[5], row[6], known[row[1].number])
        for row in rows
    ]


def _conditions(criteria: Criteria) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if criteria.stand is not Stand.ALL:
        done = InboundCall.done_at.is_not(None)
        found.append(done if criteria.stand is Stand.DONE else ~done)
    if criteria.outcome is not None:
        found.append(InboundCall.outcome == criteria.outcome)
    if criteria.who is Whose.NOBODY:
        found.append(InboundCall.assigned_user_id.is_(None))
    elif criteria.who is not Whose.EVERYBODY:
        found.append(InboundCall.assigned_user_id == criteria.who)
    if criteria.number:
        found.append(number_search.finds(Attempt.number, criteria.number))
    return found


def badge(session: Session, *, viewer: Viewer) -> int:
    """Count what waits for the viewer."""
    return session.scalar(waiting(viewer)) or 0


def waiting(viewer: Viewer) -> Select[int]:
    """Give the statement that counts them: read from an index of what waits alone."""
    return (
        select(func.count(InboundCall.attempt_id))
        .join(Attempt, Attempt.id == InboundCall.attempt_id)
        .where(seen(viewer), InboundCall.done_at.is_(None))
    )


def on_their_way() -> Select[int]:
    """Give the statement that counts the callers whom nobody has answered yet, anywhere."""
    return select(func.count(InboundCall.attempt_id)).where(
        InboundCall.outcome == InboundOutcome.OPEN
    )


def get(session: Session, *, viewer: Viewer, call_id: int) -> tuple[InboundCall, Attempt]:
    """Return a call that the viewer may see to, for changing it. Raises NotFound."""
    found = session.execute(
        select(InboundCall, Attempt)
        .join(Attempt, Attempt.id == InboundCall.attempt_id)
        .where(InboundCall.attempt_id == call_id, seen(viewer))
        .with_for_update(of=InboundCall)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFound(f"missed call {call_id}")
    return found[0], found[1]


def call_back(
    session: Session,
    *,
    viewer: Viewer,
    call_id: int,
    customer_id: int | None,
    press_id: str | None,
    confirmed: bool,
    now: datetime,
) -> Attempt:
    """折り返し: ask the gate for the caller's number; a yes marks the call as done.

    With `customer_id` it is a call to that customer, who must be open; without one it is 手動発信.
    Raises NotFound; Refused 'number_withheld' and what `manual_calls.dial` refuses.
    """
    gate.take_turn(session)  # before any row: CALL locks in this order
    call, came = get(session, viewer=viewer, call_id=call_id)
    if not came.number:
        raise Refused("number_withheld")
    if customer_id is None:
        attempt = manual_calls.dial(
            session,
            viewer=viewer,
            number=came.number,
            caller_number_id=_shown_number(session, viewer, came),
            press_id=press_id,
            confirmed=confirmed,
            now=now,
        )
    else:
        request = gate.DialRequest(
            origin=Origin.CALLBACK,
            number=came.number,
            user_id=viewer.user_id,
            customer_id=customer_id,
            press_id=press_id,
            confirmed=confirmed,
        )
        attempt = gate.ask(session, request=request, now=now)
    if attempt.verdict == gate.ALLOWED:
        call.called_back_attempt_id = attempt.id
        _finish(session, call, viewer, now)
    return attempt


def _shown_number(session: Session, viewer: Viewer, came: Attempt) -> int | None:
    """The number that was called is shown, where the viewer may show it; else the first they may.

    Asked for outside of any list the gate wants one of them.
    """
    offered = [one.id for one in manual_calls.callers(session, viewer=viewer)]
    if came.caller_number_id in offered:
        return came.caller_number_id
    return offered[0] if offered else None


def set_done(session: Session, *, viewer: Viewer, call_id: int, done: bool, now: datetime) -> None:
    """対応済み, or not after all. Raises NotFound."""
    call, _came = get(session, viewer=viewer, call_id=call_id)
    if done == (call.done_at is not None):
        return
    if done:
        _finish(session, call, viewer, now)
        return
    call.done_at = call.done_by_id = None
    _tell(session)


def _finish(session: Session, call: InboundCall, viewer: Viewer, now: datetime) -> None:
    call.done_at, call.done_by_id = now, viewer.user_id
    _tell(session)


def assign(session: Session, *, viewer: Viewer, call_id: int, user_id: int | None) -> None:
    """Give it to a user, or to anyone (None). MGR and SV to everybody, an operator to themselves.

    Raises NotFound, NotAllowed; Refused 'task_user_unknown'.
    """
    call, _came = get(session, viewer=viewer, call_id=call_id)
    if not viewer.may(Right.ASSIGN_TASKS) and {call.assigned_user_id, user_id} - {
        None,
        viewer.user_id,
    }:
        raise NotAllowed(Right.ASSIGN_TASKS)
    if user_id is not None:
        user = session.get(User, user_id)
        if user is None or user.deleted_at or not Viewer.of(user).may(Right.ANSWER_INBOUND):
            raise Refused("task_user_unknown", field="user_id")
    call.assigned_user_id = user_id
    _tell(session)


def offered_users(session: Session) -> Sequence[User]:
    """Return who may be given one."""
    return [user for user in people.active(session) if Viewer.of(user).may(Right.ANSWER_INBOUND)]


def _tell(session: Session) -> None:
    session.flush()
    announce(session, TOPIC)
