"""Calls through the roles over a real socket: press, dial, hear, write, hang up."""

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from calltree.db import utcnow
from calltree.models import (
    CallState,
    CommandKind,
    Operator,
    OperatorInterval,
    OperatorState,
    Project,
    SystemResult,
)
from calltree.models.recordings import RecordingState
from calltree.services import operators
from calltree.text.days import site_day
from tests.floor import Floor, wait_for
from tests.practice import (
    ANNOUNCEMENT,
    BUSY,
    CONGESTED,
    LEAVES,
    OUT_OF_REACH,
    RATE,
    REFUSES,
    RINGS_ON,
    STAYS,
)


def test_R_CL_4_a_press_becomes_a_call_and_ends_as_one_record(floor: Floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    talking = floor.wait_state(attempt, CallState.TALKING)
    assert talking.answered_at
    assert talking.joined_at
    assert floor.operator_row(operator).state is OperatorState.TALKING
    assert floor.lines_open() == 1
    floor.ask(CommandKind.HANG_UP, attempt)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.ended_by, ended.hangup_cause) == ("operator", "NORMAL_CLEARING")
    assert floor.lines_open() == 0
    assert floor.record(attempt).talk_ms == ended.talk_ms
    assert floor.operator_row(operator).state is OperatorState.WRAP_UP
    floor.wait_leg(operator)
    recording = floor.recording(attempt)
    assert recording.state is RecordingState.STOPPED
    assert recording.record_id == floor.record(attempt).id
    assert (floor.switch.recordings / recording.raw_name).stat().st_size > 44


def test_R_RC_1_the_leader_makes_the_place_of_the_next_days_recordings(floor: Floor):
    tomorrow = site_day(utcnow()) + timedelta(days=1)
    place = floor.switch.recordings / f"{tomorrow:%Y/%m/%d}"
    wait_for(place.is_dir, "or the switch makes it, and we cannot write there")


@pytest.mark.parametrize(
    ("number", "state", "cause", "sip", "by"),
    [
        (BUSY, CallState.ENDED, "USER_BUSY", "486", "carrier"),
        (CONGESTED, CallState.FAILED, "NORMAL_TEMPORARY_FAILURE", "503", "carrier"),
        *(
            pytest.param(*given, marks=pytest.mark.one_database)
            for given in (
                (ANNOUNCEMENT, CallState.ENDED, "UNALLOCATED_NUMBER", "404", "carrier"),
                (LEAVES, CallState.ENDED, "NORMAL_CLEARING", "200", "customer"),
                (REFUSES, CallState.ENDED, "CALL_REJECTED", "603", "carrier"),
                (OUT_OF_REACH, CallState.ENDED, "NO_USER_RESPONSE", "480", "carrier"),
            )
        ),
    ],
)
def test_every_digit_of_the_carrier_ends_as_what_it_was(floor, number, state, cause, sip, by):
    operator = floor.operator()
    attempt = floor.call(operator, number)
    ended = floor.wait_state(attempt, *("ended", "failed", "abandoned"))
    assert (ended.state, ended.hangup_cause, ended.sip_status) == (state, cause, sip)
    assert ended.ended_by == by
    assert floor.lines_open() == 0
    line_error = state is CallState.FAILED
    assert floor.record(attempt).system is (
        SystemResult.LINE_ERROR if line_error else SystemResult.BLANK
    )
    expected = OperatorState.BROWSING if line_error else OperatorState.WRAP_UP
    assert floor.operator_row(operator).state is expected
    assert floor.operator_row(operator).attempt_id is None


@pytest.mark.one_database
def test_R_CL_4_an_announcement_is_heard_and_recorded_but_is_no_conversation(floor):
    operator = floor.operator()
    # one that goes on until told: the carrier's own may be over before a busy machine has joined
    floor.switch.order("ringback early")
    attempt = floor.call(operator, RINGS_ON)
    wait_for(lambda: floor.attempt(attempt).joined_at, "the operator hears it")
    wait_for(lambda: floor.recording(attempt), "recorded")
    floor.switch.order(f"leave {attempt.uuid} UNALLOCATED_NUMBER")
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert ended.answered_at is None
    assert [row.state for row in _intervals(floor, operator)][-2:] == ["dialling", "wrap_up"]
    assert floor.recording(attempt).length_ms > 0
    floor.wait_leg(operator)


@pytest.mark.one_database
def test_R_CL_4_hanging_up_while_it_rings_cancels_the_call(floor):
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    floor.wait_state(attempt, CallState.RINGING)
    floor.ask(CommandKind.HANG_UP, attempt)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.hangup_cause, ended.ended_by) == ("ORIGINATOR_CANCEL", "operator")
    assert floor.operator_row(operator).state is OperatorState.WRAP_UP


