"""What is wrong with recordings, for whoever manages to look at and tick off (R-RC-5).

`services.recordings` finds it when a call ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, func, select, update
from sqlalchemy.orm import Session

from calltree.errors import NotFound
from calltree.models import CallRecord, Recording, RecordingState
from calltree.services import audit, recordings, scope
from calltree.services.recordings import Sound
from calltree.services.rights import Right, Viewer

PAGE = 50


def problems(
    session: Session, *, viewer: Viewer, before_id: int | None = None, checked: bool = False
) -> list[Sound]:
    """Return up to 50 recordings with a problem, newest first; those ticked off if `checked`."""
    query = (
        select(Recording)
        .join(CallRecord, CallRecord.id == Recording.record_id)
        .where(_reported(checked), scope.recordings_played(session, viewer=viewer))
        .order_by(Recording.id.desc())
        .limit(PAGE)
    )
    if before_id is not None:
        query = query.where(Recording.id < before_id)
    return recordings.sounds_of(session, session.scalars(query).all())


def count_problems(session: Session) -> int:
    """Count those that nobody has ticked off."""
    return session.scalar(counting()) or 0


def counting() -> Select[int]:
    """Give the statement that counts those that nobody has ticked off, for the badge.

    Every page asks it. A plain `record_id IS NOT NULL` would lead SQLite to that column's index,
    and so through all recordings that there are.
    """
    of_a_record = func.coalesce(Recording.record_id, 0) != 0
    return select(func.count(Recording.id)).where(_reported(checked=False), of_a_record)


def check_off(session: Session, *, viewer: Viewer, ids: Sequence[int], now: datetime) -> int:
    """Tick problems off; audited. Returns how many it were. Raises NotFound for who may not."""
    if not viewer.may(Right.WATCH):
        raise NotFound
    ticked = session.scalars(
        update(Recording)
        .where(Recording.id.in_(ids), _reported(checked=False))
        .values(problem_checked_at=now)
        .returning(Recording.id)
    ).all()
    for recording_id in ticked:
        audit.note(
            session,
            viewer=viewer,
            action="recording.problem_checked",
            kind="recording",
            object_id=recording_id,
            now=now,
        )
    return len(ticked)


def _reported(checked: bool) -> ColumnElement[bool]:
    seen = Recording.problem_checked_at
    wanted = seen.is_not(None) if checked else seen.is_(None)
    gone = Recording.state.in_((RecordingState.HIDDEN, RecordingState.DESTROYED))
    return and_(Recording.problem != "", ~gone, wanted)
