"""What a transfer asks of a switch, held against the practice switch and a real one (R-CL-4)."""

from __future__ import annotations

from calltree.models import MonitorMode
from calltree.telephony import commands
from tests.telephony.contract import Live, Story, bridged, recorded

MUSIC = "silence_stream://-1"


def held(live: Live) -> Story:
    """A customer who hears music; their operator's leg is parked."""
    story = bridged(live, park_after_bridge="false")
    reply = live.link.api(f"uuid_transfer {story.uuid} endless_playback:{MUSIC} inline")
    assert reply == "+OK\n"
    live.link.wait("PLAYBACK_START", value=story.uuid)
    live.link.wait("CHANNEL_PARK", value=story.operator)
    return story


def target(live: Live) -> Story:
    """A number that answered and waits to be joined."""
    story = live.dial("answers", absolute_codec_string="PCMU")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    return story


def join(live: Live, first: str, second: str) -> None:
    before = len(live.link.events)
    assert live.link.api(f"uuid_bridge {first} {second}") == f"+OK {second}\n"
    del live.link.events[:before]
    live.link.wait("CHANNEL_BRIDGE", value=first)


def consulted(live: Live) -> tuple[Story, Story]:
    """The operator talks with the target; the customer hears music."""
    story, far = held(live), target(live)
    join(live, far.uuid, story.operator)
    return story, far


def test_R_CL_4_the_customer_hears_music_on_while_two_others_are_joined(live: Live) -> None:
    story, _far = consulted(live)
    assert "PLAYBACK_STOP" not in story.order()
    assert live.link.api(f"uuid_exists {story.uuid}") == "true"


def completed(live: Live) -> tuple[Story, str]:
    """The customer joined with the target, who then hangs up; gives the target's leg."""
    story, far = consulted(live)
    live.link.api(commands.clear_transfer_after_bridge(story.uuid))
    join(live, story.uuid, far.uuid)
    live.link.wait("CHANNEL_PARK", value=story.operator)
    assert live.link.api(f"uuid_exists {story.operator}") == "true"
    live.link.api(f"uuid_kill {far.uuid}")
    live.link.wait("CHANNEL_DESTROY", value=story.uuid)
    live.link.wait("CHANNEL_DESTROY", value=far.uuid)
    return story, far.uuid


def attended() -> tuple[Story, str]:
    """As a real switch told it once, from the consultation's end."""
    story = recorded("attended-transfer")
    story.operator = next(e for e in story.events if e.name == "CHANNEL_PARK")["Unique-ID"]
    far = story.event("CHANNEL_BRIDGE")["Bridge-B-Unique-ID"]
    parted = next(e for e in story.events if e.name == "CHANNEL_UNBRIDGE" and e["Unique-ID"] == far)
    story.events = story.events[story.events.index(parted) - 1 :]
    return story, far


def test_R_CL_4_joining_the_customer_with_the_target_parks_the_first_operator(
    source: Live | None,
) -> None:
    story, far = attended() if source is None else completed(source)
    assert story.order(of=story.operator) == ["PARK"]
    assert story.order() == [
        *("PLAYBACK_STOP", "BRIDGE", "UNBRIDGE", "HANGUP", "HANGUP_COMPLETE", "DESTROY"),
    ]
    assert story.order(of=far) == ["UNBRIDGE", "HANGUP", "HANGUP_COMPLETE", "DESTROY"]


def test_R_CL_4_a_target_that_leaves_ends_a_customer_whose_way_back_was_cleared(
    live: Live,
) -> None:
    story, far = consulted(live)
    live.link.api(f"uuid_setvar {story.uuid} transfer_after_bridge park:inline")
    assert live.link.api(commands.clear_transfer_after_bridge(story.uuid)) == "+OK\n"
    assert live.link.api(f"uuid_getvar {story.uuid} transfer_after_bridge") == "_undef_"
    join(live, story.uuid, far.uuid)
    live.link.api(f"uuid_kill {far.uuid}")
    live.link.wait("CHANNEL_DESTROY", value=story.uuid)


def test_R_CL_4_a_partner_that_leaves_sends_a_customer_with_a_way_back_there(live: Live) -> None:
    story, far = consulted(live)
    reply = live.link.api(f"uuid_setvar {story.uuid} transfer_after_bridge 'park:inline'")
    assert reply == "+OK\n"
    join(live, story.uuid, far.uuid)
    before = len(live.link.events)
    live.link.api(f"uuid_kill {far.uuid}")
    del live.link.events[:before]
    live.link.wait("CHANNEL_PARK", value=story.uuid)


def test_R_CL_4_the_third_is_among_the_two_and_out_again_without_parting_them(live: Live) -> None:
    story, far = consulted(live)
    join(live, story.uuid, far.uuid)
    live.link.wait("CHANNEL_PARK", value=story.operator)
    before = len(live.link.events)
    barge = commands.monitor(story.operator, far.uuid, MonitorMode.BARGE)
    assert live.link.api(barge) == "+OK\n"
    del live.link.events[:before]
    live.link.wait("MEDIA_BUG_START", value=far.uuid)
    before = len(live.link.events)
    assert live.link.api(commands.park(story.operator)) == "+OK\n"
    del live.link.events[:before]
    live.link.wait("CHANNEL_PARK", value=story.operator)
    assert "UNBRIDGE" not in story.order()


def test_R_CL_4_a_target_that_rings_is_called_off(source: Live | None) -> None:
    if source is None:
        story = recorded("cancel-while-ringing-cause")
    else:
        story = source.dial("rings", originate_timeout="600")
        source.link.wait("CHANNEL_PROGRESS", value=story.uuid)
        assert source.link.api(f"uuid_kill {story.uuid} ORIGINATOR_CANCEL") == "+OK\n"
        source.finish(story)
    assert story.job == "-ERR ORIGINATOR_CANCEL"
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert end["variable_sip_hangup_disposition"] == "send_cancel"


def test_R_RC_3_a_recording_is_masked_and_goes_on(live: Live) -> None:
    story = bridged(live)
    path = f"{live.recordings}/contract/{story.uuid}.wav"
    assert live.link.api(f"uuid_record {story.uuid} start {path}") == "+OK Success\n"
    live.link.wait("RECORD_START", value=story.uuid)
    for wish in ("mask", "unmask"):
        assert live.link.api(f"uuid_record {story.uuid} {wish} {path}") == "+OK Success\n"
    assert live.link.api(f"uuid_record {story.uuid} stop {path}") == "+OK Success\n"
    live.link.wait("RECORD_STOP", value=story.uuid)
