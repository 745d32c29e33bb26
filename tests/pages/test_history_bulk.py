"""コール履歴: many at once: deletion, and 空白 repaired in a row (R-HS-3)."""

import pytest
from flask import Flask
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    AuditEntry,
    BulkJob,
    BulkState,
    CallRecord,
    CallState,
    Origin,
    Role,
)
from calltree.services import bulk_run, figures
from tests.factories import (
    make_user,
)
from tests.pages.history_floor import Floor, shown


@pytest.fixture
def floor(store: Store, app: Flask) -> Floor:
    return Floor(store)


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


@pytest.mark.one_database
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


def test_R_HS_3_a_deletion_of_nothing_says_whether_nothing_was_chosen_or_found(
    floor: Floor, browser_of
) -> None:
    browser = browser_of(floor.manager)
    found = browser.get("/history/delete?found=1&span=all&number=0399999999").text
    assert "条件に合う履歴はありません" in found
    assert "選択されていません" not in found
    assert "選択されていません" in browser.get("/history/delete").text
