"""A manager's week and a supervisor's day in a real Chromium, on one site with a ledger behind it.

月: a list comes in with the columns of last time, and is shared out → 火: a do-not-call file →
水: a 空白 is repaired → 木: recordings are searched, heard and zipped → 金: 集計 as XLSX, cell by
cell against the ledger, a setting, the audit log.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from bench._year import Year
from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import (
    AuditEntry,
    CallRecord,
    Customer,
    CustomerList,
    DoNotCall,
    Project,
    RecordCorrection,
    ResultStatus,
    Site,
    User,
)
from calltree.services import do_not_call, figures, import_run, imports, sound
from calltree.services.import_check import Choices, Target
from calltree.services.rights import Viewer
from calltree.services.summary_criteria import Axis
from calltree.text.days import site_day
from tests import factories as make
from tests.chromium.house import PASSWORD, PASSWORD_HASH, House, running_house
from tests.databases import PostgresDatabases, SqliteDatabases
from tests.recordings import Shelf
from tests.services.ledger_by_hand import slowly
from tests.sounds import tone, write_wav
from tests.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.one_database, pytest.mark.timeout(600)]

DAYS = 10
HEARD = "0398760001"
COLUMNS = "会社,TEL,備考\r\n"
SEPTEMBER = COLUMNS + "九月商店,03-9876-1001,あ\r\n"


@dataclass
class Office:
    """The site, and who works there."""

    house: House
    year: Year
    manager: User
    supervisor: User
    operator: User
    weeks: int = 0
    """How many were begun: one that is run again brings a list and numbers of its own."""

    @property
    def store(self) -> Store:
        return self.house.store


@pytest.fixture(scope="module")
def office(
    databases: SqliteDatabases | PostgresDatabases,
    tmp_path_factory: pytest.TempPathFactory,
    redis_of_run: str,
) -> Iterator[Office]:
    """Two weeks of twenty people's work, and three real recordings."""
    folder = tmp_path_factory.mktemp("office")
    data_dir = folder / "var"
    data_dir.mkdir()
    with databases.fresh(folder) as url:
        settings = Settings.from_env(
            {
                "DATABASE_URL": url, "DATA_DIR": str(data_dir), "REDIS_URL": redis_of_run,
                "SECRET_KEY": "of the office",
            }
        )  # fmt: skip
        with running_house(settings, folder) as house:
            made = furnished(house, settings, folder)
            house.work("jobs")
            yield made


def furnished(house: House, settings: Settings, folder: Path) -> Office:
    store, now = house.store, utcnow()
    year = Year.begin(store, seed=11, now=now)
    year.fill(rows=150, first=site_day(now) - timedelta(days=DAYS), until=now - timedelta(hours=1))
    people = year.people
    with store.write() as session:
        named = {
            people.manager: "管理 花子", people.manager + 1: "監督 次郎",
            people.operators[0]: "山田 太郎",
        }  # fmt: skip
        users = []
        for user_id, name in named.items():
            user = session.get_one(User, user_id)
            user.name, user.password_hash = name, PASSWORD_HASH
            users.append(user)
        for place, project_id in enumerate(people.projects):
            session.get_one(Project, project_id).reporting = place == 0
    remembered(store, settings, Viewer.of(users[0]), people.projects[0])
    mp3 = folder / "sound.mp3"
    wav = write_wav(folder / "sound.wav", tone(440, 3), tone(330, 3))
    with wav.open("rb") as source, mp3.open("wb") as target:
        sound.encode(source, target)
    list_id, _project = people.lists[3]
    shelf = Shelf(store, Path(settings.recordings_dir), list_id, users[2].id)
    for n in range(3):
        at = now - timedelta(minutes=30 + n)
        shelf.put(
            number=HEARD, started_at=at, record={"site_day": site_day(at)}, length_ms=3_000,
            sound=mp3.read_bytes(), waveform=bytes(range(100)),
        )  # fmt: skip
    with store.write() as session:
        for record in session.scalars(select(CallRecord).where(CallRecord.number == HEARD)):
            figures.settle(session, record=record, now=now)
    return Office(house, year, users[0], users[1], users[2])


