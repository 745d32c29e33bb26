"""What a call that ended unanswered says on the operator's page (R-CL-10)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from calltree.models import Attempt
from calltree.telephony import endings
from calltree.telephony.events import HungUp
from tests.browser import Browser
from tests.factories import NOW
from tests.pages.conftest import PAGE
from tests.services.desks import Desk

pytestmark = pytest.mark.one_database


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    """The factories' Tuesday morning."""
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False) as traveller:
        yield traveller


@pytest.mark.parametrize(
    ("cause", "sip", "says"),
    [
        ("USER_BUSY", "486", "話中でした"),
        ("NO_ANSWER", "", "応答がありませんでした"),
        ("NO_USER_RESPONSE", "480", "電波の届かない場所か"),
        ("CALL_REJECTED", "603", "着信を拒否されました"),
        ("UNALLOCATED_NUMBER", "404", "現在使われていない番号です"),
        ("GATEWAY_DOWN", "", "通信事業者との回線が切れています。管理者に連絡"),
        ("NORMAL_TEMPORARY_FAILURE", "503", "回線の都合でつながりませんでした"),
    ],
)
def test_R_CL_10_each_end_of_a_call_has_its_sentence(
    op: Browser, desk: Desk, cause: str, sip: str, says: str
) -> None:
    op.press("/operator/call/dial", {"press_id": str(uuid.uuid4())}, headers=PAGE)
    (attempt,) = desk.rows(Attempt)
    now = NOW + timedelta(minutes=1)
    event = HungUp(
        core_uuid="core",
        sequence=1,
        at=now,
        unique_id=attempt.uuid,
        attempt_id=attempt.id,
        site_id=None,
        user_id=None,
        direction="outbound",
        context="",
        caller_number="",
        destination_number="",
        other_unique_id="",
        answered=False,
        cause=cause,
        sip_status=sip,
        q850="",
        disposition="recv_refuse",
        bill_ms=0,
        answered_at=None,
        record_ms=None,
    )
    with desk.store.write() as session:
        endings.hung_up(session, session.get_one(Attempt, attempt.id), event, now=now)
    assert says in op.get("/operator/call/").one(".call-says").get_text()
