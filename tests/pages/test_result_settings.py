"""What a result's settings do: on the call screen, and to the records that have it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from calltree.db import Announcement
from calltree.models import CallRecord, Project, ResultPattern, ResultStatus, Role, Task
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW
from tests.pages.conftest import PAGE
from tests.services.desks import Desk

pytestmark = pytest.mark.one_database

LATER = "資料送付後"
MOMENT = "2026-11-25T10:30"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW + timedelta(minutes=1), tick=True) as traveller:
        yield traveller


@pytest.fixture
def later(desk: Desk) -> ResultStatus:
    """An own result of the open customer's project that asks for the callback time."""
    with desk.store.write() as session:
        project = session.get_one(Project, desk.project_id)
        pattern = session.get_one(ResultPattern, project.pattern_id)
        return make.make_status(session, pattern, LATER, asks_callback_time=True, connected=True)


@pytest.fixture
def manager(app: Flask, desk: Desk) -> Browser:
    with desk.store.write() as session:
        user = make.make_user(session, Role.MANAGER)
    browser = Browser(app)
    browser.sign_in_as(user)
    return browser


def save(op: Browser, status: ResultStatus, **given: str) -> Answer:
    form = {"action": "save", "status": str(status.id)} | given
    return op.post("/operator/call/save", form, status=(303, 422), headers=PAGE)


# --- R-ST-4: ask for the callback time


def test_R_ST_4_the_screen_marks_the_results_that_ask_for_the_callback_time(
    op: Browser, later: ResultStatus
) -> None:
    page = op.get("/operator/call/")
    asking = [tag["value"] for tag in page.all("#results [data-asks-time]")]
    assert asking == [str(later.id)]
    assert "再コール日時" in page.one("#task-form .asks-time").get_text()


def test_R_ST_4_saving_without_the_callback_time_is_asked_about_once(
    op: Browser, desk: Desk, later: ResultStatus
) -> None:
    record = desk.calls()
    asked = save(op, later)
    assert asked.status == 422
    assert asked.one('#call-errors input[name="confirmed"]')["value"] == "ask_callback_time"
    link = asked.one("#error-summary a")
    assert (link["href"], LATER in link.get_text()) == ("#callback", True)
    assert desk.get(CallRecord, record.id).status_id is None

    assert save(op, later, confirmed="ask_callback_time").status == 303
    assert desk.get(CallRecord, record.id).status_id == later.id
    assert save(op, later, memo="追記").status == 303, "it has been answered"


def test_R_ST_4_with_a_callback_time_nothing_is_asked_and_a_task_opens(
    op: Browser, desk: Desk, later: ResultStatus
) -> None:
    desk.calls()
    assert save(op, later, callback_at=MOMENT).status == 303
    (task,) = desk.rows(Task)
    assert task.due_at is not None
    assert f"{task.due_at:%Y-%m-%dT%H:%M}" == "2026-11-25T01:30"  # UTC


# --- R-ST-3: figures are recomputed, names follow


def change(manager: Browser, status: ResultStatus, **given: str) -> Answer:
    path = f"/admin/settings/results/patterns/{status.pattern_id}/statuses/{status.id}"
    manager.get(path)
    form = {"name": status.name, "asks_callback_time": "y", "colour": "", "key": ""} | given
    return manager.post(path, form, status=(303, 422))


def test_R_ST_3_figures_are_recomputed_only_after_a_second_press(
    op: Browser, desk: Desk, later: ResultStatus, manager: Browser
) -> None:
    desk.calls()
    save(op, later, callback_at=MOMENT)
    told: list[Announcement] = []
    desk.store.publisher = told.extend

    def jobs() -> list[str]:
        return [notice.ids["name"] for notice in told if "name" in notice.ids]

    asked = change(manager, later)  # "connected" is not ticked any more
    assert asked.status == 422
    said = asked.one("#error-summary").get_text()
    assert LATER in said
    assert "1件" in said
    assert desk.get(ResultStatus, later.id).connected
    assert jobs() == []

    mark = asked.one('form.form input[name="confirmed"]')["value"]
    assert change(manager, later, confirmed=mark).status == 303
    assert not desk.get(ResultStatus, later.id).connected
    assert jobs() == ["figures.restate"]


def test_R_ST_3_what_changes_no_figure_is_not_asked_about(
    op: Browser, desk: Desk, later: ResultStatus, manager: Browser
) -> None:
    desk.calls()
    save(op, later, callback_at=MOMENT)
    assert change(manager, later, connected="y", name="資料送付済み").status == 303


def test_R_ST_3_a_new_name_of_a_result_stands_in_history_and_its_picker(
    op: Browser, desk: Desk, later: ResultStatus, manager: Browser
) -> None:
    record = desk.calls()
    save(op, later, callback_at=MOMENT)
    change(manager, later, connected="y", name="資料送付済み")
    for path in ("/history/", f"/history/{record.id}"):
        page = manager.get(path)
        assert "資料送付済み" in page.text
        assert LATER not in page.text
    assert "資料送付済み" in op.get("/operator/call/").one("#history").get_text()
