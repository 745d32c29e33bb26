"""Beside an operator's work, on every page: ヘルプ要請, who listens, お知らせ (R-WT-1)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.extensions import reading, writing
from calltree.htmx import wants_fragment
from calltree.models import MonitorMode
from calltree.services import assistance, help_requests, notices
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("assistance", __name__, url_prefix="/operator")

HEARD_WORDS = {
    MonitorMode.LISTEN: N_("A supervisor listens to this call."),
    MonitorMode.WHISPER: N_("A supervisor speaks to you. The customer does not hear it."),
    MonitorMode.BARGE: N_("A supervisor speaks to you and the customer."),
}


@bp.get("/assistance")
@requires(Right.DIAL)
def bar() -> ResponseReturnValue:
    """Give the bar alone, asked for while the live line is down."""
    return render_template("operator/_assistance.html")


@bp.post("/help")
@requires(Right.DIAL)
def ask_help() -> ResponseReturnValue:
    """ヘルプ: ask a supervisor to come."""
    with writing() as session:
        help_requests.ask(session, user_id=viewer().user_id, now=utcnow())
    return _bar()


@bp.post("/help/withdraw")
@requires(Right.DIAL)
def withdraw_help() -> ResponseReturnValue:
    """Take it back, or say that it is settled."""
    with writing() as session:
        help_requests.withdraw(session, user_id=viewer().user_id, now=utcnow())
    return _bar()


@bp.post("/notices/<int:notice_id>/read")
@requires(Right.DIAL)
def read(notice_id: int) -> ResponseReturnValue:
    """既読: the line is shown no more, and its author sees it."""
    with writing() as session:
        notices.mark_read(session, user_id=viewer().user_id, notice_id=notice_id, now=utcnow())
    return _bar()


def _bar() -> ResponseReturnValue:
    if not wants_fragment():
        return redirect(url_for("operator.home"), 303)
    return render_template("operator/_assistance.html")


def beside() -> dict[str, Any]:
    """Return what the bar is drawn from; fragments are pushed without a context."""
    found = assistance.beside(reading(), user_id=viewer().user_id, now=utcnow())
    return {
        "help_since": found.help_since,
        "helped_by": found.helped_by,
        "heard": HEARD_WORDS[found.heard_by] if found.heard_by else "",
        "heard_mode": found.heard_by or "",
        "notices": found.notices,
        "empty": found.is_empty,
    }


def init_app(app: Flask) -> None:
    """Give templates what the bar is drawn from."""
    app.add_template_global(beside, "assistance")
