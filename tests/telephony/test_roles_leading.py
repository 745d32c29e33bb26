"""The leader of the switch role: what it sweeps, refuses, takes over and leaves alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from calltree.db import announce, utcnow
from calltree.models import (
    Attempt,
    CallState,
    CommandKind,
    OperatorState,
    Site,
    SwitchCommand,
)
from tests.floor import QUICK, found_floor, in_thread, role, serving, wait_for
from tests.practice import STAYS

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


@pytest.mark.one_database
def test_nothing_is_hung_up_soon_after_a_restore(floor):
    with floor.store.write() as session:
        session.get(Site, 1).restored_at = utcnow()
    operator = floor.operator()
    attempt = floor.call(operator, STAYS)
    floor.wait_state(attempt, CallState.TALKING)
    with floor.store.write() as session:
        row = session.get(Attempt, attempt.id)
        row.state, row.ended_at = CallState.ENDED, utcnow()
    floor.passes(4)
    assert attempt.uuid in floor.channels()


@pytest.mark.one_database
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
    floor.passes(4)
    assert stranger in floor.channels()
