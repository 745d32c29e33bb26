"""Contracts over recorded traffic: which events come, in which order, with which fields."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.telephony import events
from calltree.telephony.events import InvalidEvent, SwitchEvent, read
from calltree.telephony.wire import Event
from tests.telephony.scripted import events_of

E = TypeVar("E", bound=SwitchEvent)


def heard(name: str) -> list[SwitchEvent]:
    return [event for raw in events_of(name) if (event := read(raw)) is not None]


def order(name: str) -> list[str]:
    return [type(event).__name__ for event in heard(name)]


def only(name: str, kind: type[E]) -> E:
    (event,) = [event for event in heard(name) if isinstance(event, kind)]
    return event


def test_an_answered_call_comes_in_this_order() -> None:
    wanted = [
        "ChannelCreated",
        "Progress",
        "Answered",
        "JobDone",
        "Parked",
        "HungUp",
        "Destroyed",
    ]
    assert order("answered") == wanted
    assert order("answered-json") == wanted


def test_a_busy_number_comes_in_this_order() -> None:
    assert order("busy") == ["ChannelCreated", "HungUp", "JobDone", "Destroyed"]


def test_an_announcement_says_ok_and_parks_before_it_ends_in_404() -> None:
    assert order("early-media-404") == [
        "ChannelCreated",
        "EarlyMedia",
        "JobDone",
        "Parked",
        "HungUp",
        "Destroyed",
    ]
    assert only("early-media-404", events.JobDone).ok
    assert not only("early-media-404", events.Parked).answered


def test_a_dead_gateway_gives_no_hangup_only_destroy_and_the_job() -> None:
    destroyed, job = heard("gateway-down")
    assert isinstance(destroyed, events.Destroyed)
    assert (destroyed.attempt_id, destroyed.destination_number) == (None, "")
    assert isinstance(job, events.JobDone)
    assert (job.ok, job.text, job.command) == (False, "GATEWAY_DOWN", "originate")


def test_a_bridged_call_gives_the_operators_leg_back_to_park() -> None:
    name = "agent-bridge-customer-hangup"
    assert order(name) == [
        "ChannelCreated",
        "Progress",
        "Answered",
        "RecordStarted",
        "JobDone",
        "Parked",
        "Bridged",
        "Parked",
        "Unbridged",
        "RecordStopped",
        "HungUp",
        "Destroyed",
    ]
    bridged = only(name, events.Bridged)
    customer_parked, operator_parked = (e for e in heard(name) if isinstance(e, events.Parked))
    assert bridged.unique_id == customer_parked.unique_id  # the first argument of uuid_bridge
    assert bridged.peer_id == operator_parked.unique_id
    assert (operator_parked.user_id, operator_parked.context) == (1, "agents")
    assert operator_parked.direction == "inbound"


def test_the_end_of_an_answered_call_has_all_its_figures() -> None:
    hung_up = only("answered", events.HungUp)
    assert hung_up.cause == "NORMAL_CLEARING"
    assert (hung_up.sip_status, hung_up.q850) == ("", "16")  # we hung up: no SIP answer ended it
    assert hung_up.disposition == "send_bye"
    assert hung_up.bill_ms == 2000
    assert hung_up.answered_at == datetime(2026, 11, 22, 16, 10, 14, 602546, tzinfo=UTC)
    assert hung_up.answered
    assert hung_up.record_ms is None


def test_the_end_of_a_busy_call_says_who_refused_it() -> None:
    hung_up = only("busy", events.HungUp)
    assert (hung_up.cause, hung_up.sip_status, hung_up.q850) == ("USER_BUSY", "486", "17")
    assert hung_up.disposition == "recv_refuse"
    assert (hung_up.bill_ms, hung_up.answered_at, hung_up.answered) == (0, None, False)
    assert (hung_up.caller_number, hung_up.destination_number) == ("0501112222", "0312345671")


def test_the_customers_own_hangup_is_told_apart() -> None:
    assert only("agent-bridge-customer-hangup", events.HungUp).disposition == "recv_bye"


def test_a_recording_has_one_start_and_one_stop_with_its_length() -> None:
    started = only("agent-bridge-customer-hangup", events.RecordStarted)
    stopped = only("agent-bridge-customer-hangup", events.RecordStopped)
    assert started.path == stopped.path
    assert stopped.record_ms == 960


def test_an_events_id_is_core_and_sequence_and_never_repeats() -> None:
    every = heard("agent-bridge-customer-hangup")
    assert every[0].event_id == f"{every[0].core_uuid}:{every[0].sequence}"
    assert len({event.event_id for event in every}) == len(every)
    assert [event.sequence for event in every] == sorted(event.sequence for event in every)


def test_a_moment_is_aware_and_exact_to_the_microsecond() -> None:
    created = only("busy", events.ChannelCreated)
    assert created.at.tzinfo is UTC
    assert created.at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=int(events_of("busy")[1]["Event-Date-Timestamp"])
    )


def raw(name: str, **headers: str) -> Event:
    basic = {
        "Event-Name": name,
        "Core-UUID": "core",
        "Event-Sequence": "7",
        "Event-Date-Timestamp": "1795363814602546",
        "Unique-ID": "leg",
    }
    return Event({**basic, **{key.replace("__", "-"): value for key, value in headers.items()}})


def test_our_own_variables_are_read() -> None:
    event = read(
        raw(
            "CHANNEL_ANSWER",
            variable_calltree_attempt="4711",
            variable_calltree_site="k3f9",
            variable_calltree_user_id="7",
        )
    )
    assert isinstance(event, events.Answered)
    assert (event.attempt_id, event.site_id, event.user_id) == (4711, "k3f9", 7)


def test_our_ping_comes_back_as_a_ping() -> None:
    event = read(raw("CUSTOM", Event__Subclass="calltree::ping", Calltree__Ping="token"))
    assert isinstance(event, events.Ping)
    assert event.token == "token"


def test_a_gateways_state_is_told() -> None:
    event = read(
        raw(
            "CUSTOM",
            Event__Subclass="sofia::gateway_state",
            Gateway="carrier",
            State="NOREG",
            Ping__Status="DOWN",
        )
    )
    assert isinstance(event, events.GatewayState)
    assert (event.gateway, event.state, event.ping_status) == ("carrier", "NOREG", "DOWN")


def test_a_telephone_comes_and_goes() -> None:
    came = read(
        raw("CUSTOM", Event__Subclass="sofia::register", username="1001", calltree_user_id="1")
    )
    gone = read(raw("CUSTOM", Event__Subclass="sofia::expire", user="1001"))
    assert isinstance(came, events.Registration)
    assert isinstance(gone, events.Registration)
    assert (came.user, came.registered, came.user_id) == ("1001", True, 1)
    assert (gone.user, gone.registered) == ("1001", False)


def test_a_heartbeat_and_an_application_are_read() -> None:
    beat = read(raw("HEARTBEAT", Session__Count="3"))
    assert isinstance(beat, events.Heartbeat)
    assert beat.sessions == 3
    executed = read(raw("CHANNEL_EXECUTE", Application="sleep", Application__Data="400"))
    assert isinstance(executed, events.Executed)
    assert (executed.application, executed.data) == ("sleep", "400")


@pytest.mark.parametrize("name", ["CHANNEL_STATE", "RE_SCHEDULE", ""])
def test_an_event_that_nobody_asked_for_is_nothing(name: str) -> None:
    assert read(raw(name)) is None
    assert read(raw("CUSTOM", Event__Subclass=name)) is None


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("CHANNEL_ANSWER", "Unique-ID"),
        ("CHANNEL_ANSWER", "Core-UUID"),
        ("CHANNEL_ANSWER", "Event-Sequence"),
        ("CHANNEL_ANSWER", "Event-Date-Timestamp"),
        ("CHANNEL_BRIDGE", "Bridge-B-Unique-ID"),
        ("CHANNEL_HANGUP_COMPLETE", "Hangup-Cause"),
        ("RECORD_START", "Record-File-Path"),
        ("BACKGROUND_JOB", "Job-UUID"),
    ],
)
def test_an_event_without_what_it_must_have_is_invalid(name: str, missing: str) -> None:
    with pytest.raises(InvalidEvent, match=f"{name}: no {missing}"):
        read(raw(name, **{missing.replace("-", "__"): ""}))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Event-Sequence", "seven"),
        ("Event-Sequence", "-1"),
        ("Event-Date-Timestamp", "9" * 18),
        ("Event-Date-Timestamp", "0"),
        ("variable_calltree_attempt", "4711; DROP"),
        ("variable_calltree_attempt", "٣"),
        ("Caller-Channel-Answered-Time", "soon"),
    ],
)
def test_a_field_of_the_wrong_form_is_invalid_and_stays_out_of_the_log(
    header: str, value: str
) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read(raw("CHANNEL_ANSWER", **{header.replace("-", "__"): value}))
    assert value not in str(caught.value)


@given(
    st.sampled_from(sorted(events._READERS)),
    st.dictionaries(
        st.sampled_from(sorted({k for e in events_of("answered") for k, _ in e.items()})),
        st.text(max_size=25),
    ),
)
def test_any_event_is_read_or_invalid_and_nothing_else(name: str, headers: dict[str, str]) -> None:
    basic = {"Event-Name": "CUSTOM" if "::" in name else name, "Event-Subclass": name}
    with contextlib.suppress(InvalidEvent):
        read(Event({**basic, **headers, "Event-Name": basic["Event-Name"]}))
