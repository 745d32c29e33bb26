"""Scripts of who watches in a real Chromium: the screen on the wall, and what is red as a sound."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.one_database]

JS = Path(__file__).resolve().parents[2] / "calltree" / "static" / "js"
ORIGIN = "http://wall.test"
PATIENCE_MS = 60_000


class Served:
    """A wall's server that can be away, and be upgraded."""

    def __init__(self) -> None:
        self.version = "1"
        self.ready = 0
        self.away = False

    def answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/wall.js":
            route.fulfill(content_type="text/javascript", body=(JS / "wall.js").read_text())
        elif self.away:
            route.fulfill(status=503)
        elif path == "/now":
            route.fulfill(
                content_type="text/html; charset=utf-8",
                headers={"X-App-Version": self.version},
                body=self.board(),
            )
        else:
            route.fulfill(content_type="text/html; charset=utf-8", body=self.page())

    def board(self) -> str:
        return f'<div id="wall">待機 {self.ready}</div>'

    def page(self) -> str:
        return (
            f'<!doctype html><html lang=ja><head><meta name="site" data-version="{self.version}">'
            "<title>t</title></head><body>"
            '<p id="wall-lost" hidden>つながりません <time data-lost-at></time></p>'
            f'<main data-wall="/now">{self.board()}</main>'
            "<script src=/wall.js></script></body></html>"
        )


@pytest.mark.provokes("503 .*/now$")
def test_R_WT_1_the_wall_says_that_it_is_lost_and_comes_back_by_itself(chromium: Windows) -> None:
    served, page = Served(), chromium.new_page()
    page.route("**/*", served.answer)
    page.goto(ORIGIN + "/")
    board, lost = page.locator("#wall"), page.locator("#wall-lost")
    served.ready = 3
    expect(board).to_have_text("待機 3", timeout=PATIENCE_MS)
    expect(lost).to_be_hidden()
    served.away = True
    expect(lost).to_be_visible(timeout=PATIENCE_MS)
    expect(board).to_have_text("待機 3")  # what was known last stands on, with its time
    expect(lost.locator("time")).not_to_be_empty()
    served.ready, served.away = 5, False
    expect(board).to_have_text("待機 5", timeout=PATIENCE_MS)
    expect(lost).to_be_hidden()
    served.version = "2"
    upgraded = page.locator("meta[name=site][data-version='2']")
    expect(upgraded).to_have_count(1, timeout=PATIENCE_MS)


LISTENS = """window.played = [];
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) {
  window.played.push(this.frequency.value);
  return start.call(this, at);
};"""


def test_R_WT_1_what_is_red_is_heard_by_who_wants_it_and_remembered(chromium: Windows) -> None:
    body = (
        "<!doctype html><html lang=ja><head><title>t</title></head><body>"
        '<button data-sounds aria-pressed="false">音</button><p data-alarm="lines">満線</p>'
        "<script src=/watch.js></script></body></html>"
    )

    def answer(route: Route) -> None:
        if route.request.url.endswith("/watch.js"):
            route.fulfill(content_type="text/javascript", body=(JS / "watch.js").read_text())
        else:
            route.fulfill(content_type="text/html; charset=utf-8", body=body)

    page = chromium.new_page()
    page.add_init_script(LISTENS)
    page.route("**/*", answer)
    page.goto(ORIGIN + "/")
    button = page.locator("[data-sounds]")
    assert page.evaluate("window.played") == []
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("window.played.length >= 2", timeout=PATIENCE_MS)
    assert set(page.evaluate("window.played")) == {440}
    page.evaluate("document.querySelector('[data-alarm]').dataset.alarm = 'help'")
    page.wait_for_function("window.played.includes(880) && window.played.includes(660)")
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
