"""A real Chromium for tests: what any of its pages complains about fails the test."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PROVOKES = "provokes"
"""The marker that names a complaint which the test itself calls forth."""


class Windows:
    """The contexts and pages that a test opens, and every error that their consoles say."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.opened: list[BrowserContext] = []
        self.complaints: list[str] = []

    def new_context(self, **options: Any) -> BrowserContext:
        """A browser of its own: another machine, nobody signed in."""
        context = self.browser.new_context(**options)
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


@contextmanager
def running_chromium() -> Iterator[Windows]:
    """Chromium, without the parts that call home."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield Windows(browser)
        browser.close()