def remembered(store: Store, settings: Settings, viewer: Viewer, project_id: int) -> None:
    """September's file was taken in, its columns chosen by hand."""
    settings.uploads_dir.mkdir(parents=True, exist_ok=True)
    (settings.uploads_dir / "september").write_bytes(SEPTEMBER.encode("cp932"))
    with store.write() as session:
        given = imports.receive(
            session, viewer=viewer, project_id=project_id, list_id=None, new_list_name="九月",
            filename="九月.csv", stored_name="september", size_bytes=99, now=utcnow(),
        ).id  # fmt: skip
    for choices in (
        None,
        Choices(targets={0: Target.COLUMN, 1: Target.PHONE, 2: Target.IGNORE}, names={0: "会社名"}),
    ):
        if choices:
            with store.write() as session:
                imports.choose(session, viewer=viewer, import_id=given, choices=choices)
        imports.check(store, uploads_dir=settings.uploads_dir, import_id=given, now=utcnow())
    with store.write() as session:
        imports.start(session, viewer=viewer, import_id=given, now=utcnow())
    import_run.run(store, uploads_dir=settings.uploads_dir, import_id=given, clock=utcnow)


@pytest.fixture
def signed_in(chromium: Windows, office: Office) -> Iterator[Callable[[User], Page]]:
    """`signed_in(user)`: a page of 管理画面 on which this person has signed in."""

    def sign_in(user: User) -> Page:
        page = chromium.new_page(
            locale="ja-JP", timezone_id="Asia/Tokyo", viewport={"width": 1366, "height": 768},
            accept_downloads=True, base_url=office.house.web.origin,
        )  # fmt: skip
        page.goto("/sign-in")
        page.fill("[name=login_id]", user.login_id)
        page.fill("[name=password]", PASSWORD)
        page.click("main button[type=submit]")
        expect(page).to_have_url(re.compile("/admin/$"))
        return page

    yield sign_in
    chromium.close()


def test_R_LS_10_R_DN_3_R_HS_3_R_RC_1_R_WT_2_a_managers_week(
    office: Office, signed_in: Callable[[User], Page]
) -> None:
    page = signed_in(office.manager)
    week = Week(page, office)
    list_id = week.monday_import()
    week.monday_share_out(list_id)
    week.tuesday_bans(list_id)
    week.wednesday_repair()
    week.thursday_recordings()
    week.friday_figures()
    week.friday_setting()


