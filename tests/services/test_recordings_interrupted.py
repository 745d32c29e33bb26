"""R-RC-5: recordings whose job was killed, lost or run twice."""

import fcntl
import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from calltree.config import Settings
from calltree.models import (
    Recording,
    RecordingState,
)
from calltree.services import recordings, sound
from calltree.services.recordings import Problem
from calltree.telephony.timings import Timings
from tests.factories import NOW
from tests.services.archive import ENDED, Archive

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


@pytest.mark.parametrize("lost", ["nothing", "job", "stop"])
@pytest.mark.parametrize("first_s", [1, 15])
def test_R_RC_5_a_missing_one_is_reported_within_a_minute_whatever_was_lost(
    archive: Archive, lost: str, first_s: int
) -> None:
    """The leader looks every `chores_s`, whenever it began; a job asked for is done at once."""
    recording = archive.call()
    rung = archive.rung()
    if lost == "stop":
        archive.desk.change(Recording, recording, state=RecordingState.RECORDING, stopped_at=None)
    if lost == "nothing":
        assert rung == [recording]
        assert archive.finish(recording).problem == Problem.MISSING
        return
    every = timedelta(seconds=Timings().chores_s)
    now, latest = ENDED + timedelta(seconds=first_s), ENDED + timedelta(minutes=1)
    while now < latest:
        archive.sweep(now)
        for asked in archive.rung():
            archive.finish(asked, now)
        if archive.row(recording).problem == Problem.MISSING:
            return
        now += every
    pytest.fail("not reported within a minute")


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
