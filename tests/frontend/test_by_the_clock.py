"""What a page does by itself as time goes by, on Chromium's own set clock."""

import pytest
from playwright.sync_api import expect

from tests.frontend.test_scripts import Site
from tests.windows import Windows

pytestmark = pytest.mark.browser

HEARD = """sessionStorage.setItem("calltree.page", "this tab");
document.addEventListener("calltree:renew", () => {
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
    site.page.add_init_script(HEARD)
    page = site.show('<div id="desk" data-desk></div><script defer src="/page.js"></script>')
    page.clock.run_for(100)
    assert page.evaluate("window.renewals") == 1, "at once"
    page.clock.run_for(10_000)
    assert page.evaluate("window.renewals") == 2
    page.clock.run_for(30_000)
    assert page.evaluate("window.renewals") == 5
