"""Calls through the roles over a real socket: press, dial, hear, write, hang up."""

import contextlib
import itertools
import signal
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from calltree.db import announce, utcnow
from calltree.models import (
    Attempt,
    AttemptEvent,
    CallState,
    CommandKind,
    LegState,
    Operator,
    OperatorInterval,
    OperatorState,
    Project,
    SwitchCommand,
    SystemResult,
)
from calltree.models.recordings import RecordingState
from calltree.services import legs, operators
from tests.floor import QUICK, Floor, found_floor, in_thread, open_floor, role, serving, wait_for
from tests.practice import PracticeSwitch
from tests.telephony.contract import Link as Heard

STAYS = "0312345670"
BUSY = "0312345671"
RINGS_ON = "0312345672"
ANNOUNCEMENT = "0312345673"
LEAVES = "0312345674"
FAX = "0312345675"
REFUSES = "0312345677"
OUT_OF_REACH = "0312345678"
CONGESTED = "0312345698"
RATE = 5.0


@pytest.fixture
def rate():
    """How much quicker the carrier and the switch's own timers are."""
    return RATE


@pytest.fixture
def switch(tmp_path, rate):
    with PracticeSwitch(tmp_path, rate=rate) as switch:
        yield switch


@pytest.fixture
def floor(store, switch):
    with open_floor(store, switch) as floor:
        yield floor


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


@pytest.mark.parametrize(
    ("number", "state", "cause", "sip", "by"),
    [
        (BUSY, CallState.ENDED, "USER_BUSY", "486", "carrier"),
        (ANNOUNCEMENT, CallState.ENDED, "UNALLOCATED_NUMBER", "404", "carrier"),
        (LEAVES, CallState.ENDED, "NORMAL_CLEARING", "200", "customer"),
        (REFUSES, CallState.ENDED, "CALL_REJECTED", "603", "carrier"),
        (OUT_OF_REACH, CallState.ENDED, "NO_USER_RESPONSE", "480", "carrier"),
        (CONGESTED, CallState.FAILED, "NORMAL_TEMPORARY_FAILURE", "503", "carrier"),
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


def test_R_CL_4_an_announcement_is_heard_and_recorded_but_is_no_conversation(floor):
    operator = floor.operator()
    attempt = floor.call(operator, ANNOUNCEMENT)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert ended.joined_at
    assert ended.answered_at is None
    assert [row.state for row in _intervals(floor, operator)][-2:] == ["dialling", "wrap_up"]
    assert floor.recording(attempt).length_ms > 0
    floor.wait_leg(operator)


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


def test_a_call_that_nobody_answers_ends_after_its_ring_time(floor):
    _rings_for_a_second(floor)
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.hangup_cause, ended.answered_at) == ("NO_ANSWER", None)


def test_early_ringing_that_nobody_answers_ends_by_the_switchs_own_timer(floor):
    floor.switch.order("ringback early")
    _rings_for_a_second(floor)
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.hangup_cause, ended.answered_at) == ("NO_ANSWER", None)


def test_early_ringing_becomes_talk_with_the_answer(floor):
    floor.switch.order("ringback early")
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    wait_for(lambda: floor.attempt(attempt).joined_at, "joined early")
    floor.switch.order(f"answer {attempt.uuid}")
    floor.wait_state(attempt, CallState.TALKING)
    assert floor.operator_row(operator).state is OperatorState.TALKING


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


def test_a_dead_gateway_is_a_line_error_although_no_hangup_is_told(floor):
    floor.switch.order("gateway carrier down")
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    ended = floor.wait_state(attempt, CallState.FAILED)
    assert ended.hangup_cause == "GATEWAY_DOWN"
    assert floor.record(attempt).system is SystemResult.LINE_ERROR
    assert floor.operator_row(operator).state is OperatorState.BROWSING


