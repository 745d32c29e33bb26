"""R-RC-5 and R-ST-2: from the end of a call to the end of its sound; files and rows are real."""

import fcntl
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import Announcement, Store
from calltree.jobs import recordings as job
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    Recording,
    RecordingState,
    Role,
)
from calltree.services import recording_problems, recordings, results, sound
from calltree.services.recordings import Problem
from calltree.services.rights import Viewer
from calltree.text.days import TOKYO
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk
from tests.sounds import silence, tone, write_wav

ENDED = NOW + timedelta(seconds=20)
AFTER = timedelta(minutes=10)


@dataclass
class Archive:
    """A desk whose calls leave recordings."""

    desk: Desk
    root: Path
    told: list[Announcement]

    @property
    def store(self) -> Store:
        return self.desk.store

    def call(self, talk_s: float = 6, now: datetime = NOW, *, reported: bool = True) -> int:
        """A call that has ended; gives its recording's id. The file is for the test to write."""
        record = self.desk.calls(now=now, talk_ms=int(talk_s * 1000))
        with self.store.write() as session:
            attempt = session.get_one(Attempt, record.attempt_id)
            attempt.joined_at = attempt.answered_at = attempt.ended_at - timedelta(seconds=talk_s)
            if reported:
                row = Recording(
                    attempt_id=attempt.id,
                    record_id=record.id,
                    raw_name=recordings.raw_name(attempt),
                    started_at=attempt.joined_at,
                )
                session.add(row)
            recordings.call_ended(session, attempt=attempt, now=attempt.ended_at)
            return session.scalars(
                select(Recording.id).where(Recording.attempt_id == attempt.id)
            ).one()

    def row(self, recording_id: int) -> Recording:
        return self.desk.get(Recording, recording_id)

    def raw(self, recording_id: int) -> Path:
        with self.store.read() as session:
            return self.root / recordings.files_of(session, recording_id=recording_id)[0]

    def copy(self, recording_id: int) -> Path:
        with self.store.read() as session:
            return self.root / recordings.files_of(session, recording_id=recording_id)[1]

    def files(self) -> list[str]:
        return sorted(path.suffix for path in self.root.rglob("*") if path.is_file())

    def talk(self, recording_id: int, seconds: float = 6) -> None:
        write_wav(self.raw(recording_id), tone(300, seconds), tone(500, seconds))

    def finish(self, recording_id: int, now: datetime = ENDED) -> Recording:
        job.finish_in(self.store, self.root, recording_id, now=now)
        return self.row(recording_id)

    def sweep(self, now: datetime) -> None:
        job.sweep_in(self.store, self.root, now=now)

    def rung(self) -> list[int]:
        """The recordings that a job was asked for since the last question."""
        found = [
            n.ids["args"][0]
            for n in self.told
            if n.topic == "job" and n.ids["func"] == "calltree.jobs.recordings.finish"
        ]
        self.told.clear()
        return found


@pytest.fixture
def archive(desk: Desk, settings: Settings) -> Archive:
    told: list[Announcement] = []
    desk.store.publisher = told.extend
    settings.recordings_dir.mkdir()
    return Archive(desk, settings.recordings_dir, told)


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


def test_R_RC_5_an_empty_recording_is_missing(archive: Archive) -> None:
    recording = archive.call()
    write_wav(archive.raw(recording), silence(0), silence(0))
    assert archive.finish(recording).problem == Problem.MISSING


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


# --- kept through kills


def test_R_RC_5_what_lost_its_job_is_rung_for_again(archive: Archive) -> None:
    recording = archive.call()
    archive.rung()
    archive.sweep(ENDED + timedelta(seconds=recordings.AGAIN_S))
    assert archive.rung() == []
    archive.sweep(ENDED + timedelta(seconds=recordings.AGAIN_S + 1))
    assert archive.rung() == [recording]


