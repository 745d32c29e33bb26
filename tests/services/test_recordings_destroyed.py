"""R-ST-2, R-HS-3: recordings of 不通 and of deleted records go, and some are kept in time."""

from datetime import timedelta

import pytest

from calltree.jobs import recordings as job
from calltree.models import (
    BuiltIn,
    Recording,
    RecordingState,
    Role,
)
from calltree.services import recordings, results
from calltree.services.rights import Viewer
from tests import factories as make
from tests.services.archive import ENDED, Archive

AFTER = timedelta(minutes=10)


# --- 不通 (R-ST-2)


@pytest.mark.parametrize("encoded_first", [True, False])
def test_R_ST_2_a_no_answer_recording_is_destroyed_ten_minutes_after_closing(
    archive: Archive, encoded_first: bool
) -> None:
    recording = archive.call()
    archive.talk(recording)
    if encoded_first:
        archive.finish(recording)
    archive.desk.save(BuiltIn.NO_ANSWER, now=ENDED)
    assert archive.row(recording).state is RecordingState.HIDDEN
    archive.finish(recording)
    assert archive.row(recording).state is RecordingState.HIDDEN
    assert len(archive.files()) == 1
    archive.sweep(ENDED + timedelta(days=1))
    assert len(archive.files()) == 1, "the record is open still"
    archive.desk.leave(ENDED)
    archive.sweep(ENDED + AFTER - timedelta(seconds=1))
    assert len(archive.files()) == 1
    archive.sweep(ENDED + AFTER)
    assert archive.files() == []
    row = archive.row(recording)
    assert (row.state, row.destroyed_at) == (RecordingState.DESTROYED, ENDED + AFTER)
    assert (row.stored_name, row.raw_name, row.waveform) == ("", "", b"")
    assert row.destroyed_reason == "no_answer"


def test_R_ST_2_the_next_dial_closes_the_record(archive: Archive) -> None:
    recording = archive.call()
    archive.desk.save(BuiltIn.NO_ANSWER, now=ENDED)
    again = ENDED + timedelta(seconds=30)
    archive.desk.calls(now=again)
    assert archive.row(recording).destroy_after == again + AFTER


def test_R_ST_2_a_change_of_status_before_that_keeps_it(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    archive.finish(recording)
    record_id = archive.row(recording).record_id
    archive.desk.save(BuiltIn.NO_ANSWER, now=ENDED)
    archive.desk.leave(ENDED)
    archive.desk.correct(record_id, BuiltIn.PROSPECT, now=ENDED + AFTER - timedelta(seconds=1))
    archive.sweep(ENDED + timedelta(days=1))
    row = archive.row(recording)
    assert (row.state, row.destroy_after) == (RecordingState.STORED, None)
    assert archive.files() == [".mp3"]


def test_R_ST_2_brought_back_before_it_was_encoded_it_is_encoded_then(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    archive.desk.save(BuiltIn.NO_ANSWER, now=ENDED)
    archive.desk.save(BuiltIn.PROSPECT, now=ENDED)
    archive.rung()
    archive.sweep(ENDED + timedelta(seconds=30))
    assert archive.rung() == [recording]
    assert archive.finish(recording).state is RecordingState.STORED


def test_R_ST_2_a_later_correction_cannot_bring_it_back(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    archive.finish(recording)
    record_id = archive.row(recording).record_id
    archive.desk.save(BuiltIn.NO_ANSWER, now=ENDED)
    archive.desk.leave(ENDED)
    archive.sweep(ENDED + AFTER)
    archive.desk.correct(record_id, BuiltIn.PROSPECT, now=ENDED + AFTER)
    assert archive.row(recording).state is RecordingState.DESTROYED
    archive.finish(recording)
    assert (archive.row(recording).state, archive.files()) == (RecordingState.DESTROYED, [])


def test_R_ST_2_hidden_while_it_was_encoded_it_stays_hidden(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    with archive.store.read() as session:
        work = recordings.work_for(session, recording_id=recording)
    with archive.raw(recording).open("rb") as file:
        heard = job._encode(file, archive.copy(recording))
    archive.desk.save(BuiltIn.NO_ANSWER, now=ENDED)
    with archive.store.write() as session:
        state = recordings.store(session, work=work, heard=heard, size_bytes=1, now=ENDED)
    assert state is RecordingState.HIDDEN


def test_R_ST_2_a_result_saved_before_the_recording_was_known_hides_it(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    row = archive.row(recording)
    archive.desk.change(Recording, recording, record_id=None)
    archive.desk.save(BuiltIn.NO_ANSWER, now=ENDED)
    archive.desk.leave(ENDED)
    archive.desk.change(Recording, recording, record_id=row.record_id)
    row = archive.finish(recording)
    assert (row.state, row.destroy_after) == (RecordingState.HIDDEN, ENDED + AFTER)


def test_R_ST_2_a_killed_destruction_is_finished(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    archive.desk.save(BuiltIn.NO_ANSWER, now=ENDED)
    archive.desk.leave(ENDED)
    with archive.store.write() as session:
        assert recordings.sweep(session, now=ENDED + AFTER) == [recording]
    archive.sweep(ENDED + AFTER + timedelta(seconds=15))
    assert archive.files() == []
    assert archive.row(recording).destroyed_at is not None


def test_R_HS_3_a_deleted_record_takes_its_recording_with_it(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    record_id = archive.finish(recording).record_id
    archive.desk.save(BuiltIn.PROSPECT, now=ENDED)
    archive.desk.leave(ENDED)
    with archive.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        results.delete_record(session, viewer=manager, record_id=record_id, now=ENDED)
    archive.sweep(ENDED)
    assert archive.files() == []
    assert archive.row(recording).destroyed_reason == "record_deleted"
