"""Pages for everybody: axe, keyboard and zoom on every page, in a real Chromium (WCAG 2.2 AA)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from calltree.blueprints.access import right_of
from calltree.config import Settings
from calltree.db import Store
from calltree.models import Role
from calltree.services.rights import ROLES_OF
from tests.chromium.at_work import begin
from tests.chromium.served import Served
from tests.pages.world import World, build
from tests.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.one_database]

AXE = Path(__file__).resolve().parents[1] / "vendor" / "axe-core@4.14.1" / "axe.min.js"
FULL, ZOOMED_IN, ZOOMED_OUT = 1366, 911, 1707
"""CSS pixels of a window of 1366 pixels at 100 %, 150 % and 80 %."""

LOOK = """
async (where) => {
  const found = await axe.run(where, {
    resultTypes: ["violations"], preload: false,
    rules: {"target-size": {enabled: true}},  // of WCAG 2.2, and off unless it is asked for
  });
  return found.violations.flatMap(
    (one) => one.nodes.map((node) => `${one.id}: ${node.html.slice(0, 160)}`));
}
"""
FITS = """
() => {
  const told = [];
  const main = document.querySelector("main");
  for (const pane of [document.documentElement, main]) {
    const over = pane.scrollWidth - pane.clientWidth;
    if (over > 1) told.push(`${pane.tagName} scrolls sideways by ${over}`);
  }
  for (const one of document.querySelectorAll("button, a.button, summary, select, input")) {
    if (!one.checkVisibility() || one.closest(".visually-hidden")) continue;
    const box = one.getBoundingClientRect();
    if (!box.width || one.closest(".table-wrap, dialog")) continue;
    const words = one.outerHTML.slice(0, 120);
    if (box.right > innerWidth + 1 || box.left < -1) told.push(`outside: ${words}`);
    if (one.matches("button, a.button") && one.scrollWidth > one.clientWidth + 1) {
      told.push(`cut off: ${words}`);
    }
    if (one.matches("select") && one.selectedOptions.length && !one.multiple) {
      const text = document.createElement("span");
      text.textContent = one.selectedOptions[0].textContent.trim();
      text.className = "nowrap";
      text.hidden = false;
      one.after(text);
      const wide = text.getBoundingClientRect().width;
      text.remove();
      if (wide > box.width) told.push(`cut off: ${text.textContent} in ${one.name}`);
    }
  }
  return told;
}
"""
REACHES = """
() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
  .filter((one) => one.checkVisibility() && !one.disabled && one.type !== "hidden")
  .filter((one) => one.tabIndex !== 0)
  .map((one) => `not reached by Tab: ${one.outerHTML.slice(0, 120)}`)
