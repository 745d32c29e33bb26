"""How calls go, held against the practice switch, recorded traffic and (marked) a real switch."""

import os

import pytest

from tests.telephony.contract import Live, Story, bridged, recorded

NEEDED = [
    "Event-Name",
    "Unique-ID",
    "Event-Date-Timestamp",
    "Event-Sequence",
    "Core-UUID",
    "Call-Direction",
    "Caller-Context",
    "Caller-Caller-ID-Number",
    "Caller-Destination-Number",
    "Answer-State",
    "Caller-Channel-Answered-Time",
]
CLOSING = [
    "Hangup-Cause",
    "variable_hangup_cause",
    "variable_hangup_cause_q850",
    "variable_billmsec",
    "variable_duration",
    "variable_answermsec",
    "variable_start_uepoch",
    "variable_end_uepoch",
    "variable_sip_hangup_disposition",
    "variable_calltree_call_id",
]


def refused(source: Live | None, what: str, name: str) -> Story:
    return recorded(name) if source is None else source.finish(source.dial(what))


@pytest.mark.parametrize(
    ("what", "name", "cause", "sip", "q850"),
    [
        ("busy", "busy", "USER_BUSY", "486", "17"),
        ("unavailable", "unavailable-480", "NO_USER_RESPONSE", "480", "18"),
        ("congested", "congestion-503", "NORMAL_TEMPORARY_FAILURE", "503", "41"),
        ("refuses", "rejected-603", "CALL_REJECTED", "603", "21"),
    ],
)
def test_a_refusal_carries_its_cause(
    source: Live | None, what: str, name: str, cause: str, sip: str, q850: str
) -> None:
    story = refused(source, what, name)
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["Hangup-Cause"] == end["variable_hangup_cause"] == cause
    assert end["variable_sip_term_status"] == sip
    assert end["variable_hangup_cause_q850"] == q850
    assert end["variable_sip_hangup_disposition"] == "recv_refuse"
    assert end["Caller-Channel-Answered-Time"] == "0"
    assert story.job == f"-ERR {cause}"
    order = [n for n in story.order() if n != "PROGRESS"]
    assert order == ["OUTGOING", "CREATE", "ORIGINATE", "HANGUP", "HANGUP_COMPLETE", "DESTROY"]


def answered(source: Live | None) -> Story:
    if source is None:
        return recorded("answered")
    story = source.dial("answers")
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    return source.finish(story, kill=True)


def test_answered_then_hung_up_by_us(source: Live | None) -> None:
    story = answered(source)
    assert story.order() == [
        *("OUTGOING", "CREATE", "ORIGINATE", "PROGRESS", "ANSWER", "PARK"),
        *("HANGUP", "UNPARK", "HANGUP_COMPLETE", "DESTROY"),
    ]
    assert story.job == f"+OK {story.uuid}"
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["variable_sip_hangup_disposition"] == "send_bye"
    assert end.get("variable_sip_term_status") is None
    assert int(end["variable_billmsec"]) > 0
    assert int(end["variable_end_uepoch"]) >= int(end["variable_answer_uepoch"])


def test_every_event_has_the_headers_we_live_on(source: Live | None) -> None:
    story = answered(source)
    for event in story.events:
        if event.get("Unique-ID") != story.uuid:
            continue
        missing = [name for name in NEEDED if name not in event]
        assert not missing, f"{event.name} lacks {missing}"
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert not [name for name in CLOSING if name not in end]
    assert end["variable_calltree_call_id"] == "4711"


def test_events_are_numbered_upwards_under_one_core(source: Live | None) -> None:
    story = answered(source)
    numbers = [int(event["Event-Sequence"]) for event in story.events]
    assert len(set(numbers)) == len(numbers)
    own = [int(e["Event-Sequence"]) for e in story.events if e.get("Unique-ID") == story.uuid]
    assert own == sorted(own)
    assert len({event["Core-UUID"] for event in story.events}) == 1


def test_caller_and_callee_change_places_when_the_leg_is_executed(source: Live | None) -> None:
    story = answered(source)
    before, after = story.event("CHANNEL_ANSWER"), story.event("CHANNEL_PARK")
    assert before["Caller-Caller-ID-Number"] == "0501112222"
    assert after["Caller-Callee-ID-Number"] == "0501112222"
    assert after["Caller-Destination-Number"] == before["Caller-Destination-Number"]


