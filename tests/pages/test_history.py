"""コール履歴, 報告履歴 and the export pages (R-HS-1…5)."""

import csv
import io
from datetime import timedelta

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import insert, select

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    AuditEntry,
    BuiltIn,
    BulkJob,
    BulkState,
    CallRecord,
    CallState,
    Origin,
    ProjectRecipient,
    RecordCorrection,
    Recording,
    RecordingState,
    RecordKind,
    Role,
    User,
)
from calltree.services import bulk_run, figures, results
from tests.browser import Browser
from tests.factories import (
    built_in,
    grant,
    make_customer,
    make_item,
    make_list,
    make_project,
    make_record,
    make_user,
    viewer_of,
)


class Floor:
    """A project with one list, one customer, and a record of each kind, saved an hour ago."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.write() as session:
            project = make_project(session, name="秋の案内")
            self.item = make_item(session, project, name="温度感")
            folder = make_list(session, project, name="東京リスト")
            self.operator = make_user(session, name="山田太郎")
            self.other = make_user(session, name="佐藤")
            self.manager = make_user(session, Role.MANAGER)
            self.supervisor = make_user(session, Role.SUPERVISOR)
            self.client = make_user(session, Role.BUSINESS)
            grant(session, folder, self.operator)
            self.customer = make_customer(session, folder, number="0312345678")
            self.prospect = built_in(session, BuiltIn.PROSPECT).id
            self.claim = built_in(session, BuiltIn.CLAIM).id
            self.no_answer = built_in(session, BuiltIn.NO_ANSWER).id
            at = utcnow() - timedelta(hours=1)
            self.at = at
            self.project, self.folder = project, folder
            self.call = self.record(session, status_id=self.prospect)
            self.entry = self.record(
                session, kind=RecordKind.ENTRY, status_id=self.no_answer, user=self.other
            )
            self.by_hand = self.record(
                session,
                kind=RecordKind.MANUAL,
                number="0399998888",
                customer_id=None,
                list_id=None,
            )

    def record(self, session, user=None, **given) -> CallRecord:
        values = {
            "user_id": (user or self.operator).id,
            "started_at": self.at,
            "saved_at": self.at,
            "closed_at": self.at,
        }
        record = make_record(session, self.customer, **(values | given))
        figures.settle(session, record=record, now=self.at)
        return record

    def count(self) -> int:
        with self.store.read() as session:
            return len(session.scalars(select(CallRecord.id)).all())


@pytest.fixture
def floor(store: Store, app: Flask) -> Floor:
    return Floor(store)


def shown(page) -> list[int]:
    return [int(row["data-record"]) for row in page.all("tr[data-record]")]


def test_R_HS_2_calls_are_white_manual_entries_yellow_and_hand_dialled_absent(
    floor: Floor, browser_of
) -> None:
    page = browser_of(floor.manager).get("/history/")
    assert sorted(shown(page)) == sorted([floor.call.id, floor.entry.id])
    assert "manual" in page.one(f'tr[data-record="{floor.entry.id}"]').get("class", [])
    assert "manual" not in page.one(f'tr[data-record="{floor.call.id}"]').get("class", [])
    assert "03-9999-8888" not in page.text


def test_R_CL_13_a_hand_dialled_call_has_no_page_in_history(floor: Floor, browser_of) -> None:
    browser_of(floor.manager).get(f"/history/{floor.by_hand.id}", status=404)


def test_R_HS_1_the_search_lives_in_the_address(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    browser.get("/history/")
    page = browser.submit("main form[role=search]", number="0312345678", status=200)
    assert len(shown(page)) == 2
    assert str(floor.call.id) in str(shown(browser.get(f"/history/?status={floor.prospect}")))
    assert shown(browser.get(f"/history/?user={floor.other.id}")) == [floor.entry.id]
    assert shown(browser.get("/history/?from=2020-01-01&to=2020-01-02")) == []


def test_R_HS_1_pages_lead_on_and_back(floor: Floor, browser_of) -> None:
    with floor.store.write() as session:
        for n in range(60):
            floor.record(session, started_at=floor.at - timedelta(minutes=n))
    browser = browser_of(floor.manager)
    first = browser.get("/history/?span=all")
    second = browser.get(first.one('a[rel="next"]')["href"])
    assert len(shown(first)) == 50
    assert len(shown(second)) == 12
    assert not set(shown(first)) & set(shown(second))
    assert not second.all('a[rel="next"]')
    assert shown(browser.get(second.one('a[rel="prev"]')["href"])) == shown(first)


def test_R_HS_1_an_operator_sees_own_and_granted_ones_on_the_blue_screen(
    floor: Floor, browser_of
) -> None:
    page = browser_of(floor.operator).get("/history/")
    assert "operator" in page.one("body")["class"]
    assert sorted(shown(page)) == sorted([floor.call.id, floor.entry.id])
    other = browser_of(floor.other)
    assert shown(other.get("/history/")) == [floor.entry.id]
    other.get(f"/history/{floor.call.id}", status=404)
    other.post(f"/history/{floor.call.id}", {"status": floor.no_answer}, status=404)


def test_R_HS_3_an_author_corrects_and_the_trace_is_shown(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.operator)
    browser.get(f"/history/{floor.call.id}")
    page = browser.submit(
        "main form", status=303, follow=True, memo="訂正です", **{f"item-{floor.item.id}": "高"}
    )
    assert "履歴を訂正しました" in page.text
    lines = page.one("#corrections").get_text(" ")
    assert "山田太郎" in lines
    assert "温度感" in lines
    assert "訂正です" in lines
    with floor.store.read() as session:
        record = session.get_one(CallRecord, floor.call.id)
        assert (record.user_id, record.started_at) == (floor.operator.id, floor.at)
        assert record.attributes == {str(floor.item.id): "高"}


def test_R_HS_3_a_manager_corrects_any_and_a_supervisor_only_own(floor: Floor, browser_of) -> None:
    page = browser_of(floor.supervisor).get(f"/history/{floor.call.id}")
    assert not page.all(f'main form[action$="/history/{floor.call.id}"]')
    browser_of(floor.supervisor).post(
        f"/history/{floor.call.id}", {"status": floor.no_answer}, status=403
    )
    browser = browser_of(floor.manager)
    browser.get(f"/history/{floor.call.id}")
    browser.post(f"/history/{floor.call.id}", {"status": floor.no_answer})
    with floor.store.read() as session:
        record = session.get_one(CallRecord, floor.call.id)
        assert (record.status_id, record.user_id) == (floor.no_answer, floor.operator.id)
        assert session.scalars(select(RecordCorrection.user_id)).all() == [floor.manager.id]


def test_R_HS_3_a_refused_correction_says_why_and_keeps_what_was_typed(
    floor: Floor, browser_of
) -> None:
    page = browser_of(floor.operator).post(
        f"/history/{floor.call.id}", {"status": "", "memo": "書きかけ"}, status=422
    )
    assert page.one("textarea").text == "書きかけ"
    assert page.all(".alert.bad")
    page = browser_of(floor.operator).post(
        f"/history/{floor.call.id}",
        {"status": floor.prospect, "callback_at": "いつか"},
        status=422,
    )
    assert page.all(".alert.bad")


def test_R_ST_5_a_manager_is_asked_before_a_ban_goes_with_its_status(
    floor: Floor, browser_of
) -> None:
    with floor.store.write() as session:
        form = results.ResultForm(status_id=floor.claim)
        results.correct(
            session,
            viewer=viewer_of(session.get_one(User, floor.manager.id)),
            record_id=floor.call.id,
            form=form,
            now=utcnow(),
        )
    browser = browser_of(floor.manager)
    page = browser.post(f"/history/{floor.call.id}", {"status": floor.no_answer}, status=422)
    assert "架電禁止" in page.all("main form")[0].get_text()
    browser.post(f"/history/{floor.call.id}", {"status": floor.no_answer, "withdraw_ban": "yes"})
    with floor.store.read() as session:
        assert session.get_one(CallRecord, floor.call.id).status_id == floor.no_answer


def test_R_HS_3_only_a_manager_deletes_and_it_is_audited(floor: Floor, browser_of) -> None:
    before = floor.count()
    browser_of(floor.operator).post(f"/history/{floor.call.id}/delete", status=403)
    browser_of(floor.supervisor).post(f"/history/{floor.call.id}/delete", status=403)
    browser_of(floor.manager).post(f"/history/{floor.by_hand.id}/delete", status=404)
    assert floor.count() == before
    browser_of(floor.manager).post(f"/history/{floor.call.id}/delete")
    assert floor.count() == before - 1
    with floor.store.read() as session:
        assert session.scalar(select(AuditEntry.action)) == "record.deleted"


def report(floor: Floor) -> None:
    with floor.store.write() as session:
        project = session.get_one(type(floor.project), floor.project.id)
        project.reporting = True
        project.reported_status_ids = [floor.prospect]
        session.add(ProjectRecipient(project_id=project.id, user_id=floor.client.id))


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


def sound(floor: Floor, record: CallRecord, state: RecordingState) -> Recording:
    with floor.store.write() as session:
        attempt = Attempt(
            uuid=f"u{record.id}",
            number=record.number,
            origin=Origin.CALL,
            state=CallState.ENDED,
            verdict="allowed",
            created_at=floor.at,
            ended_at=floor.at,
        )
        session.add(attempt)
        session.flush()
        recording = Recording(
            attempt_id=attempt.id,
            record_id=record.id,
            raw_name="r",
            started_at=floor.at,
            state=state,
        )
        session.add(recording)
    return recording


def plays(page) -> list[str]:
    return [a["href"] for a in page.all("tr[data-record] a") if "/recordings/" in a["href"]]


def test_R_RC_4_what_may_be_played_has_its_button(floor: Floor, browser_of) -> None:
    sound(floor, floor.call, RecordingState.STORED)
    sound(floor, floor.entry, RecordingState.HIDDEN)
    assert len(plays(browser_of(floor.manager).get("/history/"))) == 1
    assert len(plays(browser_of(floor.operator).get("/history/"))) == 1
    with floor.store.write() as session:
        colleague = make_user(session)
        grant(session, floor.folder, colleague)
    page = browser_of(colleague).get("/history/")
    assert (len(shown(page)), plays(page)) == (2, [])  # an operator plays own ones only


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


def rows_of(answer) -> list[list[str]]:
    text = answer.data.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


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


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.BUSINESS, Role.BACKYARD])
def test_R_HS_4_others_export_nothing(floor: Floor, browser_of, role: Role) -> None:
    with floor.store.write() as session:
        user = make_user(session, role)
    browser = browser_of(user)
    for path in (f"customers?list_id={floor.folder.id}", "records"):
        browser.get(f"/admin/exports/{path}", status=403)
        browser.post(f"/admin/exports/{path}", status=403)


def test_R_HS_4_csv_leaves_by_the_admin_screen_only(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    browser.post("/switch-screen")
    page = browser.get("/history/")
    assert not [a for a in page.all("a") if "/exports/" in a.get("href", "")]
    browser.get("/admin/exports/records", status=403)
    browser.post("/admin/exports/records", status=403)


def test_R_HS_4_foreign_lists_and_projects_are_not_there(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    for query in ("", "?list_id=99", "?project_id=99", "?list_id=x"):
        browser.get(f"/admin/exports/customers{query}", status=404)


def bulk(floor: Floor, app: Flask) -> BulkJob:
    """Let the worker do the newest bulk job."""
    settings = app.extensions["calltree.settings"]
    with floor.store.read() as session:
        newest = session.scalars(select(BulkJob.id).order_by(BulkJob.id.desc()).limit(1)).one()
    bulk_run.run(floor.store, uploads_dir=settings.uploads_dir, job_id=newest, clock=utcnow)
    with floor.store.read() as session:
        return session.get_one(BulkJob, newest)


def test_R_HS_3_a_manager_deletes_chosen_records_after_typing_their_count(
    floor: Floor, browser_of, app: Flask
) -> None:
    browser = browser_of(floor.manager)
    page = browser.get("/history/")
    assert len(page.all("input[name=record]")) == 2
    asked = browser.get(f"/history/delete?record={floor.call.id}&record=99999")
    assert shown(asked) == [floor.call.id]
    browser.submit("main form", status=422, confirmation="2")
    assert floor.count() == 3
    where = browser.submit("main form", confirmation="1").location
    assert "1件中0件" in browser.get(where).text
    job = bulk(floor, app)
    assert (job.state, job.counts) == (BulkState.DONE, {"deleted": 1, "left": 0})
    assert shown(browser.get("/history/")) == [floor.entry.id]
    assert "削除済み 1" in browser.get(where).text
    with floor.store.read() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions == ["bulk.record_delete.started", "record.deleted", "bulk.record_delete.done"]


def test_R_HS_3_a_manager_deletes_all_that_is_found_over_all_pages_and_nothing_younger(
    floor: Floor, browser_of, app: Flask
) -> None:
    with floor.store.write() as session:
        for _ in range(60):
            floor.record(session, status_id=floor.no_answer)
    browser = browser_of(floor.manager)
    page = browser.get(f"/history/?status={floor.no_answer}&kind=outbound")
    browser.get(str(page.one("a[href*='found=1']")["href"]))
    browser.submit("main form", confirmation="60")
    with floor.store.write() as session:
        younger = floor.record(session, status_id=floor.no_answer).id
    job = bulk(floor, app)
    assert job.counts == {"deleted": 60, "left": 0}
    with floor.store.read() as session:
        left = set(session.scalars(select(CallRecord.id)))
    assert left == {floor.call.id, floor.entry.id, floor.by_hand.id, younger}
    with floor.store.read() as session:
        folder = session.get_one(type(floor.folder), floor.folder.id)
        counted = figures.totals(session, list_id=folder.id)
        assert (folder.customers, folder.worked, folder.dials, folder.connects) == tuple(counted)


def test_R_HS_3_a_live_calls_record_is_left_alone_by_a_bulk_deletion(
    floor: Floor, browser_of, app: Flask
) -> None:
    with floor.store.write() as session:
        attempt = Attempt(
            uuid="live", number="0312345678", origin=Origin.CALL, state=CallState.TALKING,
            verdict="allowed", created_at=floor.at,
        )  # fmt: skip
        session.add(attempt)
        session.flush()
        session.get_one(CallRecord, floor.call.id).attempt_id = attempt.id
    browser = browser_of(floor.manager)
    chosen = [floor.call.id, floor.entry.id]
    browser.post("/history/delete", {"record": chosen, "confirmation": "2"})
    assert bulk(floor, app).counts == {"deleted": 1, "left": 1}
    assert shown(browser.get("/history/")) == [floor.call.id]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.MANAGER])
def test_R_HS_3_nobody_else_is_offered_or_let_into_bulk_deletion(
    floor: Floor, browser_of, role: Role
) -> None:
    with floor.store.write() as session:
        user = make_user(session, role)
    browser = browser_of(user)
    if role is not Role.BUSINESS:
        assert not browser.get("/history/?span=all").all("input[name=record]")
    for path in ("/history/delete?found=1", f"/history/delete?record={floor.call.id}"):
        browser.get(path, status=403)
        browser.post(path, {"confirmation": "2"}, status=403)
    assert floor.count() == 3


def test_R_HS_3_blanks_are_repaired_one_after_another(floor: Floor, browser_of) -> None:
    with floor.store.write() as session:
        mine = [
            floor.record(session, system="blank", saved_at=None).id,
            floor.record(session, system="blank", saved_at=None).id,
        ]
        others = floor.record(session, user=floor.other, system="blank", saved_at=None).id
    browser = browser_of(floor.operator)
    page = browser.get("/history/")
    found = browser.get(str(page.one("a[href*='status=blank']")["href"]))
    assert sorted(shown(found)) == mine
    browser.get(f"/history/{mine[1]}")
    repaired = {"status": floor.prospect, "then": "next_blank"}
    following = browser.post(f"/history/{mine[1]}", repaired)
    assert following.location == f"/history/{mine[0]}"
    assert "保存して次の空白へ" not in browser.get(following.location).text, "it is the last one"
    ended = browser.post(f"/history/{mine[0]}", {"status": floor.claim, "then": "next_blank"})
    assert ended.location.startswith("/history/?")
    assert "空白の履歴はもうありません" in browser.get(ended.location).text
    manager = browser_of(floor.manager)
    assert shown(manager.get("/history/?status=blank&span=all")) == [others]
    line = manager.get(f"/history/{mine[0]}").one("#corrections")
    cells = [td.text for td in line.select("tbody tr")[0].find_all("td")]
    assert cells[1:] == ["山田太郎", "結果", "空白", "クレーム"]


def test_R_LS_12_the_number_opens_the_customer_in_a_window(floor: Floor, browser_of) -> None:
    browser = browser_of(floor.manager)
    link = browser.get("/history/").all("a[hx-target='#popup']")[0]
    popup = browser.part(str(link["hx-get"]))
    assert floor.customer.cells[0] in popup.text
    assert "見込" in popup.text
    assert browser.get(str(link["hx-get"]), status=303).location == link["href"]
    report(floor)
    client = browser_of(floor.client)
    seen = client.part(f"/customers/{floor.customer.id}/popup")
    assert "見込" in seen.text
    assert "不通" not in seen.text, "only what is reported"
    with floor.store.write() as session:
        stranger = make_user(session, Role.BUSINESS)
        outsider = make_user(session)
    for user in (stranger, outsider):
        browser_of(user).part(f"/customers/{floor.customer.id}/popup", status=404)


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
