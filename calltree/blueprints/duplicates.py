"""Duplicates: one number in several rows; all but one go to the bin, by a rule that is chosen."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import sentence
from calltree.services import audit_words, duplicates, lists, projects
from calltree.services.duplicates import Keep, Within
from calltree.services.rights import Right

RULES = audit_words.VALUES["keep"]
bp = Blueprint("duplicates", __name__, url_prefix="/admin/duplicates")


def _within() -> Within:
    list_id = request.values.get("list", type=int)
    return Within(list_id, None if list_id else request.values.get("project", type=int))


def _keep() -> Keep:
    given = request.values.get("keep", "")
    return Keep(given) if given in list(Keep) else Keep.CALLED


@bp.get("/")
@requires(Right.BULK_WORK)
def index() -> ResponseReturnValue:
    """Show the duplicates of a list, a project or the site, and which row would stay."""
    return _page()


def _page(error: str = "") -> tuple[str, int]:
    session, within, keep = reading(), _within(), _keep()
    asked = bool(request.values.get("find") or within != Within())
    found = None
    if asked:  # over all of a site it costs a look at every row
        found = duplicates.find(session, viewer=viewer(), within=within, keep=keep)
    page = render_template(
        "lists/duplicates.html",
        found=found,
        within=within,
        keep=keep,
        rules=[(rule.value, _(RULES[rule.value])) for rule in Keep],
        projects=[(str(one.id), one.name) for one in projects.all_projects(session)],
        lists=[
            (str(row.folder.id), row.folder.name)
            for row in lists.overview(session, viewer=viewer())
        ],
        error=error,
    )
    return page, 422 if error else 200


@bp.post("/")
@requires(Right.BULK_WORK)
def start() -> ResponseReturnValue:
    """Let the worker put the others into the bin; their count must have been typed."""
    try:
        with writing() as session:
            job = duplicates.start(
                session,
                viewer=viewer(),
                within=_within(),
                keep=_keep(),
                typed=request.form.get("confirmation", ""),
                now=utcnow(),
            )
            job_id = job.id
    except Refused as refusal:
        return _page(sentence(refusal.code, **refusal.values))
    return go(url_for("bulk.show", job_id=job_id))
