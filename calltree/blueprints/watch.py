"""オペレータ状況 (R-WT-1): the floor as it works now, and what a supervisor presses there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints import campaign_words, watch_board
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.calling import sit_down, toast
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, writing
from calltree.htmx import wants_fragment
from calltree.locale import sentence
from calltree.models import MonitorMode
from calltree.services import help_requests, monitoring, people, supervising
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("watch", __name__, url_prefix="/watch")

MODES = {mode.value: mode for mode in MonitorMode}
Force = Callable[..., None]
FORCES: dict[str, Force] = {
    "away": supervising.send_away,
    "hang_up": supervising.hang_up,
    "sign_out": supervising.sign_out,
}
ASKED = {
    "away": (
        N_("Put %(name)s on away?"),
        N_("No further calls are pushed to them until they come back to work."),
        N_("Put on away"),
    ),
    "hang_up": (
        N_("Hang up %(name)s's call?"),
        N_("The customer is cut off at once. The operator saves the result as always."),
        N_("Hang up"),
    ),
    "sign_out": (
        N_("Sign %(name)s out?"),
        N_("Their screens close everywhere. A result that is not saved stays blank."),
        N_("Sign out"),
    ),
}
DONE = {
    "away": N_("%(name)s is on away."),
    "hang_up": N_("%(name)s's call was hung up."),
    "sign_out": N_("%(name)s was signed out."),
}


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why not beside the page, which goes on."""
    message = sentence(refusal.code, **refusal.values)
    if request.endpoint == "watch.force":
        return _forced(message, "bad", 409)
    if wants_fragment():
        return toast(message, "bad", status=409)
    flash(message, "bad")
    return redirect(url_for("watch.index"), 303)


@bp.get("/")
@requires(Right.LISTEN)
def index() -> ResponseReturnValue:
    """Show who is doing what; it follows by itself."""
    session, mine = reading(), viewer()
    return render_template(
        "watch/index.html",
        rows=watch_board.rows(session, mine),
        totals=watch_board.totals(session),
        own=watch_board.own(session, mine),
        alarms=campaign_words.alarms(session),
    )


@bp.get("/part/<name>")
@requires(Right.LISTEN)
def part(name: str) -> ResponseReturnValue:
    """Give one panel, asked for while the live line is down."""
    session, mine = reading(), viewer()
    if name == "table":
        return render_template("watch/_table.html", rows=watch_board.rows(session, mine))
    if name == "totals":
        return render_template("watch/_totals.html", totals=watch_board.totals(session))
    if name == "own":
        return _own()
    raise NotFound(name)


def _own() -> str:
    return render_template("watch/_own.html", own=watch_board.own(reading(), viewer()))


@bp.post("/telephone")
@requires(Right.LISTEN)
def telephone() -> ResponseReturnValue:
    """Make this the viewer's page and keep their telephone; told every 10 s once it is wanted."""
    try:
        sit_down(utcnow())
    except Refused:
        return toast(
            _("Your telephone is in use in another window. Listen there, or close it first."),
            status=409,
        )
    return Response(status=204)


@bp.post("/<int:user_id>/monitor/<wish>")
@requires(Right.LISTEN)
def monitor(user_id: int, wish: str) -> ResponseReturnValue:
    """モニタリング, ささやき, 割り込み; pressed again it changes who hears."""
    mode = MODES.get(wish) or _unknown(wish)
    with writing() as session:
        monitoring.begin(session, viewer=viewer(), user_id=user_id, mode=mode, now=utcnow())
    return _done()


@bp.post("/monitor/end")
@requires(Right.LISTEN)
def end() -> ResponseReturnValue:
    """終了: out of the call, which goes on."""
    with writing() as session:
        monitoring.end(session, user_id=viewer().user_id, now=utcnow())
    return _done()


@bp.post("/<int:user_id>/help")
@requires(Right.WATCH)
def take_help(user_id: int) -> ResponseReturnValue:
    """対応する: somebody comes; the row is red no more."""
    with writing() as session:
        taken = help_requests.take(session, viewer=viewer(), user_id=user_id, now=utcnow())
    if not taken and wants_fragment():
        return toast(_("Somebody else has taken it, or it was withdrawn."))
    return _done()


def _done() -> ResponseReturnValue:
    """What was pressed shows by the live line."""
    return Response(status=204) if wants_fragment() else redirect(url_for("watch.index"), 303)


@bp.get("/<int:user_id>/ask/<wish>")
@requires(Right.WATCH)
def ask(user_id: int, wish: str) -> ResponseReturnValue:
    """Ask before anything is forced upon somebody."""
    title, text, label = ASKED.get(wish) or _unknown(wish)
    name = _name(reading(), user_id)
    return render_template(
        "watch/_ask.html" if wants_fragment() else "watch/ask.html",
        title=_(title, name=name),
        text=_(text),
        label=_(label),
        action=url_for("watch.force", user_id=user_id, wish=wish),
    )


@bp.post("/<int:user_id>/force/<wish>")
@requires(Right.WATCH)
def force(user_id: int, wish: str) -> ResponseReturnValue:
    """離席, hang up, sign out; asked before, audited."""
    act = FORCES.get(wish) or _unknown(wish)
    with writing() as session:
        name = _name(session, user_id)
        act(session, viewer=viewer(), user_id=user_id, now=utcnow())
    return _forced(_(DONE[wish], name=name), "ok", 200)


def _forced(message: str, category: str, status: int) -> ResponseReturnValue:
    """Say it beside the page; nothing is left of the dialog that asked."""
    flash(message, category)
    if wants_fragment():
        return render_template("watch/_forced.html"), status
    return redirect(url_for("watch.index"), 303)


def _unknown(wish: str) -> Any:
    raise NotFound(wish)


def _name(session: Session, user_id: int) -> str:
    return people.get(session, user_id).name
