"""Times for a callback: inside the project's hours, and not twice at one time (R-CL-12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import Project, Task
from calltree.services import hours, settings
from calltree.text.days import TOKYO
from calltree.text.hours import CallingHours, next_opening

SLOT = timedelta(minutes=15)
"""Two promises of one person lie at least so far apart."""
_MOST_SHIFTS = 16
_LOOKED_AHEAD = timedelta(days=14)


class Suggestion(StrEnum):
    """What people say on the telephone."""

    HOUR = "hour"
    EVENING = "evening"
    MORNING = "morning"
    AFTERNOON = "afternoon"


@dataclass(frozen=True, slots=True)
class Offered:
    """A time to propose; `moved` when hours or another promise made it a later one."""

    suggestion: Suggestion
    at: datetime
    moved: bool


def offered(
    session: Session,
    *,
    project: Project,
    user_id: int | None,
    now: datetime,
    zone: ZoneInfo = TOKYO,
) -> list[Offered]:
    """Propose times in order, each once: in an hour, today 17:00, tomorrow 10:00 and 14:00.

    What lies outside the project's hours becomes their next opening; where this person has promised
    a call already (user None: 担当なし) it becomes a quarter of an hour later.
    """
    rules = hours.rules_of(session, site=settings.get(session), project=project)
    taken = _taken(session, user_id, now)
    found: list[Offered] = []
    for suggestion, wanted in _wanted(now.astimezone(zone)):
        if wanted <= now:
            continue
        at = _free(rules, taken, wanted)
        if at is not None and at not in {one.at for one in found}:
            found.append(Offered(suggestion, at, at != wanted))
    return found


def _wanted(local: datetime) -> list[tuple[Suggestion, datetime]]:
    today = local.replace(minute=0, second=0, microsecond=0)
    tomorrow = today + timedelta(days=1)
    return [
        (Suggestion.HOUR, local.replace(second=0, microsecond=0) + timedelta(hours=1)),
        (Suggestion.EVENING, today.replace(hour=17)),
        (Suggestion.MORNING, tomorrow.replace(hour=10)),
        (Suggestion.AFTERNOON, tomorrow.replace(hour=14)),
    ]


def _taken(session: Session, user_id: int | None, now: datetime) -> list[datetime]:
    whose = Task.user_id == user_id if user_id is not None else Task.user_id.is_(None)
    due = select(Task.due_at).where(
        whose, Task.done_at.is_(None), Task.due_at > now - SLOT, Task.due_at < now + _LOOKED_AHEAD
    )
    return [at for at in session.scalars(due) if at is not None]


def _free(rules: CallingHours, taken: Sequence[datetime], wanted: datetime) -> datetime | None:
    at = next_opening(rules, wanted)
    for _ in range(_MOST_SHIFTS):
        if at is None:
            return None
        if not _is_taken(taken, at):
            return at
        at = next_opening(rules, at + SLOT)
    return None


def _is_taken(taken: Sequence[datetime], at: datetime) -> bool:
    return any(abs(at - other) < SLOT for other in taken)
