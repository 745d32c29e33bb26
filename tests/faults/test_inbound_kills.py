"""kill -9 at each step of a call that comes in: who calls always hears something sensible.

Each role and Redis are killed while one caller talks, one rings, one waits in a queue, one is
parked and one speaks on the voicemail; what the practice switch played to each is the witness. When
the switch itself dies nobody hears anything any more, and the ledger has to find out.
"""

import pytest
from sqlalchemy import select, update

from calltree.db import utcnow
from calltree.models import (
    Attempt,
    CallerNumber,
    CallState,
    HolidayHours,
    InboundAction,
    InboundCall,
    InboundOutcome,
    InboundRoute,
    InboundStep,
    Line,
    Operator,
    OperatorState,
    Situation,
)
from calltree.models.recordings import RecordingState
from calltree.services import inbound_calls, operators
from tests.faults.site import ProcessFloor, restart_after, running_site
from tests.floor import wait_for
from tests.telephony.incoming import PATIENT_S, SILENT_S, Lobby

SOON_S = 20
"""Long enough to kill all, short enough to wait for; the switch is twice as quick."""
STEPS = {
    "0312340011": (InboundAction.RING_ALL, 600),
    "0312340012": (InboundAction.QUEUE, 600),
    "0312340013": (InboundAction.VOICEMAIL, 300),
}
"""What each of our numbers does, whatever the hour."""


@pytest.fixture
def lobby(tmp_path, database_url):
    with running_site(tmp_path, database_url) as floor:
        yield Lobby(floor)


def _numbers(floor: ProcessFloor) -> None:
    with floor.store.write() as session:
        for number, (action, seconds) in STEPS.items():
            row = CallerNumber(number=number, label=action.value)
            session.add(row)
            session.flush()
            session.add(
                InboundRoute(
                    caller_number_id=row.id,
                    hours=["00:00-24:00"] * 8,
                    holidays=HolidayHours.WEEKDAY,
                )
            )
            session.flush()
            for situation in (Situation.OPEN, Situation.ALL_BUSY):
                given = (action, seconds)
                if situation is Situation.ALL_BUSY and action is InboundAction.RING_ALL:
                    given = (InboundAction.QUEUE, 600)
                session.add(
                    InboundStep(
                        caller_number_id=row.id,
                        situation=situation,
                        action=given[0],
                        seconds=given[1],
                    )
                )


@pytest.mark.parametrize(
    "name",
    [
        "switch",
        *(pytest.param(name, marks=pytest.mark.one_database) for name in ("calls", "redis")),
    ],
)
def test_R_IN_4_a_kill_at_any_step_leaves_no_caller_in_silence(lobby, name):
    floor = lobby.floor
    _numbers(floor)
    talking, calls = _talks(lobby)
    user = lobby.ready()
    ringing, parked = (lobby.calls(number="0312340011") for _ in range(2))
    calls |= {channel: lobby.arrived(channel) for channel in (ringing, parked)}
    with floor.store.write() as session:
        inbound_calls.park(session, user_id=user, attempt_id=calls[parked].id, now=utcnow())
        operators.go_away(session, user_id=user, reason="", now=utcnow())
    queued, speaking = lobby.calls(number="0312340012"), lobby.calls(number="0312340013")
    calls |= {channel: lobby.arrived(channel) for channel in (queued, speaking)}
    lobby.wait_heard(ringing, "rings")
    lobby.wait_heard(parked, "local_stream")
    lobby.wait_heard(queued, "local_stream")
    lobby.wait_heard(speaking, "message")
    if name == "redis":
        floor.site.kill(name)  # and it stays away: the leader sweeps for what is pressed
    else:
        restart_after(floor, name)

    first = lobby.ready()
    taken = floor.wait_state(calls[queued], CallState.TALKING)  # without a press, as queues do
    assert taken.user_id == first
    other = lobby.ready()
    lobby.answer(other, calls[ringing])
    floor.wait_state(calls[ringing], CallState.TALKING)
    assert floor.attempt(calls[talking]).state is CallState.TALKING
    for channel in calls:
        floor.switch.order(f"leave {channel}")
    wait_for(floor.settled, "every call is over")
    if name == "redis":
        floor.site.restart(name)
    for channel in calls:
        assert lobby.longest_silence_s(channel) < SILENT_S, lobby.heard(channel)
    _nothing_is_left(floor)