def test_plus_OK_comes_with_the_announcement_and_is_not_an_answer(source: Live | None) -> None:
    if source is None:
        story = recorded("early-media-404")
    else:
        story = source.finish(source.dial("early 404"))
    assert story.job == f"+OK {story.uuid}"
    assert story.order() == [
        *("OUTGOING", "CREATE", "ORIGINATE", "PROGRESS_MEDIA", "PARK"),
        *("HANGUP", "UNPARK", "HANGUP_COMPLETE", "DESTROY"),
    ]
    assert story.event("CHANNEL_PARK")["Answer-State"] == "early"
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["Caller-Channel-Answered-Time"] == "0"
    assert end["Hangup-Cause"] == "UNALLOCATED_NUMBER"


def test_ignoring_early_media_the_job_tells_the_end(source: Live | None) -> None:
    if source is None:
        story = recorded("early-media-404-ignored")
    else:
        story = source.finish(source.dial("early 404", ignore_early_media="true"))
    assert story.job == "-ERR UNALLOCATED_NUMBER"
    assert "PARK" not in story.order()


@pytest.mark.parametrize(
    ("kind", "answer"), [("invalid", "INVALID_GATEWAY"), ("down", "GATEWAY_DOWN")]
)
def test_a_dead_gateway_gives_only_a_destroy_and_the_job(
    source: Live | None, kind: str, answer: str
) -> None:
    if source is None:
        story = recorded(f"gateway-{kind}")
    elif kind == "invalid":
        story = source.finish(source.dial("answers", gateway="nosuch"))
    elif source.real:
        down = os.environ.get("FREESWITCH_DOWN_GATEWAY", "")
        if not down:
            pytest.skip("no gateway that is down: FREESWITCH_DOWN_GATEWAY is not set")
        story = source.finish(source.dial("answers", gateway=down))
    else:
        source.link.api(f"practice gateway {source.gateway} down")
        story = source.finish(source.dial("answers"))
        source.link.api(f"practice gateway {source.gateway} up")
    assert story.order() == ["DESTROY"]
    assert story.job == f"-ERR {answer}"


def test_no_answer_is_told_by_the_job_and_the_end(source: Live | None) -> None:
    if source is None:
        story = recorded("no-answer")
    else:
        story = source.finish(source.dial("rings", originate_timeout="5"))
    assert story.job == "-ERR NO_ANSWER"
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["Hangup-Cause"] == "NO_ANSWER"
    assert end.get("variable_sip_term_status") is None
    rate = 1.0 if source is None else source.rate
    rang = int(end["variable_mduration"]) / 1000 * rate
    assert rang > 3.9  # of 5: the time-out counts whole seconds and so fires early


def test_cancelled_while_ringing(source: Live | None) -> None:
    if source is None:
        story = recorded("cancel-while-ringing")
    else:
        story = source.dial("rings", originate_timeout="600")
        source.link.wait("CHANNEL_PROGRESS", value=story.uuid)
        source.finish(story, kill=True)
    assert story.job == "-ERR NORMAL_CLEARING"
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["variable_sip_hangup_disposition"] == "send_cancel"
    assert story.order()[3:] == ["PROGRESS", "HANGUP", "HANGUP_COMPLETE", "DESTROY"]


def test_the_customer_hangs_up_and_the_operator_parks(source: Live | None) -> None:
    if source is None:
        story = recorded("agent-bridge-customer-hangup")
    else:
        story = bridged(source, "leaves" if source.real else "answers")
        if not source.real:  # in its hurry it would leave before it is joined
            source.link.api(f"practice leave {story.uuid}")
        source.finish(story)
    told = story.both()
    told = told[told.index("C:BRIDGE") :]
    told = [t for t in told if "RECORD" not in t and "MEDIA_BUG" not in t]
    # each leg has a thread of its own: where the operator's PARK comes in is nobody's promise
    customers = [t for t in told if t.startswith("C:")]
    assert customers == [
        *("C:BRIDGE", "C:HANGUP", "C:UNBRIDGE", "C:HANGUP_COMPLETE", "C:DESTROY"),
    ]
    assert told.count("A:PARK") == len(told) - len(customers) == 1
    bridge = story.event("CHANNEL_BRIDGE")
    assert bridge["Bridge-A-Unique-ID"] == story.uuid
    assert bridge["Bridge-B-Unique-ID"] == bridge["Other-Leg-Unique-ID"] == story.operator
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["variable_sip_hangup_disposition"] == "recv_bye"
    assert end["variable_sip_term_status"] == "200"
    parked = [e for e in story.events if e.get("Unique-ID") == story.operator][-1]
    assert parked["Answer-State"] == "answered"


