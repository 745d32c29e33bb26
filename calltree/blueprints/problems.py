"""Failures as programs read them: problem+json (RFC 9457), whose `code` stays the same for ever."""

from __future__ import annotations

import json
from collections.abc import Iterable

from flask import Response, request

from calltree.locale import API_ROOM

MEDIA_TYPE = "application/problem+json"
_FOR_PROGRAMS = {
    "not_found": "api_not_found",
    "http_400": "api_bad",
    "http_404": "api_not_found",
    "http_405": "api_method",
    "http_413": "api_large",
}
"""Failures that are said of pages elsewhere."""


def wanted() -> bool:
    """Whether this request's failures are for a program."""
    return request.path.startswith(API_ROOM)


def code_of(code: str) -> str:
    """Return the code under which a program is told of a failure."""
    return _FOR_PROGRAMS.get(code, code)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    receipt: str = "",
    errors: Iterable[dict[str, str]] = (),
    **more: object,
) -> Response:
    """Answer a failure. `detail` says what to do; `errors` names each place that is wrong."""
    told: dict[str, object] = {
        "type": f"urn:calltree:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
        "receipt": receipt or None,
        "errors": list(errors) or None,
        **more,
    }
    body = json.dumps({k: v for k, v in told.items() if v is not None}, ensure_ascii=False)
    return Response(body + "\n", status=status, content_type=MEDIA_TYPE)
