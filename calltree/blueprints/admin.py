"""管理画面: the manager's and supervisor's home."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from calltree.blueprints import recording_list
from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.extensions import reading
from calltree.services import backups, campaign_facts, leases, settings, trunk_health, webhooks
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
    """Show the first steps until they are done, and how far the lists are."""
    session = reading()
    return render_template(
        "admin/home.html",
        steps=settings.first_steps(session),
        words=STEPS,
        figures=settings.figures_of_site(session),
        backup=backups.state(session, now=utcnow()),
        trunk_faults=trunk_health.faults(session),
        campaign_alarms=_campaign_alarms(),
        webhooks_stopped=webhooks.stopped(session),
        clocks_off=leases.clocks_off(session),
        recordings_space=recording_list.room() if viewer().may(Right.EDIT_SETTINGS) else None,
    )


def _campaign_alarms() -> list[campaign_facts.Why]:
    """A fault of a trunk stands here already, for whatever dials."""
    alarms = campaign_facts.alarms(reading(), now=utcnow())
    return [alarm for alarm in alarms if alarm.code != "alarm_trunk"]
