"""Rules of the call screen that a page answers by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    BuiltIn,
    Customer,
    CustomerList,
    NumberDirection,
    Project,
    Role,
    Site,
    User,
    WorkQueue,
)
from calltree.services import do_not_call, lists, people, projects
from calltree.services.projects import ProjectDetails
from calltree.services.rights import Viewer
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW
from tests.pages.conftest import PAGE
from tests.services.desks import Desk, colleague

pytestmark = pytest.mark.one_database


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW + timedelta(minutes=1), tick=True) as traveller:
        yield traveller


def more(desk: Desk, count: int) -> list[Customer]:
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        return [make.make_customer(session, folder) for _ in range(count)]


def search(op: Browser, desk: Desk) -> None:
    """コールデータ検索 over the whole list; the open customer is its first."""
    op.post(f"/operator/lists/{desk.list_id}", status=307, headers=PAGE)
    (queue,) = desk.rows(WorkQueue)
    desk.change(WorkQueue, queue.id, cursor=1)


def save(op: Browser, desk: Desk, action: str) -> Answer:
    given = {"action": action, "status": str(desk.status_id(BuiltIn.PROSPECT))}
    return op.post("/operator/call/save", given, status=303, headers=PAGE)


def test_R_CL_1_those_passed_over_are_counted_by_reason_on_the_page(
    op: Browser, desk: Desk
) -> None:
    held, banned, free = more(desk, 3)
    search(op, desk)
    other = colleague(desk)
    with desk.store.write() as session:
        soon = NOW + timedelta(minutes=1)
        make.make_hold(session, held, other, renewed_at=soon, touched_at=soon)
        chief = Viewer.of(make.make_user(session, Role.MANAGER))
        do_not_call.add(session, viewer=chief, numbers=[banned.number], now=NOW)
    save(op, desk, "skip")
    assert desk.operator().customer_id == free.id
    said = op.get("/operator/call/").one("#call-queue").get_text()
    assert "2件スキップ" in said
    assert "架電禁止1" in said


def test_R_CL_5_with_no_free_line_the_next_customer_opens_and_nothing_is_dialled(
    op: Browser, desk: Desk
) -> None:
    more(desk, 2)
    search(op, desk)
    desk.calls()
    desk.change(Site, 1, lines=1)
    other = colleague(desk)
    with desk.store.write() as session:
        folder = make.make_list(session, session.get_one(Project, desk.project_id))
        make.grant(session, folder, session.get_one(User, other.id))
        elsewhere = make.make_customer(session, folder)
    desk.press(user_id=other.id, customer_id=elsewhere.id, number=elsewhere.number)
    before = len(desk.rows(Attempt))
    save(op, desk, "save_next")
    operator = desk.operator()
    assert operator.customer_id not in (None, desk.customer_id)
    assert operator.dial_at is None, "no count-down"
    assert len(desk.rows(Attempt)) == before
    assert "回線" in op.get("/operator/call/").one(".call-says").get_text()


def test_R_CL_3_hidden_columns_are_not_on_the_call_screen_and_large_ones_are_large(
    op: Browser, desk: Desk
) -> None:
    desk.change(CustomerList, desk.list_id, columns=["会社名", "住所", "内部コード"])
    desk.change(Customer, desk.customer_id, cells=["桜商店", "港区1", "X-99"])
    with desk.store.write() as session:
        chief = Viewer.of(make.make_user(session, Role.MANAGER))
        lists.set_shown(
            session, viewer=chief, list_id=desk.list_id, hidden=["内部コード"], large=["会社名"],
            order=["住所", "会社名", "内部コード"], now=NOW,
        )  # fmt: skip
    box = op.get("/operator/call/").one("#customer")
    assert "桜商店" in box.select_one(".large-value").get_text()
    assert "港区1" in [tag.get_text() for tag in box.select("dd")]
    assert "X-99" not in box.get_text()


def test_R_ST_2_the_button_of_no_answer_says_that_the_recording_is_not_kept(op: Browser) -> None:
    page = op.get("/operator/call/")
    label = page.one("#results label:has([data-loses-recording])")
    assert "不通" in label.get_text()
    assert label["title"] == "留守番電話・呼出のみ。録音は残りません"
    assert label["title"] in page.one("#results > .hint").get_text()


@pytest.mark.parametrize(("seconds", "accepted"), [(-1, False), (0, True), (5, True), (6, False)])
def test_R_CL_5_the_wait_before_dialling_is_one_second_and_may_be_0_to_5(
    store: Store, seconds: int, accepted: bool
) -> None:
    assert ProjectDetails(name="既定").auto_dial_delay_s == 1
    details = ProjectDetails(name="秋", auto_dial_delay_s=seconds)
    with store.write() as session:
        make.make_site(session)
        chief = Viewer.of(make.make_user(session, Role.MANAGER))
        if accepted:
            saved = projects.save(session, viewer=chief, project_id=None, details=details, now=NOW)
            assert saved.auto_dial_delay_s == seconds
            return
        with pytest.raises(Refused, match="auto_dial_range"):
            projects.save(session, viewer=chief, project_id=None, details=details, now=NOW)


def test_R_PJ_4_a_number_that_only_takes_calls_is_neither_offered_nor_dialled_from(
    op: Browser, desk: Desk
) -> None:
    with desk.store.write() as session:
        project = session.get_one(Project, desk.project_id)
        number = make.make_caller_number(session, label="受付", direction=NumberDirection.INBOUND)
        make.add_number(session, project, number)
        chief = Viewer.of(make.make_user(session, Role.MANAGER))
        details = ProjectDetails(name="冬", main_number_id=number.id)
    assert "受付" not in op.get("/operator/call/").one("#call-status").get_text()
    attempt = desk.press(caller_number_id=number.id)
    assert attempt.caller_number_id != number.id
    with desk.store.write() as session, pytest.raises(Refused, match="number_not_usable"):
        projects.save(session, viewer=chief, project_id=None, details=details, now=NOW)


def test_R_US_4_a_deleted_user_is_offered_by_no_picker_of_the_call_screen(
    op: Browser, desk: Desk
) -> None:
    gone = colleague(desk, name="退職した人")
    assert gone.name in op.get("/operator/call/").one("#task-user").get_text()
    with desk.store.write() as session:
        chief = Viewer.of(make.make_user(session, Role.MANAGER))
        people.remove(session, viewer=chief, user_id=gone.id, now=NOW)
    assert gone.name not in op.get("/operator/call/").one("#task-user").get_text()


def test_R_US_3_a_new_name_of_a_user_stands_in_history(op: Browser, desk: Desk) -> None:
    desk.calls()
    save(op, desk, "save")
    desk.change(User, desk.user_id, name="新しい名前")
    assert "新しい名前" in op.get("/operator/call/").one("#history").get_text()
