"""Operators' legs through the roles: lost, made again, dropped; a mute that ends."""

import contextlib
from dataclasses import replace

import pytest

from calltree.db import utcnow
from calltree.models import (
    CallState,
    CommandKind,
    LegState,
    OperatorState,
)
from calltree.practice.dialplan import DEFAULT_PLAYBACK_SECONDS
from calltree.services import campaigns, guidance_sound, legs
from calltree.telephony.config import dialplan
from calltree.telephony.timings import Timings
from tests.floor import QUICK, found_floor, in_thread, open_floor, role, serving, wait_for
from tests.practice import RATE, STAYS
from tests.telephony.contract import Link as Heard


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


@pytest.mark.one_database
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
            floor.passes(2)  # longer than a join is waited for
            heard.send("api status")
    musics = [e for e in heard.events if e.get("Unique-ID") == attempt.uuid]
    assert len(musics) == 1


@pytest.mark.one_database
def test_R_CL_14_a_customer_whose_operator_never_comes_back_hears_the_whole_apology(store, switch):
    # the leader's clock runs as quickly as the switch's own
    hurried = Timings().hurried(RATE).unjoined_s
    alone = replace(QUICK, leg_remake_s=600.0, unjoined_s=hurried)
    with contextlib.closing(Heard(switch.url)) as heard:
        heard.send("event plain PLAYBACK_START PLAYBACK_STOP CHANNEL_HANGUP_COMPLETE")
        with open_floor(store, switch, alone) as floor:
            operator = floor.operator()
            attempt = floor.call(operator, STAYS)
            floor.wait_state(attempt, CallState.TALKING)
            floor.switch.api(f"uuid_kill {floor.operator_row(operator).leg_uuid}")
            ended = floor.wait_state(attempt, CallState.ENDED)
            heard.wait("CHANNEL_HANGUP_COMPLETE", value=attempt.uuid)
            assert floor.operator_row(operator).state is OperatorState.WRAP_UP
    said = [
        int(e["Event-Date-Timestamp"])
        for e in heard.events
        if e.get("Playback-File-Path") == "apology"
    ]
    began, over = said
    assert (over - began) / 1e6 > 0.9 * DEFAULT_PLAYBACK_SECONDS / RATE
    assert ended.hangup_cause == "NORMAL_CLEARING"
    assert ended.talk_ms > 0


def test_the_leader_waits_longer_than_all_that_the_switch_may_say():
    longest_wait_s = campaigns.RANGES["answered_wait_s"][1]
    assert Timings().unjoined_s > 2 * guidance_sound.MOST_S + longest_wait_s
    assert Timings().unjoined_s > dialplan.ORPHAN_S + guidance_sound.MOST_S


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


@pytest.mark.one_database
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


@pytest.mark.one_database
def test_a_dropped_leg_stays_down(floor):
    operator = floor.operator()
    leg = floor.operator_row(operator).leg_uuid
    with floor.store.write() as session:
        legs.drop(session, user_id=operator, now=utcnow())
    wait_for(lambda: leg not in floor.channels(), "leg gone")
    assert floor.operator_row(operator).leg_state is LegState.NONE
