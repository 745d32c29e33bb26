"""The CSVs of コール履歴 and of a list (R-HS-4, R-US-7)."""

import pytest
from flask import Flask
from sqlalchemy import insert, select

from calltree.db import Store
from calltree.models import (
    AuditEntry,
    CallRecord,
    Project,
    Role,
)
from tests.browser import Browser
from tests.factories import make_customer, make_list, make_user
from tests.pages.history_floor import Floor, rows_of


@pytest.fixture
def floor(store: Store, app: Flask) -> Floor:
    return Floor(store)


def test_R_HS_4_the_export_per_record_follows_the_search(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    page = browser.get(f"/history/?user={floor.other.id}")
    link = next(a["href"] for a in page.all("a.button") if "/exports/" in a["href"])
    browser.get(link)
    answer = browser.submit("main form", status=200)
    assert [row[0] for row in rows_of(answer)[1:]] == [str(floor.entry.id)]
    assert "filename*=UTF-8''" in answer.headers["Content-Disposition"]


def test_R_HS_4_the_export_per_list_and_the_choice_of_columns(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    path = f"/admin/exports/customers?list_id={floor.folder.id}"
    browser.get(path)
    answer = browser.post(path, {"column": ["電話番号", "最終結果", "会社名"]}, status=200)
    assert rows_of(answer) == [
        ["電話番号", "会社名", "最終結果"],
        ["03-1234-5678", floor.customer.cells[0], "不通"],
    ]
    whole = f"/admin/exports/customers?project_id={floor.project.id}&number=999"
    assert len(rows_of(browser.post(whole, status=200))) == 1


@pytest.mark.one_database
def test_R_HS_4_a_condition_inside_one_project_is_asked_on_the_page(
    floor: Floor, browser_of
) -> None:
    with floor.store.write() as session:
        second = make_list(session, session.get_one(Project, floor.project.id), columns=["業種"])
        asked_for = make_customer(session, second, cells=["建設"], number="0355550001")
        make_customer(session, second, cells=["小売"], number="0355550002")
    browser = browser_of(floor.manager)
    listed = browser.get(f"/admin/lists/?project={floor.project.id}")
    browser.get(str(listed.soup.find("a", string="顧客をCSV出力")["href"]))
    column = browser.page.soup.find("label", string="業種")["for"]
    name = str(browser.page.one(f"#{column}")["name"])
    page = browser.submit("main form[role=search]", status=200, **{name: "建設"})
    assert page.one(f"#{column}")["value"] == "建設"
    answer = browser.submit("main form[data-download]", status=200)
    assert [row[0] for row in rows_of(answer)[1:]] == [str(asked_for.id)]


@pytest.mark.one_database
def test_R_HS_4_cp932_counts_what_it_cannot_write_and_tells_the_manager(
    floor: Floor, browser_of
) -> None:
    with floor.store.write() as session:
        floor.record(session, memo="𠮷野家 😀")
    browser = browser_of(floor.manager)
    answer = browser.post("/admin/exports/records", {"encoding": "cp932"}, status=200)
    assert "〓野家 〓" in answer.data.decode("cp932")
    recent = browser.get("/admin/exports/recent")
    assert [td.text for td in recent.all("tbody tr:first-child td")][2:] == ["完了", "3", "2"]


def test_R_US_7_an_export_is_audited_from_start_to_end(floor: Floor, browser_of) -> None:
    path = f"/admin/exports/customers?list_id={floor.folder.id}"
    assert browser_of(floor.supervisor).post(path, status=200).data
    with floor.store.read() as session:
        lines = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(line.action, line.user_id) for line in lines] == [
        ("export.started", floor.supervisor.id),
        ("export.finished", floor.supervisor.id),
    ]
    assert lines[0].detail["list_id"] == floor.folder.id


@pytest.mark.one_database
def test_R_US_7_the_audit_log_keeps_an_exports_search_without_peoples_data(
    floor: Floor, browser_of
) -> None:
    browser = browser_of(floor.manager)
    secret = (
        "number=03-1234-5678&i.1=山田太郎&c.会社名=桜商店&q=suzuki&level=髙橋&status=0312345678"
    )
    chosen = f"from=2026-11-01&user={floor.operator.id}&status=blank&dials_min=2"
    browser.post(f"/admin/exports/records?span=all&{secret}&{chosen}", status=200)
    browser.post(
        f"/admin/exports/customers?list_id={floor.folder.id}&{secret}&{chosen}", status=200
    )
    with floor.store.read() as session:
        lines = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert lines[0].detail["search"] == (
        f"span=all&from=2026-11-01&user={floor.operator.id}&number=…5678"
        "&status=…&status=blank&level=…&i=…"
    )
    assert f"user={floor.operator.id}" in lines[2].detail["search"]
    assert "dials_min=2" in lines[2].detail["search"]
    for line in lines:
        for word in ("1234", "山田", "桜商店", "会社名", "suzuki", "髙橋", "03123"):
            assert word not in str(line.detail), line.detail


def test_R_US_7_an_export_that_the_browser_leaves_is_noted_as_broken_off(
    floor: Floor, browser_of
) -> None:
    browser: Browser = browser_of(floor.manager)
    with floor.store.write() as session:
        floor.record(session)
        one = session.scalars(select(CallRecord).order_by(CallRecord.id.desc()).limit(1)).one()
        columns = {c.key: getattr(one, c.key) for c in CallRecord.__table__.columns}
        columns = {key: value for key, value in columns.items() if key != "id"}
        session.execute(insert(CallRecord), [columns] * 2000)
    token = browser.csrf_token()
    response = browser.client.post(
        "/admin/exports/records", data={"csrf_token": token}, buffered=False
    )
    next(iter(response.response))
    response.close()
    with floor.store.read() as session:
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert last.action == "export.broken_off"
    assert 0 < last.detail["rows"] < 2002


@pytest.mark.one_database
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.BUSINESS, Role.BACKYARD])
def test_R_HS_4_others_export_nothing(floor: Floor, browser_of, role: Role) -> None:
    with floor.store.write() as session:
        user = make_user(session, role)
    browser = browser_of(user)
    for path in (f"customers?list_id={floor.folder.id}", "records"):
        browser.get(f"/admin/exports/{path}", status=403)
        browser.post(f"/admin/exports/{path}", status=403)


@pytest.mark.one_database
def test_R_HS_4_csv_leaves_by_the_admin_screen_only(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    browser.post("/switch-screen")
    page = browser.get("/history/")
    assert not [a for a in page.all("a") if "/exports/" in a.get("href", "")]
    browser.get("/admin/exports/records", status=403)
    browser.post("/admin/exports/records", status=403)


@pytest.mark.one_database
def test_R_HS_4_foreign_lists_and_projects_are_not_there(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    for query in ("", "?list_id=99", "?project_id=99", "?list_id=x"):
        browser.get(f"/admin/exports/customers{query}", status=404)
