"""CSVでリスト登録, as a manager does it through the pages (R-LS-2…7)."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calltree.config import Settings
from calltree.db import Store
from calltree.models import CustomerList, Import, ImportState, Role, User
from calltree.services import import_run, import_undo, imports
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
        import_id = int(path.rsplit("/", 1)[1].split("?")[0])
        clock = lambda: datetime.now(UTC)  # noqa: E731
        given = self.given(import_id)
        if given.state is ImportState.CHECKING:
            imports.check(self.store, uploads_dir=self.uploads, import_id=import_id, now=NOW)
        elif given.state is ImportState.RUNNING:
            import_run.run(self.store, uploads_dir=self.uploads, import_id=import_id, clock=clock)
        elif given.state is ImportState.UNDOING:
            import_undo.undo(self.store, import_id=import_id, clock=clock)
        return self.browser.get(path)

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
