"""A new name of a user stands everywhere a record points to them (R-US-3)."""

import pytest
from flask import Flask

from calltree.db import Store
from tests.pages.history_floor import Floor, rows_of


@pytest.mark.one_database
def test_R_US_3_a_new_name_stands_in_history_pickers_figures_and_exports(
    store: Store, app: Flask, browser_of
) -> None:
    floor = Floor(store)
    browser = browser_of(floor.manager)
    browser.get(f"/admin/users/{floor.operator.id}")
    browser.submit("main form.form", name="山田花子")
    history = browser.get("/history/?span=all")
    assert "山田花子" in history.one(f"tr[data-record='{floor.call.id}']").text
    assert history.one(f"select[name=user] option[value='{floor.operator.id}']").text == "山田花子"
    figures = browser.get("/figures/table?period=month&by=user")
    assert "山田花子" in figures.one("main table").text
    exported = rows_of(browser.post("/admin/exports/records?span=all", status=200))
    column = exported[0].index("ユーザー")
    assert {row[column] for row in exported[1:]} == {"山田花子", "佐藤"}
    given = browser.get("/figures/file/table.csv?period=month&by=user")
    assert "山田花子" in given.text
    for page in (history, figures):
        assert "山田太郎" not in page.one("main").text
