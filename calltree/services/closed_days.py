"""休業日: the site's own days without calls (GW, お盆, 年末年始), beside the public holidays."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import ClosedDay, Site
from calltree.services import audit_changes
from calltree.services.rights import Right, Viewer

MOST_DAYS = 60
"""In one go: more is a slip in the year."""
MAX_NAME = 64


def upcoming(session: Session, *, today: date) -> list[ClosedDay]:
    """Return the closed days from today on, the next one first."""
    query = select(ClosedDay).where(ClosedDay.day >= today).order_by(ClosedDay.day)
    return list(session.scalars(query))


def add(
    session: Session,
    *,
    viewer: Viewer,
    first: date,
    last: date | None,
    name: str,
    today: date,
    now: datetime,
) -> int:
    """Close every day from `first` to `last` (None: that one day); in force at the next dial.

    A day that is closed already takes the new name. Returns how many days were closed or renamed.
    Raises NotAllowed; Refused 'closed_day_past', 'days_reversed', 'closed_days_many'.
    """
    _may(viewer)
    last = last or first
    if first < today:
        raise Refused("closed_day_past", field="first")
    if last < first:
        raise Refused("days_reversed", field="last")
    if (last - first).days >= MOST_DAYS:
        raise Refused("closed_days_many", field="last", most=MOST_DAYS)
    session.get_one(Site, 1, with_for_update=True)  # two who close one day do it in turn
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    there = session.scalars(select(ClosedDay).where(ClosedDay.day.in_(days)))
    known = {row.day: row for row in there}
    written = 0
    for day in days:
        row = known.get(day) or ClosedDay(day=day)
        before = audit_changes.state_of(row) if day in known else {"day": None, "name": None}
        row.name = name.strip()[:MAX_NAME]
        session.add(row)
        line = audit_changes.note(
            session, viewer=viewer, action="closed_day.saved", kind="closed_day",
            object_id=day.isoformat(), before=before, after=audit_changes.state_of(row), now=now,
        )  # fmt: skip
        written += line is not None
    announce(session, "site")
    return written


def remove(session: Session, *, viewer: Viewer, day: date, now: datetime) -> None:
    """Open a day again. Raises NotAllowed, NotFound."""
    _may(viewer)
    row = session.get(ClosedDay, day)
    if row is None:
        raise NotFound(f"closed day {day}")
    before = audit_changes.state_of(row)
    session.delete(row)
    audit_changes.note(
        session, viewer=viewer, action="closed_day.removed", kind="closed_day",
        object_id=day.isoformat(), before=before, after={"day": None, "name": None}, now=now,
    )  # fmt: skip
    announce(session, "site")


def _may(viewer: Viewer) -> None:
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
