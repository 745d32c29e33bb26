"""The application as a site that Chromium sees without any server: its test client answers.

For tests of what pages look like to eye, keyboard and axe. Sockets stay quiet, jobs do not run.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Route

from tests.browser import Browser
from tests.windows import Windows

ORIGIN = "http://localhost:1"
"""Nothing listens there; of this host Chromium minds no missing TLS."""
LEFT_OUT = {"content-length", "set-cookie"}
"""Headers of an answer that are its carrier's own; the cookie stays in the test client."""
SCRIPTS = re.compile(rb"<script\b.*?</script>", re.DOTALL)


class Served:
    """One person's windows onto the application; without `scripts` its pages stand still."""

    def __init__(
        self, windows: Windows, browser: Browser, *, scripts: bool = True, **options: Any
    ) -> None:
        self.browser, self.scripts = browser, scripts
        self.files: dict[str, dict[str, Any]] = {}
        self.context: BrowserContext = windows.new_context(
            locale="ja-JP", timezone_id="Asia/Tokyo", base_url=ORIGIN, **options
        )
        self.context.route("**/*", self._answer)
        self.context.route_web_socket("**/*", lambda _socket: None)

    def page(self) -> Page:
        return self.context.new_page()

    def html(self, path: str) -> str:
        """The whole page at this address, for this person as the site is now; "" for none."""
        with self.browser.client.get(path) as answer:
            whole = answer.status_code == 200 and b"<html" in answer.data[:200]
            return answer.get_data(as_text=True) if whole else ""

    def _answer(self, route: Route) -> None:
        request, parts = route.request, urlsplit(route.request.url)
        kept = self.files.get(parts.path)
        if kept is None:
            kept = self._asked(request.method, parts, request.post_data_buffer, request.headers)
            if parts.path.startswith("/assets/"):
                self.files[parts.path] = kept
        route.fulfill(**kept)

    def _asked(
        self, method: str, parts: Any, data: bytes | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        with self.browser.client.open(path, method=method, data=data, headers=headers) as answer:
            return {
                "status": answer.status_code,
                "headers": {
                    name: value
                    for name, value in answer.headers.items()
                    if name.lower() not in LEFT_OUT
                },
                "body": answer.get_data()
                if self.scripts or answer.mimetype != "text/html"
                else SCRIPTS.sub(b"", answer.get_data()),
            }
