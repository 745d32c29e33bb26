"""How calls come in, held against the practice switch, recorded traffic and a real one (R-IN-1)."""

from __future__ import annotations

from tests.telephony.contract import Live, Story, recorded

ENDED = ["HANGUP", "HANGUP_COMPLETE", "DESTROY"]


def sound(source: Live, seconds: float = 0.2) -> str:
    return f"silence_stream://{int(seconds * 1000)}" if source.real else "guidance"


def music(source: Live) -> str:
    return "silence_stream://-1" if source.real else "local_stream://default"


def told(story: Story) -> list[str]:
    """A leg's events; PROGRESS_MEDIA comes before some answers, and means nothing."""
    return [name for name in story.order() if name != "PROGRESS_MEDIA"]


def run(source: Live, leg: str, chain: str) -> None:
    assert source.link.api(f"uuid_transfer {leg} '{chain}' inline") == "+OK\n"


def taken(source: Live) -> Story:
    """Answered with a guidance, parked, joined with an operator; then the caller hangs up."""
    operator = source.operator()
    story, hangs_up = source.call_in()
    story.operator = operator
    run(source, story.uuid, f"answer:,playback:{sound(source)},park:")
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    before = len(source.link.events)
    assert source.link.api(f"uuid_bridge {story.uuid} {operator}") == f"+OK {operator}\n"
    source.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    hangs_up()
    source.link.wait("CHANNEL_DESTROY", value=story.uuid)
    while "PARK" not in Story(operator, source.link.events[before:]).order():
        source.link.wait("BACKGROUND_JOB", header="Job-UUID", value=source.link.job("status"))
    return story


def test_R_IN_1_a_caller_is_answered_guided_parked_and_joined(source: Live | None) -> None:
    story = recorded("inbound-app-takes") if source is None else taken(source)
    assert told(story) == [
        *("CREATE", "PROGRESS", "ANSWER", "PLAYBACK_START", "PLAYBACK_STOP", "PARK"),
        *("UNPARK", "BRIDGE", "HANGUP", "UNBRIDGE", "HANGUP_COMPLETE", "DESTROY"),
    ]
    assert story.order(of=story.operator)[-2:] == ["UNPARK", "PARK"]
    came = story.event("CHANNEL_CREATE")
    assert (came["Call-Direction"], came["Caller-Context"]) == ("inbound", "public")
    assert came["Answer-State"] == "ringing"
    assert came["Caller-Caller-ID-Number"].isdigit()
    assert came["Caller-Destination-Number"].isdigit()
    bridge = story.event("CHANNEL_BRIDGE")
    assert (bridge["Bridge-A-Unique-ID"], bridge["Bridge-B-Unique-ID"]) == (
        story.uuid,
        story.operator,
    )
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["variable_sip_hangup_disposition"] == "recv_bye"
    assert int(end["Caller-Channel-Answered-Time"]) > 0


def queued(source: Live) -> Story:
    """Answered with music; an operator takes the call out of it."""
    operator = source.operator()
    story, hangs_up = source.call_in()
    story.operator = operator
    run(source, story.uuid, f"answer:,endless_playback:{music(source)}")
    source.link.wait("PLAYBACK_START", value=story.uuid)
    assert source.link.api(f"uuid_bridge {story.uuid} {operator}") == f"+OK {operator}\n"
    source.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    hangs_up()
    source.link.wait("CHANNEL_DESTROY", value=story.uuid)
    assert source.link.api(f"uuid_exists {operator}") == "true"
    return story


def test_R_IN_1_a_caller_is_taken_out_of_the_music_by_the_bridge(source: Live | None) -> None:
    story = recorded("inbound-queue-nailed-up") if source is None else queued(source)
    assert told(story) == [
        *("CREATE", "PROGRESS", "ANSWER", "PLAYBACK_START", "PLAYBACK_STOP", "BRIDGE"),
        *("HANGUP", "UNBRIDGE", "HANGUP_COMPLETE", "DESTROY"),
    ]
    if source is None:
        assert story.replies[-1] == "true", "the operator's leg lives on"


