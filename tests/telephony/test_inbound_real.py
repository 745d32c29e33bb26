"""R-IN-1, R-IN-4, R-RC-3 on a real FreeSWITCH with our configuration.

Who calls is a leg of its own, which reaches the switch by SIP as a carrier's call does and says a
tone.
"""

import io
import uuid
import wave
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from calltree.db import Store, utcnow
from calltree.models import (
    CallState,
    CustomerList,
    Guidance,
    InboundAction,
    InboundOutcome,
    LegKind,
    LegState,
    OperatorState,
    Situation,
)
from calltree.services import inbound_walk, operators
from calltree.services.inbound_fallbacks import Fallback
from calltree.telephony.config import dialplan
from calltree.telephony.config.wanted import Wanted
from calltree.telephony.config.writing import write
from tests import factories as make
from tests import sipp
from tests.floor import NODE, Floor, wait_for
from tests.freeswitch import RenderedSwitch, rendered_switch
from tests.practice import STAYS
from tests.sounds import loudness
from tests.telephony.incoming import CALLER, OURS, Lobby
from tests.telephony.real_floor import open_real_floor

pytestmark = pytest.mark.freeswitch

HZ = 700
"""What who calls says."""
CARRIER_HZ = 440
"""What the carrier says at the end of an operator's leg, and of one that is called."""
TONE = f"tone_stream://L=-1;%(1000,0,{HZ})"


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RenderedSwitch]:
    """One that waits for us, and we for it, for as long as a busy machine needs."""
    monkeypatch.setattr(dialplan, "FALLBACK_MS", 60_000)
    monkeypatch.setattr(inbound_walk, "JOIN_S", 60)
    with rendered_switch(tmp_path, directory_url="http://127.0.0.1:9/", secret="x") as found:
        yield found


@pytest.fixture
def floor(store: Store, switch: RenderedSwitch) -> Iterator[Floor]:
    with open_real_floor(store, switch) as floor:
        yield floor


def calls(switch: RenderedSwitch, number: str = OURS, caller: str = CALLER) -> str:
    """Somebody calls by SIP; gives their own leg, what they hear is what it hears."""
    leg = str(uuid.uuid4())
    port = switch.wanted.place.trunk_port
    with switch.link() as link:
        link.bgapi(
            f"originate {{origination_uuid={leg},origination_caller_id_number={caller},"
            f"absolute_codec_string=PCMU,originate_timeout=120}}"
            f"sofia/external/{number}@127.0.0.1:{port} &endless_playback({TONE})",
            leg,
        )
    return leg


def ready(floor: Floor, switch: RenderedSwitch) -> int:
    """An operator 待機, whose leg says nothing."""
    leg = str(uuid.uuid4())
    with floor.store.write() as session:
        user = make.make_user(session, leg_kind=LegKind.DEVICE)
        make.grant(session, session.get_one(CustomerList, floor.list_id), user)
        operators.sign_in(session, user_id=user.id, now=utcnow())
    made = switch.api(
        f"originate {{origination_uuid={leg},park_after_bridge=true,hangup_after_bridge=false,"
        "origination_caller_id_number=0501112222}sofia/gateway/carrier/0399999990 &park"
    )
    assert made == f"+OK {leg}"
    now = utcnow()
    with floor.store.write() as session:
        assert operators.connect_leg(session, user_id=user.id, uuid=leg, node=NODE, now=now)
        operators.leg_moved(session, user_id=user.id, uuid=leg, to=LegState.PARKED, now=now)
        operators.become_ready(session, user_id=user.id, now=now)
    return user.id


def newest(lobby: Lobby, known: set[str]):
    """The attempt of the call that came in after those."""

    def found():
        return next((a for a in lobby.attempts() if a.uuid not in known), None)

    return wait_for(found, "the call is in the ledger")


def channels_of(path: Path) -> list[array]:
    with wave.open(str(path), "rb") as sound:
        samples = array("h", sound.readframes(sound.getnframes()))
        count = sound.getnchannels()
    return [samples[place::count] for place in range(count)]


def silent_guidance(lobby: Lobby) -> int:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 4000)
    wav = sound.getvalue()
    with lobby.floor.store.write() as session:
        row = Guidance(
            name="休業日", sound=wav, length_ms=500, size_bytes=len(wav), created_at=utcnow()
        )
        session.add(row)
        session.flush()
        return row.id


