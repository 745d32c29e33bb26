"""手動発信 on its page (R-CL-13)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask

from calltree.models import Attempt, Customer, Role, User
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW
from tests.pages.conftest import PAGE
from tests.services.desks import Desk

pytestmark = pytest.mark.one_database

ROOM = "/operator/manual/"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def press(op: Browser, number: str, **given: str) -> Answer:
    form = {"press_id": str(uuid.uuid4()), "number": number} | given
    return op.press(f"{ROOM}dial", form, headers=PAGE)


def begin(op: Browser) -> Answer:
    op.get(ROOM)
    op.post(f"{ROOM}sit-down", headers=PAGE)
    return op.get(ROOM)


def test_R_CL_13_the_pad_types_and_call_dials_the_typed_number(op: Browser, desk: Desk) -> None:
    assert "顧客を閉じて手動発信を始める" in op.get(ROOM).text
    page = begin(op)
    assert desk.operator().customer_id is None
    assert len(page.all("[data-types]")) == 13
    assert page.one("#call-now")["hx-post"] == f"{ROOM}dial"
    assert page.one("#manual-number")["form"] == "call-now"
    page.one(str(page.one("[data-key='Shift+X']")["hx-target"]))  # 転送 opens below the call
    box = press(op, "090-1234-0001")
    assert "09012340001" in box.html or "090-1234-0001" in box.text
    (attempt,) = desk.rows(Attempt)
    assert (attempt.origin, attempt.verdict) == ("manual", "allowed")
    assert op.get("/operator/", status=303).location == "/operator/call/"
    assert op.get("/operator/call/", status=303).location == ROOM


def test_R_CL_13_what_the_gate_says_stands_in_the_box(op: Browser, desk: Desk) -> None:
    begin(op)
    assert "この番号には発信できません" in press(op, "110").text
    assert (
        "電話番号を入力してください"
        in op.press(f"{ROOM}dial", {"number": ""}, headers=PAGE, status=409).text
    )


def test_R_CL_15_a_question_is_answered_for_the_number_it_was_about(
    op: Browser, desk: Desk
) -> None:
    begin(op)
    press(op, "090-1234-0001")
    (attempt,) = desk.rows(Attempt)
    desk.leaves(attempt)
    desk.ends(attempt)
    asked = press(op, "090-1234-0001")
    assert "もう一度" in asked.text
    question = str(asked.one("input[name=asked_number]")["value"])
    assert question == "09012340001"
    press(op, "090-1234-0002", asked_number=question)
    press(op, "090-1234-0001", asked_number=question)
    verdicts = [row.verdict for row in desk.rows(Attempt)]
    assert verdicts == ["allowed", "ask_gap", "allowed", "in_a_call"]


def test_R_CL_13_its_calls_are_listed_with_memo_and_searched(op: Browser, desk: Desk) -> None:
    begin(op)
    press(op, "090-1234-0001")
    (attempt,) = desk.rows(Attempt)
    desk.leaves(attempt)
    record = desk.ends(attempt, talk_ms=65000)
    row = op.get(ROOM).one("#manual-rows tbody tr")
    assert "090-1234-0001" in row.get_text()
    assert "1:05" in row.get_text()
    op.get(f"{ROOM}{record.id}")
    op.submit(memo="明日10時に折り返し")
    assert "明日10時に折り返し" in op.get(ROOM).text
    desk.change(Customer, desk.customer_id, number="09012340001")
    shown = op.get(f"/customers/{desk.customer_id}")
    assert "手動発信 1件" in shown.text
    assert len(op.get(f"{ROOM}?number=09012340001").all("#manual-rows tbody tr")) == 1
    assert op.get(f"{ROOM}?number=0312345678").all("#manual-rows tbody tr") == []
    op.get(f"{ROOM}999", status=404)


def test_R_CL_13_a_customers_number_says_so_and_leads_there(op: Browser, desk: Desk) -> None:
    begin(op)
    number = desk.rows(Customer)[0].number
    page = f"/customers/{desk.customer_id}"
    whose = op.get(f"{ROOM}whose?number={number[:3]}-{number[3:]}")
    assert "顧客の電話番号です" in whose.text
    assert whose.one("a")["href"] == page
    for unknown in ("", "03", "0312349999", "' OR 1"):
        assert op.get(f"{ROOM}whose?number={unknown}").all("a") == []
    press(op, "090-1234-0001")
    (attempt,) = desk.rows(Attempt)
    desk.leaves(attempt)
    desk.ends(attempt, talk_ms=65000)
    assert op.get(ROOM).all("#manual-rows tbody a[hx-get]") == []
    desk.change(Customer, desk.customer_id, number="09012340001")
    assert op.get(ROOM).one("#manual-rows tbody a[hx-get]")["href"] == page


def test_R_US_5_who_may_not_dial_by_hand_has_no_page(desk: Desk, app: Flask, op: Browser) -> None:
    desk.change(User, desk.user_id, may_dial_manually=False)
    op.get(ROOM, status=403)
    with desk.store.write() as session:
        clerk = make.make_user(session, Role.BACKYARD)
    browser = Browser(app)
    browser.sign_in_as(clerk)
    browser.get(ROOM, status=403)
