"""One event that is heard in several sessions at once counts once, on both databases."""

from calltree.db import Store
from calltree.models import Attempt, AttemptEvent, CallRecord, CallState, SystemResult
from calltree.telephony import events, ledger
from tests.factories import NOW
from tests.services.desks import furnish
from tests.services.racing import by_threads

AT_ONCE = 6


def hang_up_of(attempt: Attempt, cause: str) -> events.HungUp:
    return events.HungUp(
        core_uuid="core", sequence=7, at=NOW, unique_id=attempt.uuid, attempt_id=attempt.id,
        site_id=None, user_id=attempt.user_id, direction="outbound", context="",
        caller_number="", destination_number="", answered=False, other_unique_id=None,
        cause=cause, sip_status="", q850="38", disposition="", bill_ms=0, answered_at=None,
        record_ms=None,
    )  # fmt: skip


def hears(store: Store, event: events.HungUp) -> None:
    with store.write() as session:
        ledger.hear(session, event, node="practice", epoch=1, now=NOW)


def test_R_CL_6_an_event_that_comes_many_times_at_once_counts_once(
    store: Store, database_url: str
) -> None:
    desk = furnish(store)
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
