"""R-IN-1, R-IN-4, R-CL-8, R-RC-3: calls that come in, through the roles over a real socket."""

import io
import json
import wave

import pytest

from calltree import create_app
from calltree.db import utcnow
from calltree.extensions import db
from calltree.models import (
    CallState,
    CommandKind,
    Guidance,
    InboundAction,
    InboundOutcome,
    OperatorState,
    RecordKind,
    Situation,
)
from calltree.models.recordings import RecordingState
from calltree.services import inbound_calls, inbound_walk, practice_callers
from tests.floor import Floor, found_floor, in_thread, open_floor, role, serving, wait_for
from tests.practice import BUSY, STAYS
from tests.telephony.incoming import CALLER, OURS, SILENT_S, Lobby


@pytest.fixture
def rate() -> float:
    """In real time: the switch's own time-outs are no quicker than ours."""
    return 1.0


@pytest.fixture
def lobby(floor: Floor) -> Lobby:
    return Lobby(floor)


def test_R_RC_3_a_call_that_rings_is_answered_recorded_and_ends_as_one_record(lobby):
    floor, user = lobby.floor, lobby.ready()
    channel = lobby.calls()
    attempt = lobby.arrived(channel)
    wait_for(lambda: lobby.rings(user) == [attempt.id], "it rings")
    assert floor.lines_open() == 1
    lobby.wait_heard(channel, "rings")
    lobby.answer(user, attempt)
    talking = floor.wait_state(attempt, CallState.TALKING)
    assert talking.user_id == user
    wait_for(lambda: floor.operator_row(user).state is OperatorState.TALKING, "通話中")
    floor.ask(CommandKind.HANG_UP, talking)
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.ended_by, ended.number) == ("operator", CALLER)
    assert lobby.call(attempt).outcome is InboundOutcome.JOINED
    assert floor.operator_row(user).state is OperatorState.WRAP_UP
    record, recording = floor.record(attempt), floor.recording(attempt)
    assert (record.kind, record.user_id, record.counts_dial) == (RecordKind.INBOUND, user, False)
    assert (recording.state, recording.record_id) == (RecordingState.STOPPED, record.id)
    assert (floor.switch.recordings / recording.raw_name).stat().st_size > 44
    assert floor.lines_open() == 0
    assert lobby.longest_silence_s(channel) < SILENT_S


def test_R_IN_3_a_caller_who_hangs_up_while_it_rings_is_missed(lobby):
    floor, user = lobby.floor, lobby.ready()
    channel = lobby.calls("anonymous")
    attempt = lobby.arrived(channel)
    floor.switch.order(f"leave {channel}")
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert (ended.answered_at, ended.number) == (None, "")
    assert lobby.call(attempt).outcome is InboundOutcome.MISSED
    assert floor.operator_row(user).state is OperatorState.READY
    assert floor.lines_open() == 0
    assert lobby.rings(user) == []


@pytest.mark.one_database
def test_R_IN_1_a_number_that_takes_no_calls_is_busy_and_never_answered(lobby):
    floor = lobby.floor
    lobby.does(Situation.ALL_BUSY, InboundAction.REFUSE)
    channel = lobby.calls()  # nobody is 待機
    attempt = lobby.arrived(channel)
    assert attempt.verdict == "nobody_ready"
    wait_for(lambda: channel not in floor.channels(), "it is over")
    assert lobby.heard(channel)[-1][1] == "ended USER_BUSY"
    assert "answered" not in [what for _, what in lobby.heard(channel)]
    assert floor.lines_open() == 0


def _guidance(lobby: Lobby) -> int:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\1\0" * 8000)
    with lobby.floor.store.write() as session:
        row = Guidance(
            name="休業日",
            sound=sound.getvalue(),
            length_ms=1000,
            size_bytes=len(sound.getvalue()),
            created_at=utcnow(),
        )
        session.add(row)
        session.flush()
        return row.id


def test_R_IN_1_a_guidance_is_heard_and_the_call_released(lobby):
    floor, guidance = lobby.floor, _guidance(lobby)
    lobby.does(Situation.OPEN, InboundAction.GUIDANCE, 0, guidance_id=guidance)
    channel = lobby.calls()
    attempt = lobby.arrived(channel)
    floor.wait_state(attempt, CallState.ENDED)
    assert lobby.call(attempt).outcome is InboundOutcome.MISSED, "it was open"
    heard = [what for _, what in lobby.heard(channel)]
    played = [what for what in heard if f"guidance-{guidance}-" in what]
    assert heard.index("answered") < heard.index(played[0])
    assert heard[-1] == "ended NORMAL_CLEARING"
    assert lobby.longest_silence_s(channel) < SILENT_S
    assert floor.lines_open() == 0


