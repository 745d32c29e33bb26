"""The top bar of the operator's screen has room for all that may stand in it (R-CL-3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from calltree.db import Store, utcnow
from calltree.models import Role
from tests import factories as make
from tests.browser import Browser
from tests.chromium.served import Served
from tests.windows import Windows

pytestmark = pytest.mark.browser


@pytest.mark.one_database
def test_R_CL_3_a_supervisors_menu_with_badges_stands_beside_what_is_at_the_right(
    store: Store, browser_of: Callable[[int], Browser], chromium: Windows
) -> None:
    now = utcnow()
    with store.write() as session:
        make.make_site(session)
        folder = make.make_list(session)
        for _ in range(12):
            customer = make.make_customer(session, folder)
            make.make_task(session, customer, due_at=now - timedelta(minutes=5), opened_at=now)
        chief = make.make_user(session, Role.SUPERVISOR, name="長谷川 美智子")
    browser = browser_of(chief.id)
    page = Served(chromium, browser, scripts=False, viewport={"width": 1366, "height": 768}).page()
    page.goto("/operator/tasks/")
    last = page.locator(".topnav li").last
    expect(last).to_be_visible()
    ends = last.evaluate("(entry) => entry.getBoundingClientRect().right")
    begins = page.locator(".ask-help").evaluate("(form) => form.getBoundingClientRect().left")
    assert ends <= begins, (ends, begins)
    fits = page.locator("#nav").evaluate("(menu) => menu.scrollWidth <= menu.clientWidth")
    assert fits, "no entry has to be scrolled to"
