"""Which page of the operator's a request comes from (R-CL-17).

`static/js/page.js` makes an id for the tab, keeps it over reloads and sends it with every press.
Without scripts the sign-in itself stands for the page.
"""

from __future__ import annotations

import re
import secrets

from flask import request, session

HEADER = "X-Page-Id"
_ID = re.compile(r"[0-9a-f-]{8,36}\Z")


def page_id() -> str:
    """Return the id of the page that sent this request."""
    given = request.headers.get(HEADER) or request.form.get("page") or ""
    return given if _ID.match(given) else machine()


def machine() -> str:
    """Return what marks this browser's session: a call moves to another page of it only."""
    if "machine" not in session:
        session["machine"] = secrets.token_hex(8)
    return str(session["machine"])
