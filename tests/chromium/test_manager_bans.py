"""架電禁止管理 in a real Chromium: a file in with check and progress, and out by typed count."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from calltree.config import Settings
from calltree.db import utcnow
from calltree.models import DoNotCall, Role
from calltree.services import do_not_call
from tests import factories as make
from tests.chromium.house import PASSWORD, ROOT, House, running_house
from tests.windows import Windows

pytestmark = pytest.mark.browser

AXE = next((ROOT / "tests" / "vendor").glob("axe-core@*")) / "axe.min.js"
ROWS = 1_200
FILE = "電話番号,会社名\r\n" + "".join(f"045501{n:04},客{n}\r\n" for n in range(ROWS))


@pytest.fixture
def house(settings: Settings, tmp_path: Path) -> Iterator[House]:
    with running_house(settings, tmp_path) as running:
        running.work("jobs")
        yield running


@pytest.fixture
def page(house: House, chromium: Windows) -> Iterator[Page]:
    """The manager's page, signed in."""
    user = house.person(role=Role.MANAGER)
    page = chromium.new_page(
        locale="ja-JP", viewport={"width": 1366, "height": 768}, base_url=house.web.origin
    )
    page.goto("/sign-in")
    page.fill("[name=login_id]", user.login_id)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    expect(page).not_to_have_url(re.compile("/sign-in"))
    yield page
    chromium.close()


def banned(house: House) -> int:
    with house.store.read() as session:
        query = select(func.count(DoNotCall.id)).where(do_not_call.in_force(utcnow()))
        return session.scalar(query) or 0


def accessible(page: Page) -> None:
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "axe.run({rules: {'target-size': {enabled: true}}})"
        ".then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))"
    )
    assert found == []


@pytest.mark.one_database  # its rows: tests/services/test_ban_files.py
def test_R_DN_3_R_DN_4_a_file_goes_in_and_out_again(house: House, page: Page) -> None:
    page.goto("/admin/do-not-call/file")
    name = "名簿.csv"
    body = (FILE + "12,短い\r\n").encode("cp932")
    page.set_input_files("[name=file]", {"name": name, "mimeType": "text/csv", "buffer": body})
    page.get_by_role("button", name="アップロード").click()
    start = page.get_by_role("button", name="1,200件を登録")
    expect(start).to_be_visible()
    assert banned(house) == 0
    accessible(page)
    start.click()
    entered = page.get_by_role("link", name="登録した番号を表示")
    expect(entered).to_be_visible()
    assert banned(house) == ROWS
    entered.click()
    expect(page.locator("tr[data-ban]")).to_have_count(50)
    accessible(page)
    page.get_by_role("link", name="条件に合うすべてを解除").click()
    expect(page.locator("#confirmation")).to_be_visible()
    accessible(page)
    page.fill("#reason", "誤登録")
    page.fill("#confirmation", "5")
    page.get_by_role("button", name="1,200件を解除").click()
    assert banned(house) == ROWS, "another number than the one shown sends nothing"
    page.fill("#confirmation", "１２００")
    page.get_by_role("button", name="1,200件を解除").click()
    expect(page.locator(".alert.ok")).to_be_visible()
    assert banned(house) == 0


@pytest.mark.one_database
def test_R_LS_12_R_HS_3_the_history_opens_a_customer_and_deletes(house: House, page: Page) -> None:
    with house.store.write() as session:
        folder = make.make_list(session)
        customer = make.make_customer(session, folder, number="0312345678")
        for _ in range(3):
            now = utcnow()
            make.make_record(session, customer, started_at=now, saved_at=now, closed_at=now)
    page.goto("/history/?span=all")
    page.get_by_role("link", name="03-1234-5678").first.click()
    window = page.locator("#customer-popup")
    expect(window).to_be_visible()
    expect(window).to_contain_text(customer.cells[0])
    accessible(page)
    window.get_by_role("button", name="閉じる").click()
    expect(window).to_be_hidden()
    page.get_by_role("checkbox", name="このページをすべて選択").check()
    page.get_by_role("button", name="選択した履歴を削除").click()
    page.fill("#confirmation", "3")
    accessible(page)
    page.get_by_role("button", name="3件を削除").click()
    expect(page.locator(".alert.ok")).to_be_visible()
    page.goto("/history/?span=all")
    expect(page.locator("tr[data-record]")).to_have_count(0)