def test_the_operators_leg_dies_and_takes_the_customer_with_it(source: Live | None) -> None:
    if source is None:
        story = recorded("agent-hangup-during-call")
    else:
        story = bridged(source)
        source.link.api(f"uuid_kill {story.operator}")
        source.finish(story)
        source.link.wait("CHANNEL_DESTROY", value=story.operator)
    told = story.both()
    told = told[told.index("C:BRIDGE") :]
    own = [t for t in told if t.startswith("C:")]
    assert own == ["C:BRIDGE", "C:UNBRIDGE", "C:HANGUP", "C:HANGUP_COMPLETE", "C:DESTROY"]
    # Its report may come before, between or after the customer's end: seven of eight came late.
    assert told.index("A:HANGUP") < told.index("C:UNBRIDGE") < told.index("C:HANGUP")
    assert told.index("A:HANGUP") < told.index("A:HANGUP_COMPLETE")


def test_with_park_after_bridge_the_customer_is_kept(source: Live | None) -> None:
    if source is None:
        story = recorded("agent-hangup-customer-kept")
    else:
        story = bridged(source, park_after_bridge="true", hangup_after_bridge="false")
        source.link.api(f"uuid_kill {story.operator}")
        source.link.wait("CHANNEL_DESTROY", value=story.operator)
        source.link.wait("CHANNEL_UNBRIDGE", value=story.uuid)
        assert source.link.api(f"uuid_exists {story.uuid}") == "true"
        source.finish(story, kill=True)
    order = story.order()
    assert order[order.index("BRIDGE") :] == [
        *("BRIDGE", "UNBRIDGE", "PARK", "HANGUP", "UNPARK", "HANGUP_COMPLETE", "DESTROY"),
    ]


def test_a_second_bridge_to_a_busy_operator_says_OK_and_kills_the_first_call(live: Live) -> None:
    first = bridged(live)
    second = live.dial("fax")
    live.link.wait("CHANNEL_PARK", value=second.uuid)
    assert live.link.api(f"uuid_bridge {second.uuid} {first.operator}") == f"+OK {first.operator}\n"
    live.link.wait("CHANNEL_BRIDGE", value=second.uuid)
    live.finish(first)
    assert live.link.api(f"uuid_exists {second.uuid}") == "true"


def test_two_that_are_joined_and_joined_again_stay_in_their_call(live: Live) -> None:
    story, far = live.dial("fax"), live.dial("answers")
    for leg in (story.uuid, far.uuid):
        live.link.wait("CHANNEL_PARK", value=leg)
    for _ in range(2):
        before = len(live.link.events)
        assert live.link.api(f"uuid_bridge {story.uuid} {far.uuid}") == f"+OK {far.uuid}\n"
        del live.link.events[:before]
        live.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    assert story.order() == ["UNBRIDGE", "BRIDGE"]
    assert live.link.api(f"uuid_exists {far.uuid}") == "true"
    live.link.api(f"uuid_kill {far.uuid}")
    live.link.wait("CHANNEL_DESTROY", value=story.uuid)


def test_bridging_a_ringing_leg_says_OK_and_never_joins(live: Live) -> None:
    leg = live.operator()
    story = live.dial("rings", originate_timeout="600")
    live.link.wait("CHANNEL_PROGRESS", value=story.uuid)
    assert live.link.api(f"uuid_bridge {story.uuid} {leg}") == f"+OK {leg}\n"
    while not any(story.uuid in (e.get("Job-Command-Arg") or "") for e in live.link.events):
        live.link.wait("BACKGROUND_JOB", header="Job-UUID", value=live.link.job("status"))
    # The leg is left in limbo; one time in ten the real switch has ended it by now.
    assert story.job == "-ERR ORIGINATOR_CANCEL"
    assert "BRIDGE" not in story.order()


