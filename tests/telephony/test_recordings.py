"""R-RC-1, R-RC-5: calls through the roles and the practice switch leave the right recordings."""

from dataclasses import replace
from pkgutil import resolve_name

import pytest

from calltree.db import Store, utcnow
from calltree.jobs import recordings as job
from calltree.models import CallState, CommandKind, Recording, RecordingState
from calltree.services import recordings
from calltree.services.recordings import Problem
from calltree.text.days import site_day
from tests.floor import QUICK, Floor, open_floor, wait_for
from tests.practice import BUSY, STAYS, PracticeSwitch

TALK_MS = 2_500


def finished(floor: Floor, attempt) -> Recording:
    """Do what the jobs that are rung for do; give the recording."""
    if floor.recording(attempt):  # its bell rings a moment after the call's end is to be seen
        for recording_id in wait_for(lambda: bells(floor), "the recording's bell"):
            job.finish_in(floor.store, floor.switch.recordings, recording_id, now=utcnow())
    return floor.recording(attempt)


def bells(floor: Floor) -> list[int]:
    return [n.ids["args"][0] for n in floor.told if n.ids.get("func", "").endswith(".finish")]


def talked(floor: Floor, attempt, least_ms: int = TALK_MS) -> None:
    """Wait until the file holds so much talk: 32 bytes a millisecond."""
    raw = wait_for(lambda: floor.recording(attempt)).raw_name
    path = floor.switch.recordings / raw
    wait_for(lambda: path.stat().st_size > least_ms * 32, "talk")


def test_R_RC_1_a_call_leaves_a_recording_with_both_voices(floor: Floor) -> None:
    attempt = floor.call(floor.operator(), STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    talked(floor, attempt)
    floor.ask(CommandKind.HANG_UP, attempt)
    ended = floor.wait_state(attempt, CallState.ENDED)
    recording = finished(floor, attempt)
    assert (recording.state, recording.problem) == (RecordingState.STORED, "")
    assert abs(recording.length_ms - ended.talk_ms) < 2_000
    assert max(recording.waveform[0::2]) > 20, "the operator, left"
    assert max(recording.waveform[1::2]) > 20, "the customer, right"
    assert [path.suffix for path in floor.switch.recordings.rglob("*") if path.is_file()] == [
        ".mp3"
    ]


@pytest.mark.one_database
def test_R_RC_5_a_switch_killed_in_mid_call_leaves_what_was_said(floor: Floor) -> None:
    attempt = floor.call(floor.operator(), STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    talked(floor, attempt)
    floor.switch.kill()
    raw = floor.switch.recordings / floor.recording(attempt).raw_name
    assert raw.read_bytes()[40:44] == b"\0\0\0\0", "no length in its header"
    with floor.store.write() as session:
        row = session.get_one(type(attempt), attempt.id)
        row.state, row.ended_at, row.talk_ms = CallState.ENDED, utcnow(), TALK_MS
        recordings.call_ended(session, attempt=row, now=utcnow())
    recording = finished(floor, attempt)
    assert recording.state is RecordingState.STORED
    assert recording.length_ms >= TALK_MS


@pytest.mark.one_database
def test_R_RC_5_a_file_that_vanished_is_reported_missing(floor: Floor) -> None:
    attempt = floor.call(floor.operator(), STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    talked(floor, attempt)
    (floor.switch.recordings / floor.recording(attempt).raw_name).unlink()
    floor.ask(CommandKind.HANG_UP, attempt)
    floor.wait_state(attempt, CallState.ENDED)
    recording = finished(floor, attempt)
    assert (recording.state, recording.problem) == (RecordingState.MISSING, Problem.MISSING)


@pytest.mark.one_database
def test_a_call_that_nobody_answered_has_no_recording_to_miss(floor: Floor) -> None:
    attempt = floor.call(floor.operator(), BUSY)
    floor.wait_state(attempt, CallState.ENDED)
    assert finished(floor, attempt) is None


@pytest.mark.one_database
def test_R_RC_5_a_recording_that_the_switch_refuses_is_looked_for(floor: Floor) -> None:
    """As it does for a leg that hangs up in this moment, after it has opened the file."""
    place = floor.switch.recordings / f"{site_day(utcnow()):%Y/%m/%d}"
    wait_for(place.is_dir, "the leader has made it")
    place.rmdir()
    place.write_text("no folder any more")
    attempt = floor.call(floor.operator(), STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    floor.ask(CommandKind.HANG_UP, attempt)
    floor.wait_state(attempt, CallState.ENDED)
    rung = wait_for(
        lambda: [n for n in floor.told if n.ids.get("func", "").endswith(".clear_begun")], "look"
    )
    assert rung[0].ids["args"] == [attempt.id]
    assert resolve_name(rung[0].ids["func"]) is job.clear_begun


@pytest.mark.one_database
def test_an_empty_file_without_a_recording_is_removed_and_no_other(floor: Floor) -> None:
    busy = floor.call(floor.operator(), BUSY)
    floor.wait_state(busy, CallState.ENDED)
    begun = floor.switch.recordings / recordings.raw_name(busy)
    begun.parent.mkdir(parents=True, exist_ok=True)
    for size, stays in ((44, False), (60_000, True)):
        begun.write_bytes(bytes(size))
        job.clear_begun_in(floor.store, floor.switch.recordings, busy.id)
        assert begun.exists() is stays
    talks = floor.call(floor.operator(), STAYS)
    floor.wait_state(talks, CallState.TALKING)
    known = floor.switch.recordings / wait_for(lambda: floor.recording(talks)).raw_name
    job.clear_begun_in(floor.store, floor.switch.recordings, talks.id)
    assert known.exists()
    floor.ask(CommandKind.HANG_UP, talks)
    floor.wait_state(talks, CallState.ENDED)
    job.clear_begun_in(floor.store, floor.switch.recordings, talks.id)
    assert known.exists()


def test_R_RC_5_the_leader_rings_for_the_sweep(store: Store, switch: PracticeSwitch) -> None:
    with open_floor(store, switch, replace(QUICK, chores_s=0.1)) as floor:
        rung = wait_for(
            lambda: [n for n in floor.told if n.ids.get("func", "").endswith(".sweep")], "sweep"
        )
    assert rung[0].ids["lane"] == "soon"
    assert resolve_name(rung[0].ids["func"]) is job.sweep
