"""Who comes in: bearer tokens, scopes, and how many requests a minute."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog
from flask import Blueprint, Response, g, request
from limits.errors import StorageError
from redis.exceptions import RedisError

from calltree.blueprints.problems import problem
from calltree.db import utcnow
from calltree.extensions import csrf, limiter, reading, writing
from calltree.locale import sentence
from calltree.services import accounts, api_tokens
from calltree.services.api_tokens import Caller, Scope

log = structlog.get_logger(__name__)

bp = Blueprint("api", __name__, url_prefix="/api/v1")
csrf.exempt(bp)  # a cookie opens nothing here

UNKNOWN_PER_MINUTE = 60
"""For requests without a token that lets in, by address."""


class Denied(Exception):
    """The request is answered with this problem: `said` fills its sentence, `more` its members."""

    def __init__(
        self, status: int, code: str, said: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.said = said or {}
        self.more = more


class Invalid(Exception):
    """What was sent has not the form that the document asks for."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__("invalid")
        self.errors = errors


def caller() -> Caller | None:
    """Return who asks, looked up once a request; None without a token that lets in."""
    if "api_caller" not in g:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        known = scheme.lower() == "bearer"
        found = api_tokens.caller_of(reading(), token=token.strip(), now=utcnow())
        g.api_caller = found if known else None
        g.token_locale = g.api_caller.viewer.locale if g.api_caller else "ja"
    found_before: Caller | None = g.api_caller
    return found_before


def require(scope: Scope | None) -> Caller:
    """Return who asks, if the token has the scope and its user the right. Raises Denied."""
    who = caller()
    if who is None:
        raise Denied(401, "api_token_missing" if not _has_token() else "api_token_unknown")
    address = request.remote_addr or ""
    if not accounts.may_come_from(reading(), address=address):
        raise Denied(403, "api_network")
    if scope is not None and not who.may(scope):
        lacking = "api_scope_missing" if scope not in who.scopes else "api_right_missing"
        raise Denied(403, lacking, {"scope": scope.value})
    _note_use(who, address)
    _note_read(who, scope, address)
    return who


def _has_token() -> bool:
    return request.headers.get("Authorization", "").lower().startswith("bearer ")


def _note_use(who: Caller, address: str) -> None:
    now = utcnow()
    if api_tokens.is_use_due(reading(), token_id=who.token_id, now=now):
        with writing() as session:
            api_tokens.note_use(session, token_id=who.token_id, address=address, now=now)


def _note_read(who: Caller, scope: Scope | None, address: str) -> None:
    now = utcnow()
    if scope is not None and api_tokens.is_read_untold(who, scope=scope, now=now):
        with writing() as session:
            api_tokens.note_read(session, caller=who, scope=scope, address=address, now=now)


def _rate_key() -> str:
    who = caller()
    return f"token:{who.token_id}" if who else f"address:{request.remote_addr}"


def _rate() -> str:
    who = caller()
    return f"{who.per_minute if who else UNKNOWN_PER_MINUTE}/minute"


# With Redis away each web process counts for itself: the API goes on, and no more than
# the processes' number of times the limit gets through.
limiter.limit(_rate, key_func=_rate_key)(bp)


@bp.after_request
def tell_rate(response: Response) -> Response:
    """Say how many requests are left, and after a 429 when to come again."""
    limit = limiter.current_limit
    if limit is None:
        return response
    try:
        wait_s = min(60, max(1, round(limit.reset_at - time.time())))
        left = max(0, limit.remaining)
    except (RedisError, StorageError):  # gone since it counted
        return response
    response.headers["RateLimit-Limit"] = str(limit.limit.amount)
    response.headers["RateLimit-Remaining"] = str(left)
    response.headers["RateLimit-Reset"] = str(wait_s)
    if response.status_code == 429:
        response.headers["Retry-After"] = str(wait_s)
    return response


@bp.errorhandler(Denied)
def denied(error: Denied) -> Response:
    """Answer with the problem, in words that say what to do."""
    log.info("api request denied", code=error.code, path=request.path)
    said = problem(error.status, error.code, sentence(error.code, **error.said), **error.more)
    if error.status == 401:
        said.headers["WWW-Authenticate"] = 'Bearer realm="calltree"'
    return said


@bp.errorhandler(Invalid)
def invalid(error: Invalid) -> Response:
    """Name each place that is wrong."""
    return problem(422, "api_invalid", sentence("api_invalid"), errors=error.errors)
