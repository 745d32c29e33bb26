"""What the roles make of events twice, out of order or lost, and of a link or switch that fails."""

import signal
from dataclasses import replace

import pytest
from sqlalchemy import select

from calltree.db import utcnow
from calltree.models import (
    AttemptEvent,
    CallState,
    CommandKind,
    InboundAction,
    OperatorState,
    Situation,
)
from calltree.models.recordings import RecordingState
from calltree.services import inbound_calls, operators
from tests.floor import QUICK, found_floor, in_thread, open_floor, role, serving, wait_for
from tests.practice import FAX, LEAVES, RATE, RINGS_ON, STAYS, PracticeSwitch
from tests.telephony.incoming import Lobby


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
def test_a_hangup_that_is_on_its_way_is_not_guessed(store, switch):
    timings = replace(QUICK, reconcile_s=0.1, doubt_s=60.0)
    with open_floor(store, switch, timings) as floor:
        lobby = Lobby(floor)
        lobby.ready()
        channel = lobby.calls()
        attempt = lobby.arrived(channel)
        switch.order("delay 1")  # the leg is gone at once, and tells so after several passes
        switch.order(f"leave {channel}")
        ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.ended_by, ended.hangup_cause) == ("customer", "NORMAL_CLEARING")


@pytest.mark.one_database
def test_a_bridge_that_stands_is_not_made_again(store, switch):
    timings = replace(QUICK, reconcile_s=600.0, doubt_s=60.0)
    with open_floor(store, switch, timings) as floor:
        lobby = Lobby(floor)
        lobby.does(Situation.ALL_BUSY, InboundAction.QUEUE, 600)
        user = floor.operator()
        channel = lobby.calls()
        attempt = lobby.arrived(channel)
        wait_for(lambda: floor.attempt(attempt).answered_at, "music")
        switch.order("delay 2")
        with store.write() as session:
            operators.become_ready(session, user_id=user, now=utcnow())
        floor.wait_state(attempt, CallState.TALKING)  # found out by asking
        switch.order("calm")
        switch.order(f"leave {channel}")
        floor.wait_state(attempt, CallState.ENDED)  # told last
    with store.read() as session:
        told = session.scalars(select(AttemptEvent.name)).all()
    assert told.count("Bridged") == 1


@pytest.mark.one_database
def test_a_pass_joins_no_caller_whom_a_press_is_joining(store, switch):
    """The command's own bridge is under way: a second one would end it."""
    floor = found_floor(store, switch)
    lobby = Lobby(floor)
    with in_thread(role(store, switch, replace(QUICK, sweep_age_s=600.0)).run):
        with serving(floor):
            wait_for(floor.link_up)
            user = lobby.ready()
            attempt = lobby.arrived(lobby.calls())
            with store.write() as session:
                inbound_calls.park(session, user_id=user, attempt_id=attempt.id, now=utcnow())
            wait_for(lambda: floor.attempt(attempt).answered_at, "music")
        lobby.answer(user, attempt)
        floor.passes(2)
        assert floor.attempt(attempt).joined_at is None


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
