"""The side pane of the call screen: records, numbers and columns beside the present call.

Nothing here leaves the page, and what it changes is drawn anew in the pane it belongs to
(R-CL-18, R-LS-9, R-CL-3).
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints import call_panels, call_screen, call_transfer
from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.locale import sentence
from calltree.models import CallRecord, Customer, ItemTarget, SystemResult
from calltree.services import (
    customers,
    history,
    lists,
    patterns,
    projects,
    records,
    results,
    scope,
)
from calltree.services.results import ResultForm
from calltree.services.rights import Right

bp = Blueprint("call_side", __name__, url_prefix="/operator/call/side")


@bp.route("/last", methods=["GET", "POST"])
@requires(Right.ADD_RECORDS)
def last() -> ResponseReturnValue:
    """直前の通話: correct one's last record beside the present call (R-CL-18)."""
    found = records.last_of(reading(), user_id=viewer().user_id)
    return _record(found, _("My last call"), url_for("call_side.last"))


@bp.route("/records/<int:record_id>", methods=["GET", "POST"])
@requires(Right.ADD_RECORDS)
def record(record_id: int) -> ResponseReturnValue:
    """One record of the history, corrected here by its author or a manager (R-HS-3)."""
    found = history.get(reading(), viewer=viewer(), record_id=record_id)
    return _record(found, _("Details"), url_for("call_side.record", record_id=record_id))


def _record(found: CallRecord | None, title: str, save_url: str) -> ResponseReturnValue:
    error = ""
    if request.method == "POST" and found is not None:
        error = _correct(found.id)
        found = reading().get(CallRecord, found.id)
    saved = request.method == "POST" and not error
    page = render_template(
        "operator/_record.html",
        title=title,
        shown=_shown(reading(), found, save_url) if found else None,
        error=error,
        saved=saved,
        typed=request.form if error else {},
        history=_history_anew() if saved else None,
    )
    return page, 422 if error else 200


def _correct(record_id: int) -> str:
    form = ResultForm(
        status_id=request.form.get("status", type=int), memo=request.form.get("memo", "")
    )
    # Answered here as 登録したまま: who is asked about the ban is the history page's manager.
    keep = False if viewer().may(Right.RELEASE_BANS) else None
    try:
        with writing() as session:
            results.correct(
                session,
                viewer=viewer(),
                record_id=record_id,
                form=form,
                withdraw_ban=keep,
                now=utcnow(),
            )
    except Refused as refusal:
        return sentence(refusal.code, **refusal.values)
    return ""


def _shown(session: Session, found: CallRecord, save_url: str) -> dict[str, Any]:
    row = history.row_of(session, viewer=viewer(), record=found)
    customer = session.get(Customer, found.customer_id) if found.customer_id else None
    project = projects.get(session, found.project_id) if found.project_id else None
    correctable = (
        project is not None
        and found.system is not SystemResult.LINE_ERROR
        and scope.may_correct(viewer(), found)
    )
    offered = patterns.offered(session, project.pattern_id) if project else []
    return {
        "row": row,
        "customer": next((cell for cell in customer.cells if cell), "") if customer else "",
        "status_id": found.status_id,
        "results": [(status.id, status.name) for status in offered],
        "save_url": save_url if correctable else "",
        "handed": call_transfer.chain(session, attempt_id=found.attempt_id),
        "lines": len(results.corrections_of(session, record_id=found.id)),
    }


def _history_anew() -> dict[str, Any] | None:
    """The history pane: the record that was corrected may stand in it."""
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None or at.customer is None or at.folder is None or at.project is None:
        return None
    side = call_panels.customer_side(session, at)
    return {"history": side["history"], "memo_log": side["memo_log"]}


@bp.route("/numbers/<int:customer_id>", methods=["GET", "POST"])
@requires(Right.EDIT_CUSTOMERS)
def numbers(customer_id: int) -> ResponseReturnValue:
    """追加・編集: the extra numbers; the main one is never edited (R-LS-9)."""
    error = ""
    if request.method == "POST":
        try:
            with writing() as session:
                _change_numbers(session, customer_id)
        except Refused as refusal:
            error = sentence(refusal.code, **refusal.values)
    found = scope.get_customer_at_hand(reading(), viewer=viewer(), customer_id=customer_id)
    changed = request.method == "POST" and not error
    page = render_template(
        "operator/_edit_numbers.html",
        main=found.number,
        extras=customers.extra_numbers(reading(), customer_id=customer_id),
        url=url_for("call_side.numbers", customer_id=customer_id),
        error=error,
        typed=request.form if error else {},
        **(_panes() if changed else {}),
    )
    return page, 422 if error else 200


def _change_numbers(session: Session, customer_id: int) -> None:
    extra_id = request.form.get("remove", type=int)
    if extra_id is not None:
        customers.remove_extra(session, viewer=viewer(), extra_id=extra_id, now=utcnow())
        return
    customers.add_extra(
        session,
        viewer=viewer(),
        customer_id=customer_id,
        number=request.form.get("number", ""),
        label=request.form.get("label", ""),
        now=utcnow(),
    )


@bp.route("/customer/<int:customer_id>", methods=["GET", "POST"])
@requires(Right.EDIT_CUSTOMERS)
def customer(customer_id: int) -> ResponseReturnValue:
    """編集: the columns, 顧客属性 and 簡易メモ of the open customer."""
    error = ""
    if request.method == "POST":
        form = customers.form_of(request.form.items())
        try:
            with writing() as session:
                customers.edit(
                    session, viewer=viewer(), customer_id=customer_id, form=form, now=utcnow()
                )
        except Refused as refusal:
            error = sentence(refusal.code, **refusal.values)
    session = reading()
    found = scope.get_customer_at_hand(session, viewer=viewer(), customer_id=customer_id)
    folder = scope.list_of(session, found)
    project = projects.get(session, folder.project_id)
    cells = [*found.cells, *[""] * len(folder.columns)]
    changed = request.method == "POST" and not error
    page = render_template(
        "operator/_edit_customer.html",
        columns=[(name, cells[place]) for name, place, _hidden, _large in lists.shown(folder)],
        items=patterns.items_of(session, project.id, ItemTarget.CUSTOMER),
        values=found.attributes,
        levels=project.prospect_levels,
        level=found.prospect_level,
        note=found.short_note,
        url=url_for("call_side.customer", customer_id=customer_id),
        error=error,
        typed=request.form if error else {},
        **(_panes() if changed else {}),
    )
    return page, 422 if error else 200


def _panes() -> dict[str, Any]:
    """The left column anew, as it stands after the change."""
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None or at.customer is None or at.folder is None or at.project is None:
        return {}
    return {"panes": call_panels.customer_side(session, at)}
