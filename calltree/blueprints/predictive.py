"""プレディコール: join a campaign, wait, and be shown who was connected (R-DL-2, R-DL-7)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints import call_screen, calling
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.assets import kept_url
from calltree.blueprints.saving import save_result, say_refused
from calltree.db import utcnow
from calltree.errors import NotFound, Refused
from calltree.extensions import reading, writing
from calltree.htmx import wants_fragment
from calltree.locale import sentence
from calltree.models import Campaign, CampaignState, OperatorState
from calltree.services import campaign_team, desk, projects
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("predictive", __name__, url_prefix="/operator/predictive")

WAITS = {
    OperatorState.READY: N_("Waiting for a customer"),
    OperatorState.OFFERED: N_("A customer is being joined"),
    OperatorState.AWAY: N_("You are away"),
}
PAUSED = N_("The campaign is paused")
ELSEWHERE = N_("You are not standing by")


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why not on the page that the press came from."""
    if refusal.code == "page_in_use":
        return calling.refused(refusal)
    message = sentence(refusal.code, **refusal.values)
    if wants_fragment():
        return calling.toast(message, "bad", status=409)
    flash(message, "bad")
    return redirect(url_for("predictive.screen"), 303)


@bp.get("/")
@requires(Right.DIAL)
def screen() -> ResponseReturnValue:
    """Show the campaigns one may join; in one, that one waits; with a customer, the customer."""
    session, mine = reading(), viewer()
    at = call_screen.desk(session, viewer=mine, now=utcnow())
    if at is not None and call_screen.is_predictive(at):
        return redirect(url_for("calling.screen"), 303)
    campaign = campaign_team.campaign_of(session, user_id=mine.user_id)
    if at is None or campaign is None:
        offered = campaign_team.offered(session, viewer=mine)
        names = {project.id: project.name for project in projects.all_projects(session)}
        return render_template(
            "operator/predictive.html",
            offered=[(one, names[one.project_id]) for one in offered],
            wait=None,
            open_customer=at.customer if at else None,
        )
    return render_template(
        "operator/predictive.html",
        wait=waiting(at, campaign),
        **call_screen.live(session, at),
    )


def waiting(at: call_screen.Desk, campaign: Campaign) -> dict[str, Any]:
    """Give what is shown to whoever works in a campaign and has no customer: nothing of one."""
    state = at.operator.state
    paused = campaign.state is CampaignState.PAUSED and state is OperatorState.READY
    return {
        "campaign": campaign.name,
        "word": _(PAUSED if paused else WAITS.get(state, ELSEWHERE)),
        "ready": state is OperatorState.READY,
        "offered": state is OperatorState.OFFERED,
        "paused": paused,
        "since": at.operator.since,
        "pushed": call_screen.is_predictive(at),
        "call_url": kept_url("calling.screen"),
        "poll": kept_url("predictive.wait"),
    }


def panel(session: Session, at: call_screen.Desk) -> dict[str, Any] | None:
    """Give the waiting panel's values; None when one works in no campaign."""
    campaign = campaign_team.campaign_of(session, user_id=at.viewer.user_id)
    return None if campaign is None else waiting(at, campaign)


@bp.get("/wait")
@requires(Right.DIAL)
def wait() -> ResponseReturnValue:
    """Give the waiting panel alone, asked for while the live line is down."""
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    shown = panel(session, at) if at else None
    if shown is None:
        return Response(status=204)
    return render_template("operator/_wait.html", wait=shown)


@bp.post("/join/<int:campaign_id>")
@requires(Right.DIAL)
def join(campaign_id: int) -> ResponseReturnValue:
    """開始: into the campaign, and 待機."""
    now = utcnow()
    calling.sit_down(now)
    with writing() as session:
        calling.require_page(session)
        try:
            campaign_team.join(session, viewer=viewer(), campaign_id=campaign_id, now=now)
        except Refused as refusal:
            if refusal.code == "campaign_not_granted":  # as all of lists one may not see (R-US-1)
                raise NotFound(f"campaign {campaign_id}") from refusal
            raise
    return redirect(url_for("predictive.screen"), 303)


@bp.post("/leave")
@requires(Right.DIAL)
def leave() -> ResponseReturnValue:
    """終了: out of the campaign, and 離席."""
    with writing() as session:
        campaign_team.leave(session, user_id=viewer().user_id, now=utcnow())
    return redirect(url_for("predictive.screen"), 303)


@bp.post("/save")
@requires(Right.DIAL)
def save() -> ResponseReturnValue:
    """保存して待機, 保存して離席; after この通話で終了 both lead out of the campaign."""
    mine, now = viewer(), utcnow()
    at = call_screen.desk(reading(), viewer=mine, now=now)
    came_in = at is not None and call_screen.is_inbound(at)
    try:
        save_result()
        calling.sit_down(now)
        with writing() as session:
            calling.require_page(session)
            working = campaign_team.campaign_of(session, user_id=mine.user_id) is not None
            if request.form.get("action") == "save_ready" and came_in and not working:
                desk.stand_by(session, user_id=mine.user_id, now=now)
            elif request.form.get("action") == "save_ready":
                campaign_team.wait_for_next(session, user_id=mine.user_id, now=now)
            else:
                leaves = campaign_team.leaves(session, user_id=mine.user_id)
                campaign_team.away(session, user_id=mine.user_id, leave_too=leaves, now=now)
    except Refused as refusal:
        return say_refused(refusal)
    home = came_in and not working
    return redirect(url_for("operator.home" if home else "predictive.screen"), 303)


@bp.post("/last")
@requires(Right.DIAL)
def last() -> ResponseReturnValue:
    """この通話で終了, or not after all: nothing that was chosen or typed is touched."""
    mine = viewer().user_id
    with writing() as session:
        wanted = not campaign_team.leaves(session, user_id=mine)
        campaign_team.leave_after_call(session, user_id=mine, wanted=wanted)
    session = reading()
    at = call_screen.desk(session, viewer=viewer(), now=utcnow())
    if at is None or not wants_fragment():
        return redirect(url_for("predictive.screen"), 303)
    shown = call_screen.fragment(session, at, "_actions.html")
    return render_template("operator/_actions.html", **shown)
