"""Progressive dialling on the call screen: every customer is dialled by itself (R-DL-1)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask

from calltree.db import Store
from calltree.models import Attempt, DiallingMode, Operator, OperatorState, Origin, Project
from tests.browser import Browser
from tests.factories import NOW
from tests.services.desks import Desk, furnish

PAGE = {"X-Page-Id": "aaaaaaaa-0000-4000-8000-000000000001"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    """The factories' Tuesday morning."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def desk(app: Flask, store: Store) -> Desk:
    """An operator with nothing open."""
    desk = furnish(store)
    desk.leave()
    page = {"page_id": PAGE["X-Page-Id"], "page_seen_at": NOW}
    desk.change(Operator, desk.user_id, state=OperatorState.AWAY, **page)
    return desk


def begin(desk: Desk, app: Flask, mode: DiallingMode, wait_s: int = 3) -> Browser:
    """コールデータ検索 over the whole list, and its first customer."""
    desk.change(Project, desk.project_id, mode=mode, auto_dial_delay_s=wait_s)
    op = Browser(app)
    op.sign_in_as(desk.user_id)
    op.get("/operator/", headers=PAGE)
    op.post(f"/operator/lists/{desk.list_id}", status=307, headers=PAGE)
    op.post("/operator/call/start", headers=PAGE)
    assert desk.operator().customer_id == desk.customer_id
    return op


def test_R_DL_1_progressive_dials_the_first_customer_too_after_the_wait(
    desk: Desk, app: Flask
) -> None:
    op = begin(desk, app, DiallingMode.PROGRESSIVE)
    until = desk.operator().dial_at
    assert until is not None
    assert (until - NOW).total_seconds() == 3
    page = op.get("/operator/call/")
    assert page.one("#call-now [data-fires-at]")  # call.js presses it at zero
    given = {"press_id": page.one("#call-now input[name='press_id']")["value"]}
    op.press("/operator/call/dial", given, headers=PAGE)
    [attempt] = desk.rows(Attempt)
    assert (attempt.origin, attempt.verdict) == (Origin.NEXT, "allowed")


def test_R_DL_1_progressive_can_be_stopped_while_it_waits(desk: Desk, app: Flask) -> None:
    op = begin(desk, app, DiallingMode.PROGRESSIVE)
    op.press("/operator/call/stop-countdown", headers=PAGE)
    assert desk.operator().dial_at is None
    assert desk.rows(Attempt) == []


def test_R_DL_1_preview_waits_for_call(desk: Desk, app: Flask) -> None:
    begin(desk, app, DiallingMode.PREVIEW)
    assert desk.operator().dial_at is None
