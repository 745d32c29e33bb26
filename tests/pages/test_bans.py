"""架電禁止管理 in the browser's eyes (R-DN-1, R-DN-3, R-DN-4)."""

import csv
import io
from dataclasses import dataclass

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import (
    AuditEntry,
    BulkJob,
    BulkState,
    DncSource,
    DoNotCall,
    Project,
    Role,
    User,
)
from calltree.services import bulk_run, do_not_call
from calltree.services.rights import Viewer
from tests.factories import (
    make_customer,
    make_list,
    make_project,
    make_record,
    make_site,
    make_user,
)

PAGE = "/admin/do-not-call/"


@dataclass
class Office:
    """A manager, a supervisor, two projects, and the worker at hand."""

    store: Store
    settings: Settings
    manager: int
    supervisor: int
    project: int
    other: int

    def ban(self, *numbers: str, **given: object) -> None:
        with self.store.write() as session:
            who = Viewer.of(session.get_one(User, self.manager))
            do_not_call.add(session, viewer=who, numbers=numbers, now=utcnow(), **given)

    def banned(self) -> list[str]:
        with self.store.read() as session:
            found = session.scalars(select(DoNotCall.number).where(do_not_call.in_force(utcnow())))
            return sorted(found)

    def job(self) -> BulkJob:
        with self.store.read() as session:
            return session.scalars(select(BulkJob).order_by(BulkJob.id.desc()).limit(1)).one()

    def works(self) -> BulkJob:
        """Let the worker do what the newest job waits for."""
        job, folder = self.job(), self.settings.uploads_dir
        if job.state is BulkState.CHECKING:
            bulk_run.check(self.store, uploads_dir=folder, job_id=job.id, now=utcnow())
        else:
            bulk_run.run(self.store, uploads_dir=folder, job_id=job.id, clock=utcnow)
        return self.job()


@pytest.fixture
def office(app: Flask, store: Store, settings: Settings) -> Office:
    with store.write() as session:
        make_site(session)
        return Office(
            store,
            settings,
            make_user(session, Role.MANAGER, name="管理太郎").id,
            make_user(session, Role.SUPERVISOR).id,
            make_project(session, name="秋の案内").id,
            make_project(session, name="冬の案内").id,
        )


def numbers(page) -> list[str]:
    return [row.find_all("td")[1].text for row in page.all("tr[data-ban]")]


def file(body: str, name: str = "番号.csv") -> dict:
    return {"file": (io.BytesIO(body.encode("cp932")), name)}


@pytest.mark.one_database
def test_R_DN_1_the_list_says_who_where_and_for_how_long_and_names_the_law(
    office: Office, browser_of
) -> None:
    office.ban("0312340001", note="電話で申し出")
    office.ban("0312340002", project_ids=[office.project])
    browser = browser_of(office.manager)
    page = browser.get(PAGE)
    assert "特定商取引法17条" in page.text
    cells = [
        [" ".join(td.text.split()) for td in row.find_all("td")][1:5]
        for row in page.all("tr[data-ban]")
    ]
    assert cells == [
        ["03-1234-0002", "秋の案内", "フォーム", "管理太郎"],
        ["03-1234-0001", "全案件", "フォーム", "管理太郎"],
    ]
    assert numbers(browser.get(f"{PAGE}?project={office.other}")) == ["03-1234-0001"]
    assert numbers(browser.get(f"{PAGE}?number=40002")) == ["03-1234-0002"]
    assert numbers(browser.get(f"{PAGE}?number=99999")) == []


@pytest.mark.one_database
def test_R_DN_1_a_project_leads_to_the_numbers_that_it_cannot_dial(
    office: Office, browser_of
) -> None:
    office.ban("0312340001")
    office.ban("0312340002", project_ids=[office.project])
    office.ban("0312340003", project_ids=[office.other])
    browser = browser_of(office.manager)
    page = browser.get(f"/admin/projects/{office.project}")
    way = page.soup.find("a", string="この案件で発信できない番号")
    assert numbers(browser.get(str(way["href"]))) == ["03-1234-0002", "03-1234-0001"]