class Week:
    """What the manager does, a step a method; each is then asked of the ledger."""

    def __init__(self, page: Page, office: Office) -> None:
        self.page, self.office, self.store = page, office, office.store
        office.weeks += 1
        self.list = f"十月{office.weeks}"
        self.numbers = [f"0398{office.weeks:02}20{n:02}" for n in range(6)]

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).click()

    def monday_import(self) -> int:
        """R-LS-10: the columns come chosen as last time, and may be looked at."""
        page = self.page
        page.goto("/admin/imports/new")
        with self.store.read() as session:
            project = session.get_one(Project, self.office.year.people.projects[0])
        page.select_option("[name=project_id]", str(project.id))
        october = COLUMNS + "".join(f"十月商店,{number},い\r\n" for number in self.numbers)
        page.set_input_files(
            "[name=file]",
            {"name": f"{self.list}.csv", "mimeType": "text/csv", "buffer": october.encode("cp932")},
        )
        self.press("アップロード")
        expect(page.locator("#start")).to_be_visible()
        expect(page.locator("main")).to_contain_text("見出しが前回の取り込み（")
        page.get_by_role("link", name="列を確認").click()
        expect(page.locator("[name=target-1]")).to_have_value("phone")
        expect(page.locator("[name=target-2]")).to_have_value("ignore")
        page.go_back()
        page.locator("#start button").click()
        expect(page.locator("#open-list")).to_be_visible()
        page.check("#open-list [name=enabled]")
        page.check(f"#open-list [name=users][value='{self.office.operator.id}']")
        page.locator("#open-list button.primary").click()
        expect(page.locator("#open-list .badge.ok")).to_be_visible()
        with self.store.read() as session:
            named = select(CustomerList).where(CustomerList.name == self.list)
            folder = session.scalars(named).one()
            assert (folder.columns, folder.customers, folder.enabled) == (["会社名"], 6, True)
            return folder.id

    def monday_share_out(self, list_id: int) -> None:
        """R-LS-10: 割当 of all that the search finds, the count typed."""
        page = self.page
        page.goto(f"/admin/lists/{list_id}/assign?of=found")
        page.check(f"[name=users][value='{self.office.operator.id}']")
        page.fill("#each", "4")
        page.fill("#confirmation", "6")
        page.locator("main form button.primary").click()
        expect(page.locator("main .badge.ok")).to_be_visible()
        with self.store.read() as session:
            mine = Customer.assigned_user_id == self.office.operator.id
            assigned = select(func.count()).where(Customer.list_id == list_id, mine)
            assert session.scalar(assigned) == 4

    def tuesday_bans(self, list_id: int) -> None:
        """R-DN-3: a file of do-not-call numbers, one of them in the new list."""
        page = self.page
        page.goto("/admin/do-not-call/file")
        theirs, other = self.numbers[0], self.numbers[0][:-4] + "7777"
        body = f"電話番号\r\n{theirs}\r\n{other}\r\n".encode()
        page.set_input_files(
            "[name=file]", {"name": "停止.csv", "mimeType": "text/csv", "buffer": body}
        )
        self.press("アップロード")
        page.get_by_role("button", name="2件を登録").click()
        expect(page.get_by_role("link", name="登録した番号を表示")).to_be_visible()
        with self.store.read() as session:
            in_force = select(DoNotCall.number).where(do_not_call.in_force(utcnow()))
            assert {theirs, other} <= set(session.scalars(in_force))
            customer = session.scalars(select(Customer).where(Customer.number == theirs)).one()
        page.goto(f"/customers/{customer.id}")
        expect(page.locator("main .badge.bad")).to_be_visible()

    def wednesday_repair(self) -> None:
        """R-HS-3: a 空白 gets its result, which leaves a line."""
        page, now = self.page, utcnow()
        with self.store.write() as session:
            sent = select(ResultStatus).where(ResultStatus.name == "資料送付")
            status = session.scalars(sent).one()
            number = select(Customer).where(Customer.number == self.numbers[1])
            record = make.make_record(
                session, session.scalars(number).one(), user_id=self.office.operator.id,
                started_at=now, site_day=site_day(now), closed_at=now,
            )  # fmt: skip
            figures.settle(session, record=record, now=now)
            blank = record.id
        page.goto("/history/?span=all&status=blank")
        page.locator(f"main a[href='/history/{blank}']").first.click()
        page.select_option("#status", str(status.id))
        page.fill("[name=memo]", "聞き直して訂正")
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            page.locator(f"form[action$='/history/{blank}'] button.primary").click()
        page.goto(f"/history/{blank}")
        expect(page.locator("#corrections")).to_contain_text("資料送付")
        with self.store.read() as session:
            record = session.get_one(CallRecord, blank)
            assert (record.status_id, record.counts_connect) == (status.id, True)
            line = select(RecordCorrection).where(RecordCorrection.record_id == blank)
            assert session.scalars(line).one().user_id == self.office.manager.id

    def thursday_recordings(self) -> None:
        """R-RC-1, R-RC-4: all of one number, heard in the page and taken along as a zip."""
        page = self.page
        page.goto(f"/admin/recordings/?span=all&number={HEARD}")
        expect(page.locator("main tbody tr")).to_have_count(3)
        listen(page)
        page.goto(f"/admin/recordings/zip?span=all&number={HEARD}")
        page.locator("main form button.primary").click()
        done = page.get_by_role("link", name="ZIPをダウンロード")
        expect(done).to_be_visible()
        with page.expect_download() as given:
            done.click()
        with zipfile.ZipFile(given.value.path()) as archive:
            names = archive.namelist()
        assert len([name for name in names if name.endswith(".mp3")]) == 3
        assert any(name.endswith("一覧.csv") for name in names)
        with self.store.read() as session:
            said = set(session.scalars(select(AuditEntry.action)))
        assert {"recording.played", "bulk.recording_zip.downloaded"} <= said

    def friday_figures(self) -> None:
        """R-WT-2: 集計 of the last days by user as XLSX: every figure is the ledger's."""
        page, last = self.page, site_day(utcnow())
        first = last - timedelta(days=DAYS + 4)
        page.goto(f"/figures/table?period=custom&from={first}&to={last}&by=user")
        with page.expect_download() as given:
            page.get_by_role("link", name="XLSX").click()
        book = openpyxl.load_workbook(io.BytesIO(given.value.path().read_bytes()))
        rows = list(book.worksheets[0].values)
        header, *lines, total = rows
        wanted = ("コール数", "コネクト数", "CV", "対応数", "受電数", "手動発信数")
        places = [header.index(name) for name in wanted]
        counted = {line[0]: [line[place] for place in places] for line in lines}
        with self.store.read() as session:
            names = {row.id: row.name for row in session.scalars(select(User))} | {None: "自動発信"}

            def of_period(record: CallRecord) -> bool:
                return first <= site_day(record.started_at) <= last

            by_hand = slowly(session, of_period, Axis.USER)
            whole = slowly(session, of_period)[()]
        shown = (0, 1, 2, 4, 5, 6)  # of summaries.COUNTED
        assert {names[user]: [all_of[n] for n in shown] for (user,), all_of in by_hand.items()} == {
            name: values for name, values in counted.items() if any(values)
        }
        assert [total[place] for place in places] == [whole[n] for n in shown]
        assert whole[0] > 100

    def friday_setting(self) -> None:
        """R-US-7: a changed setting is in force, and the audit log says by whom."""
        page = self.page
        page.goto("/admin/settings/site/")
        page.fill("[name=wrap_up_limit_s]", "240")
        page.locator("main form .form-actions button.primary").click()
        expect(page.locator("[name=wrap_up_limit_s]")).to_have_value("240")
        page.goto("/admin/users/audit?action=settings.changed")
        expect(page.locator("main tbody tr").first).to_contain_text("管理 花子")
        with self.store.read() as session:
            assert session.get_one(Site, 1).wrap_up_limit_s == 240