def held_and_resumed(live: Live) -> Story:
    story = bridged(live)
    before = len(live.link.events)
    music = "silence_stream://-1" if live.real else "local_stream://default"
    assert live.link.api(f"uuid_transfer {story.uuid} endless_playback:{music} inline") == "+OK\n"
    live.link.wait("PLAYBACK_START", value=story.uuid)
    live.link.wait("CHANNEL_UNBRIDGE", value=story.uuid)
    live.link.api(f"uuid_bridge {story.uuid} {story.operator}")
    del live.link.events[:before]
    live.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    return story


def test_hold_is_a_transfer_to_music_and_ends_with_a_bridge(source: Live | None) -> None:
    if source is None:
        story = recorded("hold-by-moh-transfer")
        story.operator = story.event("CHANNEL_BRIDGE")["Bridge-B-Unique-ID"]
    else:
        story = held_and_resumed(source)
    # Each leg has its own thread in the switch: only what one leg tells has an order.
    assert story.order() == ["UNBRIDGE", "PLAYBACK_START", "PLAYBACK_STOP", "BRIDGE"]
    assert story.order(of=story.operator) == ["PARK", "UNPARK"]
    assert story.both()[-1] == "C:BRIDGE"


def test_an_inline_chain_plays_and_hangs_up(source: Live | None) -> None:
    if source is None:
        story, cause = recorded("predictive-overflow"), "NORMAL_CLEARING"
    else:
        story, cause = source.dial("fax"), "USER_BUSY"
        source.link.wait("CHANNEL_PARK", value=story.uuid)
        sound = "silence_stream://200" if source.real else "guidance"
        source.link.api(f"uuid_transfer {story.uuid} 'playback:{sound},hangup:{cause}' inline")
        source.finish(story)
    assert story.order()[-6:] == [
        *("UNPARK", "PLAYBACK_START", "PLAYBACK_STOP", "HANGUP", "HANGUP_COMPLETE", "DESTROY"),
    ]
    assert story.event("CHANNEL_HANGUP_COMPLETE")["Hangup-Cause"] == cause


def test_recording_tells_its_length(source: Live | None) -> None:
    if source is None:
        story = recorded("recording-start-stop")
    else:
        story = source.dial("fax", RECORD_STEREO="true")
        source.link.wait("CHANNEL_PARK", value=story.uuid)
        path = f"{source.recordings}/contract/{story.uuid}.wav"
        assert source.link.api(f"uuid_record {story.uuid} start {path}") == "+OK Success\n"
        source.link.wait("RECORD_START", value=story.uuid)
        assert source.link.api(f"uuid_record {story.uuid} stop {path}") == "+OK Success\n"
        reply = source.link.api(f"uuid_record {story.uuid} stop {path}")
        assert reply == "-ERR Cannot stop record session!\n"
        source.finish(story, kill=True)
    started, stopped = story.event("RECORD_START"), story.event("RECORD_STOP")
    assert started["Record-File-Path"] == stopped["Record-File-Path"]
    assert "Record-Completion-Cause" in stopped
    assert int(stopped["variable_record_ms"]) >= 0
    assert stopped["variable_calltree_call_id"] == "4711"
    order = story.order()
    assert order.index("RECORD_STOP") < order.index("HANGUP_COMPLETE")


def test_sched_hangup_ends_a_leg_and_sched_del_takes_it_back(live: Live) -> None:
    story = live.dial("fax")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    assert live.link.api(f"sched_hangup +900 {story.uuid} NO_ANSWER") == "+OK\n"
    assert live.link.api(f"sched_del {story.uuid}") == "+OK Deleted: 1\n"
    assert live.link.api(f"sched_hangup +2 {story.uuid} NO_ANSWER") == "+OK\n"
    live.finish(story)
    assert story.event("CHANNEL_HANGUP_COMPLETE")["Hangup-Cause"] == "NO_ANSWER"


def test_park_timeout_releases_a_leg_that_nobody_joins(live: Live) -> None:
    story = live.dial("fax", park_timeout="2")
    live.finish(story)
    assert "PARK" in story.order()


