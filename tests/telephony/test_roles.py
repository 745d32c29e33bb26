"""One call through the roles, over a real socket: press, dial, hear, write, hang up."""

import pytest

from calltree.models import CallState, CommandKind, OperatorState
from calltree.models.recordings import RecordingState
from tests.floor import Floor, open_floor
from tests.practice import PracticeSwitch

ANSWERS = "0312345670"


@pytest.fixture
def floor(store, tmp_path):
    with PracticeSwitch(tmp_path, rate=5.0) as switch, open_floor(store, switch) as floor:
        yield floor


def test_R_CL_4_a_press_becomes_a_call_and_ends_as_one_record(floor: Floor):
    operator = floor.operator()
    attempt = floor.call(operator, ANSWERS)
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
