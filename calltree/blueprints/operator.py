"""オペレータ画面: list choice, コールデータ検索, the end of a list."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask import session as kept
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.blueprints import call_figures, call_panels, call_screen, criteria_fields
from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import NotFound
from calltree.extensions import reading, writing
from calltree.models import CustomerList, Project
from calltree.services import customers, records, scope, search, tasks
from calltree.services.criteria import Criteria, Shortcut
from calltree.services.rights import Right

bp = Blueprint("operator", __name__, url_prefix="/operator")

SHORTCUTS = (
    Shortcut.FIRST,
    Shortcut.SECOND,
    Shortcut.THIRD,
    Shortcut.MY_PROSPECTS,
    Shortcut.CALLBACKS,
)
CELLS_SHOWN = 4


@bp.get("/")
@requires(Right.DIAL)
def home() -> ResponseReturnValue:
    """Show the lists one may call."""
    session, mine, now = reading(), viewer(), utcnow()
    rows = session.execute(
        select(CustomerList, Project.name)
        .join(Project, Project.id == CustomerList.project_id)
        .where(scope.lists_dialled(mine))
        .order_by(Project.name, CustomerList.id)
    ).all()
    at = call_screen.desk(session, viewer=mine, now=now)
    if records.in_call(session, user_id=mine.user_id):
        return redirect(url_for("calling.screen"), 303)  # a crashed tab comes back to its call
    if at is not None and at.customer is None and call_screen.is_inbound(at):
        return redirect(url_for("answering.screen"), 303)  # its 後処理 is left there alone
    told = kept.get("emergency_told")
    kept["emergency_told"] = True
    return render_template(
        "operator/home.html",
        rows=rows,
        open_customer=at.customer if at else None,
        due=tasks.badge(session, viewer=mine, now=now),
        says_emergency=not told,
        **_strip(session, at, now),
    )


def _strip(session: Session, at: call_screen.Desk | None, now: datetime) -> dict[str, Any]:
    """The operator's state as the call screen shows it; only the figures before they sit down."""
    if at is None:
        return {"today": call_figures.today(session, viewer=viewer(), now=now)}
    return call_screen.live(session, at)


@bp.get("/lists/<int:list_id>")
@requires(Right.DIAL)
def search_page(list_id: int) -> ResponseReturnValue:
    """Search one list (コールデータ検索); the conditions live in the address."""
    session, mine, now = reading(), viewer(), utcnow()
    folder = _folder(list_id)
    criteria = criteria_fields.asked()
    after = request.args.get("after", type=int)
    asked: dict[str, Any] = {"list_id": list_id, "criteria": criteria, "viewer": mine, "now": now}
    found = search.page(session, **asked, after=after, folder=folder)
    last = customers.last_words(session, customers=found.rows, cycles={list_id: folder.cycle})
    return render_template(
        "operator/search.html",
        folder=folder,
        found=found,
        total=search.count(session, **asked, folder=folder),
        cells=CELLS_SHOWN,
        shortcut_names=criteria_fields.SHORTCUT_NAMES,
        offered=SHORTCUTS,
        results=last.results,
        user_names=last.users,
        address=criteria_fields.address,
        queue_pairs=criteria.pairs(),
        **criteria_fields.choices(session, folder, criteria),
    )


@bp.post("/lists/<int:list_id>")
@requires(Right.DIAL)
def search_start(list_id: int) -> ResponseReturnValue:
    """Keep the search's result as one's queue and open its first customer."""
    mine, now = viewer(), utcnow()
    _folder(list_id)
    criteria = Criteria.parse(request.form.items(multi=True))
    ids = search.find_ids(reading(), list_id=list_id, criteria=criteria, viewer=mine, now=now)
    with writing() as session:
        search.store_queue(
            session, user_id=mine.user_id, list_id=list_id, criteria=criteria, ids=ids, now=now
        )
    return redirect(url_for("calling.start"), 307)


def _folder(list_id: int) -> CustomerList:
    folder = reading().scalar(
        select(CustomerList).where(CustomerList.id == list_id, scope.lists_dialled(viewer()))
    )
    if folder is None:
        raise NotFound(f"list {list_id}")
    return folder


@bp.get("/end")
@requires(Right.DIAL)
def end() -> ResponseReturnValue:
    """Say 「リストの最後です」, with 再検索."""
    queue = call_panels.queue(reading(), viewer=viewer())
    return render_template("operator/end.html", queue=queue)
