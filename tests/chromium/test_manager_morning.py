"""The manager's morning in a real Chromium: from the first setting to both CSVs.

はじめての設定 → 発信番号 → 結果パターン → 案件 → a CP932 list with faults → 有効化 and grant → an
operator's calls → figures → CSVs, cell by cell against the ledger → a correction.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from calltree.config import Settings
from calltree.models import (
    AttributeItem,
    BuiltIn,
    CallRecord,
    Customer,
    CustomerList,
    Import,
    Operator,
    ResultStatus,
    Role,
    SystemResult,
    User,
)
from tests import factories as make
from tests.chromium.house import PASSWORD, ROOT, House, running_house
from tests.chromium.ledger import Ledger
from tests.factories import NOW
from tests.services.desks import Desk
from tests.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.one_database, pytest.mark.timeout(900)]

TOKYO = ZoneInfo("Asia/Tokyo")
AXE = next((ROOT / "tests" / "vendor").glob("axe-core@*")) / "axe.min.js"
LIST = "名簿_秋"
ROWS = [
    # 電話番号, 会社名, 住所, 住所, 備考
    ("03-1234-5601", "髙橋商店", "東京都港区", "芝公園1-2", "=1+1"),
    ("312345602", "はやし①工業", "東京都", "", "先頭の0なし"),
    ("０３－１２３４－５６０３", "全角電機", "東京都", "", ""),
    ("(代)03-1234-5604", "ラベル株式会社", "東京都", "", "代表"),
    ("03-1234-5605・03-1234-5695", "二番号印刷", "東京都", "", "番号が2つ"),
    ("03-1234-5606", "一行\n二行", "東京都", "", '引用"符"'),
    ("090-1234-5607", "携帯屋", "大阪府", "", ""),
    ("+81-3-1234-5608", "国番号商会", "東京都", "", ""),
    ("03-1234-5609", "九番", "東京都", "", ""),
    ("03-1234-5610", "十番", "東京都", "", ""),
    ("03-1234-5611", "十一番", "東京都", "", ""),
    ("03-1234-5601", "重複商店", "東京都", "", "ファイル内の重複"),
    ("3.12E+09", "指数", "東京都", "", "Excelで桁落ち"),
    ("1234-5678", "市外局番なし", "東京都", "", ""),
    ("", "番号なし", "東京都", "", ""),
    ("03-1234-56", "桁不足", "東京都", "", ""),
    ("03-1234-5612 内線12", "内線付き", "東京都", "", ""),
    ("0990-123-456", "許可なし", "東京都", "", ""),
]
GOOD = 11
REFUSED = {
    "指数": "指数表記",
    "市外局番なし": "市外局番なし",
    "番号なし": "番号なし",
    "桁不足": "桁数",
    "内線付き": "内線付き",
    "許可なし": "許可されていない番号",
}
"""Company and the reason that comes back with the row (R-LS-5)."""


def a_file_with_faults() -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([" 電話番号 ", "会社名", "住所", "住所", "備考"])
    writer.writerows(ROWS)
    return out.getvalue().encode("cp932")


def save(page: Page) -> None:
    """Press the page's main button and wait for what follows."""
    with page.expect_navigation():
        page.locator("main form .form-actions button.primary").click()


def download(page: Page, press: Locator) -> bytes:
    with page.expect_download() as given:
        press.click()
    return given.value.path().read_bytes()


def table(data: bytes, encoding: str = "utf-8-sig") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline="")))


@pytest.fixture
def house(settings: Settings, tmp_path: Path) -> Iterator[House]:
    with running_house(settings, tmp_path) as running:
        running.work("jobs")
        yield running