def test_R_IN_1_a_message_is_kept_as_the_recording_of_its_call(lobby):
    floor = lobby.floor
    lobby.does(Situation.ALL_BUSY, InboundAction.VOICEMAIL, 3)
    channel = lobby.calls()
    attempt = lobby.arrived(channel)
    lobby.wait_heard(channel, "message")
    floor.wait_state(attempt, CallState.ENDED)
    recording = floor.recording(attempt)
    assert lobby.call(attempt).outcome is InboundOutcome.VOICEMAIL
    assert recording.length_ms > 1000
    assert recording.record_id == floor.record(attempt).id
    assert lobby.longest_silence_s(channel) < SILENT_S


def test_R_IN_1_a_caller_in_the_queue_gets_whoever_becomes_ready(lobby):
    floor = lobby.floor
    lobby.does(Situation.ALL_BUSY, InboundAction.QUEUE, 600, tells_position=True)
    channel = lobby.calls()
    attempt = lobby.arrived(channel)
    lobby.wait_heard(channel, "local_stream")
    assert [what for _, what in lobby.heard(channel) if "L=1;%(200,300,800)" in what]  # the first
    user = lobby.ready()
    talking = floor.wait_state(attempt, CallState.TALKING)
    assert talking.user_id == user
    assert floor.operator_row(user).attempt_id == attempt.id
    floor.switch.order(f"leave {channel}")
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert ended.ended_by == "customer"
    assert floor.recording(attempt) is not None
    assert lobby.longest_silence_s(channel) < SILENT_S


@pytest.mark.one_database
def test_R_IN_1_who_declines_is_passed_over_and_then_nobody_answers(lobby):
    floor = lobby.floor
    lobby.does(Situation.OPEN, InboundAction.RING_IDLE, 120)
    lobby.does(Situation.NO_ANSWER, InboundAction.VOICEMAIL, 30)
    users = [lobby.ready(), lobby.ready()]
    channel = lobby.calls()
    attempt = lobby.arrived(channel)
    for user in users:  # the first is longest 待機
        wait_for(lambda user=user: lobby.rings(user) == [attempt.id], "it rings here")
        assert floor.operator_row(user).state is OperatorState.OFFERED
        with floor.store.write() as session:
            inbound_calls.decline(session, user_id=user, attempt_id=attempt.id, now=utcnow())
        assert floor.operator_row(user).state is OperatorState.READY
    lobby.wait_action(attempt, InboundAction.VOICEMAIL)
    lobby.wait_heard(channel, "message")


def test_R_CL_8_a_forwarded_caller_takes_a_second_line_until_the_end(lobby):
    floor = lobby.floor
    lobby.does(Situation.OPEN, InboundAction.FORWARD, 60, forward_to=STAYS)
    channel = lobby.calls()
    attempt = lobby.arrived(channel)
    floor.wait_state(attempt, CallState.TALKING)
    assert floor.lines_open() == 2
    assert lobby.call(attempt).outcome is InboundOutcome.FORWARDED
    recording = wait_for(lambda: floor.recording(attempt), "their talk is recorded")
    leg = inbound_walk.forward_leg(lobby.call(attempt))
    floor.switch.order(f"leave {leg}")
    floor.wait_state(attempt, CallState.ENDED)
    wait_for(lambda: floor.lines_open() == 0, "both lines are free")
    assert floor.record(attempt).user_id is None
    assert floor.recording(attempt).state is RecordingState.STOPPED
    assert (floor.switch.recordings / recording.raw_name).stat().st_size > 44
    assert lobby.longest_silence_s(channel) < SILENT_S


@pytest.mark.one_database
def test_R_IN_1_a_target_that_is_busy_is_not_the_end(lobby):
    floor = lobby.floor
    lobby.does(Situation.OPEN, InboundAction.FORWARD, 60, forward_to=BUSY)
    lobby.does(Situation.NO_ANSWER, InboundAction.VOICEMAIL, 30)
    channel = lobby.calls()
    attempt = lobby.arrived(channel)
    lobby.wait_action(attempt, InboundAction.VOICEMAIL)
    assert floor.lines_open() == 1
    lobby.wait_heard(channel, "message")
    assert lobby.longest_silence_s(channel) < SILENT_S


@pytest.mark.one_database
def test_R_IN_2_a_parked_caller_hears_music_and_is_taken_from_there(lobby):
    floor, user = lobby.floor, lobby.ready()
    lobby.does(Situation.OPEN, InboundAction.RING_ALL, 120)
    channel = lobby.calls()
    attempt = lobby.arrived(channel)
    with floor.store.write() as session:
        inbound_calls.park(session, user_id=user, attempt_id=attempt.id, now=utcnow())
    lobby.wait_heard(channel, "local_stream")
    wait_for(lambda: floor.attempt(attempt).answered_at, "it was answered")
    lobby.answer(user, attempt)
    floor.wait_state(attempt, CallState.TALKING)
    assert lobby.longest_silence_s(channel) < SILENT_S