def test_R_DN_1_pages_lead_on_and_back(office: Office, browser_of) -> None:
    office.ban(*(f"03123{n:05}" for n in range(60)))
    browser = browser_of(office.manager)
    page = browser.get(f"{PAGE}?source=form")
    assert len(numbers(page)) == 50
    second = browser.get(str(page.one("a[rel=next]")["href"]))
    assert len(numbers(second)) == 10
    assert not second.all("a[rel=next]")
    assert numbers(browser.get(str(second.one("a[rel=prev]")["href"]))) == numbers(page)


@pytest.mark.one_database
def test_R_DN_3_the_form_counts_and_leaves_what_is_no_number_to_be_mended(
    office: Office, browser_of
) -> None:
    office.ban("0312340001")
    browser = browser_of(office.manager)
    browser.get(f"{PAGE}new")
    page = browser.submit(
        "main form[method=post]",
        status=422,
        numbers="03-1234-0001\r\n03-1234-0002\r\n03-12\r\n山田様\r\n",
        note="電話で申し出",
    )
    assert "登録1件、既存1件、不正2件でした。" in page.text
    assert "この欄に残した行は電話番号として読めません" in page.text
    assert page.one("#numbers").text.strip().splitlines() == ["03-12", "山田様"]
    assert page.one("#note")["value"] == "電話で申し出"
    assert office.banned() == ["0312340001", "0312340002"]
    listed = browser.submit("main form[method=post]", follow=True, numbers="03-1234-0003")
    assert "登録1件、既存0件、不正0件でした。" in listed.text
    assert numbers(listed)[0] == "03-1234-0003"
    browser.get(f"{PAGE}new")
    past = browser.submit(
        "main form[method=post]", status=422, numbers="0312340004", expires_on="2020-01-01"
    )
    assert past.one("#expires_on")["aria-invalid"] == "true"
    assert past.one("#numbers").text.strip() == "0312340004"


def test_R_DN_3_a_file_in_with_check_rejects_and_counts(office: Office, browser_of) -> None:
    office.ban("0312340001")
    browser = browser_of(office.manager)
    browser.get(f"{PAGE}file")
    body = "電話番号,名前\r\n0312340001,甲\r\n0312340002,乙\r\nなし,丙\r\n"
    where = browser.post(
        f"{PAGE}file", {**file(body), "note": "名簿"}, content_type="multipart/form-data"
    ).location
    assert "確認しています" in browser.get(where).text
    office.works()
    page = browser.get(where)
    tiles = [" ".join(tile.text.split()) for tile in page.all(".tile")]
    assert tiles == ["登録対象 1", "既存 1", "ファイル内で重複 0", "不正 1"]
    assert office.banned() == ["0312340001"], "nothing is written before the press"
    rejected = browser.get(f"{where}/rejects.csv").data.decode("cp932")
    assert list(csv.reader(io.StringIO(rejected)))[1][:2] == ["なし", "丙"]
    browser.post(f"{where}/start")
    assert browser.get(where).all("progress")
    assert office.works().counts == {"added": 1, "existing": 1}
    page = browser.get(where)
    assert "登録 1" in " ".join(page.text.split())
    assert numbers(browser.get(str(page.one("a[href*='job=']")["href"]))) == ["03-1234-0002"]
    assert "番号.csv" in browser.get(PAGE).text


@pytest.mark.one_database
def test_R_DN_3_a_file_that_is_none_says_why(office: Office, browser_of) -> None:
    browser = browser_of(office.manager)
    browser.get(f"{PAGE}file")
    where = browser.post(
        f"{PAGE}file", file("<html>", "x.csv"), content_type="multipart/form-data"
    ).location
    office.works()
    page = browser.get(where)
    assert "このファイルはこのままでは取り込めません" in page.text or page.all(".alert.bad")
    browser.post(f"{where}/start", status=422)
    browser.post(f"{where}/cancel")
    assert office.job().state is BulkState.CANCELLED


