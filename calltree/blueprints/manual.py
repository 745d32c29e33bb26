"""手動発信: type a number, choose whose number is shown, call; and one's own history (R-CL-13)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask import session as kept
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import TextAreaField
from wtforms.validators import Length

from calltree.blueprints import call_screen, calling
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import saved
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go, wants_fragment
from calltree.locale import lazy
from calltree.services import manual_calls
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("manual", __name__, url_prefix="/operator/manual")

MAX_MEMO = 4000
_CALLER = "manual_caller"


class MemoForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """What was talked about in one call."""

    memo = TextAreaField(lazy(N_("Memo")), validators=[Length(max=MAX_MEMO)])


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why not beside the page, as on the call screen."""
    return calling.refused(refusal)


@bp.get("/")
@requires(Right.DIAL_MANUALLY)
def screen() -> ResponseReturnValue:
    """Show the pad and the calls by hand, newest first; `number` keeps to one."""
    session, mine, now = reading(), viewer(), utcnow()
    at = call_screen.desk(session, viewer=mine, now=now)
    number = request.args.get("number", "")
    before = request.args.get("before", type=int)
    rows = manual_calls.page(session, viewer=mine, number=number, before=before)
    live = call_screen.live(session, at) if at is not None and at.customer is None else {}
    return render_template(
        "manual/screen.html",
        rows=rows,
        number=number,
        older=rows[-1].record.id if len(rows) == manual_calls.PAGE else None,
        callers=manual_calls.callers(session, viewer=mine),
        chosen=kept.get(_CALLER),
        open_customer=at.customer if at else None,
        known=manual_calls.whose(session, viewer=mine, typed=number),
        **live,
    )


@bp.get("/whose")
@requires(Right.DIAL_MANUALLY)
def whose() -> ResponseReturnValue:
    """Say whose number is being typed, with a way to their page."""
    typed = request.args.get("number", "")
    known = manual_calls.whose(reading(), viewer=viewer(), typed=typed)
    return render_template("manual/_whose.html", known=known)


@bp.post("/sit-down")
@requires(Right.DIAL_MANUALLY)
def sit_down() -> ResponseReturnValue:
    """Begin: the telephone is connected, as on the call screen; an open customer is left."""
    now = utcnow()
    calling.sit_down(now)
    with writing() as session:
        calling.require_page(session)
        manual_calls.leave_customer(session, viewer=viewer(), now=now)
    return redirect(url_for("manual.screen"), 303)


@bp.post("/dial")
@requires(Right.DIAL_MANUALLY)
def dial() -> ResponseReturnValue:
    """CALL: ask the gate; what it says is on the screen either way."""
    now, number = utcnow(), request.form.get("number", "")
    calling.sit_down(now)
    caller = request.form.get("caller_number", type=int)
    kept[_CALLER] = caller
    asked = request.form.get("asked_number", "")
    with writing() as session:
        calling.require_page(session)
        manual_calls.dial(
            session,
            viewer=viewer(),
            number=number,
            caller_number_id=caller,
            press_id=calling.press_id(),
            confirmed=asked != "" and asked == manual_calls.normal(number),
            now=now,
        )
    if not wants_fragment():
        return redirect(url_for("manual.screen"), 303)
    return _box()


def _box() -> ResponseReturnValue:
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None:
        return Response(status=204)
    shown = call_screen.fragment(session, at, "_call_status.html")
    return render_template("operator/_call_status.html", **shown)


def rows(session: Session) -> dict[str, Any]:
    """Give the newest calls for pushing them."""
    return {"rows": manual_calls.page(session, viewer=viewer())}


@bp.route("/<int:record_id>", methods=["GET", "POST"])
@requires(Right.DIAL_MANUALLY)
def memo(record_id: int) -> ResponseReturnValue:
    """Write the memo of a call: its own, a manager any."""
    record = manual_calls.get(reading(), viewer=viewer(), record_id=record_id)
    form = MemoForm()
    if request.method == "GET":
        form.memo.data = record.memo

    def save(session: Session) -> None:
        manual_calls.save_memo(
            session,
            viewer=viewer(),
            record_id=record_id,
            memo=form.memo.data or "",
            now=utcnow(),
        )

    if saved(form, save):
        return go(url_for("manual.screen"))
    page = render_template("manual/memo.html", form=form, record=record)
    return page, 422 if form.errors else 200
