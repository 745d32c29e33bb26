"""休業日 on its page (R-PJ-5)."""

from datetime import timedelta

import pytest

from calltree.db import Store, utcnow
from calltree.models import ClosedDay, Role, User
from calltree.text.days import site_day
from tests.factories import make_site, make_user

PAGE = "/admin/settings/closed-days/"


@pytest.fixture
def manager(store: Store) -> User:
    with store.write() as session:
        make_site(session)
        return make_user(session, Role.MANAGER)


@pytest.mark.one_database
def test_R_PJ_5_a_manager_closes_days_and_opens_one_again(
    store: Store, browser_of, manager: User
) -> None:
    browser = browser_of(manager)
    first = site_day(utcnow()) + timedelta(days=40)
    browser.get(PAGE)
    browser.submit(
        "main form",
        first=first.isoformat(),
        last=(first + timedelta(days=1)).isoformat(),
        name="夏季休業",
    )
    page = browser.get(PAGE)
    assert page.text.count("夏季休業") == 3  # the hint's example, and two days
    browser.post(f"{PAGE}remove", {"day": first.isoformat()})
    with store.read() as session:
        left = session.get_one(ClosedDay, first + timedelta(days=1))
        assert session.get(ClosedDay, first) is None
    assert left.name == "夏季休業"


@pytest.mark.one_database
def test_R_PJ_5_a_wrong_day_says_so_and_a_supervisor_only_reads(
    store: Store, browser_of, manager: User
) -> None:
    with store.write() as session:
        supervisor = make_user(session, Role.SUPERVISOR)
    browser = browser_of(manager)
    browser.get(PAGE)
    refused = browser.submit("main form", status=422, first="2020-01-01")
    assert "過去の日付です" in refused.text
    assert "必須" in browser.submit("main form", status=422, first="").text
    browser.post(f"{PAGE}remove", {"day": "x"}, status=404)
    reading = browser_of(supervisor)
    assert not reading.get(PAGE).all("main form")
    reading.post(PAGE, {"first": "2099-01-01"}, status=403)
