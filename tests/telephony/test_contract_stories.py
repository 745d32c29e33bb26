"""Longer stories of a call that an operator makes, as recorded, practised and real."""

from __future__ import annotations

import uuid

import pytest

from calltree.telephony.esl import SUBSCRIPTION
from calltree.telephony.wire import Event
from tests.telephony.contract import Live, Story, bridged, recorded
from tests.telephony.scripted import events_of

ENDED = ["HANGUP", "UNBRIDGE", "HANGUP_COMPLETE", "DESTROY"]
RECORDING = {"RECORD_START", "RECORD_STOP", "MEDIA_BUG_START", "MEDIA_BUG_STOP"}


def heard_early(source: Live) -> Story:
    """Ringing comes as sound, is heard by the operator, and is answered; then we hang up."""
    operator = source.operator()
    story, answers = source.dial_early()
    story.operator = operator
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    source.link.api(f"uuid_bridge {story.uuid} {operator}")
    source.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    answers()
    source.link.wait("CHANNEL_ANSWER", value=story.uuid)
    return source.finish(story, kill=True)


def test_a_customer_heard_before_the_answer_answers_while_joined(source: Live | None) -> None:
    story = recorded("manual-dial-early-media") if source is None else heard_early(source)
    order = story.order()
    assert order[order.index("PROGRESS_MEDIA") :] == [
        *("PROGRESS_MEDIA", "PARK", "UNPARK", "BRIDGE", "ANSWER", *ENDED),
    ]
    assert story.job == f"+OK {story.uuid}"
    joined, answered = story.event("CHANNEL_BRIDGE"), story.event("CHANNEL_ANSWER")
    assert (joined["Answer-State"], answered["Answer-State"]) == ("early", "answered")
    assert joined["Caller-Channel-Answered-Time"] == "0"
    assert int(answered["Caller-Channel-Answered-Time"]) > 0
    assert story.order(of=story.operator)[-2:] == ["UNPARK", "PARK"]


def answered_early(source: Live) -> Story:
    story, answers = source.dial_early()
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    answers()
    source.link.wait("CHANNEL_ANSWER", value=story.uuid)
    return source.finish(story, kill=True)


def test_a_parked_leg_is_answered_without_being_parked_again(source: Live | None) -> None:
    story = recorded("early-ring-then-answer") if source is None else answered_early(source)
    order = story.order()
    # the real one was seen to tell UNPARK a moment before the HANGUP, and after it
    assert order.index("ANSWER") < order.index("UNPARK") < order.index("HANGUP_COMPLETE")
    assert [n for n in order[order.index("PROGRESS_MEDIA") :] if n != "UNPARK"] == [
        *("PROGRESS_MEDIA", "PARK", "ANSWER", "HANGUP", "HANGUP_COMPLETE", "DESTROY"),
    ]
    assert story.event("CHANNEL_PARK")["Answer-State"] == "early"


def announced(source: Live) -> Story:
    """The operator hears the announcement, recorded, that no such number is in use."""
    operator = source.operator()
    story = source.dial("early 404", RECORD_STEREO="true")
    story.operator = operator
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    path = f"{source.recordings}/contract/{story.uuid}.wav"
    assert source.link.api(f"uuid_record {story.uuid} start {path}") == "+OK Success\n"
    source.link.api(f"uuid_bridge {story.uuid} {operator}")
    source.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    source.finish(story)
    assert source.link.api(f"uuid_exists {operator}") == "true"
    return story


def test_an_announcement_is_heard_and_recorded_and_the_operator_stays(
    source: Live | None,
) -> None:
    story = recorded("manual-dial-early-media-404") if source is None else announced(source)
    order = story.order()
    assert [name for name in order if name not in RECORDING][-6:] == ["UNPARK", "BRIDGE", *ENDED]
    assert order.index("BRIDGE") < order.index("RECORD_STOP") < order.index("HANGUP_COMPLETE")
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert (end["Hangup-Cause"], end["variable_sip_term_status"]) == ("UNALLOCATED_NUMBER", "404")
    assert end["Caller-Channel-Answered-Time"] == "0"
    assert int(end["variable_record_ms"]) > 0


