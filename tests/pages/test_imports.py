"""CSVでリスト登録, as a manager does it through the pages (R-LS-2…7)."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import func, select

from calltree.config import Settings
from calltree.db import Store
from calltree.models import Customer, CustomerList, Import, ImportState, Role, User
from calltree.services import import_run, import_undo, imports, scope
from tests import factories as make
from tests.browser import Answer, Browser
from tests.factories import NOW

START = "/admin/imports/new"


class Wizard:
    """A manager's browser, and the worker's steps done at once where the page would wait."""

    def __init__(self, browser: Browser, store: Store, uploads: Path) -> None:
        self.browser, self.store, self.uploads = browser, store, uploads

    def upload(self, content: bytes | str, name: str = "名簿.csv", **fields: str) -> Answer:
        """Send a file and look at the page that comes after the check."""
        data = content.encode("cp932") if isinstance(content, str) else content
        self.browser.get(START)
        answer = self.browser.submit(file=(io.BytesIO(data), name), **fields)
        self.browser.part(answer.location + "/status")
        return self.settle(answer.location)

    def settle(self, path: str) -> Answer:
        """Let the worker do what it has been asked, then look."""
        self.work(path)
        return self.browser.get(path)

    def work(self, path: str) -> None:
        """Do what the worker has been asked."""
        import_id = int(path.rsplit("/", 1)[1].split("?")[0])
        clock = lambda: datetime.now(UTC)  # noqa: E731 - read as a value
        given = self.given(import_id)
        if given.state is ImportState.CHECKING:
            imports.check(self.store, uploads_dir=self.uploads, import_id=import_id, now=NOW)
        elif given.state is ImportState.RUNNING:
            import_run.run(self.store, uploads_dir=self.uploads, import_id=import_id, clock=clock)
        elif given.state is ImportState.UNDOING:
            import_undo.undo(self.store, import_id=import_id, clock=clock)

    def press(self, selector: str, **fields: object) -> Answer:
        return self.settle(self.browser.submit(selector, **fields).location)

    def given(self, import_id: int) -> Import:
        with self.store.read() as session:
            return session.get_one(Import, import_id)

    def last(self) -> Import:
        with self.store.read() as session:
            return imports.page(session)[0]


@pytest.fixture
def manager(store: Store) -> User:
    with store.write() as session:
        make.make_project(session, name="秋の案内")
        return make.make_user(session, Role.MANAGER)


@pytest.fixture
def wizard(manager: User, browser_of, store: Store, settings: Settings) -> Wizard:
    return Wizard(browser_of(manager), store, settings.uploads_dir)


def test_R_LS_3_a_manager_imports_a_cp932_file_and_opens_the_list(
    wizard: Wizard, store: Store
) -> None:
    with store.write() as session:
        operator = make.make_user(session, Role.OPERATOR, name="山田")
    page = wizard.upload("電話番号,会社名\r\n03-1234-5678,髙橋商店\r\n12,桁不足\r\n")
    assert "1行は登録できません" in page.text
    assert "桁数" in page.text
    assert (
        "Shift_JIS(CP932)として読みました"
        in wizard.browser.get(f"/admin/imports/{wizard.last().id}?step=reading").text
    )
    wizard.browser.get(f"/admin/imports/{wizard.last().id}")
    done = wizard.press("#start")
    assert "1件を登録しました" in done.text
    assert "未公開" in done.text
    opened = wizard.browser.submit("#open-list", users=str(operator.id), follow=True)
    assert "オペレータが架電できます" in opened.text
    with store.read() as session:
        folder = session.get_one(CustomerList, wizard.last().list_id)
        assert folder.enabled
        assert folder.customers == 1
    assert "名簿.csv" in wizard.browser.get("/admin/imports/").text


@pytest.mark.one_database
def test_R_LS_10_the_columns_of_last_time_are_said_and_may_be_chosen_anew(wizard: Wizard) -> None:
    file = "会社,TEL,備考\r\n髙橋商店,03-1234-5678,あ\r\n"
    wizard.upload(file, "九月.csv")
    chosen = {"target-0": "column", "target-1": "phone", "target-2": "ignore"}
    wizard.press("form.panel", **chosen)
    assert "1件を登録しました" in wizard.press("#start").text
    page = wizard.upload(file.replace("5678", "5679"), "十月.csv")
    assert "見出しが前回の取り込み（九月.csv" in page.text
    assert page.one("#start")
    columns = wizard.browser.get(page.one("#forget-columns a")["href"])
    shown = {name: columns.values("form.panel")[name] for name in chosen}
    assert shown == chosen
    anew = wizard.press("#forget-columns", forget="1")
    assert "前回の取り込み" not in anew.text
    assert anew.all("button[name=phone]")  # 電話番号 is asked for again


@pytest.mark.one_database
def test_R_LS_4_a_workbook_is_imported_and_its_rejected_rows_come_back(
    wizard: Wizard, store: Store
) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (
        ["電話番号", "会社名", "設立"],
        ["03-1234-5678", "髙橋商店", 1990],
        ["12", "短い", 1],
    ):
        sheet.append(row)
    made = io.BytesIO()
    book.save(made)
    page = wizard.upload(made.getvalue(), "名簿.xlsx")
    assert "1行は登録できません" in page.text
    assert "1件を登録しました" in wizard.press("#start").text
    with store.read() as session:
        (customer,) = session.scalars(select(Customer))
        assert (customer.number, customer.cells) == ("0312345678", ["髙橋商店", "1990"])
    path = f"/admin/imports/{wizard.last().id}"
    assert wizard.browser.get(f"{path}/file").data == made.getvalue()
    rejected = wizard.browser.get(f"{path}/rejects.csv").data.decode("utf-8-sig")
    assert "12,短い,1,桁数,3" in rejected.splitlines()


@pytest.mark.one_database
def test_R_PJ_3_a_project_without_pattern_is_refused_with_a_link(
    wizard: Wizard, store: Store
) -> None:
    with store.write() as session:
        bare = make.make_project(session, name="準備中", pattern_id=None)
    wizard.browser.get(START)
    page = wizard.browser.submit(
        file=(io.BytesIO(b"a"), "a.csv"), project_id=str(bare.id), status=422
    )
    assert "結果パターンがありません" in page.text
    assert page.soup.find("a", href=f"/admin/projects/{bare.id}")
    assert not list(wizard.uploads.iterdir())


@pytest.mark.one_database
def test_R_LS_4_one_press_numbers_the_duplicate_headers(wizard: Wizard) -> None:
    page = wizard.upload("電話番号,住所,住所\r\n03-1234-5678,東京,港区\r\n")
    assert "住所1、住所2" in page.text
    page = wizard.press('form:has(input[name="number_headers"])')
    assert "1行を登録" in page.text


@pytest.mark.one_database
def test_R_LS_4_the_number_column_is_picked_by_one_press(wizard: Wizard) -> None:
    page = wizard.upload("名称,経度,連絡先\r\n桜,138.321,03-1234-5678\r\n")
    pressed = page.one('form button[name="phone"]')
    assert "連絡先" in pressed.get_text()
    path = f"/admin/imports/{wizard.last().id}"
    wizard.browser.post(f"{path}/columns", {"phone": str(pressed["value"])})
    assert "1行を登録" in wizard.settle(path).text


@pytest.mark.one_database
def test_R_LS_4_the_encoding_can_be_changed(wizard: Wizard) -> None:
    wizard.upload("電話番号,会社名\r\n03-1234-5678,桜\r\n")
    path = f"/admin/imports/{wizard.last().id}"
    wizard.browser.get(f"{path}?step=reading")
    page = wizard.press("main form", encoding="utf-8")
    assert "UTF-8" in page.text or "utf-8" in page.text
    assert "このままでは登録できません" in page.text


@pytest.mark.one_database
def test_R_LS_5_rejected_rows_come_back_with_their_reason_in_the_same_encoding(
    wizard: Wizard,
) -> None:
    wizard.upload("電話番号,会社名\r\n03-1234-5678,桜\r\n12,髙橋\r\n")
    answer = wizard.browser.get(f"/admin/imports/{wizard.last().id}/rejects.csv")
    lines = answer.data.decode("cp932").splitlines()
    assert lines == ["電話番号,会社名,理由,元の行番号", "12,髙橋,桁数,3"]


@pytest.mark.one_database
def test_R_LS_6_the_manager_changes_what_happens_to_duplicates(wizard: Wizard) -> None:
    page = wizard.upload("電話番号,会社名\r\n03-1234-5678,桜\r\n0312345678,梅\r\n")
    assert "1行を登録" in page.text
    page = wizard.press("#rows", file="keep")
    assert "2行を登録" in page.text


def test_R_LS_7_undo_is_a_managers_press_and_takes_the_customers_away(
    wizard: Wizard, store: Store, browser_of
) -> None:
    wizard.upload("電話番号,会社名\r\n03-1234-5678,桜\r\n")
    wizard.press("#start")
    path = f"/admin/imports/{wizard.last().id}"
    with store.write() as session:
        supervisor = make.make_user(session, Role.SUPERVISOR)
    browser_of(supervisor).post(f"{path}/undo", status=403)
    page = wizard.press("#undo-import form")
    assert "取り消されました" in page.text


@pytest.mark.one_database
def test_R_LS_7_the_original_file_comes_back_byte_for_byte(wizard: Wizard) -> None:
    content = "電話番号,会社名\r\n03-1234-5678,桜\r\n".encode("cp932")
    wizard.upload(content)
    answer = wizard.browser.get(f"/admin/imports/{wizard.last().id}/file")
    assert answer.data == content
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.one_database
def test_R_LS_11_a_file_that_names_the_person_is_found_and_removed_with_what_it_shows(
    wizard: Wizard, store: Store, browser_of
) -> None:
    wizard.upload("電話番号,会社名\r\n03-1234-5678,桜商店\r\nなし,梅商店\r\n")
    waiting, number = wizard.last(), "0312345678"
    path = f"/admin/imports/{waiting.id}"
    wizard.browser.post(f"{path}/file/remove", status=409)
    wizard.browser.get(path)
    wizard.press("#start")
    erasing = wizard.browser.get(f"/admin/erase/?number={number}")
    assert erasing.one(f"main a[href='{path}']").text == "名簿.csv"
    with store.write() as session:
        supervisor = make.make_user(session, Role.SUPERVISOR)
    browser_of(supervisor).post(f"{path}/file/remove", status=403)
    wizard.browser.get(path)
    page = wizard.browser.submit("#remove-file form", follow=True)
    assert "元のファイルは削除されています" in page.text
    assert not page.all(f"a[href='{path}/rejects.csv']")
    assert not (wizard.uploads / waiting.stored_name).exists()
    assert "商店" not in str(wizard.last().findings)
    assert wizard.last().counts["new"] == 1
    for gone in ("file", "rejects.csv"):
        wizard.browser.get(f"{path}/{gone}", status=404)
    assert not wizard.browser.get(f"/admin/erase/?number={number}").all(f"main a[href='{path}']")


ESL = [
    "originate {a=b}sofia/gateway/x/110 &park",
    "api system rm -rf /",
    "0312345678\n\nbgapi status",
    "${system(id)}",
    "{origination_caller_id_number=110}",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "'; DROP TABLE customers; --",
]


@pytest.mark.one_database
def test_R_LS_3_commands_in_every_field_stay_text(wizard: Wizard, store: Store) -> None:
    header = "電話番号,会社名,住所"
    rows = "".join(f'03-1234-56{n:02},"{text}","{text}"\r\n' for n, text in enumerate(ESL))
    rows += "".join(f'"{text}",社,\r\n' for text in ESL)
    page = wizard.upload(f"{header}\r\n{rows}".encode())
    assert "<script>alert" not in page.html
    wizard.press("#start")
    with store.read() as session:
        kept = list(session.scalars(select(Customer).order_by(Customer.position)))
    assert [customer.cells[0] for customer in kept[: len(ESL)]] == ESL
    assert all(re.fullmatch("0[0-9]{9,10}", customer.number) for customer in kept)


def hostile() -> Iterator[tuple[str, bytes]]:
    """A few hundred files that no one should send."""
    draw = random.Random(7)
    good = "電話番号,会社名\r\n03-1234-5678,桜\r\n".encode("cp932")
    for n in range(60):
        yield f"{n}.csv", draw.randbytes(draw.randint(1, 3000))
    for n in range(80):
        bad = bytearray(good)
        for _ in range(draw.randint(1, 6)):
            bad[draw.randrange(len(bad))] = draw.randrange(256)
        yield f"mutated{n}.csv", bytes(bad)
    for n in range(0, len(good), 2):
        yield f"cut{n}.csv", good[:n]
    for magic in (b"PK\x03\x04", b"%PDF-1.7", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"<html>"):
        for n in range(8):
            yield f"magic{n}.xlsx", magic + draw.randbytes(n * 50)
    for n in range(16):  # what can be started: good rows among such as nobody should send
        bad = ["=1+1,=HYPERLINK(1)", "<b>,<script>", "bgapi originate,x", "090,,"]
        lines = [f"03-1234-{n:02}{row:02},桜" for row in range(20)] + draw.choices(bad, k=8)
        draw.shuffle(lines)
        yield f"mixed{n}.csv", "\r\n".join(["電話番号,会社名", *lines]).encode("cp932")
    yield "nul.csv", good + b"\0" * 100
    yield "quotes.csv", good + b'"' * 1001
    yield "wide.csv", b"," * 20_000 + b"\n1"
    yield "long.csv", good + b"03-1234-5679," + b"x" * 400_000
    yield "utf16.csv", "電話番号,会社名\r\n03-1234-5678,桜\r\n".encode("utf-16-le")
    yield "headers.csv", ("電話番号," * 150 + "\r\n03-1234-5678").encode()
    yield "../../../etc/passwd", good
    yield "名\r\nX-Evil: 1.csv", good
    yield "a" * 400 + ".csv", good


def test_R_LS_4_hundreds_of_malformed_files_are_answered_with_a_page(
    wizard: Wizard, store: Store
) -> None:
    sent, accepted = 0, []
    form = wizard.browser.get(START).values("main form")
    # what a file is taken for is the same on any database; what is stored of it may not be
    every = 1 if store.engine.dialect.name == "sqlite" else 4
    for name, content in islice(hostile(), 0, None, every):
        answer = wizard.browser.client.post(
            START, data={**form, "name": f"リスト{sent}", "file": (io.BytesIO(content), name)}
        )
        answer.close()
        assert answer.status_code in {303, 422}, name
        sent += 1
        if answer.status_code == 303:
            accepted.append(answer.location)
    assert sent * every > 180
    for place, path in enumerate(accepted):
        wizard.work(path)
        page = wizard.browser.client.get(path)  # a few of these pages are looked at more closely
        assert page.status_code == 200
        assert "CSVでリスト登録" in page.text
        if place % 16 == 0:
            wizard.browser.get(path)
    with store.read() as session:
        assert session.scalar(select(func.count(Customer.id))) == 0
    assert {path.suffix for path in wizard.uploads.iterdir()} == {".upload"}
    started = sum(starts(wizard, path, form["csrf_token"]) for path in accepted)
    assert started * every >= 16


def starts(wizard: Wizard, path: str, csrf_token: str) -> bool:
    """Start a file that was accepted: all rows that its check called good are in then, or none.

    False: its check did not let it be started.
    """
    before = wizard.given(int(path.rsplit("/", 1)[1]))
    answer = wizard.browser.client.post(f"{path}/start", data={"csrf_token": csrf_token})
    answer.close()
    wizard.work(path)
    given = wizard.given(before.id)
    with wizard.store.read() as session:
        mine = Customer.import_id == given.id
        stored = session.scalar(select(func.count(Customer.id)).where(mine))
        seen = session.scalar(select(func.count(Customer.id)).where(mine, scope.is_present()))
    if answer.status_code == 409:
        assert (given.state, stored) == (ImportState.CHECKED, 0), before.filename
        return False
    assert answer.status_code == 303, before.filename
    assert given.state is ImportState.DONE, before.filename
    assert stored == seen == before.findings["counts"]["new"] > 0, before.filename
    return True
