"""対応タスク: customers promised a callback (R-CL-12)."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.services import people, tasks
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("tasks", __name__, url_prefix="/operator/tasks")

TAB_NAMES = {
    tasks.Tab.PAST: N_("Overdue"),
    tasks.Tab.FUTURE: N_("Later"),
    tasks.Tab.FREE: N_("No time set"),
}


@bp.get("/")
@requires(Right.SEE_TASKS)
def index() -> ResponseReturnValue:
    """Show one tab of the tasks one may see."""
    session, mine, now = reading(), viewer(), utcnow()
    tab = tasks.Tab(request.args["tab"]) if request.args.get("tab") in set(tasks.Tab) else None
    tab = tab or tasks.Tab.PAST
    counts = tasks.counts(session, viewer=mine, now=now)
    return render_template(
        "tasks/index.html",
        rows=tasks.page(session, viewer=mine, tab=tab, now=now),
        tab=tab,
        tabs=[
            (_(TAB_NAMES[each]), url_for("tasks.index", tab=each.value), each is tab, counts[each])
            for each in tasks.Tab
        ],
        users=people.active(session) if mine.may(Right.ASSIGN_TASKS) else [],
    )


@bp.get("/done")
@requires(Right.SEE_TASKS)
def done() -> ResponseReturnValue:
    """Tell an open page which of its rows are done by now: they read 作業済み until reload."""
    shown = request.args.getlist("task", type=int)
    found = tasks.done_among(reading(), task_ids=shown)
    return render_template("tasks/_done.html", done=sorted(found))


@bp.post("/assign")
@requires(Right.ASSIGN_TASKS)
def assign() -> ResponseReturnValue:
    """Give the chosen tasks to a user, or to 担当なし."""
    with writing() as session:
        count = tasks.assign(
            session,
            viewer=viewer(),
            task_ids=request.form.getlist("task", type=int),
            user_id=request.form.get("user_id", type=int),
            now=utcnow(),
        )
    flash(_("%(count)s tasks were assigned.", count=count), "ok")
    return go(url_for("tasks.index", tab=request.form.get("tab", "past")))
