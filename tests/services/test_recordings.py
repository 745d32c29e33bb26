"""R-RC-5 and R-ST-2: from the end of a call to the end of its sound; files and rows are real."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    Recording,
    RecordingState,
    Role,
)
from calltree.services import recording_problems, recordings, sound
from calltree.services.recordings import Problem
from calltree.services.rights import Viewer
from calltree.text.days import TOKYO
from tests import factories as make
from tests.factories import NOW
from tests.services.archive import ENDED, Archive
from tests.sounds import silence, tone, write_wav

# --- encoded and checked


def test_R_RC_1_a_recording_is_encoded_and_its_original_goes_once_the_copy_is_verified(
    archive: Archive,
) -> None:
    recording = archive.call()
    assert archive.rung() == [recording]
    archive.talk(recording)
    row = archive.finish(recording)
    assert (row.state, row.problem, row.raw_name) == (RecordingState.STORED, "", "")
    assert (row.length_ms, row.size_bytes) == (6000, archive.copy(recording).stat().st_size)
    assert len(row.waveform) == 2 * sound.PAIRS
    assert archive.files() == [".mp3"]
    assert row.stored_name == f"{NOW:%Y/%m/%d}/{archive.copy(recording).name}"


def test_R_RC_1_the_job_run_twice_changes_nothing(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    first = archive.finish(recording)
    before = archive.copy(recording).read_bytes()
    second = archive.finish(recording, ENDED + timedelta(minutes=1))
    assert archive.copy(recording).read_bytes() == before
    assert (first.state, first.stored_name) == (second.state, second.stored_name)


def test_R_RC_5_a_recording_waits_for_the_end_of_its_call(archive: Archive) -> None:
    """RECORD_STOP comes a moment before the talk time is known."""
    recording = archive.call()
    archive.talk(recording)
    archive.desk.change(Attempt, archive.row(recording).attempt_id, ended_at=None)
    assert archive.finish(recording).state is RecordingState.STOPPED
    archive.desk.change(Attempt, archive.row(recording).attempt_id, ended_at=ENDED)
    assert archive.finish(recording).state is RecordingState.STORED


def test_R_RC_5_a_missing_file_is_reported(archive: Archive) -> None:
    recording = archive.call()
    row = archive.finish(recording)
    assert (row.state, row.problem) == (RecordingState.MISSING, Problem.MISSING)


def test_R_RC_5_a_joined_call_that_nothing_was_reported_of_is_missed(archive: Archive) -> None:
    recording = archive.call(talk_s=2, reported=False)
    assert archive.rung() == [recording]
    assert archive.finish(recording).problem == Problem.MISSING


def test_R_RC_5_its_file_is_found_although_nothing_was_reported(archive: Archive) -> None:
    recording = archive.call(reported=False)
    archive.talk(recording)
    row = archive.finish(recording)
    assert (row.state, row.problem) == (RecordingState.STORED, "")
    assert row.record_id is not None


def test_R_RC_5_a_call_too_short_to_matter_is_not_missed(archive: Archive) -> None:
    record = archive.desk.calls(talk_ms=1900)
    with archive.store.write() as session:
        attempt = session.get_one(Attempt, record.attempt_id)
        attempt.joined_at = NOW
        recordings.call_ended(session, attempt=attempt, now=ENDED)
    assert archive.desk.rows(Recording) == []


@pytest.mark.parametrize(("recorded_s", "problem"), [(3.9, Problem.SHORT), (4.0, Problem.NONE)])
def test_R_RC_5_a_short_one_is_reported_and_kept(
    archive: Archive, recorded_s: float, problem: Problem
) -> None:
    recording = archive.call(talk_s=6)
    archive.talk(recording, recorded_s)
    row = archive.finish(recording)
    assert (row.state, row.problem) == (RecordingState.STORED, problem)


@pytest.mark.parametrize(
    ("left", "problem"), [(tone(300, 6), ""), (silence(6), Problem.SILENT_OPERATOR)]
)
def test_R_RC_5_a_call_whose_end_was_guessed_is_as_long_as_its_recording(
    archive: Archive, left, problem: str
) -> None:
    """It ended between two leaders: the next one counted it up to the moment of its first look."""
    recording = archive.call(talk_s=9, cause="")
    write_wav(archive.raw(recording), left, tone(500, 6))
    assert archive.finish(recording).problem == problem


@pytest.mark.parametrize(
    ("left", "right", "problem"),
    [
        (tone(300, 6), tone(500, 6), Problem.NONE),
        (tone(300, 6, loud=60), tone(500, 6, loud=60), Problem.NONE),
        (silence(6), tone(500, 6), Problem.SILENT_OPERATOR),
        (tone(300, 6), tone(500, 6, loud=20), Problem.SILENT_CUSTOMER),
        (silence(6), silence(6), Problem.SILENT),
        (tone(300, 6), None, Problem.MONO),
    ],
)
def test_R_RC_5_a_silent_side_is_reported(archive: Archive, left, right, problem: str) -> None:
    recording = archive.call(talk_s=6)
    write_wav(archive.raw(recording), left, right)
    row = archive.finish(recording)
    assert (row.state, row.problem) == (RecordingState.STORED, problem)


def test_R_RC_5_silence_in_a_short_talk_is_no_problem(archive: Archive) -> None:
    recording = archive.call(talk_s=4.9)
    write_wav(archive.raw(recording), tone(300, 5), silence(5))
    assert archive.finish(recording).problem == ""


def test_R_RC_5_the_wait_for_an_operator_is_not_missed_in_the_recording(archive: Archive) -> None:
    """Answered 6 s before the end, joined 3 s before it: three seconds can have been recorded."""
    recording = archive.call(talk_s=6)
    archive.desk.change(
        Attempt, archive.row(recording).attempt_id, joined_at=ENDED - timedelta(seconds=3)
    )
    archive.talk(recording, 3)
    assert archive.finish(recording).problem == ""


def test_R_RC_5_an_unreadable_file_is_reported_and_kept(archive: Archive) -> None:
    recording = archive.call()
    raw = archive.raw(recording)
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"disk full, sector lost" * 500)
    row = archive.finish(recording)
    assert (row.state, row.problem) == (RecordingState.MISSING, Problem.UNREADABLE)
    assert raw.exists()
    assert not list(archive.root.rglob("*.part")), "what was begun is not left behind"


def test_R_RC_5_an_empty_recording_is_missing(archive: Archive) -> None:
    recording = archive.call()
    write_wav(archive.raw(recording), silence(0), silence(0))
    assert archive.finish(recording).problem == Problem.MISSING
    assert not list(archive.root.rglob("*.part")), "what was begun is not left behind"


def test_R_RC_5_problems_are_listed_until_ticked_off(archive: Archive) -> None:
    recording = archive.call()
    archive.finish(recording)
    with archive.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
    with archive.store.read() as session:
        assert recording_problems.count_problems(session) == 1
        (found,) = recording_problems.problems(session, viewer=manager)
        assert (found.recording.id, found.user) == (recording, "山田太郎")
    with archive.store.write() as session:
        ticked = recording_problems.check_off(session, viewer=manager, ids=[recording], now=ENDED)
    assert ticked == 1
    with archive.store.read() as session:
        assert recording_problems.count_problems(session) == 0
        assert recording_problems.problems(session, viewer=manager) == []
        assert len(recording_problems.problems(session, viewer=manager, checked=True)) == 1


@pytest.mark.parametrize("name", ["", "../out.wav", "/etc/passwd", "a/../../b.wav", "."])
def test_R_RC_4_a_name_never_leaves_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="leaves"):
        recordings.path_below(tmp_path, name)


def test_R_RC_4_a_link_never_leads_out_of_the_directory(tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    root.mkdir()
    (tmp_path / "secret.mp3").write_bytes(b"x")
    (root / "link.mp3").symlink_to(tmp_path / "secret.mp3")
    with pytest.raises(ValueError, match="leaves"):
        recordings.path_below(root, "link.mp3")


# --- names


def test_R_RC_1_a_download_is_named_by_time_project_number_user_and_result(
    archive: Archive,
) -> None:
    recording = archive.call()
    archive.desk.save(BuiltIn.PROSPECT, now=ENDED)
    with archive.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        record = session.get_one(CallRecord, archive.row(recording).record_id)
        record.started_at = datetime(2026, 11, 22, 5, 30, 12, tzinfo=UTC)
        session.get_one(make.Project, archive.desk.project_id).name = '春の/案件: "A_B" '
    with archive.store.read() as session:
        found = recordings.find(session, viewer=manager, recording_id=recording)
        assert found.file_name(TOKYO) == (
            f"20261122-143012_春の-案件-A-B_{archive.desk.number}_山田太郎_見込.mp3"
        )
