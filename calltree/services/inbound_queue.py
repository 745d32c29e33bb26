"""A caller's place in the queue, and when they are told it (R-IN-1).

They hear the guidance that was chosen for the place, else as many short tones as the place says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.models import Attempt, Guidance, InboundAction, InboundCall, InboundOutcome
from calltree.services import inbound_calls

LAST_PLACE = 10
"""From here on one sound is for all: nobody counts further."""
MOVED = timedelta(seconds=15)
"""A place that changed is told no sooner after the one before: the music is not cut to pieces."""
AGAIN = timedelta(seconds=60)
"""So often who does not move hears that they are not forgotten."""


def places(waiting: Iterable[tuple[InboundCall, Attempt]]) -> dict[int, int]:
    """Give the place of each who waits, by attempt; `waiting` in the order of their arrival."""
    counted: Counter[tuple[int | None, str]] = Counter()
    found = {}
    for call, attempt in waiting:
        if _waits(call, attempt):
            counted[call.group_id, attempt.node] += 1
            found[call.attempt_id] = counted[call.group_id, attempt.node]
    return found


def _waits(call: InboundCall, attempt: Attempt) -> bool:
    in_queue = call.action is InboundAction.QUEUE and call.parked_at is None
    return in_queue and attempt.user_id is None


def place_of(session: Session, *, call: InboundCall, attempt: Attempt) -> int:
    """Return the place of one; 0 of who is in no queue."""
    if not _waits(call, attempt):
        return 0
    ahead = session.scalar(
        select(func.count())
        .select_from(InboundCall)
        .join(Attempt, Attempt.id == InboundCall.attempt_id)
        .where(
            InboundCall.outcome == InboundOutcome.OPEN,
            InboundCall.action == InboundAction.QUEUE,
            InboundCall.parked_at.is_(None),
            InboundCall.group_id.is_not_distinct_from(call.group_id),
            InboundCall.attempt_id < call.attempt_id,
            Attempt.node == attempt.node,
            Attempt.user_id.is_(None),
            Attempt.ended_at.is_(None),
        )
    )
    return 1 + (ahead or 0)


def is_due(session: Session, *, call: InboundCall, place: int, now: datetime) -> bool:
    """Whether a caller at this place is to be told it now."""
    step = inbound_calls.step_of(call)
    if step is None or not step.tells_position or not place:
        return False
    gap = MOVED if place != call.told_place else AGAIN
    if now - (call.told_at or call.step_started_at) < gap:
        return False
    said = session.get(Guidance, step.guidance_id) if step.guidance_id else None
    length = timedelta(milliseconds=said.length_ms) if said else timedelta()
    return now - call.step_started_at >= length  # it is heard to its end first


def tell(session: Session, *, call: InboundCall, attempt: Attempt, now: datetime) -> None:
    """Note that the caller is told their place now, if the step says so; it is carried out next."""
    step = inbound_calls.step_of(call)
    if step is None or not step.tells_position:
        return
    session.flush()
    call.told_place, call.told_at = place_of(session, call=call, attempt=attempt), now


def sound_of(session: Session, place: int) -> int | None:
    """Return the id of the guidance that says this place; None where none was chosen."""
    return session.scalar(
        select(Guidance.id).where(
            Guidance.queue_place == min(place, LAST_PLACE), Guidance.retired_at.is_(None)
        )
    )
