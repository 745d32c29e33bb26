"""R-LS-2: whose list is taken away in mid-work finishes the open customer, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import delete

from calltree.models import BuiltIn, CustomerList, Draft, ListGrant
from tests import factories as make
from tests.browser import Browser
from tests.factories import NOW
from tests.pages.conftest import PAGE
from tests.services.desks import Desk

pytestmark = pytest.mark.one_database

CALL = "/operator/call"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW + timedelta(minutes=1), tick=True) as traveller:
        yield traveller


WAYS = ("disabled", "not granted")


def take_away(desk: Desk, way: str) -> None:
    """Take the open customer's list away."""
    if way == "disabled":
        desk.change(CustomerList, desk.list_id, enabled=False)
        return
    with desk.store.write() as session:
        session.execute(delete(ListGrant).where(ListGrant.list_id == desk.list_id))


@pytest.fixture(params=WAYS)
def taken(request: pytest.FixtureRequest, desk: Desk) -> Desk:
    take_away(desk, request.param)
    return desk


def test_R_LS_2_what_is_typed_about_the_open_customer_is_kept(op: Browser, taken: Desk) -> None:
    op.press(f"{CALL}/draft/{taken.customer_id}", {"memo": "途中"}, status=204, headers=PAGE)
    assert [draft.memo for draft in taken.rows(Draft)] == ["途中"]
    note = f"{CALL}/short-note/{taken.customer_id}"
    op.press(note, {"short_note": "午後に連絡"}, status=204, headers=PAGE)
    assert taken.customer().short_note == "午後に連絡"


def test_R_LS_2_the_side_panes_of_the_open_customer_go_on(op: Browser, taken: Desk) -> None:
    numbers = f"{CALL}/side/numbers/{taken.customer_id}"
    op.press(numbers, {"number": "090-1234-5678", "label": "携帯"}, headers=PAGE)
    assert "090-1234-5678" in op.part(numbers).text
    columns = f"{CALL}/side/customer/{taken.customer_id}"
    assert op.part(columns).one("form")
    op.press(columns, {"short_note": "受付が変わった"}, headers=PAGE)
    assert taken.customer().short_note == "受付が変わった"


@pytest.mark.parametrize("way", WAYS)
def test_R_LS_2_the_result_is_saved_and_then_the_customer_is_out_of_reach(
    op: Browser, desk: Desk, way: str
) -> None:
    desk.calls()
    take_away(desk, way)
    given = {"action": "save", "status": str(desk.status_id(BuiltIn.PROSPECT)), "memo": "完了"}
    op.post(f"{CALL}/save", given, status=303, headers=PAGE)
    op.post(f"{CALL}/ready", headers=PAGE)  # which leaves the customer
    for path in ("draft", "short-note", "side/numbers", "side/customer"):
        op.press(f"{CALL}/{path}/{desk.customer_id}", {"memo": "a"}, status=404, headers=PAGE)


def test_R_LS_2_a_colleague_who_has_not_opened_the_customer_reaches_nothing(
    op: Browser, taken: Desk
) -> None:
    with taken.store.write() as session:
        user = make.make_user(session)
        make.make_operator(session, user)
        second = make.make_customer(session, session.get_one(CustomerList, taken.list_id))
    other = Browser(op.app)
    other.sign_in_as(user)
    for browser, customer_id in ((other, taken.customer_id), (op, second.id)):
        path = f"{CALL}/draft/{customer_id}"
        browser.press(path, {"memo": "a"}, status=404)
    assert taken.rows(Draft) == []