def listen(page: Page) -> None:
    """Press 再生 and wait until the player knows the sound: it was sent and can be read."""
    page.get_by_role("link", name="再生").first.click()
    expect(page.locator("[data-player] audio")).not_to_have_js_property("readyState", 0)


@pytest.mark.provokes("403 .*/admin/bin/", "403 .*/history/delete")
def test_R_US_1_a_supervisors_day(office: Office, signed_in: Callable[[User], Page]) -> None:
    """R-US-1, spec §2: figures, records and sounds of everybody, and nothing that only MGR may."""
    page = signed_in(office.supervisor)
    navigation = page.locator("nav").first
    expect(navigation).to_contain_text("コール履歴")
    for theirs_not in ("ごみ箱", "個人情報の削除"):
        expect(navigation).not_to_contain_text(theirs_not)

    page.goto("/figures/table?period=custom&by=user")
    expect(page.locator("#summary")).to_be_visible()
    page.goto("/figures/hours?period=month")
    expect(page.locator("#summary tbody tr").first).to_be_visible()
    page.goto("/figures/")
    expect(page.locator("main")).to_contain_text("コール数")

    with office.store.read() as session:
        counted = select(func.count()).where(CallRecord.user_id == office.operator.id)
        records = session.scalar(counted) or 0
        one = session.scalars(
            select(CallRecord).where(CallRecord.user_id == office.operator.id).limit(1)
        ).one()
    page.goto(f"/history/?span=all&user={office.operator.id}")
    expect(page.locator("tr[data-record]")).to_have_count(min(records, 50))
    page.goto(f"/history/{one.id}")
    expect(page.locator("main")).to_contain_text("山田 太郎")
    expect(page.locator(f"form[action$='/history/{one.id}']")).to_have_count(0)  # not their own

    page.goto(f"/admin/recordings/?span=all&number={HEARD}")
    listen(page)
    page.goto(f"/customers/?q={HEARD}")
    expect(page.locator("main tbody tr")).to_have_count(3)  # one number in three rows

    for path in ("/admin/bin/", "/history/delete"):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 403
    page.goto("/admin/settings/site/")
    expect(page.locator("main form .form-actions button")).to_have_count(0)
    page.goto("/watch/")
    expect(page.locator("main")).to_contain_text("使用中の回線")
    newcomer = f"新人{utcnow():%H%M%S%f}"
    page.goto("/admin/users/new")
    page.fill("[name=login_id]", newcomer)
    page.fill("[name=name]", newcomer)
    expect(page.locator("[name=role] option")).to_have_count(1)  # OP, and no other
    page.fill("[name=password]", PASSWORD)
    page.locator("main form button.primary").click()
    expect(page).to_have_url(re.compile("/admin/users/$"))
    expect(page.locator("main")).to_contain_text("山田 太郎")
    expect(page.locator("main")).to_contain_text(newcomer)
    with office.store.read() as session:
        played = select(AuditEntry).where(AuditEntry.action == "recording.played")
        mine = [line for line in session.scalars(played) if line.user_id == office.supervisor.id]
    assert mine