@pytest.fixture
def signed_in(chromium: Windows, house: House) -> Iterator[Callable[[User], Page]]:
    """`signed_in(user)`: a page on which this person has signed in."""

    def sign_in(user: User) -> Page:
        context = chromium.new_context(
            locale="ja-JP", timezone_id="Asia/Tokyo", viewport={"width": 1366, "height": 768},
            accept_downloads=True, base_url=house.web.origin,
        )  # fmt: skip
        page = context.new_page()
        page.goto("/sign-in")
        page.fill("[name=login_id]", user.login_id)
        page.fill("[name=password]", PASSWORD)
        page.click("main button[type=submit]")
        return page

    yield sign_in
    chromium.close()


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], None]:
    """Look at a page as axe-core does: it must find nothing that keeps people out.

    test_access looks at every page; here are those that only a morning's presses show.
    """
    source = AXE.read_text()
    options = "{resultTypes: ['violations'], rules: {'target-size': {enabled: true}}}"

    def look(page: Page) -> None:
        page.evaluate(source)
        found = page.evaluate(f"axe.run(document, {options})")["violations"]
        told = [
            f"{one['id']}: {one['help']} {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found
        ]
        assert told == [], f"{page.url}: {told}"

    return look


class Morning:
    """What the manager does, a step a method."""

    def __init__(self, page: Page, house: House, axe: Callable[[Page], None]) -> None:
        self.page, self.house, self.axe = page, house, axe

    def steps_done(self) -> list[bool]:
        self.page.goto("/admin/")
        rows = self.page.locator("main tbody tr").all()
        return [row.locator(".badge.ok").count() == 1 for row in rows]

    def caller_number(self) -> None:
        self.page.goto("/admin/projects/numbers")
        self.page.goto("/admin/projects/numbers/new")
        self.page.fill("[name=number]", "０３－５５５５－０００１")
        self.page.fill("[name=label]", "本社")
        save(self.page)
        expect(self.page.locator("main")).to_contain_text("03-5555-0001")

    def pattern(self) -> None:
        self.page.goto("/admin/settings/results/")
        self.page.goto("/admin/settings/results/patterns/new")
        self.page.fill("[name=name]", "秋の案内")
        save(self.page)
        with self.house.store.read() as session:
            (project_pattern,) = session.scalars(
                select(make.ResultPattern.id).where(make.ResultPattern.name == "秋の案内")
            )
        for name, ticks in (
            ("見学予約", ["conversion"]),
            ("今は不要", []),
            ("断り", ["bans_number"]),
        ):
            self.page.goto(f"/admin/settings/results/patterns/{project_pattern}/statuses/new")
            self.page.fill("[name=name]", name)
            if name == "今は不要":
                self.page.uncheck("[name=connected]")
            for tick in ticks:
                self.page.check(f"[name={tick}]")
            save(self.page)
        for name, target, kind in (
            ("予算", "result", "text"),
            ("業種", "customer", "choice"),
            ("備考", "customer", "text"),
        ):
            self.page.goto("/admin/settings/results/items/new")
            self.page.fill("[name=name]", name)
            self.page.select_option("[name=target]", target)
            self.page.select_option("[name=kind]", kind)
            if kind == "choice":
                self.page.fill("[name=choices]", "製造\n小売")
            save(self.page)
        expect(self.page.locator("main")).to_contain_text("見学予約")

    def project(self) -> None:
        self.page.goto("/admin/projects/")
        self.page.goto("/admin/projects/new")
        self.page.fill("[name=name]", "秋の訪問")
        self.page.select_option("[name=pattern_id]", label="秋の案内")
        numbers = self.page.locator("[name=main_number_id] option").all_inner_texts()
        ours = next(text for text in numbers if "03-5555-0001" in text)
        self.page.select_option("[name=main_number_id]", label=ours)
        for item in ("予算", "業種"):
            self.page.locator("#item_ids label", has_text=item).locator("input").check()
        self.page.fill("[name=business_name]", "秋山商事")
        self.page.fill("[name=script]", "{会社名}様でいらっしゃいますか。")
        save(self.page)
        expect(self.page.locator("main")).to_contain_text("秋の訪問")

    def clash(self) -> None:
        """A status of the pattern cannot take the name of an item that the project uses."""
        with self.house.store.read() as session:
            status = session.scalars(select(ResultStatus).where(ResultStatus.name == "断り")).one()
        path = f"/admin/settings/results/patterns/{status.pattern_id}/statuses/{status.id}"
        self.page.goto(path)
        self.page.fill("[name=name]", "予算")
        save(self.page)
        self.axe(self.page)
        said = self.page.locator("#error-summary")
        expect(said).to_contain_text("予算")
        expect(said).to_contain_text("秋の訪問")

    def upload(self) -> None:
        self.page.goto("/admin/imports/")
        self.page.goto("/admin/imports/new")
        self.page.set_input_files(
            "[name=file]",
            {"name": f"{LIST}.csv", "mimeType": "text/csv", "buffer": a_file_with_faults()},
        )
        save(self.page)
        main = self.page.locator("main")
        # two columns of one name refuse the file; one press numbers them
        expect(main).to_contain_text("Shift_JIS")
        expect(main).to_contain_text("住所1、住所2")
        self.axe(self.page)
        self.page.locator("form:has([name=number_headers]) button").click()

    def choose(self) -> None:
        main, tile = self.page.locator("main"), self.page.locator(".tile")
        expect(main.locator("#start")).to_be_visible()
        self.axe(self.page)
        expect(tile.nth(0)).to_contain_text(str(GOOD - 1))
        expect(tile.nth(1)).to_contain_text("1")
        expect(tile.nth(3)).to_contain_text(str(len(REFUSED) + 1))
        expect(main).to_contain_text("番号が2つ以上")
        self.page.check("[name=split_numbers]")
        self.page.locator("#rows button").click()
        expect(tile.nth(3)).to_contain_text(str(len(REFUSED)))
        expect(tile.nth(0)).to_contain_text(str(GOOD))
        columns = re.sub(r"\?.*", "", self.page.url) + "?step=columns"
        self.page.goto(columns)
        self.page.go_back()
        expect(main.locator("#start")).to_be_visible()
        self.page.locator("#start button").click()

    def rejects(self) -> list[list[str]]:
        expect(self.page.locator("#open-list")).to_be_visible()
        self.axe(self.page)
        return table(download(self.page, self.page.locator("a[href$='rejects.csv']")), "cp932")

    def open_list(self, operator: User) -> None:
        self.page.check("#open-list [name=enabled]")
        self.page.check(f"#open-list [name=users][value='{operator.id}']")
        self.page.locator("#open-list button.primary").click()
        expect(self.page.locator("#open-list .badge.ok")).to_be_visible()

    def overview(self) -> list[str]:
        self.page.goto("/admin/lists/")
        row = self.page.locator("tbody tr", has_text=LIST)
        return [text.strip() for text in row.locator("td").all_inner_texts()]

    def csv_of(self, path: str, encoding: str = "utf-8-bom") -> bytes:
        self.page.goto(path)
        self.page.check(f"[name=encoding][value='{encoding}']")
        data = download(self.page, self.page.locator("form[data-download] button.primary"))
        expect(self.page.locator("main")).to_contain_text("完了")
        return data


