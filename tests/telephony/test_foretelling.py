"""What a page is told of a call ahead of the ledger."""

import threading

from calltree.telephony import events
from calltree.telephony.events import read
from calltree.telephony.foretelling import Foretelling, hint
from calltree.telephony.wire import Event

LEG = "5b1b0f0e-0000-4000-8000-000000000001"


def heard(name: str, *, pressed_by: str = "7", **headers: str) -> events.SwitchEvent:
    basic = {
        "Event-Name": name,
        "Core-UUID": "core",
        "Event-Sequence": "7",
        "Event-Date-Timestamp": "1795363814602546",
        "Unique-ID": LEG,
        "variable_calltree_for": pressed_by,
    }
    event = read(Event({**basic, **{key.replace("__", "-"): v for key, v in headers.items()}}))
    assert event is not None
    return event


def test_each_step_of_a_call_is_told_to_whoever_pressed() -> None:
    steps = {
        "CHANNEL_PROGRESS": "ringing",
        "CHANNEL_PROGRESS_MEDIA": "early",
        "CHANNEL_ANSWER": "answered",
    }
    for name, state in steps.items():
        told = hint(heard(name))
        assert told is not None
        assert (told.topic, told.ids["user_id"], told.ids["uuid"]) == ("foretold", 7, LEG)
        assert told.ids["state"] == state
        assert told.ids["at"] == "2026-11-22T16:10:14.602546+00:00"


def test_joined_is_talking_only_once_the_customer_has_answered() -> None:
    early = heard("CHANNEL_BRIDGE", Other_Leg_Unique_ID="x", Bridge__B__Unique__ID="peer")
    assert hint(early) is None
    answered = heard(
        "CHANNEL_BRIDGE",
        Bridge__B__Unique__ID="peer",
        Caller__Channel__Answered__Time="1795363814602546",
    )
    told = hint(answered)
    assert told is not None
    assert told.ids["state"] == "talking"


def test_an_end_is_told_with_what_its_sentence_needs() -> None:
    told = hint(
        heard(
            "CHANNEL_HANGUP_COMPLETE",
            Hangup__Cause="USER_BUSY",
            variable_sip_term_status="486",
        )
    )
    assert told is not None
    assert (told.ids["state"], told.ids["cause"], told.ids["sip_status"]) == (
        "ended",
        "USER_BUSY",
        "486",
    )


def test_nobody_is_told_of_a_leg_that_no_press_dialled() -> None:
    assert hint(heard("CHANNEL_ANSWER", pressed_by="")) is None
    assert hint(heard("CHANNEL_PARK")) is None


def test_whoever_reads_the_events_never_waits_for_redis() -> None:
    over, publishing = threading.Event(), threading.Event()
    told: list[object] = []

    def publish(notices: list[object]) -> None:
        publishing.set()
        told.extend(notices)
        over.wait(60)  # as a Redis that does not answer

    foretelling = Foretelling(lambda: publish, over)
    thread = threading.Thread(target=foretelling.run)
    thread.start()
    event = heard("CHANNEL_ANSWER")
    foretelling.hear(event)
    assert publishing.wait(60)
    for _ in range(1000):
        foretelling.hear(event)  # it would hang here
    over.set()
    thread.join(60)
    assert not thread.is_alive()
    assert len(told) < 1000
