"""管理画面 as it opens: what goes on, and today's figures as 集計 counts them (R-WT-1, R-WT-2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask_login import login_user

from bench._walk import statements
from calltree.blueprints import formats, panels
from calltree.blueprints.access import SignedIn
from calltree.db import Store
from calltree.models import (
    Attempt,
    CallState,
    Customer,
    CustomerList,
    LegState,
    Line,
    OperatorState,
    Origin,
    RecordKind,
    Role,
    Webhook,
)
from calltree.services import figures, tasks
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW

ROOM = "/admin/"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def customer(store: Store) -> Customer:
    """Four calls of today: アポ, 担当者不在, 不通, one received; and one of yesterday."""
    with store.write() as session:
        make.make_site(session, lines=2)
        project = make.make_project(session, target_conversions=4, weekdays=list(range(7)))
        customer = make.make_customer(session, make.make_list(session, project))
        user = make.make_user(session)
        pattern = make.get_pattern(session, project)
        sold = make.make_status(session, pattern, "成約", conversion=True, connected=True)
        away = make.make_status(session, pattern, "留守", connected=False)
        talked = make.make_status(session, pattern, "後日", connected=True)
        yesterday = NOW - timedelta(days=1)
        for status, kind, at in (
            (sold, RecordKind.OUTBOUND, NOW),
            (talked, RecordKind.PREDICTIVE, NOW),
            (away, RecordKind.OUTBOUND, NOW),
            (talked, RecordKind.INBOUND, NOW),
            (sold, RecordKind.OUTBOUND, yesterday),
        ):
            record = make.make_record(
                session, customer, status_id=status.id, user_id=user.id, kind=kind,
                started_at=at, site_day=at.date(), closed_at=at,
            )  # fmt: skip
            figures.settle(session, record=record, now=at)
    return customer


def tiles(page: Answer) -> dict[str, str]:
    return {
        tile.dt.get_text(strip=True): tile.strong.get_text(strip=True)
        for tile in page.all("#landing-today .tile")
    }


@pytest.mark.one_database
def test_what_is_overdue_is_counted_no_further_than_is_shown(
    store: Store, customer: Customer, browser_of, monkeypatch
) -> None:
    monkeypatch.setattr(tasks, "MOST_COUNTED", 3)
    monkeypatch.setattr(formats, "MOST_COUNTED", 3)
    with store.write() as session:
        manager = make.make_user(session, Role.MANAGER)
        folder = session.get_one(CustomerList, customer.list_id)
        for _ in range(2):
            late = make.make_customer(session, folder)
            make.make_task(session, late, due_at=NOW - timedelta(hours=1))
    browser: Browser = browser_of(manager)
    assert tiles(browser.get(ROOM))["期限を過ぎた再コール"] == "2"
    with store.write() as session:
        for _ in range(2):
            late = make.make_customer(session, session.get_one(CustomerList, customer.list_id))
            make.make_task(session, late, due_at=NOW - timedelta(hours=1))
        assert tasks.badge(session, viewer=make.viewer_of(manager), now=NOW) == 3
    assert tiles(browser.get(ROOM))["期限を過ぎた再コール"] == "2+"
    page = browser.get("/operator/")
    assert "2+" in page.one("main .badge.bad").text
    assert page.one("#badge-tasks-index").get_text(strip=True) == "2+"


def test_R_WT_2_todays_figures_are_those_of_the_summary_and_lead_to_their_records(
    store: Store, customer: Customer, browser_of
) -> None:
    with store.write() as session:
        late = session.get_one(Customer, customer.id)
        promised = make.make_customer(session, session.get_one(CustomerList, late.list_id))
        make.make_task(session, late, due_at=NOW - timedelta(hours=1))
        make.make_task(session, promised, due_at=NOW + timedelta(hours=1))
        manager = make.make_user(session, Role.MANAGER)
    browser: Browser = browser_of(manager)
    page = browser.get(ROOM)
    shown = tiles(page)
    assert shown == {
        "コール数": "3", "コネクト数": "2", "コネクト率": "66.7%", "CV": "1", "目標": "4",
        "達成率": "25.0%", "受電数": "1", "期限を過ぎた再コール": "1",
    }  # fmt: skip
    of_summary = {
        tile.dt.get_text(strip=True): tile.strong.get_text(strip=True)
        for tile in browser.get("/figures/").all("#today-figures .tile")
    }
    assert {name: of_summary[name] for name in shown if name in of_summary} == {
        name: value for name, value in shown.items() if name in of_summary
    }
    for name in ("コール数", "コネクト数", "CV", "受電数"):
        (link,) = [
            str(tile.a["href"])
            for tile in page.all("#landing-today .tile")
            if tile.dt.get_text(strip=True) == name
        ]
        assert len(browser.get(link).all("tr[data-record]")) == int(shown[name])
    assert all(tile["title"] for tile in page.all("#landing-today .tile"))
    assert "期限" in browser.get("/operator/tasks/overdue").text
    assert tiles(browser.part("/admin/today")) == shown


def test_R_WT_1_it_shows_who_talks_and_the_lines(
    store: Store, customer: Customer, browser_of
) -> None:
    with store.write() as session:
        talker = make.make_user(session)
        chief = make.make_user(session, Role.SUPERVISOR)
        calls = [
            Attempt(
                uuid=f"0f0e0d0c-0000-4000-8000-00000000000{n}", origin=Origin.CALL, node="main",
                user_id=talker.id if n == 0 else None, number=f"031234000{n}", verdict="allowed",
                state=CallState.TALKING, created_at=NOW, dialled_at=NOW, joined_at=NOW,
            )
            for n in range(2)
        ]  # fmt: skip
        session.add_all(calls)
        session.flush()
        make.make_operator(
            session, talker, state=OperatorState.TALKING, attempt_id=calls[0].id,
            leg_state=LegState.JOINED,
        )  # fmt: skip
        session.add(Line(attempt_id=calls[0].id, uuid=calls[0].uuid, taken_at=NOW))
    browser: Browser = browser_of(chief)
    page = browser.get(ROOM)
    assert "1 / 2" in page.one("#landing-floor").get_text()
    assert page.one("#landing-floor .watch-count.talking b").get_text() == "1"
    assert page.all("#landing-floor [role=alert]") == []
    with store.write() as session:
        session.add(Line(attempt_id=calls[1].id, uuid=calls[1].uuid, taken_at=NOW))
    part = browser.part("/admin/floor")
    assert "2 / 2" in part.text
    assert "すべての回線" in part.one("[role=alert]").get_text()


def test_R_WT_1_an_open_page_follows_for_those_who_may_watch(
    app: Flask, store: Store, customer: Customer
) -> None:
    with store.write() as session:
        people = {role: make.make_user(session, role) for role in Role}
    for role, user in people.items():
        with app.test_request_context("/live?page=landing"):
            login_user(SignedIn(make.viewer_of(user), user.session_version))
            page = panels.find("landing", make.viewer_of(user))
            sees = isinstance(page, panels.LandingPage)
            assert sees == (role in (Role.MANAGER, Role.SUPERVISOR))
            if sees:
                assert {"figures", "tasks", "lines", "operator"} <= page.heard
                with store.read() as session:
                    told = "".join(page.draw(session, {"figures"}, False))
                    assert "landing-today" in told
                    assert "landing-floor" not in told
                    assert "landing-floor" in "".join(page.draw(session, {"lines"}, False))


def test_the_page_asks_no_more_with_everything_wrong_at_once(
    store: Store, customer: Customer, browser_of
) -> None:
    with store.write() as session:
        manager = make.make_user(session, Role.MANAGER)
        session.add(
            Webhook(
                name="止まった先", url="https://example.jp/x", events=["call.ended"],
                secret_sealed="", enabled_at=NOW, created_at=NOW, created_by=manager.id,
                stopped_at=NOW,
            )
        )  # fmt: skip
    browser: Browser = browser_of(manager)
    browser.get(ROOM)
    with statements(store.engine) as asked:
        page = browser.get(ROOM)
    assert "止まった先" in page.text
    assert len(asked) <= 12, "\n".join(asked)
