"""管理画面: the manager's and supervisor's home."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from calltree.blueprints import campaign_words as words
from calltree.blueprints import landing_board, recording_list, watch_board
from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.extensions import reading
from calltree.services import backups, campaign_facts, landing, leases, trunk_health, webhooks
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("admin", __name__, url_prefix="/admin")

STEPS = {
    "caller_number": (N_("Register the number that customers see"), "projects.numbers"),
    "pattern": (N_("Choose the results that operators press"), "patterns.index"),
    "project": (N_("Make a project with both"), "projects.index"),
    "list": (N_("Load a list of customers"), "imports.index"),
    "grants": (N_("Enable the list and grant it to operators"), "lists.index"),
    "test_call": (N_("Make a test call on the operator screen"), "operator.home"),
}


@bp.get("/")
@requires(Right.ADMIN_SCREEN)
def home() -> ResponseReturnValue:
    """Show what is wrong, today, the first steps until they are done, how far the lists are."""
    session, who, now = reading(), viewer(), utcnow()
    found = landing.landing(session, viewer=who, now=now)
    return render_template(
        "admin/home.html",
        steps=found.steps,
        words=STEPS,
        figures=found.lists,
        today=landing_board.today(session, who, overdue=found.overdue),
        floor=watch_board.floor(session),
        backup=backups.state(session, now=now),
        trunk_faults=trunk_health.faults(session) if found.trunk_ails else [],
        campaign_alarms=_campaign_alarms(found, now),
        webhooks_stopped=webhooks.stopped(session) if found.webhook_stopped else [],
        clocks_off=leases.clocks_off_in(found.note),
        recordings_space=recording_list.room() if who.may(Right.EDIT_SETTINGS) else None,
    )


@bp.get("/today")
@requires(Right.WATCH)
def today() -> ResponseReturnValue:
    """Give today's figures alone, for pages whose live line is down, and at midnight."""
    return render_template("admin/_today.html", today=landing_board.today(reading(), viewer()))


@bp.get("/floor")
@requires(Right.WATCH)
def floor() -> ResponseReturnValue:
    """Give what goes on at this moment alone, for pages whose live line is down."""
    return render_template("admin/_floor.html", floor=watch_board.floor(reading()))


def _campaign_alarms(found: landing.Landing, now: datetime) -> list[str]:
    """Say them; a fault of a trunk stands here already."""
    alarms = campaign_facts.alarms_in(found.note, running=found.campaign_runs, now=now)
    said = (words.say(alarm) for alarm in alarms if alarm.code not in words.OF_TRUNKS)
    return list(dict.fromkeys(said))
