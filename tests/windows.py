"""A real Chromium for tests: what any of its pages complains about fails the test."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    expect,
    sync_playwright,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHELL = shutil.which("chromium-headless-shell") or CHROMIUM
"""The same engine without windows: half the work, where a test needs no microphone."""
PROVOKES = "provokes"
"""The marker that names a complaint which the test itself calls forth."""

SHOWN = ("#operator-state", "#toasts", "#call-status", "#call-errors", "#call-actions", "main")
"""What the report of a failed test has of each page, from the top until LINES are full."""
LINES = 60
REPORT_MS = 2_000
PATIENCE_MS = 60_000
"""For whatever a page shall come to show: a machine may be slow, only a fault shows it never."""

expect.set_options(timeout=PATIENCE_MS)


class Windows:
    """The contexts and pages that a test opens, and every error that their consoles say."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.others: list[Browser] = []
        self.opened: list[BrowserContext] = []
        self.complaints: list[str] = []

    def new_context(self, **options: Any) -> BrowserContext:
        """A browser of its own: another machine, nobody signed in."""
        context = self.browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.opened.append(context)
        return context

    def new_page(self, **options: Any) -> Page:
        return self.new_context(**options).new_page()

    def _heard(self, line: ConsoleMessage) -> None:
        # an answer of 401, 409… is an error to the console, and so is what the policy (CSP) refuses
        if line.type == "error":
            self.complaints.append(f"{line.text} {line.location.get('url', '')}")

    def shown(self) -> str:
        """Each open page for the report of a failed test: address, requests, console, text."""
        contexts = [context for one in (self.browser, *self.others) for context in one.contexts]
        return "\n\n".join(_shown(page) for context in contexts for page in context.pages)

    def close(self) -> None:
        """Close all, before the server that they look at goes away."""
        for context in self.opened:
            context.close()
        self.opened.clear()

    def tidy(self, *provoked: str) -> None:
        """Close all; fail on a complaint that matches none of the expressions `provoked`."""
        self.close()
        complaints = list(self.complaints)
        self.complaints.clear()
        left = [c for c in complaints if not any(re.search(p, c) for p in provoked)]
        assert left == [], left


def _shown(page: Page) -> str:
    lines = [page.url]
    try:
        asked = [one for one in page.requests() if "/assets/" not in one.url]
        lines += [f"  {_asked(request)}" for request in asked[-10:]]
        said = [line for line in page.console_messages() if line.type in {"error", "warning"}]
        lines += [f"  ! {line.text[:300]}" for line in said[-10:]]
        for selector in SHOWN:
            if (found := page.locator(selector)).count() == 1:
                lines += [f"  {selector}:", *_indented(found.aria_snapshot(timeout=REPORT_MS))]
    except Error as error:  # closed or stuck: what is there already tells something
        lines.append(f"  {error.message.splitlines()[0]}")
    left_out = len(lines) - LINES
    return "\n".join([*lines[:LINES], *([f"  … {left_out} more lines"] if left_out > 0 else [])])


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines() if "- /url:" not in line]


def _asked(request: Request) -> str:
    answer = request.existing_response
    outcome = str(answer.status) if answer else request.failure or "no answer yet"
    address = urlsplit(request.url)
    query = f"?{address.query}" if address.query else ""
    return f"{request.method} {address.path}{query} {outcome}"


@contextmanager
def running_chromium() -> Iterator[Windows]:
    """Chromium, without the parts that call home."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=SHELL,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield Windows(browser)
        browser.close()