def test_R_DN_4_release_by_file_and_over_all_pages_is_the_managers(
    office: Office, browser_of
) -> None:
    office.ban(*(f"03123{n:05}" for n in range(60)), "0455550001")
    helper = browser_of(office.supervisor)
    assert not helper.get(PAGE).all("input[name=entry]")
    for path in ("release-file", "release-found"):
        helper.get(PAGE + path, status=403)
        helper.post(PAGE + path, {"reason": "x", "confirmation": "61"}, status=403)
    browser = browser_of(office.manager)
    page = browser.get(f"{PAGE}?number=03123")
    asked = browser.get(str(page.one("a[href*='release-found']")["href"]))
    assert "60" in asked.text
    assert "特定商取引法17条" in asked.text
    browser.submit("main form", status=422, reason="誤登録", confirmation="61")
    browser.get(str(page.one("a[href*='release-found']")["href"]))
    browser.submit("main form", status=422, reason="", confirmation="60")
    assert len(office.banned()) == 61
    browser.get(str(page.one("a[href*='release-found']")["href"]))
    where = browser.submit("main form", reason="誤登録", confirmation="60").location
    assert office.works().counts == {"released": 60}
    assert office.banned() == ["0455550001"]
    assert "解除" in browser.get(where).text
    helper.get(where, status=404)
    released = browser.get(f"{PAGE}?state=released")
    assert "誤登録" in released.text
    browser.get(f"{PAGE}release-file")
    fields = {**file("0455550001\r\n"), "reason": "本人の申し出"}
    where = browser.post(f"{PAGE}release-file", fields, content_type="multipart/form-data").location
    office.works()
    browser.get(where)
    browser.post(f"{where}/start", {"confirmation": "2"}, status=422)
    browser.post(f"{where}/start", {"confirmation": "1"})
    office.works()
    assert office.banned() == []


def test_R_DN_4_chosen_rows_with_a_reason_and_a_line_each(office: Office, browser_of) -> None:
    office.ban("0312340001", "0312340002", "0312340003")
    browser = browser_of(office.manager)
    browser.get(PAGE)
    ids = [str(box["value"]) for box in browser.page.all("input[name=entry]")]
    browser.post(f"{PAGE}release", {"entry": ids[:2], "reason": "本人の申し出"})
    assert office.banned() == ["0312340001"]
    with office.store.read() as session:
        query = select(AuditEntry).where(AuditEntry.action == "do_not_call.released")
        assert sorted(entry.object_id for entry in session.scalars(query)) == sorted(ids[:2])


@pytest.mark.one_database
def test_R_DN_1_an_entrys_page_tells_its_source_and_changes_its_scope(
    office: Office, browser_of
) -> None:
    with office.store.write() as session:
        folder = make_list(session, session.get_one(Project, office.project))
        customer = make_customer(session, folder, number="0312340001")
        record = make_record(session, customer, user_id=office.manager)
        wish = do_not_call.Wish(DncSource.STATUS, office.manager, record_id=record.id)
        do_not_call.enter(session, numbers=["0312340001"], wish=wish, now=utcnow())
        entry = session.scalars(select(DoNotCall)).one()
    path = f"{PAGE}{entry.id}"
    assert not browser_of(office.supervisor).get(path).all("main form")
    browser = browser_of(office.manager)
    page = browser.get(path)
    assert page.all(f"a[href='/history/{record.id}']")
    assert page.all(f"a[href='/customers/{customer.id}']")
    fields = {"project_ids": [office.other], "expires_on": "2099-12-31", "reason": "一部のみ"}
    browser.post(path, {**fields, "reason": ""}, status=422)
    browser.post(path, {**fields, "expires_on": "2020-01-01"}, status=422)
    where = browser.post(path, fields).location
    assert "冬の案内" in browser.get(where).text
    assert "一部のみ" in browser.get(path).text, "what was said before can still be read"
    assert office.banned() == ["0312340001"]


@pytest.mark.one_database
@pytest.mark.parametrize("form", ["utf-8-bom", "cp932", "xlsx"])
def test_R_HS_4_the_entries_that_are_shown_leave_as_a_file(
    office: Office, browser_of, form: str
) -> None:
    office.ban("0312340001", note="=1+1")
    office.ban("0455550002", project_ids=[office.project, office.other])
    browser = browser_of(office.supervisor)
    page = browser.get(f"{PAGE}?number=0455550002")
    browser.get(str(page.one("a[href*='exports/do-not-call']")["href"]))
    answer = browser.submit("main form", status=200, encoding=form)
    if form == "xlsx":
        sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).active
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    else:
        text = answer.data.decode("cp932" if form == "cp932" else "utf-8-sig")
        rows = list(csv.reader(io.StringIO(text)))
    assert [row[:4] for row in rows] == [
        ["電話番号", "対象案件", "登録元", "登録者"],
        ["045-555-0002", "秋の案内、冬の案内", "フォーム", "管理太郎"],
    ]