def cut_off(source: Live) -> Story:
    """Recorded from the answer on, joined, and ended by us."""
    path = f"{source.recordings}/contract/{uuid.uuid4()}.wav"
    story = bridged(source, RECORD_STEREO="true", execute_on_answer=f"'record_session {path}'")
    return source.finish(story, kill=True)


def test_a_recording_begun_by_the_answer_ends_with_the_call_we_end(source: Live | None) -> None:
    story = recorded("agent-bridge-app-hangup") if source is None else cut_off(source)
    order = story.order()
    assert order.index("ANSWER") < order.index("RECORD_START") < order.index("BRIDGE")
    assert [name for name in order if name not in RECORDING][-5:] == ["BRIDGE", *ENDED]
    assert order.index("HANGUP") < order.index("RECORD_STOP") < order.index("HANGUP_COMPLETE")
    assert story.order(of=story.operator)[-2:] == ["UNPARK", "PARK"]
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["variable_sip_hangup_disposition"] == "send_bye"
    assert int(end["variable_record_ms"]) > 0


def left(source: Live) -> Story:
    story = source.dial("leaves" if source.real else "answers")
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    if not source.real:  # in its hurry it might leave before it is parked
        source.link.api(f"practice leave {story.uuid}")
    return source.finish(story)


def test_a_customer_leaves_whom_nobody_was_joined_with(source: Live | None) -> None:
    story = recorded("answered-customer-hangup") if source is None else left(source)
    assert story.order()[3:] == [
        *("PROGRESS", "ANSWER", "PARK", "HANGUP", "UNPARK", "HANGUP_COMPLETE", "DESTROY"),
    ]
    end = story.event("CHANNEL_HANGUP_COMPLETE")
    assert end["variable_sip_hangup_disposition"] == "recv_bye"
    assert end["variable_sip_term_status"] == "200"


def called_off(source: Live) -> Story:
    """We end it while it rings and the operator hears our own ringing tone."""
    operator = source.operator()
    story = source.dial("rings", originate_timeout="600")
    story.operator = operator
    source.link.wait("CHANNEL_PROGRESS", value=story.uuid)
    tone = "tone_stream://L=-1;%(1000,2000,400,16)"
    assert source.link.api(f"uuid_broadcast {operator} {tone} aleg") == "+OK Message sent\n"
    source.link.wait("PLAYBACK_START", value=operator)
    source.finish(story, kill=True)
    before = source.link.events[:]
    source.link.events.clear()
    assert source.link.api(f"uuid_break {operator} all") == "+OK\n"
    source.link.wait("PLAYBACK_STOP", value=operator)
    source.link.events[:0] = before
    return story


def test_our_ringing_tone_outlives_the_call_until_it_is_stopped(source: Live | None) -> None:
    story = recorded("manual-dial-180-cancel") if source is None else called_off(source)
    assert story.job == "-ERR NORMAL_CLEARING"
    assert story.order()[3:] == ["PROGRESS", "HANGUP", "HANGUP_COMPLETE", "DESTROY"]
    told = story.both()
    assert told.index("C:HANGUP_COMPLETE") < told.index("A:PLAYBACK_STOP")


def held_and_sent_tones(source: Live) -> Story:
    story = bridged(source)
    leg = story.operator
    story.replies = [f"+OK {leg}\n"]
    for command in (f"uuid_hold {leg}", f"uuid_hold off {leg}"):
        story.replies.append(source.link.api(command))
        source.link.wait(f"CHANNEL_{'UNHOLD' if 'off' in command else 'HOLD'}", value=leg)
    story.replies.append(source.link.api(f"uuid_send_dtmf {story.uuid} 12#"))
    return story


