"""The disk fills up in mid-call of a real FreeSWITCH: it goes on, what was heard is kept."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltree.db import Store, utcnow
from calltree.jobs.recordings import finish_in
from calltree.models import CallState, CommandKind, OperatorState, Recording, RecordingState
from calltree.services.recordings import Problem
from tests.floor import NODE, Floor, wait_for
from tests.freeswitch import RenderedSwitch, rendered_switch
from tests.telephony.real_floor import open_real_floor
from tests.telephony.test_two_switches_real import sit_down

pytestmark = pytest.mark.freeswitch

ROOM_KB = 256
"""Eight seconds of a call."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own where recordings go."""
    place = tmp_path / "recordings"
    place.mkdir()
    if os.getuid() != 0 or _mount(place, "-t", "tmpfs", "-o", f"size={ROOM_KB}k", "tmpfs"):
        pytest.skip("no right to mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def _mount(place: Path, *how: str) -> int:
    return subprocess.run(["mount", *how, str(place)], capture_output=True).returncode


@pytest.fixture
def switch(tmp_path: Path, small_disk: Path) -> Iterator[RenderedSwitch]:
    with rendered_switch(tmp_path, directory_url="http://127.0.0.1:9/", secret="x") as found:
        yield found


@pytest.fixture
def floor(store: Store, switch: RenderedSwitch) -> Iterator[Floor]:
    with open_real_floor(store, switch) as floor:
        yield floor


def test_R_RC_5_a_disk_that_fills_up_ends_no_call_and_loses_nothing_that_was_heard(
    store: Store, switch: RenderedSwitch, floor: Floor, small_disk: Path
) -> None:
    operator = sit_down(floor, {NODE: switch})
    attempt = floor.call(operator, "0312345010")
    floor.wait_state(attempt, CallState.TALKING)
    wait_for(lambda: os.statvfs(small_disk).f_bavail == 0, "the disk is full")
    said = utcnow()
    wait_for(lambda: (utcnow() - said).total_seconds() > 8, "they talk on")
    assert floor.attempt(attempt).state is CallState.TALKING
    floor.ask(CommandKind.HANG_UP, attempt)
    floor.wait_state(attempt, CallState.ENDED)
    assert floor.operator_row(operator).state is OperatorState.WRAP_UP
    row = wait_for(
        lambda: (r := floor.recording(attempt)) and r.state is RecordingState.STOPPED and r, "stop"
    )
    with pytest.raises(OSError, match="No space") as refused:
        finish_in(store, small_disk, row.id, now=utcnow())
    assert refused.value.errno == errno.ENOSPC
    assert not list(small_disk.rglob("*.part")), "what was begun is in nobody's way"
    assert not _mount(small_disk, "-o", "remount,size=4m")
    finish_in(store, small_disk, row.id, now=utcnow())
    with store.read() as session:
        kept = session.get_one(Recording, row.id)
    assert (kept.state, kept.problem) == (RecordingState.STORED, Problem.SHORT)
    assert (small_disk / kept.stored_name).stat().st_size > 10_000
    assert floor.records() == 1
