"""Answering calls that come in: the panel that rings on every page, and who calls (R-IN-2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from flask import Blueprint, Flask, Response, flash, redirect, render_template, request, url_for
from flask import session as kept
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from calltree.blueprints import call_screen, calling, navigation
from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, settings, store, writing
from calltree.htmx import wants_fragment
from calltree.models import Attempt, CallerNumber, CustomerList, Project
from calltree.services import (
    inbound_ahead,
    inbound_calls,
    inbound_desk,
    inbound_matches,
    inbound_practice,
    inbound_words,
    scope,
    sealing,
)
from calltree.services.inbound_calls import NOT_WRITTEN, Ringing
from calltree.services.inbound_matches import Caller
from calltree.services.inbound_practice import Who
from calltree.services.rights import Right, Viewer

log = structlog.get_logger(__name__)

bp = Blueprint("answering", __name__, url_prefix="/operator/inbound")

_LIST = "inbound_list"


@dataclass(frozen=True, slots=True)
class Shown:
    """A call that rings or is parked, with who calls."""

    call: Ringing
    caller: Caller


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why not beside the page, as on the call screen."""
    return calling.refused(refusal)


def ringing() -> list[Shown]:
    """Return what rings for the viewer; fragments are pushed without a context."""
    session, mine, now = reading(), viewer(), utcnow()
    is_page = request.blueprint not in ("live", "answering")  # those ask for the panel alone
    if is_page and not navigation.somebody_calls():
        return []
    return [
        Shown(call, inbound_matches.find(session, viewer=mine, number=call.caller, now=now))
        for call in inbound_calls.ringing_for(session, user_id=mine.user_id, now=now)
    ]


def arriving(*, viewer: Viewer, told: Mapping[str, Any], now: datetime) -> list[Shown]:
    """Return a call that the ledger does not have yet, as it is foretold (decision 22).

    It has no id, so there is nothing to press. Nobody when the number cannot be unsealed.
    """
    key = settings().secret_key
    number = sealing.opened_now(told["caller"], key=key, purpose=inbound_ahead.PURPOSE)
    if not number:
        return []
    since = datetime.fromisoformat(told["at"])
    call = Ringing(NOT_WRITTEN, number, told["number"], told["label"], since, 0, None, False, "")
    try:
        with store().glance() as look:
            caller = inbound_matches.look_up(look, viewer=viewer, number=number, now=now)
    except SQLAlchemyError as error:  # the ledger's own follows, or the fault is met there
        log.warning("caller not shown ahead", error=type(error).__name__)
        return []
    return [Shown(call, caller)]


@bp.get("/ringing")
@requires(Right.ANSWER_INBOUND)
def panel() -> ResponseReturnValue:
    """Give the panel alone, asked for while the live line is down."""
    return render_template("answering/_ringing.html")


@bp.post("/<int:call_id>/answer")
@requires(Right.ANSWER_INBOUND)
def answer(call_id: int) -> ResponseReturnValue:
    """応答: take the call; who was chosen of several opens when they talk."""
    mine, now = viewer(), utcnow()
    calling.sit_down(now)
    chosen = request.form.get("customer", type=int)
    if chosen is not None:
        scope.get_customer(reading(), viewer=mine, customer_id=chosen)
    with writing() as session:
        calling.require_page(session)
        inbound_calls.answer(
            session, user_id=mine.user_id, attempt_id=call_id, customer_id=chosen, now=now
        )
        inbound_desk.clear(session, user_id=mine.user_id, now=now)
    return redirect(url_for("answering.screen"), 303)


@bp.post("/<int:call_id>/decline")
@requires(Right.ANSWER_INBOUND)
def decline(call_id: int) -> ResponseReturnValue:
    """見送る: it rings here no more."""
    with writing() as session:
        inbound_calls.decline(session, user_id=viewer().user_id, attempt_id=call_id, now=utcnow())
    return _panel()


@bp.post("/<int:call_id>/park")
@requires(Right.ANSWER_INBOUND)
def park(call_id: int) -> ResponseReturnValue:
    """保留して残す: the caller hears music, and whoever is free takes the call."""
    with writing() as session:
        inbound_calls.park(session, user_id=viewer().user_id, attempt_id=call_id, now=utcnow())
    return _panel()


def _panel() -> ResponseReturnValue:
    if not wants_fragment():
        return redirect(url_for("operator.home"), 303)
    return render_template("answering/_ringing.html")