def calls_of_every_kind(house: House, operator: User) -> None:
    """The operator's hour, by the services that the operator's pages call."""
    with house.store.write() as session:
        make.make_switch(session)
        user = session.get_one(User, operator.id)
        if mine := session.get(Operator, user.id):  # made when they signed in
            session.delete(mine)
            session.flush()
        make.make_operator(session, user)
        folder = session.scalars(select(CustomerList).where(CustomerList.name == LIST)).one()
        budget = session.scalars(select(AttributeItem).where(AttributeItem.name == "予算")).one()
        trade = session.scalars(select(AttributeItem).where(AttributeItem.name == "業種")).one()
        customers = list(session.scalars(select(Customer).order_by(Customer.position, Customer.id)))
    desk = Desk(house.store, operator.id, 0, folder.id, folder.project_id, "")
    minutes = count(0, 3)

    def at(customer: Customer) -> tuple[Desk, datetime]:
        now = NOW + timedelta(minutes=next(minutes))
        with house.store.write() as session:
            make.make_hold(session, customer, operator)
            session.get_one(Operator, operator.id).customer_id = customer.id
        return replace(desk, customer_id=customer.id, number=customer.number), now

    results = [
        *BuiltIn, "見学予約", "今は不要", "断り",
    ]  # fmt: skip
    for customer, status in zip(customers, results, strict=False):
        mine, now = at(customer)
        mine.calls(now, talk_ms=61_500)
        mine.save(
            status, now + timedelta(seconds=30), memo=f"＝{customer.number}\nとのこと",
            attributes={str(budget.id): "1,000万円", str(trade.id): "小売"}, prospect_level="A",
            callback_at=NOW + timedelta(days=2) if status == BuiltIn.CALLBACK else None,
        )  # fmt: skip
        mine.leave(now + timedelta(minutes=1))
    mine, now = at(customers[len(results)])
    mine.calls(now)
    mine.leave(now + timedelta(minutes=1))  # 空白
    mine, now = at(customers[len(results) + 1])
    mine.fails(now)  # 回線エラー
    mine.leave(now + timedelta(minutes=1))


