"""Room for recordings: what goes first, what stays, and what is said of it (R-RC-2)."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import Store
from calltree.errors import NotFound
from calltree.jobs import nightly
from calltree.models import (
    AuditEntry,
    Project,
    Recording,
    RecordingState,
    Role,
    Site,
)
from calltree.services import recording_space
from tests import factories as make
from tests.factories import NOW
from tests.recordings import Shelf

GB = recording_space.GB
DAY = timedelta(days=1)


@pytest.fixture
def shelf(store: Store, settings: Settings) -> Shelf:
    return Shelf.make(store, settings.recordings_dir)


def room(store: Store, now: datetime = NOW) -> recording_space.Space:
    with store.read() as session:
        return recording_space.space(session, now=now)


def states(store: Store) -> dict[int, RecordingState]:
    with store.read() as session:
        return {
            row.id: row.state for row in session.scalars(select(Recording).order_by(Recording.id))
        }


def test_R_RC_2_an_empty_shelf_has_room_for_fifty_gigabytes(shelf: Shelf) -> None:
    space = room(shelf.store)
    assert (space.used, space.capacity, space.level) == (0, 50 * GB, "")
    assert space.hours_left == 6666
    assert space.days_left is None


@pytest.mark.parametrize(
    ("used", "level"), [(0.79, ""), (0.80, "warn"), (0.949, "warn"), (0.95, "bad"), (1.2, "bad")]
)
def test_R_RC_2_warnings_at_80_and_95_percent(shelf: Shelf, used: float, level: str) -> None:
    shelf.put(size_bytes=int(50 * GB * used))
    assert room(shelf.store).level == level


def test_R_RC_2_a_first_short_call_foretells_no_day(shelf: Shelf) -> None:
    shelf.put(started_at=NOW - DAY, size_bytes=1000, length_ms=1000)
    assert room(shelf.store).days_left is None


def test_R_RC_2_hours_and_days_left_follow_what_was_recorded(shelf: Shelf) -> None:
    # ten days with 1 GB of 100 hours each
    for day in range(10):
        shelf.put(started_at=NOW - (day + 1) * DAY, size_bytes=GB, length_ms=360_000_000)
    space = room(shelf.store)
    assert space.hours_left == 4000
    assert space.days_left == 40


def test_R_RC_2_the_oldest_calls_go_first_until_a_day_fits(shelf: Shelf) -> None:
    with shelf.store.write() as session:
        session.get_one(Site, 1).recordings_capacity_gb = 1
    ids = [shelf.put(started_at=NOW - age * DAY, size_bytes=GB // 4) for age in (40, 30, 20, 10, 1)]
    kept = shelf.put(started_at=NOW - 50 * DAY, size_bytes=GB // 4, protected=True)
    nightly.make_room(shelf.store, shelf.root, now=NOW)
    # 1.5 GB were there; the fullest day of the last four weeks brought 0.25 GB
    gone = [i for i, state in states(shelf.store).items() if state is RecordingState.DESTROYED]
    assert gone == ids[:3]
    assert [shelf.file(i).exists() for i in (*ids, kept)] == [False] * 3 + [True] * 3
    with shelf.store.read() as session:
        row = session.get_one(Recording, ids[0])
        assert (row.destroyed_reason, row.size_bytes, row.destroyed_at) == ("capacity", 0, NOW)
        (line,) = session.scalars(select(AuditEntry))
        assert (line.action, line.detail) == ("recordings.removed_capacity", {"count": 3})
    assert nightly.make_room(shelf.store, shelf.root, now=NOW) == 0


@pytest.mark.parametrize(("of_a_day", "left"), [(3, 7), (7, 5)])
def test_R_RC_2_after_days_off_a_working_day_still_fits(
    shelf: Shelf, of_a_day: int, left: int
) -> None:
    """Of ten tenths, those of one working day are kept free, but never more than half."""
    with shelf.store.write() as session:
        session.get_one(Site, 1).recordings_capacity_gb = 1
    last_friday = [NOW - 3 * DAY - timedelta(minutes=n) for n in range(of_a_day)]
    before = [NOW - 40 * DAY + timedelta(minutes=n) for n in range(10 - of_a_day)]
    for started_at in (*before, *last_friday):
        shelf.put(started_at=started_at, size_bytes=GB // 10)
    nightly.make_room(shelf.store, shelf.root, now=NOW)
    stored = [state for state in states(shelf.store).values() if state is RecordingState.STORED]
    assert len(stored) == left


def test_R_RC_2_a_projects_retention_removes_earlier(shelf: Shelf) -> None:
    with shelf.store.write() as session:
        short = make.make_list(session)
        session.get_one(Project, short.project_id).recordings_days = 30
        short_id = short.id
    old = shelf.put(started_at=NOW - 31 * DAY, list_id=short_id)
    safe = shelf.put(started_at=NOW - 31 * DAY, list_id=short_id, protected=True)
    young = shelf.put(started_at=NOW - 29 * DAY, list_id=short_id)
    other = shelf.put(started_at=NOW - 300 * DAY)
    assert nightly.make_room(shelf.store, shelf.root, now=NOW) == 1
    found = states(shelf.store)
    assert found[old] is RecordingState.DESTROYED
    assert {found[i] for i in (safe, young, other)} == {RecordingState.STORED}
    with shelf.store.read() as session:
        assert session.get_one(Recording, old).destroyed_reason == "retention"


def test_R_RC_2_only_who_may_hear_it_protects_it(shelf: Shelf) -> None:
    recording_id = shelf.put()
    with shelf.store.write() as session:
        manager = make.viewer_of(make.make_user(session, Role.MANAGER))
        stranger = make.viewer_of(make.make_user(session, Role.OPERATOR))
    with pytest.raises(NotFound), shelf.store.write() as session:
        recording_space.protect(
            session, viewer=stranger, recording_id=recording_id, protected=True, now=NOW
        )
    for wanted in (True, True, False):
        with shelf.store.write() as session:
            recording_space.protect(
                session, viewer=manager, recording_id=recording_id, protected=wanted, now=NOW
            )
    with shelf.store.read() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions == ["recording.protected", "recording.unprotected"]


def test_R_RC_2_what_was_claimed_in_a_night_that_broke_off_goes_later(shelf: Shelf) -> None:
    with shelf.store.write() as session:
        session.get_one(Site, 1).recordings_capacity_gb = 1
    old = shelf.put(started_at=NOW - 40 * DAY, size_bytes=GB)
    shelf.put(started_at=NOW - 39 * DAY, size_bytes=GB // 2)
    with shelf.store.write() as session:
        assert recording_space.claim_oldest(session, now=NOW, most=100) == 1
    # nothing more is claimed for what is on its way out already
    nightly.make_room(shelf.store, shelf.root, now=NOW)
    nightly.recordings.sweep_in(shelf.store, shelf.root, now=NOW)
    assert not shelf.file(old).exists()
    assert [*states(shelf.store).values()] == [RecordingState.DESTROYED, RecordingState.STORED]
