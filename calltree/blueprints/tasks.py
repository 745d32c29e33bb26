"""対応タスク: customers promised a callback (R-CL-12)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.saving import callback_time
from calltree.db import utcnow
from calltree.extensions import reading, settings, writing
from calltree.htmx import go, wants_fragment
from calltree.services import people, task_reminders, tasks
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.services.tasks import Tab, Whose

bp = Blueprint("tasks", __name__, url_prefix="/operator/tasks")

TAB_NAMES = {
    Tab.PAST: N_("Overdue"),
    Tab.FUTURE: N_("Later"),
    Tab.FREE: N_("No time set"),
}


@bp.get("/")
@requires(Right.SEE_TASKS)
def index() -> ResponseReturnValue:
    """Show one tab of the tasks one may see: everybody's, one's own, 担当なし, or a user's."""
    session, mine, now = reading(), viewer(), utcnow()
    tab, who = _tab(request.args.get("tab", "")), _who(request.args.get("who", ""))
    counts = tasks.counts(session, viewer=mine, now=now, who=who)
    users = people.active(session) if mine.may(Right.ASSIGN_TASKS) else []
    shown_who = str(who.value if isinstance(who, Whose) else who)
    return render_template(
        "tasks/index.html",
        rows=tasks.page(session, viewer=mine, tab=tab, now=now, who=who),
        total=counts[tab],
        tab=tab,
        tabs=[
            (
                _(TAB_NAMES[each]),
                url_for("tasks.index", tab=each.value, who=shown_who),
                each is tab,
                counts[each],
            )
            for each in Tab
        ],
        who=shown_who,
        mine=str(mine.user_id),
        users=users,
        local=_local,
    )


def _tab(given: str) -> Tab:
    return Tab(given) if given in set(Tab) else Tab.PAST


def _who(given: str) -> Whose | int:
    """Whose tasks: what one may not see anyway is shown to nobody by naming it."""
    if given.isdecimal() and len(given) < 10:
        return int(given)
    return Whose(given) if given in set(Whose) else Whose.EVERYBODY


def _local(moment: datetime | None) -> str:
    return f"{moment.astimezone(settings().timezone):%Y-%m-%dT%H:%M}" if moment else ""


@bp.get("/done")
@requires(Right.SEE_TASKS)
def done() -> ResponseReturnValue:
    """Tell an open page which of its rows are done by now: they read 作業済み until reload."""
    shown = request.args.getlist("task", type=int)
    found = tasks.done_among(reading(), task_ids=shown)
    return render_template("tasks/_done.html", done=sorted(found))


@bp.get("/overdue")
@requires(Right.ASSIGN_TASKS)
def overdue() -> ResponseReturnValue:
    """Show who is how far behind, for those who can give the tasks to somebody else."""
    session, mine, now = reading(), viewer(), utcnow()
    return render_template(
        "tasks/overdue.html",
        rows=tasks.overdue(session, viewer=mine, now=now),
        now=now,
        nobody=Whose.NOBODY.value,
    )


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
    return _back()


@bp.post("/reschedule")
@requires(Right.SEE_TASKS)
def reschedule() -> ResponseReturnValue:
    """Promise the call for another time, or for none."""
    due_at = callback_time(request.form.get("due_at", ""))
    with writing() as session:
        tasks.reschedule(
            session,
            viewer=viewer(),
            task_id=request.form.get("task", 0, type=int),
            due_at=due_at,
            now=utcnow(),
        )
    flash(_("The callback time was changed."), "ok")
    return _back()


def _back() -> ResponseReturnValue:
    tab, who = request.form.get("tab", "past"), request.form.get("who", "all")
    return go(url_for("tasks.index", tab=tab, who=who))


@bp.get("/reminder")
@requires(Right.SEE_TASKS)
def reminder() -> ResponseReturnValue:
    """Show what is due, asked for while the live line is down."""
    return render_template("tasks/_reminder.html", **reminded())


@bp.post("/reminder/close")
@requires(Right.SEE_TASKS)
def close_reminder() -> ResponseReturnValue:
    """Remind this person of these tasks no more."""
    with writing() as session:
        task_reminders.close(
            session,
            viewer=viewer(),
            task_ids=request.form.getlist("task", type=int),
            now=utcnow(),
        )
    if not wants_fragment():
        return go(url_for("tasks.index"))
    return render_template("tasks/_reminder.html", **reminded())


def reminded() -> dict[str, Any]:
    """Return what the banner shows."""
    return {"reminded": task_reminders.due(reading(), viewer=viewer(), now=utcnow())}
