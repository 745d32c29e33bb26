"""Handing a call on, through the roles and a switch (R-CL-4, R-CL-8)."""

import wave
from array import array
from itertools import groupby

import pytest
from sqlalchemy import select

from calltree.db import utcnow
from calltree.models import (
    CallState,
    LegState,
    Operator,
    OperatorState,
    PauseEnd,
    RecordingPause,
    SwitchCommand,
    TransferOutcome,
    TransferState,
)
from calltree.services import presses, recording_pauses, transfers
from tests.floor import Floor, wait_for
from tests.practice import BUSY
from tests.telephony.handing_on import ATTENDED, BLIND, Desks
from tests.telephony.listening import does


@pytest.fixture
def desks(floor: Floor) -> Desks:
    return Desks(floor, floor.operator(), floor.operator())


def test_R_CL_4_blind_to_a_colleague_hands_customer_and_record_over(desks: Desks) -> None:
    desks.to_colleague(BLIND)
    wait_for(desks.hears_music, "music")
    assert desks.state(desks.second) is OperatorState.OFFERED
    desks.press(transfers.answer, desks.second)
    desks.wait_with(desks.second)
    assert desks.transfer().outcome is TransferOutcome.TRANSFERRED
    assert desks.state(desks.second) is OperatorState.TALKING
    assert desks.floor.operator_row(desks.first).attempt_id is None
    assert desks.state(desks.first) is OperatorState.BROWSING
    record = desks.floor.record(desks.attempt)
    assert record.user_id == desks.second
    desks.hang_up()
    assert desks.state(desks.second) is OperatorState.WRAP_UP
    desks.nothing_left()


def test_R_CL_4_R_CL_8_blind_to_a_number_takes_a_line_of_its_own(desks: Desks) -> None:
    desks.to_number(BLIND)
    assert desks.floor.lines_open() == 2
    desks.wait_with(None)
    assert desks.partner() == desks.transfer().uuid
    assert desks.state(desks.first) is OperatorState.WRAP_UP
    assert desks.floor.record(desks.attempt).user_id == desks.first
    assert desks.floor.lines_open() == 2
    desks.floor.switch.api(f"uuid_kill {desks.transfer().uuid}")
    desks.floor.wait_state(desks.attempt, CallState.ENDED)
    desks.nothing_left()


def test_R_CL_4_a_busy_number_brings_the_customer_back(desks: Desks) -> None:
    desks.to_number(BLIND, BUSY)
    desks.wait_outcome(TransferOutcome.BUSY)
    desks.wait_back()
    desks.hang_up()
    desks.nothing_left()


def test_R_CL_4_a_colleague_is_consulted_then_has_the_customer(desks: Desks) -> None:
    desks.to_colleague(ATTENDED)
    desks.press(transfers.answer, desks.second)
    desks.wait(TransferState.CONSULTING)
    assert desks.hears_music()
    assert desks.floor.attempt(desks.attempt).user_id == desks.first, "nobody has left yet"
    with desks.floor.store.read() as session:
        seen = session.get_one(Operator, desks.second).customer_id
    assert seen == desks.attempt.customer_id, "the colleague sees whom it is about"
    desks.press(transfers.complete)
    desks.wait_with(desks.second)
    assert desks.partner() == desks.floor.operator_row(desks.second).leg_uuid
    desks.hang_up()
    desks.nothing_left()


def test_R_CL_4_back_from_a_colleague_who_waits_again(desks: Desks) -> None:
    desks.to_colleague(ATTENDED)
    desks.press(transfers.answer, desks.second)
    desks.wait(TransferState.CONSULTING)
    desks.press(transfers.take_back)
    desks.wait_back()
    wait_for(lambda: desks.state(desks.second) is OperatorState.READY, "waits again")
    wait_for(
        lambda: desks.floor.operator_row(desks.second).leg_state is LegState.PARKED, "leg parked"
    )


@pytest.mark.one_database
def test_R_CL_4_a_customer_parked_out_of_a_talk_is_taken_by_who_is_free(desks: Desks) -> None:
    parked = desks.park()
    wait_for(desks.hears_music, "music")
    assert desks.floor.attempt(desks.attempt).user_id == desks.first, "theirs until somebody does"
    desks.press(transfers.take, desks.second, transfer_id=parked.id)
    desks.wait_with(desks.second)
    assert desks.partner() == desks.floor.operator_row(desks.second).leg_uuid
    assert desks.transfer().outcome is TransferOutcome.TRANSFERRED
    assert desks.floor.operator_row(desks.first).attempt_id is None
    desks.hang_up()
    desks.nothing_left()


@pytest.mark.one_database
def test_R_CL_4_a_parked_customer_is_taken_back_by_who_parked_them(desks: Desks) -> None:
    desks.park()
    wait_for(desks.hears_music, "music")
    desks.press(transfers.take_back)
    desks.wait_back()
    desks.hang_up()
    desks.nothing_left()


@pytest.mark.one_database
def test_R_CL_4_a_colleague_who_declines_leaves_the_customer_where_they_were(desks: Desks) -> None:
    desks.to_colleague(BLIND)
    wait_for(desks.hears_music, "music")
    desks.press(transfers.refuse, desks.second)
    desks.wait_back()
    assert desks.transfer().outcome is TransferOutcome.REFUSED
    assert desks.state(desks.second) is OperatorState.READY


