"""R-CL-12 on its page: tabs, assigning, and rows that read 作業済み until reload."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from calltree.db import Store
from calltree.models import CustomerList, Role, Task
from calltree.services import tasks
from tests import factories as make
from tests.browser import Browser
from tests.factories import NOW
from tests.services.desks import Desk, furnish

pytestmark = pytest.mark.one_database


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def desk(app: Flask, store: Store) -> Desk:
    return furnish(store)


def add(desk: Desk, hours: int | None, user_id: int | None = None) -> int:
    """A task due in so many hours, フリー with None."""
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        task = Task(
            customer_id=make.make_customer(session, folder, short_note="夕方が良い").id,
            list_id=folder.id,
            user_id=user_id,
            due_at=None if hours is None else NOW + timedelta(hours=hours),
            opened_at=NOW,
        )
        session.add(task)
        session.flush()
        return task.id


def rows(op: Browser, tab: str) -> list[str]:
    return [str(row["id"]) for row in op.get(f"/operator/tasks/?tab={tab}").all("tbody tr")]


def test_R_CL_12_each_tab_has_its_tasks_and_the_badge_counts_the_overdue(
    op: Browser, desk: Desk
) -> None:
    past, future, free = add(desk, -1), add(desk, 2), add(desk, None)
    assert rows(op, "past") == [f"task-{past}"]
    assert rows(op, "future") == [f"task-{future}"]
    assert rows(op, "free") == [f"task-{free}"]
    page = op.get("/operator/tasks/")
    assert page.one("#badge-tasks-index").get_text(strip=True) == "1"
    assert "夕方が良い" in str(page.one("tbody tr")["title"])


def test_R_CL_12_a_done_row_reads_done_until_reload(op: Browser, desk: Desk) -> None:
    task_id, other = add(desk, -1), add(desk, -2)
    page = op.get("/operator/tasks/")
    asked = page.one("#tasks-shown")
    shown = "&".join(f"task={field['value']}" for field in asked.find_all("input"))
    assert op.part(f"{asked['hx-get']}?{shown}").all("hx-partial") == []
    desk.change(Task, task_id, done_at=NOW)
    told = op.part(f"{asked['hx-get']}?{shown}")
    assert told.one("hx-partial")["hx-target"] == f"#task-{task_id} .actions"
    assert "作業済み" in told.text
    assert rows(op, "past") == [f"task-{other}"]


def test_R_CL_12_a_tab_that_does_not_show_all_says_so(op: Browser, desk: Desk) -> None:
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        people = [make.make_customer(session, folder) for _ in range(tasks.MOST_SHOWN)]
        session.add_all(
            Task(customer_id=one.id, list_id=folder.id, due_at=NOW, opened_at=NOW) for one in people
        )
    page = op.get("/operator/tasks/")
    assert len(page.all("tbody tr")) == tasks.MOST_SHOWN
    assert "先頭の" not in page.text
    add(desk, -1)
    page = op.get("/operator/tasks/")
    assert len(page.all("tbody tr")) == tasks.MOST_SHOWN
    assert "201件のうち先頭の200件" in page.text


def test_R_CL_12_only_managers_assign(op: Browser, desk: Desk, app: Flask) -> None:
    task_id = add(desk, -1)
    given = {"task": str(task_id), "user_id": str(desk.user_id), "tab": "past"}
    op.post("/operator/tasks/assign", given, status=403)
    with desk.store.write() as session:
        boss = make.make_user(session, Role.SUPERVISOR)
    supervisor = Browser(app)
    supervisor.sign_in_as(boss)
    supervisor.post("/operator/tasks/assign", given)
    assert desk.get(Task, task_id).user_id == desk.user_id


def test_R_CL_12_back_yard_sees_its_tasks_and_cannot_dial(desk: Desk, app: Flask) -> None:
    with desk.store.write() as session:
        clerk = make.make_user(session, Role.BACKYARD)
        make.grant(session, session.get_one(CustomerList, desk.list_id), clerk)
    add(desk, -1)
    browser = Browser(app)
    browser.sign_in_as(clerk)
    page = browser.get("/operator/tasks/")
    assert len(page.all("tbody tr")) == 1
    assert page.all("tbody form[action*=call]") == []


def test_R_CL_12_a_reminder_is_drawn_when_due_and_closed_by_its_press(
    op: Browser, desk: Desk
) -> None:
    task_id = add(desk, -1)
    add(desk, 2)
    page = op.get("/operator/tasks/")
    assert "hidden" in page.one("#task-reminder").attrs
    assert page.one("#task-reminder")["data-user"] == str(desk.user_id), "what is told is theirs"
    drawn = op.part("/operator/tasks/reminder")
    assert str(drawn.one("[data-due]")["data-due"]).startswith(f"{task_id}@")
    assert "再コールの時間です" in drawn.text
    closed = op.press("/operator/tasks/reminder/close", {"task": str(task_id)})
    assert "hidden" in closed.one("#task-reminder").attrs
    assert op.part("/operator/tasks/reminder").all("[data-due]") == []


def test_R_CL_12_a_task_is_rescheduled_from_its_row(op: Browser, desk: Desk) -> None:
    task_id = add(desk, -1, desk.user_id)
    page = op.get("/operator/tasks/")
    local = page.one("tbody input[type=datetime-local]")
    assert local["value"] == "2026-11-24T09:00"
    op.submit("tbody form[action*=reschedule]", due_at="2026-11-25T15:30")
    assert rows(op, "future") == [f"task-{task_id}"]
    assert "2026/11/25(水) 15:30" in op.get("/operator/tasks/?tab=future").text
    given = {"task": str(task_id), "due_at": "2026-11-01T10:00"}
    op.post("/operator/tasks/reschedule", given, status=409)
    op.post("/operator/tasks/reschedule", given | {"due_at": "tomorrow"}, status=409)


def test_R_CL_12_whose_tasks_are_shown_is_chosen(op: Browser, desk: Desk) -> None:
    mine, anyones = add(desk, -1, desk.user_id), add(desk, -2)
    page = op.get(f"/operator/tasks/?who={desk.user_id}")
    assert [row["id"] for row in page.all("tbody tr")] == [f"task-{mine}"]
    page = op.get("/operator/tasks/?who=nobody")
    assert [row["id"] for row in page.all("tbody tr")] == [f"task-{anyones}"]
    assert len(op.get("/operator/tasks/?who=x").all("tbody tr")) == 2


def test_R_CL_12_the_overdue_view_is_the_supervisors(op: Browser, desk: Desk, app: Flask) -> None:
    add(desk, -3, desk.user_id)
    op.get("/operator/tasks/overdue", status=403)
    with desk.store.write() as session:
        boss = make.make_user(session, Role.SUPERVISOR)
    browser = Browser(app)
    browser.sign_in_as(boss)
    page = browser.get("/operator/tasks/overdue")
    assert "3:00:" in page.one("tbody tr").get_text()
    listed = browser.get(page.one("tbody a")["href"])
    assert len(listed.all("tbody tr")) == 1
    desk.change(Task, 1, done_at=NOW)
    assert "期限を過ぎた対応タスクはありません" in browser.get("/operator/tasks/overdue").text
