"""The menu of 管理画面: sections that fold, so that it fits a screen of 768 pixels."""

from __future__ import annotations

import pytest
from flask import Flask

from calltree.blueprints import navigation
from calltree.db import Store
from calltree.models import Role
from tests.browser import Answer, Browser
from tests.factories import make_site, make_user

pytestmark = pytest.mark.one_database

RECORDS = {"recordings.problems", "history.index"}


@pytest.fixture
def manager(app: Flask, store: Store, browser_of) -> Browser:
    with store.write() as session:
        make_site(session)
        user = make_user(session, Role.MANAGER)
    return browser_of(user)


def is_open(page: Answer) -> dict[str, bool]:
    return {one["data-section"]: one.has_attr("open") for one in page.soup.select("#nav details")}


def folded(browser: Browser, told: str) -> None:
    browser.client.set_cookie(navigation.COOKIE, told)


def test_settings_are_folded_until_one_is_there(manager: Browser) -> None:
    at_home = is_open(manager.get("/admin/"))
    assert not at_home["settings"]
    assert at_home["lists"]
    assert at_home["records"]
    in_settings = is_open(manager.get("/admin/settings/site/"))
    assert [key for key, opened in in_settings.items() if opened] == ["settings"]


def test_what_was_folded_stays_so_and_where_one_is_never_is(manager: Browser) -> None:
    folded(manager, "records:0.settings:1")
    page = manager.get("/admin/")
    assert (is_open(page)["records"], is_open(page)["settings"]) == (False, True)
    assert is_open(manager.get("/history/"))["records"]
    folded(manager, "records:0")
    page = manager.get("/admin/")
    assert (is_open(page)["records"], is_open(page)["lists"]) == (False, True)


@pytest.mark.parametrize("told", ["", "records", "x.y:z:0..", "records:2", "%00:0"])
def test_a_cookie_of_nonsense_folds_nothing(manager: Browser, told: str) -> None:
    folded(manager, told)
    assert is_open(manager.get("/admin/"))["records"]