@pytest.mark.provokes("422 .*/statuses/")
def test_R_HS_4_R_LS_1_the_managers_morning(
    house: House, signed_in: Callable[[User], Page], axe: Callable[[Page], None]
) -> None:
    manager = house.person(role=Role.MANAGER, name="管理 花子", login_id="mgr", login_key="mgr")
    operator = house.person(name="山田太郎", login_id="op1", login_key="op1")
    page = signed_in(manager)
    expect(page).to_have_url(re.compile("/admin/"))
    morning = Morning(page, house, axe)

    assert morning.steps_done()[0] is False
    morning.caller_number()
    morning.pattern()
    morning.project()
    assert morning.steps_done() == [True, True, True, False, False, False]
    morning.clash()

    morning.upload()
    morning.choose()
    rejected = morning.rejects()
    name, reason = (rejected[0].index(head) for head in ("会社名", "理由"))
    assert {row[name]: row[reason] for row in rejected[1:]} == REFUSED
    assert "未公開（無効、権限なし）" in morning.overview()[9]
    page.go_back()
    morning.open_list(operator)
    assert morning.steps_done()[:5] == [True] * 5
    shown = morning.overview()[9]
    assert "有効" in shown
    assert "未公開" not in shown

    theirs = signed_in(operator)
    expect(theirs.locator("main")).to_contain_text(LIST)
    theirs.close()  # what follows is another page of theirs: this one would rightly be told so

    calls_of_every_kind(house, operator)
    with house.store.read() as session:
        folder = session.scalars(select(CustomerList).where(CustomerList.name == LIST)).one()
        records = session.scalars(select(CallRecord)).all()
        assert len(records) == GOOD
        counted = [record for record in records if record.system != SystemResult.LINE_ERROR]
        connected = [record for record in records if record.counts_connect]
    row = morning.overview()
    assert row[3:5] == [str(GOOD), str(len(counted))]
    assert row[6:8] == [str(len(counted)), str(len(connected))]
    # 見込, 再コール, クレーム, 見学予約, 断り of ten dials that count
    assert (len(counted), len(connected)) == (10, 5)
    assert row[8] == "50.0%"

    ledger = Ledger(house, LIST)
    given = table(morning.csv_of(f"/admin/exports/customers?list_id={folder.id}"))
    assert given[0] == ledger.customer_head()
    assert given[1:] == ledger.customers()
    path = f"/admin/exports/records?span=all&list={folder.id}"
    assert table(morning.csv_of(path)) == ledger.records()
    narrow = table(morning.csv_of(path, "cp932"), "cp932")
    assert narrow == ledger.records()  # every character here has a place in CP932

    record = records[0]
    page.goto("/history/?span=all")
    page.goto(f"/history/{record.id}")
    page.select_option("[name=status]", label="見学予約")
    page.fill("[name=memo]", "訂正しました")
    page.locator(f"form[action$='/{record.id}'] button.primary").click()
    expect(page.locator("#corrections")).to_contain_text("見学予約")
    with house.store.read() as session:
        kept = session.get_one(CallRecord, record.id)
        assert kept.status_id != record.status_id
        assert kept.started_at == record.started_at

    with house.store.read() as session:
        given_import = session.scalars(select(Import)).one()
    page.goto(f"/admin/imports/{given_import.id}")
    undo = page.locator("[data-opens=undo-import]")
    assert undo.get_attribute("aria-disabled") == "true" or undo.is_disabled()
    answer = page.request.post(
        f"/admin/imports/{given_import.id}/undo",
        form={"csrf_token": page.locator("[name=csrf_token]").first.input_value()},
        headers={"Referer": page.url},
    )
    assert answer.status == 409
    assert "すでに発信しているため、取り消せません" in answer.text()
    with house.store.read() as session:
        assert session.get_one(Import, given_import.id).state == given_import.state
        assert len(session.scalars(select(Customer)).all()) == GOOD