@pytest.mark.one_database
def test_R_IN_4_without_the_application_the_switch_answers_by_itself(switch):
    channel = switch.order("inbound 09011112222 0312340001").removeprefix("+OK ")

    def heard() -> list[str]:
        return [what for _, what in json.loads(switch.api(f"practice heard {channel}"))]

    wait_for(lambda: heard()[-1:] == ["ended NORMAL_CLEARING"], "released")
    assert heard()[:3] == ["rings", "answered", "guidance"]


@pytest.mark.one_database
def test_R_IN_1_a_new_leader_goes_on_from_the_rows(store, switch):
    with open_floor(store, switch) as floor:
        lobby = Lobby(floor)
        lobby.does(Situation.ALL_BUSY, InboundAction.QUEUE, 1800)
        channel = lobby.calls()
        attempt = lobby.arrived(channel)
        lobby.wait_heard(channel, "local_stream")
    with serving(floor), in_thread(role(store, switch).run):
        wait_for(floor.link_up, "the next leader's link")
        user = lobby.ready()
        talking = floor.wait_state(attempt, CallState.TALKING)
        assert talking.user_id == user
        assert lobby.longest_silence_s(channel) < SILENT_S


@pytest.mark.one_database
def test_R_IN_1_who_called_while_nobody_listened_is_taken_in(store, switch):
    floor = found_floor(store, switch)
    lobby = Lobby(floor)
    lobby.does(Situation.ALL_BUSY, InboundAction.QUEUE, 1800)
    channel = lobby.calls()
    with serving(floor), in_thread(role(store, switch).run):
        attempt = lobby.arrived(channel)
        lobby.wait_heard(channel, "local_stream")
        assert floor.lines_open() == 1
        floor.switch.order(f"leave {channel}")
        floor.wait_state(attempt, CallState.ENDED)


@pytest.mark.one_database
@pytest.mark.parametrize("rate", [0.1])  # its guidance lasts until a busy machine has a leader
def test_R_IN_1_who_hears_the_switchs_own_guidance_is_taken_in(store, switch):
    floor = found_floor(store, switch)
    lobby = Lobby(floor)
    lobby.does(Situation.ALL_BUSY, InboundAction.QUEUE, 1800)
    switch.order("fallback 0.01")
    channel = lobby.calls()
    lobby.wait_heard(channel, "guidance")
    with serving(floor), in_thread(role(store, switch).run):
        attempt = lobby.arrived(channel)
        lobby.wait_heard(channel, "local_stream")
        taken = floor.attempt(attempt)
        assert (taken.state, taken.ended_at) == (CallState.ANSWERED, None)
        assert taken.answered_at is not None
        assert lobby.call(attempt).outcome is InboundOutcome.OPEN
        assert floor.lines_open() == 1
        user = lobby.ready()
        talking = floor.wait_state(attempt, CallState.TALKING)
        assert talking.user_id == user
        floor.ask(CommandKind.HANG_UP, talking)
        floor.wait_state(attempt, CallState.ENDED)
        assert lobby.call(attempt).outcome is InboundOutcome.JOINED
        assert floor.record(attempt).user_id == user
        heard = [what for _, what in lobby.heard(channel)]
        assert heard.count("answered") == 1
        assert heard.index("guidance") < min(n for n, one in enumerate(heard) if "stream" in one)
        assert lobby.longest_silence_s(channel) < SILENT_S


def test_an_ordered_caller_is_carried_out_by_the_roles(lobby):
    user = lobby.ready()
    with lobby.floor.store.write() as session:
        practice_callers.call_in(session, caller="090-2222-3333", number=OURS, now=utcnow())
    attempt = wait_for(lambda: next(iter(lobby.attempts()), None), "the call is in the ledger")
    assert attempt.number == "09022223333"
    wait_for(lambda: lobby.rings(user) == [attempt.id], "it rings")


def test_switch_call_in_brings_a_caller_who_shows_no_number(lobby, settings):
    app = create_app(settings)
    typed = app.test_cli_runner().invoke(args=["switch", "call-in", "--to", OURS])
    refused = app.test_cli_runner().invoke(args=["switch", "call-in", "--to", "0399999999"])
    with app.app_context():
        db.engine.dispose()
    assert typed.exit_code == 0, typed.output
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: ")
    attempt = wait_for(lambda: next(iter(lobby.attempts()), None), "the call is in the ledger")
    assert attempt.number == ""
    channel = json.loads(lobby.floor.switch.api(f"uuid_dump {attempt.uuid} json"))
    assert channel["Caller-Caller-ID-Number"] == "anonymous"
    assert channel["Caller-Destination-Number"] == OURS
