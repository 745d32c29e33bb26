"""The screen on the wall: nobody can scroll it, so whoever works stands on it (R-WT-1)."""

from __future__ import annotations

import pytest
from flask import Flask

from calltree.db import Store, utcnow
from calltree.models import OperatorState, Role
from tests import factories as make
from tests.browser import Browser
from tests.chromium.served import Served
from tests.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.one_database]

BELOW = """() => [...document.querySelectorAll(".wall-people > li")]
  .filter((one) => one.getBoundingClientRect().bottom > innerHeight).length"""


@pytest.mark.parametrize("people", [1, 32, 48])
def test_R_WT_1_everybody_who_works_stands_on_the_wall(
    app: Flask, store: Store, chromium: Windows, people: int
) -> None:
    """Also in practice mode, whose bar takes room."""
    with store.write() as session:
        make.make_site(session, lines=2)
        chief = make.make_user(session, Role.SUPERVISOR)
        for place in range(people):
            make.make_operator(
                session,
                make.make_user(session, name=f"コールセンター東京 山田太郎{place}"),
                state=OperatorState.READY,
                leg_uuid=f"5b1b0f0e-0000-4000-8000-{place:012d}",
                since=utcnow(),
            )
    browser = Browser(app)
    browser.sign_in_as(chief)
    browser.post("/watch/wall")
    address = browser.get("/watch/wall").one("main a[target=_blank]").get("href", "")
    window = Served(chromium, browser, viewport={"width": 1366, "height": 768})
    page = window.page()
    page.goto(str(address).removeprefix("http://localhost"))
    assert page.locator(".wall-people > li").count() == people
    assert page.evaluate(BELOW) == 0