def given_up(source: Live) -> Story:
    story, hangs_up = source.call_in()
    run(source, story.uuid, f"answer:,endless_playback:{music(source)}")
    source.link.wait("PLAYBACK_START", value=story.uuid)
    hangs_up()
    source.link.wait("CHANNEL_DESTROY", value=story.uuid)
    return story


def test_R_IN_3_a_caller_who_gives_up_was_answered_and_never_joined(source: Live | None) -> None:
    story = recorded("inbound-abandoned") if source is None else given_up(source)
    assert told(story) == [
        *("CREATE", "PROGRESS", "ANSWER", "PLAYBACK_START"),
        *("HANGUP", "PLAYBACK_STOP", "HANGUP_COMPLETE", "DESTROY"),
    ]
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert end["variable_sip_hangup_disposition"] == "recv_bye"
    assert int(end["Caller-Channel-Answered-Time"]) > 0


def rejected(source: Live) -> Story:
    story, _ = source.call_in()
    assert source.link.api(f"uuid_kill {story.uuid} USER_BUSY") == "+OK\n"
    source.link.wait("CHANNEL_DESTROY", value=story.uuid)
    return story


def test_R_IN_1_a_caller_turned_away_is_never_answered(source: Live | None) -> None:
    story = recorded("inbound-rejected") if source is None else rejected(source)
    assert told(story) == ["CREATE", "PROGRESS", *ENDED]
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["Hangup-Cause"] == "USER_BUSY"
    assert end["Caller-Channel-Answered-Time"] == "0"


def left_alone(source: Live) -> Story:
    """Nobody takes the call: the dialplan does."""
    story, _ = source.call_in(waits_s=2)
    source.link.wait("CHANNEL_DESTROY", value=story.uuid)
    return story


def test_R_IN_1_a_caller_whom_nobody_takes_is_answered_by_the_dialplan(
    source: Live | None,
) -> None:
    story = recorded("inbound-fallback") if source is None else left_alone(source)
    assert told(story) == [
        *("CREATE", "PROGRESS", "ANSWER", "PLAYBACK_START", "PLAYBACK_STOP", *ENDED),
    ]
    assert int(story.event("CHANNEL_HANGUP_COMPLETE")["Caller-Channel-Answered-Time"]) > 0


def forwarded(source: Live) -> tuple[Story, str]:
    """Sent on to a number outside, who then hangs up; gives the leg that was dialled."""
    story, _ = source.call_in()
    way = f"sofia/gateway/{source.gateway}/{source.number('answers')}"
    chain = ("answer:", "set:hangup_after_bridge=true", "set:call_timeout=30", f"bridge:{way}")
    assert source.link.api(f"uuid_transfer {story.uuid} 'm:^:{'^'.join(chain)}' inline") == "+OK\n"
    far = source.link.wait("CHANNEL_BRIDGE", value=story.uuid)["Bridge-B-Unique-ID"]
    if source.real:
        assert source.link.api(f"uuid_kill {far}") == "+OK\n"
    else:
        source.link.api(f"practice leave {far}")
    source.link.wait("CHANNEL_DESTROY", value=far)
    source.link.wait("CHANNEL_DESTROY", value=story.uuid)
    return story, far


def overflowed() -> tuple[Story, str]:
    story = recorded("inbound-overflow-external")
    return story, story.event("CHANNEL_BRIDGE")["Bridge-B-Unique-ID"]


def test_R_IN_1_a_caller_forwarded_outside_ends_with_whom_they_were_joined(
    source: Live | None,
) -> None:
    story, far = overflowed() if source is None else forwarded(source)
    assert told(story) == ["CREATE", "PROGRESS", "ANSWER", "BRIDGE", "UNBRIDGE", *ENDED]
    assert story.order(of=far) == ["OUTGOING", "CREATE", "ORIGINATE", "PROGRESS", "ANSWER", *ENDED]
    made = next(e for e in story.events if e.get("Unique-ID") == far)
    assert made["Call-Direction"] == "outbound"
    assert made["Other-Leg-Unique-ID"] == story.uuid, "whose call it is, from its first event on"