@pytest.mark.one_database
def test_R_CL_4_three_talk_and_the_first_one_leaves_the_two(desks: Desks) -> None:
    desks.to_number(ATTENDED)
    desks.wait(TransferState.CONSULTING)
    desks.press(transfers.three_way)
    desks.wait(TransferState.THREE_WAY)
    leg = desks.floor.operator_row(desks.first).leg_uuid
    wait_for(lambda: does(desks.floor, leg) == "eavesdrop", "the first one is among them")
    desks.press(transfers.complete)
    desks.wait_with(None)
    wait_for(lambda: does(desks.floor, leg) == "park", "out of it")
    assert desks.partner() == desks.transfer().uuid
    assert desks.state(desks.first) is OperatorState.WRAP_UP
    desks.floor.switch.api(f"uuid_kill {desks.attempt.uuid}")
    desks.floor.wait_state(desks.attempt, CallState.ENDED)
    desks.nothing_left()


@pytest.mark.one_database
def test_R_CL_4_the_third_one_leaves_and_the_two_talk_on(desks: Desks) -> None:
    desks.to_number(ATTENDED)
    desks.wait(TransferState.CONSULTING)
    desks.press(transfers.three_way)
    desks.wait(TransferState.THREE_WAY)
    desks.floor.switch.api(f"uuid_kill {desks.transfer().uuid}")
    desks.wait_outcome(TransferOutcome.TARGET_LEFT)
    desks.wait_back()


@pytest.mark.one_database
def test_R_CL_4_a_customer_who_gives_up_leaves_nobody_behind(desks: Desks) -> None:
    desks.to_number(ATTENDED)
    desks.wait(TransferState.CONSULTING)
    desks.floor.switch.api(f"uuid_kill {desks.attempt.uuid}")
    desks.floor.wait_state(desks.attempt, CallState.ENDED)
    desks.wait_outcome(TransferOutcome.CUSTOMER_LEFT)
    desks.nothing_left()
    assert desks.state(desks.first) is OperatorState.WRAP_UP


@pytest.mark.one_database
def test_R_CL_4_the_first_operators_leg_dies_and_the_colleague_has_the_customer(
    desks: Desks,
) -> None:
    desks.to_colleague(ATTENDED)
    desks.press(transfers.answer, desks.second)
    desks.wait(TransferState.CONSULTING)
    desks.floor.switch.api(f"uuid_kill {desks.floor.operator_row(desks.first).leg_uuid}")
    desks.wait_with(desks.second)


@pytest.mark.one_database
def test_R_CL_4_a_target_that_nobody_heard_of_ending_brings_the_customer_back(desks: Desks) -> None:
    desks.to_number(ATTENDED)
    desks.wait(TransferState.CONSULTING)
    desks.floor.switch.order("lose 50")  # what is told of its end too
    desks.floor.switch.api(f"uuid_kill {desks.transfer().uuid}")
    desks.wait_back()


@pytest.mark.one_database
def test_R_RC_3_a_pause_is_silence_in_the_file_until_it_ends(desks: Desks) -> None:
    wait_for(lambda: desks.floor.recording(desks.attempt), "recorded")
    path = desks.floor.switch.recordings / desks.floor.recording(desks.attempt).raw_name
    desks.press(recording_pauses.begin)
    grown = wait_for(lambda: path.exists() and path.stat().st_size > 32_000 and path.stat().st_size)
    wait_for(lambda: path.stat().st_size > grown + 48_000, "a second and a half of silence")
    desks.press(recording_pauses.go_on)
    desks.hang_up()
    wait_for(lambda: desks.floor.recording(desks.attempt).stopped_at, "written")
    with wave.open(str(path), "rb") as sound:
        samples = array("h", sound.readframes(sound.getnframes()))
    longest = max(len(list(run)) for silent, run in groupby(samples, lambda s: s == 0) if silent)
    assert longest > 2 * 8000, "a second of both sides is digital silence"


def latest_pause(desks: Desks) -> RecordingPause | None:
    with desks.floor.store.read() as session:
        return recording_pauses.latest_of(session, attempt_id=desks.attempt.id)


@pytest.mark.one_database
def test_R_RC_3_a_pause_that_the_switch_refuses_is_taken_back(desks: Desks) -> None:
    wait_for(lambda: desks.floor.recording(desks.attempt), "recorded")
    with desks.floor.store.write() as session:
        recording_pauses.begin(session, user_id=desks.first, now=utcnow())
        asked = session.scalars(select(SwitchCommand).order_by(SwitchCommand.id.desc())).first()
        asked.args = {"file": "2026/11/24/another.wav"}  # which the switch does not write
    wait_for(lambda: latest_pause(desks).ended_by is PauseEnd.REFUSED, "said no")
    desks.press(recording_pauses.begin)
    wait_for(lambda: latest_pause(desks).ended_by is PauseEnd.OPEN, "said yes")


@pytest.mark.one_database
def test_R_RC_3_a_pause_whose_answer_was_lost_is_asked_for_again(desks: Desks) -> None:
    wait_for(lambda: desks.floor.recording(desks.attempt), "recorded")
    with desks.floor.store.write() as session:
        recording_pauses.begin(session, user_id=desks.first, now=utcnow())
        asked = session.scalars(select(SwitchCommand).order_by(SwitchCommand.id.desc())).first()
        asked.taken_at, asked.taken_by = utcnow(), "one who died"
    wait_for(lambda: latest_pause(desks).ended_by is PauseEnd.OPEN, "asked again")


@pytest.mark.one_database
def test_R_RC_3_hold_ends_a_pause(desks: Desks) -> None:
    wait_for(lambda: desks.floor.recording(desks.attempt), "recorded")
    desks.press(recording_pauses.begin)
    desks.press(presses.hold)
    desks.floor.wait_state(desks.attempt, CallState.HELD)
    with desks.floor.store.read() as session:
        assert recording_pauses.open_of(session, attempt_id=desks.attempt.id) is None
        ended = session.scalars(select(RecordingPause)).one()
    assert ended.ended_by is PauseEnd.HOLD
