"""R-IN-4: whatever a caller hears ends by itself in something sensible, without any of ours."""

from dataclasses import replace

import pytest

from calltree.models import InboundAction
from calltree.telephony import commands
from calltree.telephony.commands import OutsideCall
from calltree.telephony.inbound.chains import GRACE_S, Wanted, commands_for, joining
from calltree.telephony.safe_parts import UnsafePartError, switch_path

CALLER = "11111111-2222-3333-4444-555555555555"
LEG = "66666666-7777-8888-9999-000000000000"
SOUND = switch_path("/rec", "guidances", "guidance-5-1700000000.wav")
MESSAGE = switch_path("/rec", 2026, 11, 23, f"{CALLER}.wav")
FORWARD = OutsideCall(
    uuid=LEG,
    number="0312345670",
    caller_number="0312340001",
    gateway="trunk3",
    attempt_id=7,
    site_id="ab12",
    ring_s=30,
)
RINGS = Wanted(
    caller=CALLER,
    attempt_id=7,
    site_id="ab12",
    action=InboundAction.RING_ALL,
    answered=False,
    seconds=20,
)
AWAY = "transfer:inbound-away XML calltree"


def chain(wanted: Wanted) -> list[str]:
    """The applications, after what is set."""
    forgotten, sent = commands_for(wanted)
    assert forgotten == f"sched_del {CALLER}"
    verb, rest = sent.split(" ", 1)
    assert (verb, rest[:36]) == ("uuid_transfer", CALLER)
    assert rest.endswith("' inline")
    inside = rest[37:].removesuffix(" inline").strip("'").removeprefix("m:^:")
    return [one for one in inside.split("^") if not one.startswith(("set:", "unset:"))]


def test_R_IN_4_a_ring_is_not_answered_and_ends_after_the_clock_of_ours():
    away = f"sched_transfer:+{20 + GRACE_S} {AWAY.removeprefix('transfer:')}"
    ringing, timer, waits, tone, after = chain(RINGS)
    assert [ringing, timer, waits, after] == ["ring_ready:", away, "wait_for_answer:", AWAY]
    assert tone.startswith("playback:tone_stream://L=4;"), "sounds from the answer to the join"


@pytest.mark.parametrize(
    "given",
    [
        replace(RINGS, answered=True),
        replace(RINGS, guidance=SOUND),
        replace(RINGS, action=InboundAction.QUEUE),
        replace(RINGS, parked=True),
        replace(RINGS, action=InboundAction.FORWARD, forward=FORWARD),
        replace(RINGS, action=InboundAction.GUIDANCE, guidance=SOUND),
        replace(RINGS, action=InboundAction.VOICEMAIL, message=MESSAGE),
        replace(RINGS, action=InboundAction.REFUSE, answered=True),
    ],
)
def test_R_IN_4_every_chain_comes_to_an_end(given):
    apps = chain(given)
    music = apps[-1].startswith("endless_playback:")
    assert apps[-1] == AWAY or apps[-1].startswith("hangup:") or music
    if music:  # the switch's own timer ends it
        assert f"sched_transfer:+{20 + GRACE_S} inbound-away XML calltree" in apps
    assert not any(app.startswith(("park", "sleep")) for app in apps)  # no silence once answered
    assert "L=-1" not in "".join(apps)


@pytest.mark.parametrize(
    ("place", "sound", "said"),
    [
        (0, None, []),
        (1, None, ["playback:tone_stream://L=1;%(200,300,800)"]),
        (9, None, ["playback:tone_stream://L=9;%(200,300,800)"]),
        (10, None, ["playback:tone_stream://L=1;%(2000,300,800)"]),
        (3, SOUND, [f"playback:{SOUND}"]),
    ],
)
def test_R_IN_1_a_place_in_the_queue_is_said_before_the_music(place, sound, said):
    queue = replace(RINGS, action=InboundAction.QUEUE, place=place, place_sound=sound)
    assert chain(queue)[2:-1] == said


def test_R_RC_3_a_forwarded_call_is_recorded_once_it_is_joined():
    forward = replace(RINGS, action=InboundAction.FORWARD, forward=FORWARD, message=MESSAGE)
    sent = commands_for(forward)[1]
    assert "set:bridge_pre_execute_aleg_app=record_session" in sent
    assert f"set:bridge_pre_execute_aleg_data={MESSAGE}" in sent
    assert "^record_session:" not in sent


def test_R_IN_1_who_was_never_answered_is_refused_without_an_answer():
    refused = replace(RINGS, action=InboundAction.REFUSE)
    assert commands_for(refused) == [f"uuid_kill {CALLER} USER_BUSY"]


def test_R_IN_1_a_forwarded_leg_has_nothing_of_a_customers_own():
    (dial,) = [a for a in chain(replace(RINGS, action=InboundAction.FORWARD, forward=FORWARD))
               if a.startswith("bridge:")]  # fmt: skip
    assert dial.endswith("}sofia/gateway/trunk3/0312345670")
    assert f"origination_uuid={LEG}" in dial
    assert "calltree" not in dial
    assert "transfer_after_bridge" not in dial


def test_R_IN_1_a_message_ends_with_silence_or_its_time():
    said = replace(RINGS, action=InboundAction.VOICEMAIL, message=MESSAGE, seconds=120)
    assert chain(said)[2:5] == [
        f"record_session:{MESSAGE}",
        "wait_for_silence:200 250 10 120000",
        f"stop_record_session:{MESSAGE}",
    ]


def test_R_RC_3_a_caller_is_recorded_before_they_are_joined():
    asked = joining(caller=CALLER, operator=LEG, attempt_id=7, recording=MESSAGE)
    verbs = [command.split(" ")[0] for command in asked]
    assert verbs[-4:] == ["uuid_answer", "uuid_record", "uuid_bridge", "sched_del"]
    assert asked[-2] == f"uuid_bridge {CALLER} {LEG}"


@pytest.mark.parametrize("text", ["sleep:1^hangup:", "playback:a'b", "set:a=${b}", "x", "set:a\nb"])
def test_nothing_but_constants_ids_and_paths_goes_into_a_chain(text):
    with pytest.raises(UnsafePartError):
        commands.run_inline(CALLER, text)