def test_R_RC_5_a_recording_whose_stop_was_lost_is_picked_up(archive: Archive) -> None:
    recording = archive.call()
    archive.desk.change(Recording, recording, state=RecordingState.RECORDING, stopped_at=None)
    later = ENDED + timedelta(seconds=recordings.AGAIN_S + 1)
    archive.sweep(later)
    assert archive.row(recording).state is RecordingState.STOPPED
    archive.rung()
    archive.sweep(later + timedelta(seconds=recordings.AGAIN_S + 1))
    assert archive.rung() == [recording]


def test_a_partial_copy_of_a_killed_job_is_written_anew(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    part = archive.copy(recording).with_suffix(".mp3.part")
    part.write_bytes(b"\xff\xf3half a fr")
    row = archive.finish(recording)
    assert row.state is RecordingState.STORED
    assert sound.mp3_length_ms(archive.copy(recording)) > 5_900
    assert archive.files() == [".mp3"]


def test_a_job_killed_before_its_row_was_written_is_done_again(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    archive.copy(recording).write_bytes(b"of the killed job")
    row = archive.finish(recording)
    assert (row.state, archive.files()) == (RecordingState.STORED, [".mp3"])
    assert sound.mp3_length_ms(archive.copy(recording)) > 5_900


def test_an_original_left_by_a_killed_job_goes_later(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    raw = archive.raw(recording)
    kept = raw.read_bytes()
    name = archive.row(recording).raw_name
    archive.finish(recording)
    raw.write_bytes(kept)
    archive.desk.change(Recording, recording, raw_name=name)
    archive.rung()
    archive.sweep(ENDED + timedelta(seconds=30))
    assert archive.rung() == [recording]
    row = archive.finish(recording)
    assert (row.state, row.raw_name, archive.files()) == (RecordingState.STORED, "", [".mp3"])


def test_an_original_stays_while_its_copy_is_damaged(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    raw = archive.raw(recording)
    kept, name = raw.read_bytes(), archive.row(recording).raw_name
    archive.finish(recording)
    raw.write_bytes(kept)
    archive.desk.change(Recording, recording, raw_name=name)
    archive.copy(recording).write_bytes(b"damaged")
    archive.finish(recording)
    assert raw.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import create_engine
from calltree.db import Store, utcnow
from calltree.jobs import recordings
url, root, recording, when = sys.argv[1:]
real = getattr(recordings, when)
def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(recordings, when, die)
recordings.finish_in(Store(create_engine(url)), Path(root), int(recording), now=utcnow())
"""


@pytest.mark.parametrize("when", ["_sync_folder", "_unlink"])
def test_a_job_killed_in_the_middle_loses_nothing(
    archive: Archive, database_url: str, when: str
) -> None:
    """kill -9 after the copy was moved into place, and after its row was written."""
    recording = archive.call()
    archive.talk(recording)
    command = [sys.executable, "-c", KILLED, database_url, str(archive.root), str(recording), when]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert ".wav" in archive.files()
    row = archive.finish(recording)
    assert (row.state, row.raw_name, row.problem) == (RecordingState.STORED, "", "")
    assert archive.files() == [".mp3"]


def test_the_jobs_run_as_the_queue_runs_them(archive: Archive, settings: Settings) -> None:
    stored, doomed = archive.call(), archive.call(now=NOW + timedelta(hours=2))
    archive.talk(stored)
    archive.desk.change(
        Recording, doomed, state=RecordingState.HIDDEN, destroy_after=NOW - timedelta(days=999)
    )
    archive.talk(doomed)
    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": str(settings.redis_url),
    }
    for call in (f"finish({stored})", "sweep()"):
        script = f"from calltree.jobs import recordings; recordings.{call}"
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
    assert archive.row(stored).state is RecordingState.STORED
    assert archive.row(doomed).state is RecordingState.DESTROYED
    assert archive.files() == [".mp3"]


def test_two_jobs_at_once_do_it_once(archive: Archive) -> None:
    recording = archive.call()
    archive.talk(recording)
    with archive.raw(recording).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert archive.finish(recording).state is RecordingState.STOPPED
    assert archive.finish(recording).state is RecordingState.STORED


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