@bp.get("/")
@requires(Right.ANSWER_INBOUND)
def screen() -> ResponseReturnValue:
    """Show the call that was taken: who it may be, or the customer's page once they are chosen."""
    session, mine, now = reading(), viewer(), utcnow()
    at = call_screen.desk(session, viewer=mine, now=now)
    current = inbound_desk.current(session, user_id=mine.user_id)
    if at is None or current is None:
        return redirect(url_for("operator.home"), 303)
    if at.customer is not None and request.args.get("choose") is None:
        return redirect(url_for("calling.screen"), 303)
    caller = inbound_matches.find(session, viewer=mine, number=current.attempt.number, now=now)
    return render_template(
        "answering/screen.html",
        current=current,
        caller=caller,
        ours=_ours(session, current.attempt),
        chosen=at.customer,
        lists=_lists(session),
        last_list=kept.get(_LIST),
        finish=finishing(current),
        **call_screen.live(session, at),
    )


def _ours(session: Session, attempt: Attempt) -> CallerNumber | None:
    found = attempt.caller_number_id
    return session.get(CallerNumber, found) if found else None


def _lists(session: Session) -> list[tuple[CustomerList, str]]:
    """The lists that the viewer may call, for saving an unknown caller."""
    rows = session.execute(
        select(CustomerList, Project.name)
        .join(Project, Project.id == CustomerList.project_id)
        .where(scope.lists_dialled(viewer()))
        .order_by(Project.name, CustomerList.id)
    )
    return [(folder, project) for folder, project in rows]


def finishing(current: inbound_desk.AtDesk) -> dict[str, Any]:
    """Give what the buttons that end a call without a customer are drawn from."""
    return {"live": current.is_live}


@bp.post("/customer/<int:customer_id>")
@requires(Right.ANSWER_INBOUND)
def choose(customer_id: int) -> ResponseReturnValue:
    """Open this one of several who have the caller's number."""
    with writing() as session:
        inbound_desk.choose(session, viewer=viewer(), customer_id=customer_id, now=utcnow())
    return redirect(url_for("calling.screen"), 303)


@bp.post("/save-to-list")
@requires(Right.ANSWER_INBOUND)
def save_to_list() -> ResponseReturnValue:
    """リストに保存: an unknown caller becomes a customer, whose page opens."""
    list_id = request.form.get("list", 0, type=int)
    with writing() as session:
        inbound_desk.save_to_list(
            session,
            viewer=viewer(),
            list_id=list_id,
            number=request.form.get("number", ""),
            name=request.form.get("name", ""),
            now=utcnow(),
        )
    kept[_LIST] = list_id
    return redirect(url_for("calling.screen"), 303)


@bp.post("/memo")
@requires(Right.ANSWER_INBOUND)
def memo() -> ResponseReturnValue:
    """Keep what is typed while no customer is chosen."""
    with writing() as session:
        inbound_desk.keep_memo(session, viewer=viewer(), memo=request.form.get("memo", ""))
    return Response(status=204)


@bp.post("/finish")
@requires(Right.ANSWER_INBOUND)
def finish() -> ResponseReturnValue:
    """保存して待機, 保存して離席: the caller stays unknown."""
    now = utcnow()
    calling.sit_down(now)
    with writing() as session:
        calling.require_page(session)
        inbound_desk.finish(
            session,
            viewer=viewer(),
            memo=request.form.get("memo", ""),
            stands_by=request.form.get("action") != "away",
            now=now,
        )
    return redirect(url_for("operator.home"), 303)


@bp.post("/practise")
@requires(Right.ANSWER_INBOUND)
def practise() -> ResponseReturnValue:
    """Let a practice call come in: from a customer, from nobody known, or withheld."""
    mine, now, given = viewer(), utcnow(), request.form.get("who", "")
    with writing() as session:
        plan = inbound_practice.call_in(
            session, viewer=mine, who=Who(given) if given in set(Who) else Who.CUSTOMER, now=now
        )
    said, category = str(_("A practice call is on its way.")), "ok"
    if plan.reason != "open":  # else it would not be understood why nothing rings
        why = _(inbound_words.why(plan.reason, plan.name), name=plan.name)
        said, category = str(_("No telephone rings: %(why)s", why=why)), "warn"
    if wants_fragment():
        return calling.toast(said, category)
    flash(said, category)
    return redirect(url_for("operator.home"), 303)


def finishing_of(session: Session, at: call_screen.Desk) -> dict[str, Any] | None:
    """Give what is pushed to the call's page; None once a customer is open or the call is gone."""
    current = inbound_desk.current(session, user_id=at.viewer.user_id)
    return None if current is None or at.customer is not None else finishing(current)


def init_app(app: Flask) -> None:
    """Give templates what the panel is drawn from."""
    app.add_template_global(ringing, "ringing")
