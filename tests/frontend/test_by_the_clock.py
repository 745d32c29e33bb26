"""What a page does by itself as time goes by, on Chromium's own set clock."""

import pytest
from playwright.sync_api import expect

from tests.frontend.test_scripts import Site
from tests.windows import Windows

pytestmark = pytest.mark.browser

# a page that is not asked for by https has no crypto.randomUUID
TAB = 'sessionStorage.setItem("calltree.page", "this tab");'
HEARD = """document.addEventListener("calltree:renew", () => {
  window.renewals = (window.renewals || 0) + 1; }, true);"""


@pytest.fixture
def site(chromium: Windows) -> Site:
    return Site(chromium.new_page())


def test_R_CL_11_todays_figures_are_asked_for_anew_at_the_sites_midnight(site: Site) -> None:
    site.page.clock.install(time="2026-11-24T14:59:50Z")  # ten seconds to midnight in Tokyo
    site.anew = '<p id="today" data-midnight="/anew">0</p>'
    page = site.show('<p id="today" data-midnight="/anew">12</p>')
    page.clock.run_for(8_000)
    expect(page.locator("#today")).to_have_text("12")
    assert "/anew" not in site.unasked
    page.clock.run_for(4_000)
    expect(page.locator("#today")).to_have_text("0")


def test_R_CL_2_an_open_page_of_the_operator_says_every_10_s_that_it_is_there(site: Site) -> None:
    site.page.clock.install()
    site.page.add_init_script(TAB + HEARD)
    page = site.show('<div id="desk" data-desk></div><script defer src="/page.js"></script>')
    page.clock.run_for(100)
    assert page.evaluate("window.renewals") == 1, "at once"
    page.clock.run_for(10_000)
    assert page.evaluate("window.renewals") == 2
    page.clock.run_for(30_000)
    assert page.evaluate("window.renewals") == 5


CUSTOMER = """<div id="desk" data-desk hx-post="/renew" hx-trigger="calltree:renew"
     hx-target="#main" hx-swap="outerHTML"></div>
<main id="main"><form id="call-form"></form><input type="hidden" id="call-shows"></main>
<script defer src="/page.js"></script>"""
THE_NEXT = """document.addEventListener("htmx:config:request", () => {
  const next = document.createElement("input");
  next.id = "call-shows";
  document.getElementById("call-shows").replaceWith(next); });"""


@pytest.mark.parametrize("overtaken", [False, True])
def test_R_CL_2_what_is_said_of_a_customer_does_not_replace_the_next(
    site: Site, *, overtaken: bool
) -> None:
    site.page.add_init_script(TAB)
    site.answer = '<main id="main">released</main>'
    if overtaken:
        site.page.add_init_script(THE_NEXT)
    site.page.add_init_script(
        'document.addEventListener("htmx:finally:request",'
        ' () => { document.documentElement.dataset.answered = ""; });'
    )
    page = site.show(CUSTOMER)
    expect(page.locator("html[data-answered]")).to_have_count(1)
    shown = page.locator("#call-shows")
    expect(shown).to_have_count(1 if overtaken else 0)


def test_R_CL_2_a_customer_is_not_asked_for_while_the_press_that_ends_them_is_on_its_way(
    site: Site,
) -> None:
    site.page.clock.install()
    site.page.add_init_script(TAB)
    with site.page.expect_request("**/renew"):
        page = site.show(CUSTOMER.replace("outerHTML", "none"))
        page.clock.run_for(100)
    sent = "document.getElementById('call-form').dataset.sent"
    page.evaluate(f"{sent} = ''")
    page.clock.run_for(25_000)
    assert len(site.sent) == 1
    page.evaluate(f"delete {sent}")
    with page.expect_request("**/renew"):
        page.clock.run_for(10_000)
