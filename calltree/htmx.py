"""The only module that knows HX-* names."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, render_template, request


def wants_fragment() -> bool:
    """Whether htmx will put the answer into a part of the page."""
    return (
        request.headers.get("HX-Request") == "true"
        and request.headers.get("HX-Request-Type", "partial") == "partial"
    )


def show(page: str, fragment: str, status: int = 200, **context: Any) -> Response:
    """Answer one URL twice: the whole page, or the part of it htmx asked for."""
    body = render_template(fragment if wants_fragment() else page, **context)
    response = make_response(body, status)
    response.vary.update(["HX-Request", "HX-Request-Type"])
    return response


def go(address: str) -> Response:
    """Move the browser to an address after a press, however it was sent (303 or HX-Redirect)."""
    if wants_fragment():
        response = make_response("", 204)
        response.headers["HX-Redirect"] = address
        return response
    response = make_response("", 303)
    response.headers["Location"] = address
    return response