def test_hold_and_digits_are_acknowledged_and_only_hold_is_told(source: Live | None) -> None:
    story = recorded("hold-unhold-dtmf") if source is None else held_and_sent_tones(source)
    assert story.replies[:4] == [
        f"+OK {story.operator}\n",
        "+OK Success\n",
        "+OK Success\n",
        f"+OK {story.uuid} sent DTMF 12#.\n",
    ]
    operators = story.order(of=story.operator)
    assert [name for name in operators if name in ("HOLD", "UNHOLD")] == ["HOLD", "UNHOLD"]
    assert "DTMF" not in story.order(), "what we send is not told"


def everything(source: Live) -> list[Event]:
    """All that a link hears that asked for all, of one call parked and ended."""
    source.link.send("event plain ALL")
    story = source.dial("answers")
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    source.finish(story, kill=True)
    return [e for e in source.link.events if e.get("Unique-ID") == story.uuid]


def test_among_all_events_ours_stand_in_the_same_order(source: Live | None) -> None:
    heard = events_of("answered-all-events") if source is None else everything(source)
    wanted = set(SUBSCRIPTION.split()) - {"BACKGROUND_JOB", "HEARTBEAT"}
    ours = [e for e in heard if e.name in wanted]
    assert [e.name.removeprefix("CHANNEL_") for e in ours] == [
        *("CREATE", "PROGRESS", "ANSWER", "EXECUTE", "PARK", "HANGUP_COMPLETE", "DESTROY"),
    ]
    executed = next(e for e in ours if e.name == "CHANNEL_EXECUTE")
    assert executed["Application"] == "park"
    over = next(e for e in heard if e.name == "CHANNEL_EXECUTE_COMPLETE")
    assert over["Application"] == "park"
    assert heard.index(ours[4]) < heard.index(over) < heard.index(ours[5])


REFUSED = {
    "nosuchcmd x": "-ERR nosuchcmd Command not found!",
    "originate nosuch/1 &park": "-ERR CHAN_NOT_IMPLEMENTED",
    "originate": "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>]"
    " [<context>] [<cid_name>] [<cid_num>] [<timeout_sec>]",
    "originate {a=b sofia/gateway/carrier/1 &park": "-ERR DESTINATION_OUT_OF_ORDER",
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_job_that_cannot_be_done_says_why(source: Live | None, command: str) -> None:
    if source is None:
        jobs = events_of("background-job-err")
        name, _, argument = command.partition(" ")
        job = next(
            e
            for e in jobs
            if (e.get("Job-Command"), e.get("Job-Command-Arg") or "") == (name, argument)
        )
    else:
        job = source.link.wait("BACKGROUND_JOB", header="Job-UUID", value=source.link.job(command))
    assert job.body.decode().strip() == REFUSED[command]


def doubled(source: Live) -> Story:
    """Originated twice under one id."""
    story = source.dial("fax")
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    job = source.link.job(
        f"originate {{origination_uuid={story.uuid}}}sofia/gateway/{source.gateway}"
        f"/{source.number('fax')} &park"
    )
    source.link.wait("BACKGROUND_JOB", header="Job-UUID", value=job)
    return source.finish(story, kill=True)


def twice() -> Story:
    story = recorded("background-job-err")
    answered = next(e for e in story.events if e.name == "CHANNEL_ANSWER")
    return Story(answered["Unique-ID"], story.events)


def test_an_id_that_is_in_use_dials_nobody(source: Live | None) -> None:
    story = twice() if source is None else doubled(source)
    asked = [
        e.body.decode().strip()
        for e in story.events
        if e.name == "BACKGROUND_JOB" and story.uuid in (e.get("Job-Command-Arg") or "")
    ]
    assert asked == [f"+OK {story.uuid}", "-ERR DESTINATION_OUT_OF_ORDER"]
    assert story.order() == [
        *("OUTGOING", "CREATE", "ORIGINATE", "ANSWER", "PARK"),
        *("HANGUP", "UNPARK", "HANGUP_COMPLETE", "DESTROY"),
    ]
