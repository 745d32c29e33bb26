"""The one place that turns what a rule raised into a page or a fragment."""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from flask import Flask, Response, g, make_response, render_template, request
from flask.globals import request_ctx
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from calltree.blueprints import problems
from calltree.errors import NotAllowed, NotFound, Refused, TelephonyDown
from calltree.extensions import db, login
from calltree.htmx import wants_fragment
from calltree.locale import sentence

log = structlog.get_logger(__name__)


def failure(status: int, code: str, **values: object) -> Response:
    """Answer a failure with its plain sentence and a 受付番号 that the log has too (R-AR-4)."""
    receipt = secrets.token_hex(4)
    log.info("request failed", status=status, code=code, receipt=receipt, path=request.path)
    return _say(status, code, receipt, values)


def _say(status: int, code: str, receipt: str, values: dict[str, Any]) -> Response:
    """Draw the failure; in plain text if even that cannot be done (no database, no Host)."""
    db.session.remove()  # Postgres takes no further statement where one has failed
    try:
        current_user.is_authenticated  # noqa: B018 - asks the database who it is
    except SQLAlchemyError:
        g._login_user = login.anonymous_user()  # for what follows, the headers among it
    if problems.wanted():
        code = problems.code_of(code)
    message = sentence(code, **values)
    if problems.wanted():
        return problems.problem(status, code, message, receipt=receipt)
    template = "_failure.html" if wants_fragment() else "failure.html"
    plain = make_response(f"{message} ({receipt})", status)
    plain.mimetype = "text/plain"
    if request_ctx.url_adapter is None:  # a Host that is none: no address can be written either
        return plain
    try:
        body = render_template(template, status=status, message=message, receipt=receipt)
    except SQLAlchemyError:
        return plain
    return make_response(body, status)


def init_app(app: Flask) -> None:
    """Register a handler for each kind of failure."""

    @app.errorhandler(NotFound)
    def not_found(_error: NotFound) -> Response:
        return failure(404, "not_found")

    @app.errorhandler(NotAllowed)
    def not_allowed(_error: NotAllowed) -> Response:
        return failure(403, "not_allowed")

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return failure(409, error.code, **error.values)

    @app.errorhandler(TelephonyDown)
    def telephony_down(_error: TelephonyDown) -> Response:
        return failure(503, "telephony_down")

    @app.errorhandler(CSRFError)
    def stale_form(_error: CSRFError) -> Response:
        return failure(419, "stale_form")

    @app.errorhandler(DataError)
    def unfit(error: DataError) -> Response:
        # longer or larger than its column: the form should have said so, the person is no intruder
        log.warning("value unfit for its column", error=type(error.orig).__name__)
        return failure(400, "http_400")

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        said = failure(status, f"http_{status}")
        if "Allow" in (headers := dict(error.get_headers())):  # 405 must say what is possible
            said.headers["Allow"] = headers["Allow"]
        return said

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        receipt = secrets.token_hex(4)
        log.exception("unexpected failure", receipt=receipt, path=request.path, exc_info=error)
        return _say(500, "http_500", receipt, {})
