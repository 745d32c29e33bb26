"""Which page of the operator's a request comes from (R-CL-17).

`static/js/page.js` makes an id for the tab, keeps it over reloads and sends it with every press.
Without scripts the browser itself stands for the page.
"""

from __future__ import annotations

import re
import secrets

from flask import Response, after_this_request, g, request

HEADER = "X-Page-Id"
COOKIE = "calltree_machine"
_YEAR_S = 365 * 24 * 3600
_ID = re.compile(r"[0-9a-f-]{8,36}\Z")
_MACHINE = re.compile(r"[0-9a-f]{32}\Z")
"""As we make it. Its column takes no longer one, and Postgres minds where SQLite does not."""


def page_id() -> str:
    """Return the id of the page that sent this request."""
    given = request.headers.get(HEADER) or request.form.get("page") or ""
    return given if _ID.match(given) else machine()


def machine() -> str:
    """Return what marks this browser: a call moves to another page of it only.

    A cookie of its own, not the session: a browser that crashed in a call and signs in again is
    still the same machine.
    """
    given = request.cookies.get(COOKIE, "")
    if _MACHINE.match(given):
        return given
    if "machine" not in g:
        g.machine = secrets.token_hex(16)
        after_this_request(_remember)
    return str(g.machine)


def _remember(response: Response) -> Response:
    response.set_cookie(
        COOKIE,
        g.machine,
        max_age=_YEAR_S,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return response