def test_a_free_variable_is_kept_and_shown(live: Live) -> None:
    story = live.dial("fax")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    free = "a,b 'c {d} | 山田"
    assert live.link.api(f"uuid_setvar {story.uuid} calltree_note {free}") == "+OK\n"
    assert live.link.api(f"uuid_getvar {story.uuid} calltree_note") == free
    assert '"variable_calltree_note":' in live.link.api(f"uuid_dump {story.uuid} json")
    live.finish(story, kill=True)
    assert story.event("CHANNEL_HANGUP_COMPLETE")["variable_calltree_note"] == free


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("'a' 'b", "a 'b"),
        ("a  b", "a  b"),
        (r"it\'s", "it's"),
        (r"a\nb", "a\nb"),
        (r"a\\b", r"a\b"),
        ('"x"', '"x"'),
    ],
)
def test_quotes_and_backslashes_of_a_variable_are_eaten(live: Live, sent: str, kept: str) -> None:
    leg = live.operator()
    live.link.api(f"uuid_setvar {leg} calltree_note {sent}")
    assert live.link.api(f"uuid_getvar {leg} calltree_note") == kept


TONE = "tone_stream://L=-1;%(1000,2000,400,16)"


def ringback_until_joined(live: Live) -> Story:
    leg = live.operator()
    assert live.link.api(f"uuid_broadcast {leg} {TONE} aleg") == "+OK Message sent\n"
    live.link.wait("PLAYBACK_START", value=leg)
    story = live.dial("fax")
    story.operator = leg
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    live.link.api(f"uuid_bridge {story.uuid} {leg}")
    live.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    return story


def test_ringback_to_a_parked_operator_ends_with_the_bridge(source: Live | None) -> None:
    if source is None:
        story = recorded("manual-dial-180-ringback")
    else:
        story = ringback_until_joined(source)
    own = [e for e in story.events if e.get("Unique-ID") == story.operator]
    assert {e["Playback-File-Path"] for e in own if e.name.startswith("PLAYBACK_")} == {TONE}
    told = story.both()
    assert told.index("A:PLAYBACK_STOP") < told.index("A:UNPARK") < told.index("C:BRIDGE")


def test_uuid_break_ends_what_is_played(live: Live) -> None:
    leg = live.operator()
    live.link.api(f"uuid_broadcast {leg} silence_stream://-1 aleg")
    live.link.wait("PLAYBACK_START", value=leg)
    assert live.link.api(f"uuid_break {leg} all") == "+OK\n"
    live.link.wait("PLAYBACK_STOP", value=leg)


def test_sched_transfer_moves_a_leg_when_its_second_comes(live: Live) -> None:
    story = live.dial("fax")
    live.link.wait("CHANNEL_PARK", value=story.uuid)
    assert live.link.api(f"sched_transfer +2 {story.uuid} hangup:USER_BUSY inline") == "+OK\n"
    live.finish(story)
    assert story.event("CHANNEL_HANGUP_COMPLETE")["Hangup-Cause"] == "USER_BUSY"


def test_digits_mute_and_hold_are_acknowledged(live: Live) -> None:
    story = bridged(live)
    leg = story.operator
    assert live.link.api(f"uuid_send_dtmf {story.uuid} 12#") == f"+OK {story.uuid} sent DTMF 12#.\n"
    assert live.link.api(f"uuid_audio {leg} start read mute -1") == "+OK\n"
    assert live.link.api(f"uuid_audio {leg} stop") == "+OK\n"
    assert live.link.api(f"uuid_hold {leg}") == "+OK Success\n"
    live.link.wait("CHANNEL_HOLD", value=leg)
    assert live.link.api(f"uuid_hold {leg}") == "-ERR Operation failed\n"
    assert live.link.api(f"uuid_hold off {leg}") == "+OK Success\n"
    live.link.wait("CHANNEL_UNHOLD", value=leg)


def test_a_leg_joined_with_another_operator_frees_the_first(live: Live) -> None:
    story = bridged(live)
    second = live.operator()
    before = len(live.link.events)
    assert live.link.api(f"uuid_bridge {story.uuid} {second}") == f"+OK {second}\n"
    del live.link.events[:before]
    bridge = live.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    assert bridge["Bridge-B-Unique-ID"] == second
    assert story.both()[:2] == ["A:PARK", "C:UNBRIDGE"]
