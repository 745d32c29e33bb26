"""The live line in a real Chromium: what arrives, what a dead line says, what it asks."""

import pytest
from playwright.sync_api import Page, expect

from calltree.db import announce
from calltree.models import CustomerList, Operator, OperatorState
from calltree.models import Site as SiteRow
from tests import factories as make
from tests.live.conftest import OwnRedis, Site
from tests.services.desks import colleague
from tests.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.one_database]


def open_call_screen(chromium: Windows, site: Site, user_id: int) -> Page:
    context = chromium.new_context(locale="ja-JP")
    context.add_cookies(
        [{"name": "calltree", "value": site.cookie(user_id), "url": site.web.origin}]
    )
    page = context.new_page()
    page.goto(f"{site.web.origin}/operator/call/")
    expect(page.locator("#call-status")).to_be_visible()
    return page


def set_state(site: Site, user_id: int, state: OperatorState) -> None:
    with site.store.write() as session:
        session.get_one(Operator, user_id).state = state
        announce(session, "operator", user_id=user_id)


def set_lines(site: Site, lines: int) -> None:
    with site.store.write() as session:
        session.get_one(SiteRow, 1).lines = lines
        announce(session, "lines")


def sit_down(site: Site) -> int:
    """Another operator with a customer of their own."""
    user = colleague(site.desk)
    with site.store.write() as session:
        customer = make.make_customer(session, session.get_one(CustomerList, site.desk.list_id))
        make.make_hold(session, customer, user)
        session.get_one(Operator, user.id).customer_id = customer.id
    return user.id


@pytest.mark.provokes(
    # a killed server refuses, resets or leaves unanswered what is under way to it
    "net::ERR_",
    "htmx:error: timeout",
    "htmx:ws:error",
    "WebSocket connection to",
    "Failed to fetch",
)
def test_two_pages_and_every_way_to_lose_the_line(
    chromium: Windows, fragile_site: Site, fragile_redis: OwnRedis
) -> None:
    site, mine = fragile_site, fragile_site.desk.user_id
    page = open_call_screen(chromium, site, mine)
    other = open_call_screen(chromium, site, sit_down(site))
    state = page.locator("#operator-state strong")
    lost = page.locator("#lost-bar")

    # the line lives
    set_state(site, mine, OperatorState.TALKING)
    expect(state).to_have_text("通話中")
    set_lines(site, 7)
    for one in (page, other):
        expect(one.locator("#call-lines")).to_have_text("回線 0 / 7")
    expect(other.locator("#operator-state strong")).not_to_have_text("通話中")
    expect(lost).to_be_hidden()

    # what is being typed stays through a push
    memo = page.locator("textarea[name=memo]")
    memo.fill("担当者は不在")
    set_state(site, mine, OperatorState.WRAP_UP)
    expect(state).to_have_text("後処理")
    expect(memo).to_have_value("担当者は不在")

    # the server hears nothing: the page says so and asks
    fragile_redis.kill()
    expect(lost).to_be_visible()
    set_state(site, mine, OperatorState.BROWSING)
    expect(state).to_have_text("閲覧中")
    fragile_redis.start()
    expect(lost).to_be_hidden()

    # the server dies: the page says so, and is right when it is back
    site.web.kill()
    expect(lost).to_be_visible()
    set_state(site, mine, OperatorState.TALKING)
    site.web.start()
    expect(lost).to_be_hidden()
    expect(state).to_have_text("通話中")
    expect(memo).to_have_value("担当者は不在")
