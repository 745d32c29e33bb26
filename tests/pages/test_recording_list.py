"""録音一覧 and its zips on the pages (R-RC-1, R-RC-2, R-RC-4)."""

import io
from datetime import timedelta
from zipfile import ZipFile

import pytest
import time_machine
from sqlalchemy import event, select

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import (
    AuditEntry,
    CustomerList,
    ItemTarget,
    Project,
    RecordingState,
    RecordKind,
    ResultPattern,
    Role,
    Site,
    User,
)
from calltree.services import bulk_run
from calltree.services.recording_zip import Places
from tests import factories as make
from tests.recordings import Shelf

LIST = "/admin/recordings/"


@pytest.fixture
def shelf(store: Store, settings: Settings) -> Shelf:
    return Shelf.make(store, settings.recordings_dir)


@pytest.fixture
def manager(shelf: Shelf) -> User:
    with shelf.store.write() as session:
        return make.make_user(session, Role.MANAGER)


def numbers(page) -> list[str]:
    return [row.select("td")[2].get_text(strip=True) for row in page.all("table.table tbody tr")]


def test_R_RC_1_the_list_is_searched_by_what_the_calls_were(
    shelf: Shelf, browser_of, manager: User
) -> None:
    now = utcnow()
    with shelf.store.write() as session:
        other = make.make_list(session)
        project_id, list_id = other.project_id, other.id
        session.get_one(Project, project_id).name = "秋の案内"
    shelf.put(started_at=now, number="0311110001")
    shelf.put(started_at=now, number="0322220002", list_id=list_id, record={"talk_ms": 90_000})
    shelf.put(started_at=now - timedelta(days=3), number="0311110001")
    shelf.put(
        started_at=now - timedelta(days=9), number="0311110001", record={"kind": RecordKind.MANUAL}
    )
    shelf.put(started_at=now, number="0333330003", state=RecordingState.HIDDEN)
    browser = browser_of(manager)
    page = browser.get(LIST)
    assert numbers(page) == ["03-2222-0002", "03-1111-0001"]
    assert "秋の案内" in page.text
    assert numbers(browser.get(f"{LIST}?project={project_id}")) == ["03-2222-0002"]
    assert numbers(browser.get(f"{LIST}?talk_min=60")) == ["03-2222-0002"]
    page = browser.get(f"{LIST}?span=all&number=03-1111-0001")
    assert numbers(page) == ["03-1111-0001"] * 3
    assert "手動発信" in page.text
    assert page.all(".play, a[hx-target='#player-dock']")
    assert "録音がありません" in browser.get(f"{LIST}?span=all&number=0399999999").text


def test_R_RC_1_a_sound_without_talk_shows_its_own_length_and_no_talk_time(
    shelf: Shelf, browser_of, manager: User
) -> None:
    """現アナ: the announcement is recorded, and nobody talked."""
    now = utcnow()
    shelf.put(started_at=now, number="0311110001", record={"talk_ms": 0}, length_ms=12_000)
    shelf.put(started_at=now, number="0322220002", record={"talk_ms": 9_000}, length_ms=14_000)
    rows = browser_of(manager).get(LIST).all("table.table tbody tr")
    shown = {}
    for row in rows:
        cells = [cell.get_text(" ", strip=True) for cell in row.select("td")]
        shown[cells[2]] = cells[5], cells[6].split()[0]
    assert shown == {"03-1111-0001": ("–", "0:12"), "03-2222-0002": ("0:09", "0:14")}


def test_R_RC_1_a_zip_is_asked_for_made_and_downloaded_for_a_day(
    shelf: Shelf, settings: Settings, browser_of, manager: User
) -> None:
    shelf.put(started_at=utcnow(), sound=b"the sound")
    browser = browser_of(manager)
    asked = browser.get(
        str(browser.get(LIST).one(".page-actions a, header a[href*='/zip']")["href"])
    )
    assert "24時間" in asked.text
    job_page = browser.submit("main form").location
    assert browser.get(job_page).all("#bulk-status")
    job_id = int(job_page.rsplit("/", 1)[1])
    places = Places(settings.recordings_dir, settings.exports_dir, settings.timezone)
    bulk_run.run(
        shelf.store,
        uploads_dir=settings.uploads_dir,
        job_id=job_id,
        clock=utcnow,
        recordings=places,
    )
    link = str(browser.get(job_page).one("a[href*='/recordings/zip/']")["href"])
    assert browser.get(LIST).all(f"a[href='{job_page}']")
    answer = browser.get(link)
    assert "attachment" in answer.headers["Content-Disposition"]
    with ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.read(archive.namelist()[0]) == b"the sound"
    browser.get(link, headers={"Range": "bytes=10-19"}, status=206)
    with shelf.store.read() as session:
        (line,) = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "bulk.recording_zip.downloaded")
        )
        assert (line.user_id, line.object_id, line.detail) == (manager.id, str(job_id), {"part": 1})
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        browser.sign_in_as(manager)
        browser.get(link, status=404)
        assert "保存期限" in browser.get(job_page).text
        assert not browser.get(LIST).all(f"a[href='{job_page}']")


