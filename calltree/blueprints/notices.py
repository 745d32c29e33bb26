"""お知らせ (R-WT-1): a line to all operators, a group or one person, and who has read it."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.navigation import stand_under
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import sentence
from calltree.services import history, notices, people
from calltree.services.rights import ROLES_OF, Right

bp = Blueprint("notices", __name__, url_prefix="/watch/notices")


@bp.get("/")
@requires(Right.WATCH)
def index() -> ResponseReturnValue:
    """Show the last lines and who has read them, and write one."""
    return _page()


@bp.post("/")
@requires(Right.WATCH)
def send() -> ResponseReturnValue:
    """Send a line; it stands on the operators' screens at once."""
    kind, _sep, one = request.form.get("to", "").partition(":")
    chosen = int(one) if one.isascii() and one.isdigit() and len(one) < 10 else None
    try:
        with writing() as session:
            notices.send(
                session,
                viewer=viewer(),
                text=request.form.get("text", ""),
                group_id=chosen if kind == "group" else None,
                user_id=chosen if kind == "user" else None,
                now=utcnow(),
            )
    except Refused as refusal:
        return _page(sentence(refusal.code, **refusal.values))
    flash(_("Sent."), "ok")
    return go(url_for("notices.index"))


def _page(message: str = "") -> ResponseReturnValue:
    stand_under("watch.index")
    session = reading()
    page = render_template(
        "watch/notices.html",
        message=message,
        text=request.form.get("text", ""),
        to=request.form.get("to", ""),
        most=notices.MOST_CHARS,
        groups=people.group_names(session),
        users=[
            user
            for user in history.offered_users(session)
            if user.role in ROLES_OF[Right.DIAL] and user.id != viewer().user_id
        ],
        sent=notices.sent(session, now=utcnow()),
    )
    return page, 422 if message else 200


@bp.post("/<int:notice_id>/withdraw")
@requires(Right.WATCH)
def withdraw(notice_id: int) -> ResponseReturnValue:
    """取り消し: nobody is shown the line any more."""
    with writing() as session:
        notices.withdraw(session, viewer=viewer(), notice_id=notice_id, now=utcnow())
    flash(_("The notice was taken back."), "ok")
    return go(url_for("notices.index"))
