"""Bulk work on the customers of a list: 割当, move, リセット, delete; asked before it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from calltree.blueprints import criteria_fields
from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import sentence
from calltree.models import BulkJob
from calltree.services import customer_work, projects, scope, search
from calltree.services.customer_work import Chosen
from calltree.services.rights import Right

bp = Blueprint("list_work", __name__, url_prefix="/admin/lists/<int:list_id>")

FOUND = "found"
"""All that the search in the address finds, and not the ticked ones."""

Press = Callable[..., BulkJob]


def _all() -> bool:
    return request.args.get("of") == FOUND


def _chosen() -> Chosen:
    if _all():
        return Chosen(criteria=criteria_fields.asked())
    ids = request.values.getlist("customer", type=int)[: search.PAGE]
    return Chosen(ids=tuple(dict.fromkeys(ids)))


def _ask(list_id: int, what: str, error: str = "", **shown: Any) -> tuple[str, int]:
    session, chosen = reading(), _chosen()
    folder = scope.get_list(session, viewer=viewer(), list_id=list_id)
    found = customer_work.find(
        session, viewer=viewer(), list_id=list_id, chosen=chosen, now=utcnow()
    )
    criteria = criteria_fields.asked()
    page = render_template(
        "lists/work.html",
        what=what,
        folder=folder,
        project=projects.get(session, folder.project_id),
        found=found,
        chosen=chosen,
        pairs=criteria.pairs(),
        action=_action(what, list_id),
        back=criteria_fields.address("lists.detail", criteria, list_id=list_id),
        error=error,
        **shown,
    )
    return page, 422 if error else 200


def _action(what: str, list_id: int) -> str:
    if not _all():
        return url_for(f"list_work.{what}", list_id=list_id)
    asked = criteria_fields.asked()
    return criteria_fields.address(f"list_work.{what}", asked, list_id=list_id, of=FOUND)


def _press(list_id: int, press: Press, **given: Any) -> ResponseReturnValue:
    """Let the worker do it. Raises what the service refuses."""
    with writing() as session:
        job = press(
            session,
            viewer=viewer(),
            list_id=list_id,
            chosen=_chosen(),
            typed=request.form.get("confirmation", ""),
            now=utcnow(),
            **given,
        )
        job_id = job.id
    return go(url_for("bulk.show", job_id=job_id))


@bp.get("/assign")
@requires(Right.GRANT_LISTS)
def assign(list_id: int) -> ResponseReturnValue:
    """Ask to whom customers are given."""
    return _ask_assign(list_id)


def _ask_assign(list_id: int, error: str = "") -> tuple[str, int]:
    folder = scope.get_list(reading(), viewer=viewer(), list_id=list_id)
    return _ask(
        list_id,
        "assign",
        error,
        users=customer_work.receivers(reading(), folder=folder),
        ticked=request.form.getlist("users", type=int),
        taking=request.form.get("do") == "take",
        each=request.form.get("each", ""),
    )


@bp.post("/assign")
@requires(Right.GRANT_LISTS)
def start_assign(list_id: int) -> ResponseReturnValue:
    """割当, or take the customers away from whoever has them."""
    users = request.form.getlist("users", type=int)
    try:
        each = _each(request.form.get("each", ""))
        if request.form.get("do") == "take":
            users, each = [], None
        elif not users:
            raise Refused("assignee_missing", field="users")
        return _press(list_id, customer_work.assign, user_ids=users, each=each)
    except Refused as refusal:
        return _ask_assign(list_id, sentence(refusal.code, **refusal.values))


def _each(typed: str) -> int | None:
    if not typed.strip():
        return None
    try:
        return int(typed)  # full-width digits too
    except ValueError:
        raise Refused("assign_each_range", field="each") from None


@bp.get("/move")
@requires(Right.BULK_WORK)
def move(list_id: int) -> ResponseReturnValue:
    """Ask for the other list, and say what becomes of the columns there."""
    return _ask_move(list_id)


def _ask_move(list_id: int, error: str = "") -> tuple[str, int]:
    session, target_id = reading(), request.values.get("target", type=int)
    plan = None
    if target_id is not None:
        try:
            plan = customer_work.plan_move(
                session, viewer=viewer(), list_id=list_id, target_id=target_id
            )
        except Refused as refusal:
            error = error or sentence(refusal.code, **refusal.values)
    return _ask(
        list_id,
        "move",
        error,
        plan=plan,
        targets=customer_work.targets(session, viewer=viewer(), list_id=list_id),
        adds=request.form.get("columns", "add") == "add",
    )


@bp.post("/move")
@requires(Right.BULK_WORK)
def start_move(list_id: int) -> ResponseReturnValue:
    """Move the customers."""
    try:
        return _press(
            list_id,
            customer_work.move,
            target_id=request.form.get("target", 0, type=int),
            add_columns=request.form.get("columns") == "add",
        )
    except Refused as refusal:
        return _ask_move(list_id, sentence(refusal.code, **refusal.values))


@bp.get("/reset")
@requires(Right.BULK_WORK)
def reset(list_id: int) -> ResponseReturnValue:
    """Ask before customers are set back to never called."""
    return _ask(list_id, "reset")


@bp.post("/reset")
@requires(Right.BULK_WORK)
def start_reset(list_id: int) -> ResponseReturnValue:
    """リセット."""
    return _plain(list_id, "reset", customer_work.start_again)


@bp.get("/delete-customers")
@requires(Right.BULK_WORK)
def delete(list_id: int) -> ResponseReturnValue:
    """Ask before customers go into the bin."""
    return _ask(list_id, "delete")


@bp.post("/delete-customers")
@requires(Right.BULK_WORK)
def start_delete(list_id: int) -> ResponseReturnValue:
    """Put the customers into the bin."""
    return _plain(list_id, "delete", customer_work.delete)


def _plain(list_id: int, what: str, press: Press) -> ResponseReturnValue:
    try:
        return _press(list_id, press)
    except Refused as refusal:
        return _ask(list_id, what, sentence(refusal.code, **refusal.values))
