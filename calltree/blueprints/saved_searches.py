"""Saved searches of リスト詳細: kept, and forgotten."""

from __future__ import annotations

from flask import Blueprint, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints import criteria_fields
from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import writing
from calltree.htmx import go
from calltree.locale import sentence
from calltree.services import saved_searches
from calltree.services.rights import Right

bp = Blueprint("saved_searches", __name__, url_prefix="/admin/lists")


@bp.post("/<int:list_id>/searches")
@requires(Right.SEE_LISTS)
def save(list_id: int) -> ResponseReturnValue:
    """Keep the search of the address under a name."""
    criteria = criteria_fields.asked()
    try:
        with writing() as session:
            saved_searches.save(
                session,
                viewer=viewer(),
                list_id=list_id,
                name=request.form.get("name", ""),
                criteria=criteria,
                shared=request.form.get("shared") == "1",
                now=utcnow(),
            )
    except Refused as refusal:
        flash(sentence(refusal.code, **refusal.values), "bad")
    else:
        flash(_("The search was saved."), "ok")
    return go(criteria_fields.address("lists.detail", criteria, list_id=list_id))


@bp.post("/searches/<int:search_id>/delete")
@requires(Right.SEE_LISTS)
def remove(search_id: int) -> ResponseReturnValue:
    """Forget a search."""
    with writing() as session:
        saved_searches.remove(session, viewer=viewer(), search_id=search_id, now=utcnow())
    flash(_("The saved search was removed."), "ok")
    back = request.form.get("list", type=int)
    return go(url_for("lists.detail", list_id=back) if back else url_for("lists.index"))
