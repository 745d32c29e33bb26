"""不在着信・留守番電話: who called and was not talked with (R-IN-3)."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints import calling, navigation
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.page import page_id
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go, wants_fragment
from calltree.locale import sentence
from calltree.models import Attempt, InboundOutcome
from calltree.services import desk, gate, missed_calls
from calltree.services.missed_calls import Criteria, Stand
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.services.tasks import Whose

bp = Blueprint("missed", __name__, url_prefix="/missed")

OUTCOME_NAMES = {
    InboundOutcome.MISSED: N_("Missed call"),
    InboundOutcome.VOICEMAIL: N_("Voicemail"),
    InboundOutcome.GUIDANCE: N_("Closed, heard the guidance"),
}
STAND_NAMES = {
    Stand.OPEN: N_("To be called back"),
    Stand.DONE: N_("Done"),
    Stand.ALL: N_("All"),
}


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why not beside the page."""
    return calling.refused(refusal)


@bp.get("/")
@requires(Right.ANSWER_INBOUND)
def index() -> ResponseReturnValue:
    """Show those that wait, or what is asked for; the conditions live in the address."""
    session, mine = reading(), viewer()
    criteria = _asked()
    before = request.args.get("before", type=int)
    rows = missed_calls.page(session, viewer=mine, criteria=criteria, before=before)
    pairs = _pairs(criteria)
    older = rows[-1].call.attempt_id if len(rows) == missed_calls.PAGE else None
    return render_template(
        "missed/index.html",
        rows=rows,
        criteria=criteria,
        stands=[
            (
                _(STAND_NAMES[stand]),
                url_for("missed.index", **(pairs | {"stand": stand.value})),
                stand is criteria.stand,
                missed_calls.badge(session, viewer=mine) if stand is Stand.OPEN else None,
            )
            for stand in Stand
        ],
        outcome_names=OUTCOME_NAMES,
        users=missed_calls.offered_users(session) if mine.may(Right.ASSIGN_TASKS) else [],
        who=str(criteria.who.value if isinstance(criteria.who, Whose) else criteria.who),
        mine=mine.user_id,
        pairs=pairs,
        first_url=url_for("missed.index", **pairs) if before is not None else None,
        next_url=url_for("missed.index", **pairs, before=older) if older else None,
        press_id=lambda: str(uuid.uuid4()),
        calls=navigation.screen() == "operator",
    )


def _asked() -> Criteria:
    given = request.args
    stand, outcome, who = given.get("stand", ""), given.get("outcome", ""), given.get("who", "")
    named = int(who) if who.isascii() and who.isdecimal() and len(who) < 10 else None
    return Criteria(
        stand=Stand(stand) if stand in set(Stand) else Stand.OPEN,
        outcome=InboundOutcome(outcome) if outcome in set(OUTCOME_NAMES) else None,
        who=named or (Whose(who) if who in set(Whose) else Whose.EVERYBODY),
        number=given.get("number", "")[:32],
    )


def _pairs(criteria: Criteria) -> dict[str, Any]:
    """The conditions as an address says them; what is usual is left out."""
    usual = Criteria()
    pairs: dict[str, Any] = {
        name: getattr(criteria, name)
        for name in ("stand", "outcome", "who", "number")
        if getattr(criteria, name) != getattr(usual, name)
    }
    return {name: getattr(value, "value", value) for name, value in pairs.items()}


@bp.post("/<int:call_id>/call-back")
@requires(Right.DIAL)
def call_back(call_id: int) -> ResponseReturnValue:
    """折り返し: one press dials, through the gate; a question of the gate's is asked first."""
    mine, now = viewer(), utcnow()
    customer_id = request.form.get("customer", type=int)
    calling.sit_down(now)
    with writing() as session:
        calling.require_page(session)
        gate.take_turn(session)
        if customer_id is not None:
            desk.open_customer(
                session, viewer=mine, customer_id=customer_id, page_id=page_id(), now=now
            )
            desk.forget_countdown(session, user_id=mine.user_id)
        attempt = missed_calls.call_back(
            session,
            viewer=mine,
            call_id=call_id,
            customer_id=customer_id,
            press_id=calling.press_id(),
            confirmed=request.form.get("confirmed") == "1",
            now=now,
        )
    if attempt.verdict == gate.ALLOWED:
        return redirect(url_for("calling.screen" if customer_id else "manual.screen"), 303)
    return _say(call_id, customer_id, attempt)


def _say(call_id: int, customer_id: int | None, attempt: Attempt) -> ResponseReturnValue:
    """Say the gate's no; put its question, which the same press answers."""
    said = sentence(attempt.verdict, **attempt.verdict_detail)
    if not attempt.verdict.startswith("ask_"):
        if wants_fragment():
            return calling.toast(said, "bad", status=409)
        flash(said, "bad")
        return redirect(url_for("missed.index"), 303)
    return render_template(
        "missed/ask.html",
        said=said,
        call_id=call_id,
        customer_id=customer_id,
        press_id=str(uuid.uuid4()),
    )


@bp.post("/<int:call_id>/done")
@requires(Right.ANSWER_INBOUND)
def done(call_id: int) -> ResponseReturnValue:
    """対応済みにする, or 未対応に戻す."""
    with writing() as session:
        missed_calls.set_done(
            session,
            viewer=viewer(),
            call_id=call_id,
            done=request.form.get("done") != "0",
            now=utcnow(),
        )
    return _back()


@bp.post("/<int:call_id>/assign")
@requires(Right.ANSWER_INBOUND)
def assign(call_id: int) -> ResponseReturnValue:
    """Give it to a user, or to anyone."""
    with writing() as session:
        missed_calls.assign(
            session,
            viewer=viewer(),
            call_id=call_id,
            user_id=request.form.get("user_id", type=int),
        )
    return _back()


def _back() -> ResponseReturnValue:
    asked: dict[str, Any] = {
        name: value
        for name in ("stand", "outcome", "who", "number")
        if (value := request.form.get(name))
    }
    return go(url_for("missed.index", **asked))
