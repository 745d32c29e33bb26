"""What the roles make of events twice, out of order or lost, and of a link or switch that fails."""

import signal
from dataclasses import replace

import pytest
from sqlalchemy import select

from calltree.models import (
    AttemptEvent,
    CallState,
    CommandKind,
    OperatorState,
)
from calltree.models.recordings import RecordingState
from tests.floor import QUICK, found_floor, in_thread, role, serving, wait_for
from tests.practice import FAX, LEAVES, RATE, RINGS_ON, STAYS, PracticeSwitch


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


@pytest.mark.parametrize(
    "shuffled", [3, *(pytest.param(n, marks=pytest.mark.one_database) for n in (6, 12))]
)
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


@pytest.mark.one_database
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


@pytest.mark.one_database
def test_a_bridge_that_is_not_heard_of_is_found_out(floor):
    floor.switch.order("ringback early")
    operator = floor.operator()
    floor.switch.order("calm")
    attempt = floor.call(operator, FAX)
    floor.switch.order("lose 4")
    floor.wait_state(attempt, CallState.TALKING)
    floor.switch.order("calm")


@pytest.mark.one_database
def test_a_dropped_link_comes_back_and_the_call_goes_on(floor):
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    floor.switch.order("drop now")
    floor.ask(CommandKind.HANG_UP, attempt)
    floor.wait_state(attempt, CallState.ENDED)
    wait_for(floor.link_up, "link up again")


@pytest.mark.one_database
def test_an_answer_during_a_dropped_link_is_made_good(floor):
    operator = floor.operator()
    attempt = floor.call(operator, RINGS_ON)
    floor.wait_state(attempt, CallState.RINGING)
    floor.switch.order("drop now")
    floor.switch.order(f"answer {attempt.uuid}")
    floor.wait_state(attempt, CallState.TALKING)
    assert floor.recording(attempt) or wait_for(lambda: floor.recording(attempt))


@pytest.mark.one_database
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


@pytest.mark.one_database
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


@pytest.mark.one_database
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