def test_R_CL_4_hang_up_that_follows_the_press_at_once_is_not_lost(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.ask(CommandKind.HANG_UP, attempt)
    ended = floor.wait_state(attempt, CallState.ENDED, CallState.FAILED)
    assert ended.ended_by == "operator"
    wait_for(lambda: attempt.uuid not in floor.channels(), "no channel left")


def _rings_for_a_second(floor):
    with floor.store.write() as session:
        session.execute(update(Project).values(ring_time_s=int(RATE)))


@pytest.mark.one_database
def test_a_call_that_nobody_answers_ends_after_its_ring_time(floor):
    _rings_for_a_second(floor)
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.hangup_cause, ended.answered_at) == ("NO_ANSWER", None)


@pytest.mark.one_database
def test_early_ringing_that_nobody_answers_ends_by_the_switchs_own_timer(floor):
    floor.switch.order("ringback early")
    _rings_for_a_second(floor)
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.hangup_cause, ended.answered_at) == ("NO_ANSWER", None)


@pytest.mark.one_database
def test_early_ringing_becomes_talk_with_the_answer(floor):
    floor.switch.order("ringback early")
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    wait_for(lambda: floor.attempt(attempt).joined_at, "joined early")
    floor.switch.order(f"answer {attempt.uuid}")
    floor.wait_state(attempt, CallState.TALKING)
    assert floor.operator_row(operator).state is OperatorState.TALKING


@pytest.mark.one_database
def test_R_CL_4_hold_and_resume_are_one_call_and_one_recording(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    floor.ask(CommandKind.HOLD, attempt)
    held = floor.wait_state(attempt, CallState.HELD)
    assert held.held_since
    floor.ask(CommandKind.RESUME, attempt)
    back = floor.wait_state(attempt, CallState.TALKING)
    assert back.held_since is None
    assert back.joined_at == held.joined_at
    floor.ask(CommandKind.HANG_UP, attempt)
    ended = floor.wait_state(attempt, CallState.ENDED)
    recording = floor.recording(attempt)
    recorded = (ended.ended_at - recording.started_at) / timedelta(milliseconds=1)
    assert abs(recording.length_ms - recorded) < 500


@pytest.mark.one_database
def test_R_CL_4_mute_and_dtmf_reach_the_switch(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    for kind, args in (
        (CommandKind.MUTE, {}),
        (CommandKind.UNMUTE, {}),
        (CommandKind.DTMF, {"digits": "12#"}),
    ):
        command = floor.ask(kind, attempt, **args)
        done = wait_for(lambda c=command: (row := floor.command(c)).done_at and row, kind)
        assert done.failure == ""
        assert floor.operator_row(operator).muted is (kind is CommandKind.MUTE)


@pytest.mark.one_database
def test_R_CL_4_push_tones_that_are_none_are_refused_before_the_wire(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    command = floor.ask(CommandKind.DTMF, attempt, digits="1\n\nbgapi status")
    done = wait_for(lambda: (row := floor.command(command)).done_at and row)
    assert done.failure == "unsafe"
    assert floor.attempt(attempt).state is CallState.TALKING


def test_R_CL_14_the_states_of_a_call_are_intervals_without_a_gap(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    floor.ask(CommandKind.HANG_UP, attempt)
    floor.wait_state(attempt, CallState.ENDED)
    rows = _intervals(floor, operator)
    assert [row.state for row in rows][-3:] == ["dialling", "talking", "wrap_up"]
    assert all(a.ended_at == b.started_at for a, b in itertools.pairwise(rows))


def _intervals(floor, operator):
    with floor.store.read() as session:
        return session.scalars(
            select(OperatorInterval)
            .where(OperatorInterval.user_id == operator)
            .order_by(OperatorInterval.started_at)
        ).all()


@pytest.mark.one_database
def test_a_dead_gateway_is_a_line_error_although_no_hangup_is_told(floor):
    floor.switch.order("gateway carrier down")
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    ended = floor.wait_state(attempt, CallState.FAILED)
    assert ended.hangup_cause == "GATEWAY_DOWN"
    assert floor.record(attempt).system is SystemResult.LINE_ERROR
    assert floor.operator_row(operator).state is OperatorState.BROWSING


def test_after_the_result_is_saved_the_next_call_goes_through_the_same_leg(floor):
    operator = floor.operator()
    for number in (LEAVES, BUSY, LEAVES):
        floor.wait_leg(operator)
        attempt = floor.call(operator, number)
        floor.wait_state(attempt, CallState.ENDED)
        with floor.store.write() as session:
            operators.result_saved(session, user_id=operator, now=utcnow())
    assert floor.records() == 3


def test_an_operators_row_is_locked_by_the_call_alone(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    assert floor.operator_row(operator).attempt_id == attempt.id
    second = floor.press(operator, BUSY)
    assert second.verdict == "in_a_call"
    floor.wait_state(attempt, CallState.TALKING)
    with floor.store.read() as session:
        assert session.get_one(Operator, operator).attempt_id == attempt.id