@pytest.mark.one_database
def test_R_RC_1_a_full_page_costs_few_statements(shelf: Shelf, browser_of, manager: User) -> None:
    with shelf.store.write() as session:
        folder = session.get_one(CustomerList, shelf.list_id)
        pattern_id = session.get_one(Project, folder.project_id).pattern_id
        pattern = session.get_one(ResultPattern, pattern_id)
        for _project in range(10):
            make.make_item(session, make.make_project(session), target=ItemTarget.RESULT)
        ids = [make.make_status(session, pattern, f"結果{number}").id for number in range(15)]
    for status_id in ids:
        shelf.put(started_at=utcnow(), record={"status_id": status_id})
    browser = browser_of(manager)
    browser.get(LIST)
    said: list[str] = []
    event.listen(shelf.store.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    assert len(numbers(browser.get(LIST))) == 15
    asked = [statement for statement in said if statement.startswith("SELECT")]
    assert 0 < len(asked) <= 12, "\n".join(asked)


@pytest.mark.one_database
def test_R_RC_1_an_empty_search_makes_no_zip(shelf: Shelf, browser_of, manager: User) -> None:
    browser = browser_of(manager)
    page = browser.get("/admin/recordings/zip?span=all")
    assert not page.all("main form button.primary")
    browser.post("/admin/recordings/zip?span=all", status=422)


def test_R_RC_2_a_manager_protects_a_recording(shelf: Shelf, browser_of, manager: User) -> None:
    recording_id = shelf.put(started_at=utcnow())
    with shelf.store.write() as session:
        supervisor = make.make_user(session, Role.SUPERVISOR)
    path = f"/recordings/{recording_id}/protect"
    browser = browser_of(manager)
    browser.get(f"/recordings/{recording_id}")
    browser.submit(f"form[action='{path}']")
    assert "保護を解除" in browser.get(f"/recordings/{recording_id}").text
    assert "保護" in browser.get(LIST).one("table.table tbody").text
    again = browser.post(
        path, {"protected": "0"}, status=200,
        headers={"HX-Request": "true", "HX-Request-Type": "partial"},
    )  # fmt: skip
    assert "削除から保護" in again.text
    page = browser_of(supervisor).get(f"/recordings/{recording_id}")
    assert not page.all(f"form[action='{path}']")


def test_R_RC_2_a_record_whose_sound_was_removed_says_so(
    shelf: Shelf, browser_of, manager: User
) -> None:
    recording_id = shelf.put(
        state=RecordingState.DESTROYED,
        destroyed_reason="capacity",
        destroyed_at=utcnow(),
        size_bytes=0,
    )
    browser = browser_of(manager)
    assert "容量超過により削除" in browser.get(f"/recordings/{recording_id}").text
    history = browser.get("/history/?span=all")
    record = str(history.one("tr[data-record] td.actions a")["href"])
    assert "容量超過により削除" in browser.get(record).text


@pytest.mark.one_database
def test_R_RC_2_managers_are_warned_at_home(shelf: Shelf, browser_of, manager: User) -> None:
    with shelf.store.write() as session:
        supervisor = make.make_user(session, Role.SUPERVISOR)
        session.get_one(Site, 1).recordings_capacity_gb = 1
    browser = browser_of(manager)
    assert "保存容量" not in browser.get("/admin/").one("main").text
    shelf.put(size_bytes=960_000_000)
    with time_machine.travel(utcnow() + timedelta(seconds=61)):  # measured once a minute
        assert "96.0%" in browser.get("/admin/").one("main .alert.bad").text
        assert "96.0%" in browser.get(LIST).one("main .alert.bad").text
        assert "保存容量" not in browser_of(supervisor).get("/admin/").one("main").text


@pytest.mark.one_database
def test_R_RC_2_the_hours_and_days_left_stand_on_the_page(
    shelf: Shelf, browser_of, manager: User
) -> None:
    for day in range(10):  # 1 GB of 100 hours on each of ten days
        at = utcnow() - timedelta(days=day + 1)
        shelf.put(started_at=at, size_bytes=1_000_000_000, length_ms=360_000_000)
    said = browser_of(manager).get(LIST).one("section.space").text
    assert "残り約4,000時間分" in said
    assert "あと約40日" in said


@pytest.mark.one_database
def test_R_RC_2_a_project_says_how_long_its_recordings_are_kept(
    shelf: Shelf, browser_of, manager: User
) -> None:
    with shelf.store.write() as session:
        project_id = make.make_project(session).id
    browser = browser_of(manager)
    path = f"/admin/projects/{project_id}"
    browser.get(path)
    browser.submit("main form", recordings_days="0", status=422)
    browser.get(path)
    browser.submit("main form", recordings_days="90")
    with shelf.store.read() as session:
        assert session.get_one(Project, project_id).recordings_days == 90
