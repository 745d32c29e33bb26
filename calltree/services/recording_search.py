"""録音一覧: stored recordings, searched by what their calls were (R-RC-1).

The search is that of コール履歴, but hand-dialled calls are here too: whoever asks what is kept of
their number is owed all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from calltree.models import CallRecord, Recording, RecordingState
from calltree.models.moments import one_of_two
from calltree.services import history, recordings, scope
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.recordings import Sound
from calltree.services.rights import Viewer

PAGE = 50


# SQLite must not begin with all that is stored and sort it: the records are in order of time.
_STORED = one_of_two(
    Recording.state == RecordingState.STORED,
    func.coalesce(Recording.state, "") == RecordingState.STORED.value,
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some recordings, newest call first, and the key after which the next page begins."""

    sounds: list[Sound]
    next_key: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """All that a search finds; with the newest id, so that later recordings are left alone."""

    count: int
    size_bytes: int
    length_ms: int
    last_id: int


def page(
    session: Session,
    *,
    viewer: Viewer,
    criteria: HistoryCriteria,
    now: datetime,
    after: str = "",
    size: int = PAGE,
) -> Page:
    """Return the next `size` recordings that the viewer may play, after the key `after`."""
    query = (
        select(Recording)
        .join(CallRecord, CallRecord.id == Recording.record_id)
        .where(*conditions(session, viewer=viewer, criteria=criteria, now=now))
    )
    found = session.scalars(history.turned(query, after, size)).all()
    sounds = recordings.sounds_of(session, found[:size])
    return Page(sounds, history.key_of(sounds[-1].record) if len(found) > size else "")


def total(session: Session, *, viewer: Viewer, criteria: HistoryCriteria, now: datetime) -> Total:
    """Add up what a search finds."""
    count, size_bytes, length_ms, last_id = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Recording.size_bytes), 0),
            func.coalesce(func.sum(Recording.length_ms), 0),
            func.coalesce(func.max(Recording.id), 0),
        )
        .select_from(Recording)
        .join(CallRecord, CallRecord.id == Recording.record_id)
        .where(*conditions(session, viewer=viewer, criteria=criteria, now=now))
    ).one()
    return Total(count, int(size_bytes), int(length_ms), last_id)


def conditions(
    session: Session, *, viewer: Viewer, criteria: HistoryCriteria, now: datetime
) -> list[ColumnElement[bool]]:
    """Conditions on Recording and its CallRecord: stored, found, and the viewer's to play."""
    return [
        _STORED,
        scope.recordings_played(session, viewer=viewer),
        *history.conditions(criteria=criteria, now=now, by_hand=True),
    ]