@pytest.mark.one_database
def test_R_IN_4_the_calls_of_a_switch_that_dies_end_in_the_ledger(lobby):
    floor = lobby.floor
    _numbers(floor)
    talking, calls = _talks(lobby)
    talker = floor.attempt(calls[talking]).user_id
    other = lobby.ready()
    ringing = lobby.calls(number="0312340011")
    calls[ringing] = lobby.arrived(ringing)
    lobby.wait_heard(ringing, "rings")
    with floor.store.write() as session:
        operators.go_away(session, user_id=other, reason="", now=utcnow())
    queued = lobby.calls(number="0312340012")
    calls[queued] = lobby.arrived(queued)
    lobby.wait_heard(queued, "local_stream")
    restart_after(floor, "practice")

    wait_for(floor.settled, "every call is over")
    ended = {channel: floor.attempt(call) for channel, call in calls.items()}
    assert {call.ended_by for call in ended.values()} == {"system"}
    assert {channel: lobby.call(call).outcome for channel, call in calls.items()} == {
        talking: InboundOutcome.JOINED,
        ringing: InboundOutcome.MISSED,
        queued: InboundOutcome.MISSED,
    }
    assert floor.recording(calls[talking]).state is RecordingState.STOPPED
    assert floor.operator_row(talker).state is OperatorState.WRAP_UP
    _nothing_is_left(floor)

    floor.switch.order(f"fallback {PATIENT_S}")
    floor.wait_leg(other)
    with floor.store.write() as session:
        operators.become_ready(session, user_id=other, now=utcnow())
    again = lobby.arrived(lobby.calls(number="0312340011"))
    wait_for(lambda: lobby.rings(other) == [again.id], "the next caller rings")


def _talks(lobby: Lobby) -> tuple[str, dict[str, Attempt]]:
    """Somebody who was answered, and their call by their channel."""
    user, channel = lobby.ready(), lobby.calls(number="0312340011")
    attempt = lobby.arrived(channel)
    lobby.answer(user, attempt)
    lobby.floor.wait_state(attempt, CallState.TALKING)
    return channel, {channel: attempt}


def _nothing_is_left(floor: ProcessFloor) -> None:
    with floor.store.read() as session:
        assert not session.scalars(select(Line.id).where(Line.released_at.is_(None))).all()
        locked = session.scalars(select(Operator.attempt_id)).all()
        open_calls = session.scalars(select(InboundCall).where(InboundCall.outcome == "open")).all()
    assert set(locked) == {None}
    assert not open_calls


@pytest.mark.one_database
def test_R_IN_4_without_any_role_left_every_caller_is_released_with_a_word(lobby):
    floor = lobby.floor
    _numbers(floor)
    lobby.ready()
    channel = lobby.calls(number="0312340011")
    attempt = lobby.arrived(channel)
    with floor.store.write() as session:  # so that the switch's own time is soon up
        session.execute(update(InboundStep).values(seconds=SOON_S))
        session.execute(update(InboundRoute).values(version="short"))
    short = lobby.calls(number="0312340011")
    lobby.arrived(short)
    lobby.wait_carried(short)
    for name in ("switch", "calls"):
        floor.site.kill(name)
    wait_for(lambda: lobby.heard(short)[-1][1].startswith("ended"), "released")
    assert "apology" in [what for _, what in lobby.heard(short)]
    assert lobby.longest_silence_s(short) < SILENT_S
    assert lobby.heard(channel)[-1][1] == "rings"
    assert floor.attempt(attempt).ended_at is None
    floor.lease_runs_out()
    for name in ("switch", "calls"):
        floor.site.start(name)
    floor.switch.order(f"leave {channel}")
    wait_for(floor.settled, "the next leader finds out")
