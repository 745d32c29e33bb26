"""ごみ箱: deleted lists and customers, and their way back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import sentence
from calltree.services import list_bin, lists, projects, scope
from calltree.services.rights import Right

bp = Blueprint("list_bin", __name__, url_prefix="/admin/bin")

CELLS_SHOWN = 4


@bp.get("/")
@requires(Right.BULK_WORK)
def index() -> ResponseReturnValue:
    """Show the deleted lists, and of which lists customers are deleted."""
    return _index()


def _index(error: str = "") -> tuple[str, int]:
    session = reading()
    page = render_template(
        "lists/bin.html",
        folders=list_bin.deleted_lists(session, viewer=viewer()),
        lines=list_bin.deleted_customers(session, viewer=viewer()),
        days=list_bin.KEPT.days,
        error=error,
    )
    return page, 422 if error else 200


@bp.post("/lists/<int:list_id>/restore")
@requires(Right.EDIT_MASTER_DATA)
def restore_list(list_id: int) -> ResponseReturnValue:
    """Bring a list back."""
    try:
        with writing() as session:
            folder = list_bin.restore_list(session, viewer=viewer(), list_id=list_id, now=utcnow())
            name = folder.name
    except Refused as refusal:
        return _index(sentence(refusal.code, **refusal.values))
    flash(_("The list %(name)s is back. It is disabled.", name=name), "ok")
    return go(url_for("lists.settings", list_id=list_id))


@bp.get("/<int:list_id>")
@requires(Right.BULK_WORK)
def customers(list_id: int) -> ResponseReturnValue:
    """Show the deleted customers of a list."""
    return _customers(list_id)


def _customers(list_id: int, error: str = "") -> tuple[str, int]:
    session, number = reading(), request.args.get("number", "").strip()[:40]
    folder = scope.get_list(session, viewer=viewer(), list_id=list_id)
    after = request.args.get("after", 0, type=int)
    found = list_bin.page(session, viewer=viewer(), list_id=list_id, number=number, after=after)
    asked: dict[str, Any] = {"list_id": list_id, "number": number or None}
    page = render_template(
        "lists/bin_customers.html",
        folder=folder,
        project=projects.get(session, folder.project_id),
        found=found,
        number=number,
        kept=list_bin.KEPT,
        shown=[place for place in lists.shown(folder) if not place[2]][:CELLS_SHOWN],
        next_url=url_for("list_bin.customers", **asked, after=found.next_after)
        if found.next_after
        else None,
        first_url=url_for("list_bin.customers", **asked) if after else None,
        action=url_for("list_bin.restore", **asked),
        error=error,
    )
    return page, 422 if error else 200


@bp.post("/<int:list_id>/restore")
@requires(Right.BULK_WORK)
def restore(list_id: int) -> ResponseReturnValue:
    """Bring the ticked customers back, or with `all` those that the number finds."""
    ids = request.form.getlist("customer", type=int)[: list_bin.PAGE]
    try:
        with writing() as session:
            job = list_bin.restore_customers(
                session,
                viewer=viewer(),
                list_id=list_id,
                ids=None if request.form.get("all") else tuple(ids),
                number=request.args.get("number", "").strip()[:40],
                now=utcnow(),
            )
            job_id = job.id
    except Refused as refusal:
        return _customers(list_id, sentence(refusal.code, **refusal.values))
    return go(url_for("bulk.show", job_id=job_id))
