"""The buttons that end a customer, and what is being typed meanwhile (R-CL-5…7)."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from calltree.blueprints import call_page, call_panels, call_screen
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.calling import (
    after_next,
    count_down,
    require_page,
    require_same,
    sit_down,
)
from calltree.blueprints.page import page_id
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import wants_fragment
from calltree.locale import sentence
from calltree.models import ResultStatus
from calltree.services import customers, desk, drafts, holds, patterns, records, results, scope
from calltree.services.results import ResultForm
from calltree.services.rights import Right

bp = Blueprint("saving", __name__, url_prefix="/operator/call")

BOXES = {
    "ask_callback_time": "callback",
    "callback_past": "callback",
    "callback_unreadable": "callback",
    "task_user_unknown": "task-user",
    "attribute_missing": "attributes",
    "attribute_wrong": "attributes",
}
"""Where a refusal is mended; the others at the result."""
QUESTIONS = ("ask_long_no_answer", "ask_callback_time", "ask_leave_blank")
"""Refusals that a second press goes over: the answer carries a mark that the form sends back."""


@bp.post("/save")
@requires(Right.DIAL)
def save() -> ResponseReturnValue:
    """保存して次へ, 保存のみ, 保存して別番号へ, 次へ, SKIP."""
    action = request.form.get("action", "save")
    try:
        if action in {"save", "save_next", "save_other"}:
            save_result()
        if action == "save_other":
            _other_number()
        if action in {"save_next", "next", "skip"}:
            return _go_on(dials=action != "skip", saved=action == "save_next")
    except Refused as refusal:
        return say_refused(refusal)
    return redirect(url_for("calling.screen"), 303)


def save_result() -> None:
    """Save what the boxes say of the open customer. Raises Refused."""
    mine = viewer()
    at = call_screen.desk(reading(), viewer=mine, now=utcnow())
    if at is None or at.customer is None or at.project is None:
        raise Refused("nothing_open")
    require_same(at.customer)
    form = result_form(project_id=at.project.id)
    _ask_about_the_result(at, form)
    with writing() as session:
        results.save(session, viewer=mine, customer_id=at.customer.id, form=form, now=utcnow())


def _ask_about_the_result(at: call_screen.Desk, form: ResultForm) -> None:
    """Ask once about what a newly chosen result takes away, or lacks.

    不通 takes away the recording of a call talked on for 30 s (R-ST-2). A result that asks for the
    callback time may be saved without one: the customer may have named none (R-ST-4).
    """
    status = reading().get(ResultStatus, form.status_id) if form.status_id else None
    if at.record is None or status is None or status.id == at.record.status_id:
        return
    if results.warns_no_answer(at.record, status) and not _confirmed("ask_long_no_answer"):
        raise Refused("ask_long_no_answer", seconds=at.record.talk_ms // 1000)
    lacks_time = status.asks_callback_time and form.callback_at is None
    if lacks_time and not _confirmed("ask_callback_time"):
        raise Refused("ask_callback_time", field="callback_at", name=status.name)


def _confirmed(question: str) -> bool:
    return question in request.form.getlist("confirmed")


def result_form(*, project_id: int) -> ResultForm:
    """Read the result boxes of a posted form; times are the site's. Raises Refused."""
    given = request.form
    items = patterns.items_of(reading(), project_id)
    shown = {item.id: given.get(f"item{item.id}", "") for item in items}
    return ResultForm(
        status_id=given.get("status", type=int),
        memo=given.get("memo", ""),
        attributes={str(item_id): text for item_id, text in shown.items()},
        prospect_level=given.get("prospect_level"),
        callback_at=callback_time(given.get("callback_at", "")),
        task_user_id=given.get("task_user", type=int),
    )


def callback_time(typed: str) -> datetime | None:
    """Read a datetime-local box. Raises Refused 'callback_unreadable'."""
    if not typed:
        return None
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError:
        raise Refused("callback_unreadable", field="callback_at") from None
    return moment.replace(tzinfo=settings().timezone)


def _other_number() -> None:
    """Choose the number after the one just dialled, and count down to it (R-LS-9)."""
    mine, now = viewer(), utcnow()
    with writing() as session:
        at = call_screen.desk(session, viewer=mine, now=now)
        if at is None or at.customer is None or at.project is None:
            raise Refused("nothing_open")
        numbers = call_panels.numbers_of(session, at.customer)
        dialled = at.record.number if at.record else at.customer.number
        later = numbers[numbers.index(dialled) + 1 :] if dialled in numbers else []
        if not later:
            raise Refused("no_other_number")
        caller = at.operator.chosen_caller_id
        desk.choose(session, user_id=mine.user_id, number=later[0], caller_number_id=caller)
        session.refresh(at.operator)
        if call_screen.would_dial(session, viewer=mine, now=now):
            desk.count_down(
                session, user_id=mine.user_id, seconds=at.project.auto_dial_delay_s, now=now
            )


def _go_on(*, dials: bool, saved: bool) -> ResponseReturnValue:
    """Take the next customer; 次へ and 保存して次へ dial after the project's wait."""
    mine, now = viewer(), utcnow()
    sit_down(now)
    with writing() as session:
        require_page(session)
        open_now = call_screen.desk(session, viewer=mine, now=now)
        if open_now is not None and open_now.customer is not None and not saved:
            require_same(open_now.customer)
        blank = records.leaves_blank(session, user_id=mine.user_id)
        if blank and not _confirmed("ask_leave_blank"):
            raise Refused("ask_leave_blank")
        taken = desk.next_customer(session, viewer=mine, page_id=page_id(), now=now)
        if dials and taken.customer_id is not None:
            count_down(session, now)
    return after_next(is_end=taken.is_end)


def say_refused(refusal: Refused) -> ResponseReturnValue:
    """Answer a refused save beside the boxes, which keep what was typed."""
    errors = [(BOXES.get(refusal.code, "results"), sentence(refusal.code, **refusal.values))]
    asked = {
        "errors": errors,
        "confirms": refusal.code if refusal.code in QUESTIONS else "",
        "result_missing": refusal.code == "status_missing",
    }
    if wants_fragment():
        return render_template("operator/_call_errors.html", **asked), 422
    context = call_page.draw(reading(), viewer=viewer(), now=utcnow())
    if context is None:
        raise refusal
    return render_template("operator/call.html", **(context | asked)), 422


@bp.post("/draft/<int:customer_id>")
@requires(Right.DIAL)
def draft(customer_id: int) -> ResponseReturnValue:
    """Keep what is being typed (R-CL-7)."""
    mine, now = viewer(), utcnow()
    with writing() as session:
        scope.get_customer_at_hand(session, viewer=mine, customer_id=customer_id)
        # the hold first, as a save does, which then takes the draft away
        holds.touch(session, customer_id=customer_id, user_id=mine.user_id, now=now)
        drafts.keep(
            session,
            user_id=mine.user_id,
            customer_id=customer_id,
            memo=request.form.get("memo", "")[:20000],
            now=now,
        )
    return Response(status=204)


@bp.post("/short-note/<int:customer_id>")
@requires(Right.EDIT_CUSTOMERS)
def short_note(customer_id: int) -> ResponseReturnValue:
    """Keep the 簡易メモ as it is typed."""
    with writing() as session:
        customers.set_short_note(
            session,
            viewer=viewer(),
            customer_id=customer_id,
            text=request.form.get("short_note", ""),
            now=utcnow(),
        )
    return Response(status=204)