@pytest.mark.parametrize("rate", [1.0])  # the switch itself keeps the customer for 20 s
def test_R_CL_14_a_lost_leg_is_made_again_and_the_customer_joined_again(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    first = floor.operator_row(operator).leg_uuid
    floor.switch.api(f"uuid_kill {first}")
    wait_for(lambda: floor.operator_row(operator).leg_uuid != first, "another leg")
    floor.wait_leg(operator, LegState.JOINED)
    row = floor.wait_state(attempt, CallState.TALKING)
    assert row.ended_at is None
    # The orphanage's twenty seconds would end the call that goes on.
    wait_for(lambda: row.uuid not in floor.switch.api("show tasks"), "no timer left")
    floor.ask(CommandKind.HANG_UP, attempt)
    floor.wait_state(attempt, CallState.ENDED)
    assert floor.records() == 1


def test_a_leg_lost_right_after_the_join_leaves_the_customer_with_one_music(store, switch):
    floor = found_floor(store, switch)
    slow = replace(QUICK, leg_remake_s=60.0)
    with contextlib.closing(Heard(switch.url)) as heard:
        heard.send("event plain PLAYBACK_START")
        with in_thread(role(store, switch, slow).run), serving(floor, slow):
            wait_for(floor.link_up)
            operator = floor.operator()
            attempt = floor.call(operator, STAYS)
            floor.wait_state(attempt, CallState.TALKING)
            floor.switch.api(f"uuid_kill {floor.operator_row(operator).leg_uuid}")
            heard.wait("PLAYBACK_START", value=attempt.uuid)
            floor.wait_state(attempt, CallState.ANSWERED)
            _passes(floor, 2)  # longer than a join is waited for
            heard.send("api status")
    musics = [e for e in heard.events if e.get("Unique-ID") == attempt.uuid]
    assert len(musics) == 1


def test_a_mute_ends_with_a_call_that_was_closed_with_what_is_known(store, switch):
    floor = found_floor(store, switch)
    with in_thread(role(store, switch).run), serving(floor):
        wait_for(floor.link_up)
        operator = floor.operator()
        attempt = floor.call(operator, STAYS)
        floor.wait_state(attempt, CallState.TALKING)
        floor.ask(CommandKind.MUTE, attempt)
        wait_for(lambda: floor.operator_row(operator).muted, "muted")
        floor.switch.order("lose 50")
        floor.switch.api(f"uuid_kill {attempt.uuid}")
        floor.wait_state(attempt, CallState.ENDED)
        wait_for(lambda: not floor.operator_row(operator).muted, "the next customer hears them")


def test_an_idle_leg_that_is_lost_is_made_again(floor):
    operator = floor.operator()
    first = floor.operator_row(operator).leg_uuid
    floor.switch.api(f"uuid_kill {first}")
    wait_for(
        lambda: (
            (row := floor.operator_row(operator)).leg_uuid != first
            and row.leg_state is LegState.PARKED
        ),
        "another leg",
    )


def test_a_dropped_leg_stays_down(floor):
    operator = floor.operator()
    leg = floor.operator_row(operator).leg_uuid
    with floor.store.write() as session:
        legs.drop(session, user_id=operator, now=utcnow())
    wait_for(lambda: leg not in floor.channels(), "leg gone")
    assert floor.operator_row(operator).leg_state is LegState.NONE


def test_after_the_result_is_saved_the_next_call_goes_through_the_same_leg(floor):
    operator = floor.operator()
    for number in (LEAVES, BUSY, LEAVES):
        floor.wait_leg(operator)
        attempt = floor.call(operator, number)
        floor.wait_state(attempt, CallState.ENDED)
        with floor.store.write() as session:
            operators.result_saved(session, user_id=operator, now=utcnow())
    assert floor.records() == 3


# --- what does not come in order


def test_events_that_come_twice_change_nothing(floor):
    operator = floor.operator()
    floor.switch.order("duplicate 1000")
    attempt = floor.call(operator, LEAVES)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert floor.records() == 1
    assert floor.record(attempt).talk_ms == ended.talk_ms
    with floor.store.read() as session:
        ids = session.scalars(select(AttemptEvent.event_id)).all()
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("shuffled", [3, 6, 12])
def test_events_out_of_order_end_in_the_truth(floor, shuffled):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    floor.switch.order(f"reorder {shuffled}")
    floor.ask(CommandKind.HANG_UP, attempt)
    floor.switch.order("calm")
    floor.wait_state(attempt, CallState.ENDED)
    assert floor.lines_open() == 0
    floor.wait_leg(operator)


def test_a_lost_hangup_is_found_out_by_asking(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    floor.switch.order("lose 12")
    floor.switch.api(f"uuid_kill {attempt.uuid}")
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert ended.talk_ms > 0
    assert floor.lines_open() == 0
    assert floor.recording(attempt).state is RecordingState.STOPPED
    floor.switch.order("calm")
    floor.wait_leg(operator)


def test_a_bridge_that_is_not_heard_of_is_found_out(floor):
    floor.switch.order("ringback early")
    operator = floor.operator()
    floor.switch.order("calm")
    attempt = floor.call(operator, FAX)
    floor.switch.order("lose 4")
    floor.wait_state(attempt, CallState.TALKING)
    floor.switch.order("calm")


def test_a_dropped_link_comes_back_and_the_call_goes_on(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    floor.switch.order("drop now")
    floor.ask(CommandKind.HANG_UP, attempt)
    floor.wait_state(attempt, CallState.ENDED)
    wait_for(floor.link_up, "link up again")


def test_an_answer_during_a_dropped_link_is_made_good(floor):
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    floor.wait_state(attempt, CallState.RINGING)
    floor.switch.order("drop now")
    floor.switch.order(f"answer {attempt.uuid}")
    floor.wait_state(attempt, CallState.TALKING)
    assert floor.recording(attempt) or wait_for(lambda: floor.recording(attempt))


def test_a_frozen_switch_takes_the_link_down_and_nothing_is_dialled(store, switch):
    timings = replace(QUICK, ping_lost_s=2.0, reply_s=2.0, connect_s=2.0)
    floor = found_floor(store, switch)
    with serving(floor):
        with in_thread(role(store, switch, timings).run):
            wait_for(floor.link_up)
            operator = floor.operator()
            switch.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: not floor.link_up(), "link down")
            assert floor.press(operator, STAYS).verdict == "switch_down"
            switch.process.send_signal(signal.SIGCONT)
            wait_for(floor.link_up, "link up again")
        with in_thread(role(store, switch).run):  # no hurry from here on
            wait_for(floor.link_up)
            floor.wait_leg(operator)
            floor.wait_state(floor.call(operator, STAYS), CallState.TALKING)


# --- without a doorbell, too late, too long


def test_commands_whose_bell_nobody_heard_are_swept(store, switch):
    floor = found_floor(store, switch)
    with in_thread(role(store, switch).run):  # nobody serves: as if Redis were dead
        wait_for(floor.link_up)
        operator = floor.operator()
        attempt = floor.call(operator, STAYS)
        floor.wait_state(attempt, CallState.TALKING)
        floor.ask(CommandKind.HANG_UP, attempt)
        floor.wait_state(attempt, CallState.ENDED)
    assert floor.records() == 1


def test_a_dial_older_than_three_seconds_is_refused(store, switch):
    timings = replace(QUICK, sweep_age_s=100.0, queued_age_s=100.0, dial_age_s=3.0)
    floor = found_floor(store, switch)
    with in_thread(role(store, switch, timings).run):
        wait_for(floor.link_up)
        with serving(floor, timings):
            operator = floor.operator()
        attempt = floor.call(operator, STAYS)
        with store.write() as session:
            session.execute(
                update(SwitchCommand)
                .where(SwitchCommand.attempt_id == attempt.id)
                .values(created_at=utcnow() - timedelta(seconds=3.1))
            )
            [command] = session.scalars(
                select(SwitchCommand.id).where(SwitchCommand.attempt_id == attempt.id)
            )
        with serving(floor, timings):
            with store.write() as session:
                announce(session, "command", command_id=command, node="practice")
            failed = floor.wait_state(attempt, CallState.FAILED)
        assert failed.hangup_cause == "DIAL_TOO_OLD"
        assert floor.record(attempt) is None
        assert floor.lines_open() == 0
        assert attempt.uuid not in floor.channels()
        assert floor.operator_row(operator).state is not OperatorState.DIALLING


def test_R_CL_8_a_call_queued_too_long_fails_and_frees_its_line(store, switch):
    timings = replace(QUICK, sweep_age_s=100.0, queued_age_s=0.5)
    floor = found_floor(store, switch)
    with in_thread(role(store, switch, timings).run):
        wait_for(floor.link_up)
        with serving(floor, timings):
            operator = floor.operator()
        attempt = floor.call(operator, STAYS)
        failed = floor.wait_state(attempt, CallState.FAILED)
    assert (failed.hangup_cause, failed.dialled_at) == ("QUEUED_TOO_LONG", None)
    assert floor.record(attempt) is None
    assert floor.lines_open() == 0
    assert floor.operator_row(operator).attempt_id is None


def test_a_command_rung_for_twice_is_served_once(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    with floor.store.write() as session:
        [command] = session.scalars(
            select(SwitchCommand.id).where(SwitchCommand.attempt_id == attempt.id)
        )
        announce(session, "command", command_id=command, node="practice")
    floor.wait_state(attempt, CallState.TALKING)
    assert len(floor.channels()) == 2
    assert floor.command(command).failure == ""


# --- leaders


def test_a_stand_by_takes_over_and_the_call_is_kept(store, switch):
    floor = found_floor(store, switch)
    with in_thread(role(store, switch).run), serving(floor):
        wait_for(floor.link_up)
        operator = floor.operator()
        attempt = floor.call(operator, STAYS)
        floor.wait_state(attempt, CallState.TALKING)
    assert not floor.link_up()
    with in_thread(role(store, switch).run), serving(floor):
        wait_for(floor.link_up, "the next leader's link")
        assert floor.attempt(attempt).state is CallState.TALKING
        floor.ask(CommandKind.HANG_UP, attempt)
        floor.wait_state(attempt, CallState.ENDED)
    assert floor.records() == 1


def test_a_channel_of_ours_that_no_row_knows_is_hung_up(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    with floor.store.write() as session:
        row = session.get(Attempt, attempt.id)
        row.state, row.ended_at = CallState.ENDED, utcnow()
    wait_for(lambda: attempt.uuid not in floor.channels(), "stranger hung up")
    row = wait_for(
        lambda: (op := floor.operator_row(operator)).attempt_id is None and op, "unlocked"
    )
    assert row.state is OperatorState.WRAP_UP
    wait_for(lambda: floor.lines_open() == 0, "line released")


def test_nothing_is_hung_up_soon_after_a_restore(floor):
    from calltree.models import Site

    with floor.store.write() as session:
        session.get(Site, 1).restored_at = utcnow()
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    with floor.store.write() as session:
        row = session.get(Attempt, attempt.id)
        row.state, row.ended_at = CallState.ENDED, utcnow()
    _passes(floor, 4)
    assert attempt.uuid in floor.channels()


def test_another_sites_channels_are_left_alone(floor):
    stranger = "6f1c0f3e-0000-4000-8000-000000000001"
    floor.switch.api(
        "bgapi originate {origination_uuid=" + stranger + ",calltree_site=other}"
        "sofia/gateway/carrier/0312345670 &park"
    )
    floor.switch.api(
        "originate {origination_uuid=" + stranger + ",calltree_site=other}"
        "sofia/gateway/carrier/0312345670 &park"
    )
    _passes(floor, 4)
    assert stranger in floor.channels()


def _passes(floor, count):
    """Wait for this many further passes of reconcile."""
    from calltree.services import leases

    def at():
        with floor.store.read() as session:
            return leases.note(session).get("nodes", {}).get("practice", {}).get("reconciled_at")

    for _ in range(count):
        before = at()
        wait_for(lambda seen=before: at() not in (seen, None), "a pass of reconcile")


def test_a_stopped_switch_ends_its_calls_and_legs_in_the_ledger(store, switch, tmp_path):
    floor = found_floor(store, switch)
    with in_thread(role(store, switch).run), serving(floor):
        wait_for(floor.link_up)
        operator = floor.operator()
        attempt = floor.call(operator, STAYS)
        floor.wait_state(attempt, CallState.TALKING)
        switch.kill()
        wait_for(lambda: not floor.link_up(), "link down")
        assert floor.attempt(attempt).state is CallState.TALKING  # nobody knows better yet
        with PracticeSwitch(tmp_path, rate=RATE, port=switch.port):
            ended = floor.wait_state(attempt, CallState.ENDED)
            assert ended.ended_by == "system"
            floor.wait_leg(operator)
            assert floor.lines_open() == 0
            assert floor.records() == 1
    assert floor.operator_row(operator).state is OperatorState.WRAP_UP


def test_more_events_than_may_wait_close_the_link_and_reconcile_makes_good(store, switch):
    floor = found_floor(store, switch)
    leader = replace(role(store, switch), inbox_limit=3)
    with in_thread(leader.run), serving(floor):
        wait_for(floor.link_up)
        operator = floor.operator()
        attempt = floor.call(operator, STAYS)
        floor.wait_state(attempt, CallState.TALKING)
        with store.write():  # the database takes nothing, while the switch has much to tell
            for _ in range(8):
                switch.api(f"uuid_transfer {attempt.uuid} endless_playback:silence inline")
                switch.api(f"uuid_bridge {attempt.uuid} {floor.operator_row(operator).leg_uuid}")
            switch.api(f"uuid_kill {attempt.uuid}")
        floor.wait_state(attempt, CallState.ENDED)
        wait_for(floor.link_up, "link up again")
        floor.wait_leg(operator)
    assert floor.records() == 1


def test_an_operators_row_is_locked_by_the_call_alone(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    assert floor.operator_row(operator).attempt_id == attempt.id
    second = floor.press(operator, BUSY)
    assert second.verdict == "in_a_call"
    floor.wait_state(attempt, CallState.TALKING)
    with floor.store.read() as session:
        assert session.get_one(Operator, operator).attempt_id == attempt.id
