"""How a supervisor's leg enters a call, held against the practice switch and a real one."""

from __future__ import annotations

import json

from calltree.models import MonitorMode
from calltree.telephony import commands
from tests.telephony.contract import Live, Story, bridged
from tests.telephony.scripted import events_of


def listening(live: Live, story: Story, mode: MonitorMode) -> str:
    """A supervisor's leg in a story's call."""
    leg = live.operator()
    enter(live, story, leg, mode)
    return leg


def enter(live: Live, story: Story, leg: str, mode: MonitorMode) -> None:
    before = len(live.link.events)
    assert live.link.api(commands.monitor(leg, story.operator, mode)) == "+OK\n"
    del live.link.events[:before]
    told = live.link.wait("MEDIA_BUG_START", value=story.operator)
    assert (told["Media-Bug-Function"], told["Media-Bug-Target"]) == ("eavesdrop", story.operator)


def listened(live: Live) -> tuple[Story, str]:
    """A supervisor listened and left; gives their leg. The call goes on."""
    story = bridged(live)
    leg = listening(live, story, MonitorMode.LISTEN)
    before = len(live.link.events)
    assert live.link.api(commands.park(leg)) == "+OK\n"
    live.link.events[:] = live.link.events[before:]
    live.link.wait("CHANNEL_PARK", value=leg)
    live.link.wait("MEDIA_BUG_STOP", value=story.operator)
    return story, leg


def test_R_WT_1_who_leaves_parks_and_their_ear_is_taken_off_the_operator(
    source: Live | None,
) -> None:
    if source is None:
        events = [e for e in events_of("supervisor-eavesdrop") if e.name != "DTMF"]
        first = next(e for e in events if e.name == "MEDIA_BUG_START")
        story, leg = Story("", events, first["Unique-ID"]), events[0]["Unique-ID"]
        assert (first["Media-Bug-Function"], first["Media-Bug-Target"]) == (
            "eavesdrop",
            story.operator,
        )
        story.events = events[events.index(first) + 1 :]
    else:
        story, leg = listened(source)
    stopped = next(e for e in story.events if e.name == "MEDIA_BUG_STOP")
    assert (stopped["Unique-ID"], stopped["Media-Bug-Function"]) == (story.operator, "eavesdrop")
    assert story.order(of=leg) == ["PARK"]
    assert story.order(of=story.operator) == ["MEDIA_BUG_STOP"]


def does(live: Live, leg: str) -> str:
    told: str = json.loads(live.link.api(f"uuid_dump {leg} json"))["variable_current_application"]
    return told


def test_R_WT_1_a_supervisor_enters_a_call_changes_who_hears_and_leaves(live: Live) -> None:
    story = bridged(live)
    leg = listening(live, story, MonitorMode.LISTEN)
    for mode in (MonitorMode.WHISPER, MonitorMode.BARGE):
        enter(live, story, leg, mode)
        assert live.link.api(f"uuid_getvar {leg} eavesdrop_whisper_aleg") == (
            "true" if mode is MonitorMode.BARGE else "false"
        )
        assert live.link.api(f"uuid_getvar {leg} eavesdrop_whisper_bleg") == "true"
        assert does(live, leg) == "eavesdrop"
    before = len(live.link.events)
    assert live.link.api(commands.park(leg)) == "+OK\n"
    del live.link.events[:before]
    live.link.wait("CHANNEL_PARK", value=leg)
    assert does(live, leg) == "park"
    assert "UNBRIDGE" not in story.order(), "the call goes on"


def test_R_WT_1_a_listening_leg_survives_the_call_and_parks_with_the_operators_end(
    live: Live,
) -> None:
    story = bridged(live)
    leg = listening(live, story, MonitorMode.BARGE)
    assert live.link.api(f"uuid_kill {story.uuid}") == "+OK\n"
    live.link.wait("CHANNEL_DESTROY", value=story.uuid)
    assert does(live, leg) == "eavesdrop", "the operator is still heard: we take it out ourselves"
    before = len(live.link.events)
    live.finish_leg(story.operator)
    del live.link.events[:before]
    live.link.wait("CHANNEL_PARK", value=leg)
    assert live.link.api(f"uuid_exists {leg}") == "true"


def test_R_WT_1_nobody_there_to_listen_to_parks_the_leg_at_once(live: Live) -> None:
    leg = live.operator()
    before = len(live.link.events)
    nobody = "00000000-0000-4000-8000-00000000dead"
    assert live.link.api(commands.monitor(leg, nobody, MonitorMode.LISTEN)) == "+OK\n"
    del live.link.events[:before]
    live.link.wait("CHANNEL_PARK", value=leg)
    assert [e.name for e in live.link.events if e.get("Unique-ID") == leg] == [
        "CHANNEL_UNPARK",
        "CHANNEL_PARK",
    ]


def test_R_WT_1_a_leg_that_ends_while_it_listens_leaves_the_call_alone(live: Live) -> None:
    story = bridged(live)
    leg = listening(live, story, MonitorMode.WHISPER)
    live.finish_leg(leg)
    live.link.wait("MEDIA_BUG_STOP", value=story.operator)
    assert "UNBRIDGE" not in story.order()
