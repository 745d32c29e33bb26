"""Room for recordings: how much there is, what goes first when it is full (R-RC-2).

Once a night recordings go whose project keeps them no longer, then the oldest calls' until the
next day fits into the site's capacity. A protected one stays in both. The record stays and says
why its sound is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from calltree.models import CallRecord, Project, Recording, RecordingState, Site
from calltree.services import audit, scope
from calltree.services.rights import Viewer

GB = 1_000_000_000
BYTES_PER_HOUR = 125_000 * 60
"""Until an hour was recorded: the most that a recording may take (R-RC-1)."""
WARN_AT, ALARM_AT = 0.80, 0.95
FORESEEN_DAYS = 3650
MEASURED = timedelta(days=28)
"""Days left are reckoned from what these brought."""


class Level(StrEnum):
    """How full it is."""

    FINE = ""
    WARN = "warn"
    BAD = "bad"


class Gone(StrEnum):
    """Why a recording was removed (`Recording.destroyed_reason`)."""

    CAPACITY = "capacity"
    RETENTION = "retention"


_SAID = {
    Gone.CAPACITY: "recordings.removed_capacity",
    Gone.RETENTION: "recordings.removed_retention",
}


@dataclass(frozen=True, slots=True)
class Space:
    """Room for recordings, in bytes."""

    used: int
    capacity: int
    count: int
    bytes_per_hour: float
    bytes_per_day: float

    @property
    def share(self) -> float:
        """Used ÷ capacity; above 1 until the next night."""
        return self.used / self.capacity

    @property
    def level(self) -> Level:
        """Whether somebody has to be warned."""
        if self.share >= ALARM_AT:
            return Level.BAD
        return Level.WARN if self.share >= WARN_AT else Level.FINE

    @property
    def hours_left(self) -> int:
        """Hours of talk that still fit."""
        return int(max(self.capacity - self.used, 0) / self.bytes_per_hour)

    @property
    def days_left(self) -> int | None:
        """Days until it is full if they are like the last four weeks.

        None without any, and beyond ten years: so little says nothing of the days to come.
        """
        if not self.bytes_per_day:
            return None
        days = int(max(self.capacity - self.used, 0) / self.bytes_per_day)
        return days if days <= FORESEEN_DAYS else None


def space(session: Session, *, now: datetime) -> Space:
    """Measure all stored sound."""
    since = now - MEASURED
    capacity = select(Site.recordings_capacity_gb).where(Site.id == 1).scalar_subquery()
    used, lately, count, length_ms, oldest, capacity_gb = session.execute(
        select(
            func.coalesce(func.sum(Recording.size_bytes), 0),
            func.coalesce(func.sum(Recording.size_bytes).filter(Recording.started_at >= since), 0),
            func.count(),
            func.coalesce(func.sum(Recording.length_ms), 0),
            func.min(Recording.started_at),
            capacity,
        ).where(Recording.size_bytes > 0)
    ).one()
    days = min(MEASURED, max(now - oldest, timedelta(days=1))) if oldest else MEASURED
    hours = int(length_ms) / 3_600_000
    return Space(
        used=int(used),
        capacity=(capacity_gb or 50) * GB,
        count=count,
        bytes_per_hour=int(used) / hours if hours >= 1 else BYTES_PER_HOUR,
        bytes_per_day=int(lately) / (days / timedelta(days=1)),
    )


def claim_outdated(session: Session, *, now: datetime, most: int) -> int:
    """Doom up to `most` recordings that their project keeps no longer; return how many.

    The sweep destroys them (`recordings.sweep`); from here on nobody can play them.
    """
    kept = session.execute(
        select(Project.id, Project.recordings_days).where(Project.recordings_days.is_not(None))
    ).all()
    claimed = 0
    for project_id, days in kept:
        old = (
            select(Recording.id)
            .join(CallRecord, CallRecord.id == Recording.record_id)
            .where(
                _removable(),
                CallRecord.project_id == project_id,
                Recording.started_at < now - timedelta(days=days or 0),
            )
            .limit(most - claimed)
        )
        claimed += _doom(session, list(session.scalars(old)), Gone.RETENTION, now)
        if claimed >= most:
            break
    return claimed


def claim_oldest(session: Session, *, now: datetime, most: int) -> int:
    """Doom up to `most` of the oldest recordings while it is too full; return how many.

    Too full is when another day like the fullest of the last four weeks would not fit: nothing is
    removed between two nights, and a mean over days off is exceeded on each working day.
    """
    room = space(session, now=now)
    doomed = session.scalar(
        select(func.coalesce(func.sum(Recording.size_bytes), 0)).where(
            Recording.destroy_after.is_not(None), Recording.state == RecordingState.DESTROYED
        )
    )
    # half at most: one day beyond all measure must not take every recording with it
    kept_free = min(_fullest_day(session, now=now), room.capacity // 2)
    excess = room.used - int(doomed or 0) - (room.capacity - kept_free)
    oldest = session.execute(
        select(Recording.id, Recording.size_bytes)
        .where(_removable())
        .order_by(Recording.started_at, Recording.id)
        .limit(most)
    ).all()
    ids = []
    for recording_id, size_bytes in oldest:
        if excess <= 0:
            break
        ids.append(recording_id)
        excess -= size_bytes
    return _doom(session, ids, Gone.CAPACITY, now)


def _fullest_day(session: Session, *, now: datetime) -> int:
    """Return what the fullest of the last days brought, in bytes; days end at `now`'s time."""
    ends = [now - timedelta(days=age) for age in range(MEASURED.days)]
    sizes = [
        func.sum(Recording.size_bytes).filter(
            Recording.started_at > end - timedelta(days=1), Recording.started_at <= end
        )
        for end in ends
    ]
    days = session.execute(select(*sizes).where(Recording.started_at > now - MEASURED)).one()
    return max(int(size or 0) for size in days)


def removed_of(session: Session, *, record_id: int) -> Recording | None:
    """Return a record's recording if it was removed for room or age."""
    return session.scalar(
        select(Recording).where(
            Recording.record_id == record_id,
            Recording.state == RecordingState.DESTROYED,
            Recording.destroyed_reason.in_(list(Gone)),
        )
    )


def _removable() -> ColumnElement[bool]:
    return (
        (Recording.size_bytes > 0)
        & (Recording.state == RecordingState.STORED)
        & Recording.protected.is_(False)
    )


def _doom(session: Session, ids: list[int], why: Gone, now: datetime) -> int:
    if not ids:
        return 0
    session.execute(
        update(Recording)
        .where(Recording.id.in_(ids))
        .values(state=RecordingState.DESTROYED, destroy_after=now, destroyed_reason=why)
        .execution_options(synchronize_session=False)
    )
    audit.note(session, viewer=None, action=_SAID[why], now=now, count=len(ids))
    return len(ids)


def protect(
    session: Session, *, viewer: Viewer, recording_id: int, protected: bool, now: datetime
) -> None:
    """Keep a recording whatever the room and its age, or no longer; audited. Raises NotFound."""
    recording = scope.get_recording(session, viewer=viewer, recording_id=recording_id)
    if recording.protected is not protected:
        recording.protected = protected
        audit.note(
            session,
            viewer=viewer,
            action="recording.protected" if protected else "recording.unprotected",
            kind="recording",
            object_id=recording_id,
            now=now,
        )