"""


@pytest.fixture
def world(app: Flask, store: Store, settings: Settings) -> World:
    return build(store, settings)


NEEDED = (
    "/admin/", "/admin/campaigns/0", "/admin/campaigns/0/lists", "/admin/inbound/0",
    "/admin/guidances/", "/admin/settings/sounds/", "/admin/what-if/0", "/admin/trunks/",
    "/admin/switch/", "/admin/exports/customers", "/admin/recordings/", "/missed/",
    "/operator/call/", "/operator/inbound/", "/operator/manual/", "/operator/manual/0",
    "/operator/predictive/", "/operator/tasks/", "/operator/tasks/overdue", "/watch/",
    "/customers/", "/reports/", "/figures/", "/figures/heat",
)  # fmt: skip
"""Pages that work alone brings forth or that came late; one that nobody could open is missed."""


def bare(path: str) -> str:
    """An address without its search, every id 0."""
    return re.sub(r"/\d+", "/0", path.partition("?")[0])


def made_of(html: str) -> set[str]:
    """What there is to be looked at on a page: its elements by name, class, type and purpose."""
    return set(re.findall(r"<[a-z]\w*|(?:class|type|role|name|for)=\"[^\"]*\"", html))


def test_every_page_is_for_everybody(
    app: Flask, store: Store, world: World, browser_of: Any, chromium: Windows
) -> None:
    """A page is looked at if it has anything that none before it had."""
    work = begin(store, world)
    problems: dict[str, list[str]] = {}
    seen: set[str] = set()
    kinds: set[str] = set()
    opened: set[str] = set()
    looked_at = 0
    addresses = {
        path: right_of(endpoint, app) for endpoint, path in world.paths(app, "GET", world.near)
    }
    paths = sorted({*addresses, *work.paths(world)})
    for role in Role:
        where = "html"
        served = Served(chromium, browser_of(world.users[role]), scripts=False)
        served.context.add_init_script(path=AXE)
        page = served.page()
        for path in paths:
            right = addresses.get(path)
            if path.startswith("/api") or (right is not None and role not in ROLES_OF[right]):
                continue
            html = served.html(path)
            if html:
                opened.add(bare(path))
            parts = made_of(html)
            if parts <= seen:
                continue
            seen |= parts
            looked_at += 1
            found = wrong(page, path)
            # axe is told nothing new by another field of a kind; that each has a label, every
            # page of every test is asked
            kinds_here = {part for part in parts if not part.startswith(("name=", "for="))}
            if not kinds_here <= kinds:
                kinds |= kinds_here
                found += page.evaluate(LOOK, where)
                where = "main"  # what stands round it was looked at with the role's first page
            if found:
                problems[f"{role} {path}"] = found
    assert problems == {}
    assert looked_at > 40  # the walk still finds the pages
    assert set(NEEDED) <= opened
    small = "<button style='width:9px;height:9px;padding:0;border:0'>x</button>"
    page.set_content(f"<main><img src='/x.png'><button tabindex='-1'>x</button>{small * 2}</main>")
    told = {one.partition(":")[0] for one in page.evaluate(LOOK, "main")}
    assert {"image-alt", "target-size"} <= told
    assert page.evaluate(REACHES)


def wrong(page: Page, path: str) -> list[str]:
    page.set_viewport_size({"width": ZOOMED_IN, "height": 512})
    page.goto(path)
    found = [f"at 150 %: {one}" for one in page.evaluate(FITS)]
    page.set_viewport_size({"width": ZOOMED_OUT, "height": 960})
    found += [f"at 80 %: {one}" for one in page.evaluate(FITS)]
    page.set_viewport_size({"width": FULL, "height": 768})
    return [*found, *page.evaluate(FITS), *page.evaluate(REACHES)]


def test_the_keyboard_skips_the_menu_folds_it_and_comes_back_from_dialogs(
    app: Flask, world: World, browser_of: Any, chromium: Windows
) -> None:
    page = Served(chromium, browser_of(world.users[Role.MANAGER])).page()
    page.goto("/admin/projects/numbers")
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#main .page-actions a").first).to_be_focused()

    settings = page.locator("#nav summary", has_text="設定")
    settings.focus()
    page.keyboard.press("Enter")  # folded away; the page that stands in it opens it again
    page.goto("/admin/users/audit")
    expect(settings.locator("..")).to_have_attribute("open", "")
    expect(page.locator("#nav [aria-current]")).to_be_in_viewport(ratio=1)
    page.goto("/admin/")
    expect(settings.locator("..")).not_to_have_attribute("open", "")
    fits = "(menu) => menu.scrollHeight <= menu.clientHeight"
    assert page.locator("#nav").evaluate(fits)
    settings.focus()
    page.keyboard.press("Space")
    expect(page.locator("#nav details[data-section=settings]")).to_have_attribute("open", "")
    expect(page.locator("#nav details[open]")).not_to_have_count(4)  # what had no room is folded
    page.goto("/admin/projects/numbers")
    assert page.locator("#nav").evaluate(fits)

    for closing in ("Escape", "Enter"):  # Enter: the dialog's first button is キャンセル
        opener = page.locator("main [data-opens]").first
        opener.focus()
        page.keyboard.press("Enter")
        dialog = page.locator("dialog[open]")
        expect(dialog.get_by_role("button", name="キャンセル")).to_be_focused()
        page.keyboard.press(closing)
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()

    page.goto("/history/")
    number = page.locator("a[hx-target='#popup']").first
    number.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#popup dialog[open]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#popup dialog[open]")).to_have_count(0)
    expect(number).to_be_focused()