def test_R_RC_3_calls_are_answered_recorded_queued_and_take_messages(floor, switch):
    lobby, known = Lobby(floor, real=True), set()

    # it rings, is answered by a press, talked and recorded
    user = ready(floor, switch)
    leg = calls(switch)
    attempt = newest(lobby, known)
    assert attempt.number == CALLER
    wait_for(lambda: lobby.rings(user) == [attempt.id], "it rings")
    assert floor.attempt(attempt).answered_at is None
    lobby.answer(user, attempt)
    floor.wait_state(attempt, CallState.TALKING)
    path = switch.recordings / wait_for(lambda: floor.recording(attempt), "recorded").raw_name
    wait_for(lambda: path.is_file() and path.stat().st_size > 64_000, "two seconds of sound")
    switch.api(f"uuid_kill {leg}")
    ended = floor.wait_state(attempt, CallState.ENDED)
    assert ended.ended_by == "customer"
    assert floor.operator_row(user).state is OperatorState.WRAP_UP
    left, right = channels_of(path)
    assert loudness(right, HZ) > 10 * loudness(left, HZ)  # the customer is right
    floor.wait_leg(user)
    known.add(attempt.uuid)

    # nobody is 待機: music, until somebody is
    lobby.does(Situation.ALL_BUSY, InboundAction.QUEUE, 600)
    leg = calls(switch)
    attempt = newest(lobby, known)
    wait_for(lambda: floor.attempt(attempt).answered_at, "answered for the music")
    second = ready(floor, switch)
    assert floor.wait_state(attempt, CallState.TALKING).user_id == second
    switch.api(f"uuid_kill {leg}")
    floor.wait_state(attempt, CallState.ENDED)
    known.add(attempt.uuid)

    # a guidance, then the end
    lobby.does(Situation.ALL_BUSY, InboundAction.GUIDANCE, 0, guidance_id=silent_guidance(lobby))
    calls(switch)
    attempt = newest(lobby, known)
    floor.wait_state(attempt, CallState.ENDED)
    assert lobby.call(attempt).outcome is InboundOutcome.MISSED, "it was open"
    known.add(attempt.uuid)

    # a message
    lobby.does(Situation.ALL_BUSY, InboundAction.VOICEMAIL, 10)
    leg = calls(switch)
    attempt = newest(lobby, known)
    row = wait_for(lambda: floor.recording(attempt), "a message is taken")
    path = switch.recordings / row.raw_name
    wait_for(lambda: path.is_file() and path.stat().st_size > 40_000, "some seconds of it")
    switch.api(f"uuid_kill {leg}")
    floor.wait_state(attempt, CallState.ENDED)
    wait_for(lambda: floor.recording(attempt).length_ms > 1000, "its length is known")
    assert lobby.call(attempt).outcome is InboundOutcome.VOICEMAIL
    assert loudness(channels_of(path)[-1], HZ) > 1000
    known.add(attempt.uuid)

    # handed on to a number, and recorded from the moment on when they talk
    lobby.does(Situation.ALL_BUSY, InboundAction.FORWARD, 60, forward_to=STAYS)
    leg = calls(switch)
    attempt = newest(lobby, known)
    floor.wait_state(attempt, CallState.TALKING)
    assert floor.lines_open() == 2
    path = switch.recordings / wait_for(lambda: floor.recording(attempt), "recorded").raw_name
    wait_for(lambda: path.is_file() and path.stat().st_size > 64_000, "two seconds of sound")
    switch.api(f"uuid_kill {leg}")
    floor.wait_state(attempt, CallState.ENDED)
    assert lobby.call(attempt).outcome is InboundOutcome.FORWARDED
    left, right = channels_of(path)
    assert loudness(right, HZ) > 10 * loudness(left, HZ)  # the caller
    assert loudness(left, CARRIER_HZ) > 10 * loudness(right, CARRIER_HZ)
    wait_for(lambda: floor.lines_open() == 0, "both lines are free")
    known.add(attempt.uuid)

    # busy, never answered
    lobby.does(Situation.ALL_BUSY, InboundAction.REFUSE, 0)
    leg = calls(switch)
    attempt = newest(lobby, known)
    assert attempt.state is CallState.REFUSED
    wait_for(lambda: switch.api(f"uuid_exists {leg}") == "false", "busy")
    assert floor.lines_open() == 0


def test_R_RC_3_a_caller_by_sipp_is_answered_and_another_gives_up(floor, switch, tmp_path):
    lobby, port = Lobby(floor, real=True), switch.wanted.place.trunk_port
    user = ready(floor, switch)
    does = sipp.talks(CALLER, sipp.spoken(tmp_path, HZ))
    with sipp.Sipp(tmp_path, port=port, number=OURS, does=does) as caller:
        attempt = newest(lobby, set())
        wait_for(lambda: lobby.rings(user) == [attempt.id], "it rings")
        lobby.answer(user, attempt)
        floor.wait_state(attempt, CallState.TALKING)
        path = switch.recordings / wait_for(lambda: floor.recording(attempt), "recorded").raw_name
        wait_for(lambda: path.is_file() and path.stat().st_size > 64_000, "two seconds of sound")
        switch.api(f"uuid_setvar {attempt.uuid} fs_send_unsupported_info true")
        switch.api(f"uuid_send_info {attempt.uuid}")
        ended = floor.wait_state(attempt, CallState.ENDED)
        caller.ends_well()
    assert (attempt.number, ended.ended_by) == (CALLER, "customer")
    assert loudness(channels_of(path)[1], HZ) > 1000

    ready(floor, switch)  # so that it rings
    with sipp.Sipp(tmp_path, port=port, number=OURS, does=sipp.gives_up(CALLER)) as caller:
        given_up = newest(lobby, {attempt.uuid})
        ended = floor.wait_state(given_up, CallState.ENDED)
        caller.ends_well()
    assert (ended.answered_at, ended.ended_by) == (None, "customer")
    assert lobby.call(given_up).outcome is InboundOutcome.MISSED
    assert floor.lines_open() == 0


def test_R_IN_4_without_the_application_the_closed_guidance_is_heard(
    switch: RenderedSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialplan, "FALLBACK_MS", 2000)
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(array("h", [8000, -8000] * 12000).tobytes())
    own = Fallback(OURS, guidance_id=7, sound=sound.getvalue())
    wanted: Wanted = switch.with_gateways()
    write(switch.conf, replace(wanted, fallbacks=(own,)))
    switch.api("reloadxml")
    leg = calls(switch)
    wait_for(
        lambda: f"guidance-{own.guidance_id}.wav" in switch.api("show channels"), "it is played"
    )
    wait_for(lambda: switch.api(f"uuid_exists {leg}") == "false", "and released")
    assert not [line for line in switch.errors() if "Error" in line]
