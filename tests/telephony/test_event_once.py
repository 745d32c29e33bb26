"""What is heard of a dial is written once, however often and in whichever order it comes."""

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.models import (
    Attempt,
    AttemptEvent,
    CallRecord,
    CallState,
    SwitchCommand,
    SystemResult,
)
from calltree.telephony import events, ledger
from calltree.telephony.serving import Desk as ServingDesk
from calltree.telephony.timings import Timings
from tests.factories import NOW
from tests.services.desks import Desk, furnish
from tests.services.racing import by_threads

AT_ONCE = 6


def told(kind: type, attempt: Attempt, sequence: int, **more: object) -> events.ChannelEvent:
    return kind(
        core_uuid="core", sequence=sequence, at=NOW, unique_id=attempt.uuid, attempt_id=attempt.id,
        site_id=None, user_id=attempt.user_id, direction="outbound", context="",
        caller_number="", destination_number="", answered=False, other_unique_id=None, **more,
    )  # fmt: skip


def hang_up_of(attempt: Attempt, cause: str) -> events.ChannelEvent:
    return told(
        events.HungUp, attempt, 7, cause=cause, sip_status="", q850="38", disposition="",
        bill_ms=0, answered_at=None, record_ms=None,
    )  # fmt: skip


def hears(store: Store, event: events.ChannelEvent) -> None:
    with store.write() as session:
        ledger.hear(session, event, node="practice", epoch=1, now=NOW)


@pytest.fixture
def desk(store: Store) -> Desk:
    return furnish(store)


@pytest.fixture
def taken(desk: Desk) -> Attempt:
    """A dial that is on its way to the switch."""
    attempt = desk.press()
    with desk.store.read() as session:
        command_id = session.scalars(select(SwitchCommand.id)).one()
    assert ServingDesk(desk.store, "test", Timings(), lambda: NOW)._take(command_id)
    return desk.get(Attempt, attempt.id)


def test_R_CL_6_the_record_of_a_dial_opens_with_its_channel(desk: Desk, taken: Attempt) -> None:
    assert (taken.state, desk.rows(CallRecord)) == (CallState.DIALLING, [])
    hears(desk.store, told(events.ChannelCreated, taken, 1))
    [record] = desk.rows(CallRecord)
    assert (record.attempt_id, record.system) == (taken.id, SystemResult.BLANK)
    hears(desk.store, told(events.Progress, taken, 2))
    assert len(desk.rows(CallRecord)) == 1
    assert desk.folder().dials == 1


@pytest.mark.parametrize("first", [events.Progress, events.EarlyMedia, events.Answered])
def test_R_CL_6_the_record_opens_though_the_channels_beginning_was_not_heard(
    desk: Desk, taken: Attempt, first: type
) -> None:
    hears(desk.store, told(first, taken, 2))
    assert [record.attempt_id for record in desk.rows(CallRecord)] == [taken.id]


def test_R_CL_6_a_dial_of_which_only_the_end_was_heard_has_its_record(
    desk: Desk, taken: Attempt
) -> None:
    hears(desk.store, hang_up_of(taken, "USER_BUSY"))
    assert [record.attempt_id for record in desk.rows(CallRecord)] == [taken.id]
    assert desk.folder().dials == 1


def test_R_CL_6_an_event_that_comes_many_times_at_once_counts_once(
    desk: Desk, database_url: str
) -> None:
    attempt = desk.press()
    desk.leaves(attempt)
    assert desk.folder().dials == 1
    event = hang_up_of(attempt, "NETWORK_OUT_OF_ORDER")
    by_threads(database_url, hears, [event] * AT_ONCE)
    assert desk.get(Attempt, attempt.id).state is CallState.FAILED
    assert len(desk.rows(AttemptEvent)) == 1
    # a line error takes the dial back from the figures: once, not six times
    assert desk.rows(CallRecord)[0].system is SystemResult.LINE_ERROR
    assert desk.folder().dials == 0
