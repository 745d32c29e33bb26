"""Whose page and whose customer it is: a second tab, a call that moves, a hold that ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text

from calltree.blueprints.page import COOKIE
from calltree.models import Attempt, CustomerHold, CustomerList, Operator, OperatorState
from calltree.services import holds, operators
from tests import factories as make
from tests.browser import Browser
from tests.factories import NOW
from tests.floor import wait_for
from tests.pages.conftest import PAGE
from tests.services.desks import Desk, colleague

OTHER = {"X-Page-Id": "bbbbbbbb-0000-4000-8000-000000000002"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    """The factories' Tuesday morning."""
    with time_machine.travel(NOW + timedelta(minutes=1), tick=True) as traveller:
        yield traveller


def test_R_CL_17_a_second_page_is_told_and_its_presses_are_refused(op: Browser, desk: Desk) -> None:
    op.press("/operator/call/renew", status=204, headers=PAGE)
    told = op.press("/operator/call/renew", status=409, headers=OTHER)
    assert told.headers["HX-Retarget"] == "#main"
    assert "別の画面で使用中" in told.text
    op.press("/operator/call/dial", {}, status=409, headers=OTHER)
    assert desk.rows(Attempt) == []


def test_R_CL_17_a_call_moves_in_one_browser_only(op: Browser, desk: Desk, app: Flask) -> None:
    op.press("/operator/call/renew", status=204, headers=PAGE)
    desk.press()
    elsewhere = Browser(app)
    elsewhere.sign_in_as(desk.user_id)
    refused = elsewhere.post("/operator/call/take-over", status=409, headers=OTHER)
    assert "別の端末で通話中" in refused.text
    op.post("/operator/call/take-over", headers=OTHER)
    assert desk.operator().page_id == OTHER["X-Page-Id"]


@pytest.mark.parametrize("given", ["a" * 36, "0" * 33, "aaaaaaaa-0000-4000-8000-000000000001"])
def test_R_CL_17_a_mark_that_is_not_ours_keeps_nobody_from_working(
    op: Browser, desk: Desk, given: str
) -> None:
    """Longer than its column, every press was refused with 400 on Postgres."""
    op.client.set_cookie(COOKIE, given)
    op.press("/operator/call/renew", status=204, headers=PAGE)
    made = op.client.get_cookie(COOKIE)
    assert made is not None
    assert made.value == desk.operator().page_machine != given
    op.press("/operator/call/renew", status=204, headers=PAGE)
    assert desk.operator().page_machine == made.value  # and keeps it


def test_R_CL_17_closing_the_page_makes_room_at_once(op: Browser, desk: Desk) -> None:
    op.press("/operator/call/renew", status=204, headers=PAGE)
    op.press("/operator/call/close", status=204, headers=PAGE)
    op.press("/operator/call/renew", status=204, headers=OTHER)


@pytest.mark.one_database
def test_R_CL_2_the_page_is_told_when_its_customer_was_taken_away(op: Browser, desk: Desk) -> None:
    op.press("/operator/call/renew", {"shows": "1"}, status=204, headers=PAGE)
    desk.leave()
    told = op.press("/operator/call/renew", {"shows": "1"}, status=409, headers=PAGE)
    assert "解放" in told.text


def test_R_CL_17_a_page_that_is_heard_of_while_its_result_is_saved_takes_nothing_from_it(
    op: Browser, desk: Desk
) -> None:
    desk.change(Operator, desk.user_id, state=OperatorState.WRAP_UP)
    store, answers = desk.store, queue.SimpleQueue[int | Exception]()

    def renew() -> None:
        try:
            answers.put(op.press("/operator/call/renew", status=204, headers=PAGE).status)
        except Exception as error:  # of whatever kind, it is the test's to tell
            answers.put(error)

    def waits() -> bool:
        if store.engine.dialect.name == "sqlite":  # has one writer, so there it waits anyhow
            return True
        mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        with store.engine.connect() as connection:
            return bool(connection.scalar(text(f"{mine} AND wait_event_type = 'Lock'")))

    page = threading.Thread(target=renew)
    with store.write() as session:  # as a save goes: the customer's hold, then the operator
        holds.touch(session, customer_id=desk.customer_id, user_id=desk.user_id, now=NOW)
        page.start()
        wait_for(waits, "the page waits for the hold")
        operators.result_saved(session, user_id=desk.user_id, now=NOW)
    page.join()
    assert answers.get() == 204


@pytest.mark.one_database
def test_R_CL_2_a_minute_before_an_untouched_customer_is_released_it_is_said(
    op: Browser, desk: Desk
) -> None:
    soon = NOW - timedelta(minutes=13, seconds=30)
    desk.change(CustomerHold, desk.customer_id, touched_at=soon)
    told = op.press("/operator/call/renew", {"shows": "1"}, headers=PAGE)
    assert told.headers["HX-Retarget"] == "#toasts"
    assert "秒" in told.text


@pytest.mark.one_database
def test_R_CL_2_opening_a_held_customer_says_who_has_it(op: Browser, desk: Desk) -> None:
    other = colleague(desk)
    with desk.store.write() as session:
        customer = make.make_customer(session, session.get_one(CustomerList, desk.list_id))
        make.make_hold(session, customer, other, renewed_at=NOW + timedelta(minutes=1))
    answer = op.post(f"/operator/call/open/{customer.id}", headers=PAGE)
    assert "佐藤花子さんが対応中です" in op.get(answer.location).text
