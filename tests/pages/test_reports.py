"""報告履歴: what a client is shown, and what leaves of it (R-HS-4, 5)."""

import io

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import select

from calltree.db import Store
from calltree.models import (
    ProjectRecipient,
    RecordingState,
    Role,
)
from tests.factories import (
    make_user,
)
from tests.pages.history_floor import Floor, plays, report, rows_of, shown, sound

pytestmark = pytest.mark.one_database


@pytest.fixture
def floor(store: Store, app: Flask) -> Floor:
    return Floor(store)


def test_R_HS_5_by_default_nobody_is_reported_anything(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.client)
    assert browser.get("/", status=303).location == "/reports/"
    page = browser.get("/reports/")
    assert shown(page) == []
    assert "報告はまだありません" in page.text
    browser.get(f"/reports/{floor.call.id}", status=404)


def test_R_HS_5_a_client_sees_reported_records_and_their_customers_only(
    floor: Floor, browser_of
) -> None:
    report(floor)
    browser = browser_of(floor.client)
    assert shown(browser.get("/reports/")) == [floor.call.id]
    page = browser.get(f"/reports/{floor.call.id}")
    assert "03-1234-5678" in page.text
    assert floor.customer.cells[0] in page.text
    assert not page.all("main form")
    browser.get(f"/reports/{floor.entry.id}", status=404)
    browser.get("/history/", status=403)
    browser.get(f"/history/{floor.call.id}", status=403)
    browser.post(f"/history/{floor.call.id}", {"status": floor.no_answer}, status=403)


def test_R_HS_5_a_client_of_another_project_sees_nothing(
    floor: Floor, store: Store, browser_of
) -> None:
    report(floor)
    with store.write() as session:
        stranger = make_user(session, Role.BUSINESS)
    assert shown(browser_of(stranger).get("/reports/")) == []


def test_R_HS_5_removal_takes_effect_on_the_next_request(floor: Floor, browser_of) -> None:
    report(floor)
    browser = browser_of(floor.client)
    assert shown(browser.get("/reports/")) == [floor.call.id]
    with floor.store.write() as session:
        session.delete(session.get_one(ProjectRecipient, (floor.project.id, floor.client.id)))
    assert shown(browser.get("/reports/")) == []
    browser.get(f"/reports/{floor.call.id}", status=404)


def test_R_HS_5_recordings_are_shown_to_clients_if_the_project_lets_them(
    floor: Floor, browser_of
) -> None:
    sound(floor, floor.call, RecordingState.STORED)
    report(floor)
    browser = browser_of(floor.client)
    assert plays(browser.get("/reports/")) == []
    with floor.store.write() as session:
        session.get_one(type(floor.project), floor.project.id).reports_recordings = True
    assert len(plays(browser.get("/reports/"))) == 1


@pytest.mark.parametrize("form", ["utf-8-bom", "xlsx"])
def test_R_HS_4_reported_records_leave_by_themselves(floor: Floor, browser_of, form: str) -> None:
    report(floor)
    browser = browser_of(floor.supervisor)
    page = browser.get("/reports/")
    browser.get(str(page.one("a[href*='exports/records']")["href"]))
    chosen = {"encoding": form, "column": ["履歴ID", "電話番号", "結果"]}
    answer = browser.post("/admin/exports/records?reported=1&span=all", chosen, status=200)
    if form == "xlsx":
        sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).active
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
        assert answer.headers["Content-Disposition"].endswith(".xlsx")
    else:
        rows = rows_of(answer)
    assert rows == [
        ["履歴ID", "電話番号", "結果"],
        [str(floor.call.id), "03-1234-5678", "見込"],
    ]
    browser_of(floor.client).post("/admin/exports/records?reported=1", chosen, status=403)


def test_R_HS_5_a_manager_sets_what_is_reported_to_whom(floor: Floor, browser_of) -> None:
    path = f"/reports/settings/{floor.project.id}"
    manager, client = browser_of(floor.manager), browser_of(floor.client)
    assert "報告機能設定" in manager.get("/reports/").text
    page = manager.get(path)
    assert not page.all("input[checked]")
    assert [box["value"] for box in page.all("input[name=user]")] == [str(floor.client.id)]
    wanted = {
        "enabled": "1",
        "status": [floor.prospect, 99999],
        "user": [floor.client.id, floor.operator.id],
        "recordings": "1",
    }
    helper = browser_of(floor.supervisor)
    assert not helper.get(path).all("main form button.primary")
    helper.post(path, wanted, status=403)
    client.get(path, status=403)
    assert shown(client.get("/reports/")) == []
    manager.post(path, wanted)
    assert shown(client.get("/reports/")) == [floor.call.id]
    with floor.store.read() as session:
        named = session.scalars(select(ProjectRecipient.user_id)).all()
        project = session.get_one(type(floor.project), floor.project.id)
        assert named == [floor.client.id], "only business users"
        assert project.reported_status_ids == [floor.prospect]
        assert project.reports_recordings
    manager.post(path, {**wanted, "enabled": ""})
    assert shown(client.get("/reports/")) == []
    manager.get("/reports/settings/99999", status=404)
