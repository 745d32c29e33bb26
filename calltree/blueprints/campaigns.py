"""キャンペーン: what dials by itself (R-DL-6). Its live panel is `campaigns/_live.html`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import (
    BooleanField,
    DecimalField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from calltree.blueprints import campaign_words as words
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.formats import percent
from calltree.blueprints.forms import CheckListField, optional_id, saved
from calltree.db import utcnow
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import lazy, sentence
from calltree.models import Campaign, CampaignMode, Preset, Project
from calltree.services import (
    campaign_facts,
    campaigns,
    guidances,
    patterns,
    projects,
    site_sounds,
)
from calltree.services.campaigns import RANGES, CampaignDetails
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("campaigns", __name__, url_prefix="/admin/campaigns")

PRESSES = {"start": campaigns.start, "pause": campaigns.pause, "stop": campaigns.stop}
UNLIMITED = "none"


def _range(name: str, scale: int = 1) -> NumberRange:
    least, most = RANGES[name]
    return NumberRange(Decimal(least) / scale, Decimal(most) / scale)


class CampaignForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A campaign as its manager sets it up: 20 settings at most, the presets bring the rest."""

    name = StringField(lazy(N_("Campaign name")), validators=[InputRequired(), Length(max=64)])
    project_id = SelectField(lazy(N_("Project")), coerce=int)
    preset = RadioField(lazy(N_("How boldly to dial")), coerce=Preset)
    mode = SelectField(
        lazy(N_("Mode")),
        coerce=CampaignMode,
        description=lazy(N_("Mode and multiplier count with “Own setting” only.")),
    )
    multiplier = DecimalField(
        lazy(N_("Multiplier")),
        places=1,
        description=lazy(N_("1 to 10. Empty: only the limit of the abandoned share holds it.")),
        validators=[Optional(), _range("multiplier_tenths", 10)],
    )
    limit = DecimalField(
        lazy(N_("Limit of the abandoned share (%)")),
        places=1,
        description=lazy(N_("Above it the campaign goes down to 1:1 by itself. Usual: 3.")),
        validators=[InputRequired(), _range("limit_thousandths", 10)],
    )
    answered_wait_s = IntegerField(
        lazy(N_("Wait of a customer who answered (seconds)")),
        description=lazy(N_("After that the apology is played, and the call ends.")),
        validators=[InputRequired(), _range("answered_wait_s")],
    )
    waiting_guidance_id = SelectField(lazy(N_("Guidance while nobody is free")), coerce=optional_id)
    apology_guidance_id = SelectField(
        lazy(N_("Apology")),
        description=lazy(N_("Choose one that names the business: the switch's own has no words.")),
        coerce=optional_id,
    )
    minimum_ring_s = IntegerField(
        lazy(N_("Least ring time (seconds)")),
        description=lazy(N_("At least 15. The project's ring time holds where it is longer.")),
        validators=[InputRequired(), _range("minimum_ring_s")],
    )
    calls_per_second = IntegerField(
        lazy(N_("Calls a second")), validators=[InputRequired(), _range("calls_per_second")]
    )
    max_tries = IntegerField(
        lazy(N_("Most tries of a customer")),
        description=lazy(N_("In one round of the list; dials by hand count too.")),
        validators=[InputRequired(), _range("max_tries")],
    )
    busy_min = IntegerField(
        lazy(N_("Wait after busy (minutes)")), validators=[InputRequired(), _range("busy_min")]
    )
    no_answer_min = IntegerField(
        lazy(N_("Wait after no answer (minutes)")),
        description=lazy(N_("Holds too for whom an operator saved as not reached.")),
        validators=[InputRequired(), _range("no_answer_min")],
    )
    other_part = BooleanField(lazy(N_("No answer: another part of the day only")))
    callbacks_first = BooleanField(lazy(N_("Callbacks first")))
    again_status_ids = CheckListField(lazy(N_("Results that are called again")), coerce=int)
    again_min = IntegerField(
        lazy(N_("Wait after a result that is called again (minutes)")),
        validators=[InputRequired(), _range("again_min")],
    )

    def offer(self, campaign: Campaign | None) -> None:
        """Fill the choices; results are those of the project that the campaign has."""
        session = reading()
        found = projects.all_projects(session)
        self.project_id.choices = [(project.id, project.name) for project in found]
        self.preset.choices = [(key.value, _(name)) for key, name in words.PRESETS.items()]
        self.mode.choices = [(key.value, _(name)) for key, name in words.MODES.items()]
        sounds = [("", _("The site's sound"))]
        sounds += [(str(row.id), row.name) for row in guidances.all_guidances(session)]
        for field in (self.waiting_guidance_id, self.apology_guidance_id):
            field.choices = sounds
        pattern_of = {project.id: project.pattern_id for project in found}
        pattern_id = pattern_of.get(campaign.project_id) if campaign else None
        offered = patterns.offered(session, pattern_id) if campaign else []
        self.again_status_ids.choices = [
            (status.id, status.name)
            for status in offered
            if status.built_in is None and not status.bans_number
        ]

    def show(self, campaign: Campaign | None) -> None:
        """Put a campaign's values, or the usual ones, into the fields."""
        values: Campaign | CampaignDetails = campaign or CampaignDetails(name="", project_id=0)
        for name in (*PLAIN, "preset", "mode"):
            self[name].data = getattr(values, name)
        tenths = values.multiplier_tenths
        self.multiplier.data = None if tenths is None else Decimal(tenths) / 10
        self.limit.data = Decimal(values.limit_thousandths) / 10
        self.again_status_ids.data = list(values.again_status_ids)
        if campaign is None:
            self.project_id.data = None  # the first is shown

    def details(self) -> CampaignDetails:
        """Return what was chosen."""
        tenths = self.multiplier.data
        return CampaignDetails(
            preset=self.preset.data,
            mode=self.mode.data,
            multiplier_tenths=None if tenths is None else round(tenths * 10),
            limit_thousandths=round((self.limit.data or 0) * 10),
            again_status_ids=tuple(self.again_status_ids.data or ()),
            **{name: self[name].data for name in PLAIN},
        )


PLAIN = (
    "name", "project_id", "answered_wait_s", "minimum_ring_s", "calls_per_second", "max_tries",
    "busy_min", "no_answer_min", "other_part", "callbacks_first", "again_min",
    "waiting_guidance_id", "apology_guidance_id",
)  # fmt: skip
"""Settings that the form has as the campaign has them."""


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why not on the campaign's page."""
    flash(sentence(refusal.code, **refusal.values), "bad")
    campaign_id = (request.view_args or {}).get("campaign_id")
    return redirect(url_for("campaigns.show", campaign_id=campaign_id), 303)


@bp.get("/")
@requires(Right.RUN_CAMPAIGNS)
def index() -> ResponseReturnValue:
    """Show every campaign, running ones first, with what today came to."""
    session, now = reading(), utcnow()
    days = campaign_facts.days(session, now=now)
    found = projects.all_projects(session)
    return render_template(
        "campaigns/index.html",
        campaigns=[
            (campaign, days.get(campaign.id, campaign_facts.Day()))
            for campaign in campaigns.all_campaigns(session)
        ],
        project_names={project.id: project.name for project in found},
        alarms=words.alarms(session),
        words=words,
        percent=percent,
    )


@bp.get("/alarms")
@requires(Right.LISTEN)
def alarms() -> ResponseReturnValue:
    """Give every campaign's alarms alone, for pages whose live line is down."""
    return render_template("campaigns/_alarms.html", alarms=words.alarms(reading()))


@bp.route("/new", methods=["GET", "POST"])
@requires(Right.EDIT_CAMPAIGNS)
def create() -> ResponseReturnValue:
    """Make a campaign."""
    return _form(None)


@bp.route("/<int:campaign_id>/settings", methods=["GET", "POST"])
@requires(Right.RUN_CAMPAIGNS)
def edit(campaign_id: int) -> ResponseReturnValue:
    """Show a campaign's settings; a manager may change them."""
    campaign = _in_use(reading(), campaign_id)
    if request.method == "POST" and not viewer().may(Right.EDIT_CAMPAIGNS):
        raise NotAllowed(Right.EDIT_CAMPAIGNS)
    return _form(campaign)


def _form(campaign: Campaign | None) -> ResponseReturnValue:
    campaign_id = campaign.id if campaign else None
    form = CampaignForm()
    form.offer(campaign)
    if request.method == "GET":
        form.show(campaign)
    kept: list[int] = []

    def save(session: Session) -> None:
        changed = campaigns.save(
            session,
            viewer=viewer(),
            campaign_id=campaign_id,
            details=form.details(),
            nodes=settings().node_names,
            now=utcnow(),
        )
        kept.append(changed.id)

    if saved(form, save):
        leads_to = "campaigns.show" if campaign else "campaigns.lists"
        return go(url_for(leads_to, campaign_id=kept[0]))
    status = 422 if form.errors else 200
    return render_template("campaigns/form.html", form=form, campaign=campaign), status


@bp.get("/<int:campaign_id>")
@requires(Right.RUN_CAMPAIGNS)
def show(campaign_id: int) -> ResponseReturnValue:
    """Show a campaign at work."""
    session = reading()
    campaign = _in_use(session, campaign_id)
    return render_template(
        "campaigns/show.html",
        campaign=campaign,
        project=session.get_one(Project, campaign.project_id),
        lists=campaigns.lists_of(session, campaign_id=campaign_id),
        multipliers=_multipliers(campaign),
        words=words,
        live=live(session, campaign, utcnow()),
    )


@bp.get("/<int:campaign_id>/live")
@requires(Right.RUN_CAMPAIGNS)
def now(campaign_id: int) -> ResponseReturnValue:
    """Give the live panel alone, asked for while the live line is down."""
    session = reading()
    campaign = campaigns.get(session, campaign_id)
    return render_template("campaigns/_live.html", live=live(session, campaign, utcnow()))


def _in_use(session: Session, campaign_id: int) -> Campaign:
    campaign = campaigns.get(session, campaign_id)
    if campaign.retired_at is not None:
        raise NotFound(f"campaign {campaign_id}")
    return campaign


def _multipliers(campaign: Campaign) -> list[tuple[str, str, bool]]:
    """Give (value, name, chosen) of what may be chosen beside the panel."""
    tenths = 10 if campaign.mode is CampaignMode.PROGRESSIVE else campaign.multiplier_tenths
    offered = sorted({*words.MULTIPLIERS, *([] if tenths is None else [tenths])})
    found = [(str(one), words.multiplier(one), one == tenths) for one in offered]
    if campaign.mode is not CampaignMode.FIXED:
        found.append((UNLIMITED, words.multiplier(None), tenths is None))
    return found


def live(session: Session, campaign: Campaign, at: datetime) -> dict[str, Any]:
    """Give what the live panel shows, on the page and on its live line."""
    facts = campaign_facts.of(session, campaign=campaign, now=at)
    limit = campaign.limit_thousandths / 1000
    return {
        "facts": facts,
        "state": words.STATES[campaign.state],
        "why": words.say(facts.why),
        "alarms": [words.say(alarm) for alarm in facts.alarms],
        "names_nobody": site_sounds.names_nobody(session, campaign),
        "limit": f"{limit * 100:.1f}%",
        "answer_rate": percent(facts.day.answers, facts.day.dials),
        "share": percent(facts.day.abandoned, facts.day.share.answers),
        "smoothed": f"{facts.smoothed_share * 100:.1f}%",
        "over": facts.smoothed_share > limit,
        "boldness": words.boldness(campaign),
        "poll": url_for("campaigns.now", campaign_id=campaign.id),
    }


@bp.post("/<int:campaign_id>/press/<wish>")
@requires(Right.RUN_CAMPAIGNS)
def press(campaign_id: int, wish: str) -> ResponseReturnValue:
    """開始, 一時停止, 停止."""
    if wish not in PRESSES:
        raise NotFound(wish)
    with writing() as session:
        PRESSES[wish](session, viewer=viewer(), campaign_id=campaign_id, now=utcnow())
    return go(url_for("campaigns.show", campaign_id=campaign_id))


@bp.post("/<int:campaign_id>/multiplier")
@requires(Right.RUN_CAMPAIGNS)
def set_multiplier(campaign_id: int) -> ResponseReturnValue:
    """Change how boldly a campaign dials, also while it runs."""
    given = request.form.get("multiplier", "")
    tenths = None if given == UNLIMITED else request.form.get("multiplier", type=int)
    if tenths is None and given != UNLIMITED:
        raise Refused("campaign_multiplier_missing")
    with writing() as session:
        campaigns.set_multiplier(
            session, viewer=viewer(), campaign_id=campaign_id, tenths=tenths, now=utcnow()
        )
    flash(_("Saved."), "ok")
    return go(url_for("campaigns.show", campaign_id=campaign_id))


@bp.route("/<int:campaign_id>/lists", methods=["GET", "POST"])
@requires(Right.RUN_CAMPAIGNS)
def lists(campaign_id: int) -> ResponseReturnValue:
    """Show the project's lists: which are dialled, in which order; a manager may change it."""
    session = reading()
    campaign = _in_use(session, campaign_id)
    if request.method == "POST":
        with writing() as changing:
            campaigns.set_lists(
                changing,
                viewer=viewer(),
                campaign_id=campaign_id,
                lists=_ordered(request.form.getlist("list", type=int)),
                now=utcnow(),
            )
        flash(_("Saved."), "ok")
        return go(url_for("campaigns.show", campaign_id=campaign_id))
    used = {one.list_id: one for one in campaigns.lists_of(session, campaign_id=campaign_id)}
    offered = campaigns.choosable_lists(session, project_id=campaign.project_id)
    last = len(used)
    return render_template(
        "campaigns/lists.html",
        campaign=campaign,
        project=session.get_one(Project, campaign.project_id),
        rows=sorted(
            ((folder, used.get(folder.id)) for folder in offered),
            key=lambda row: row[1].position if row[1] else last,
        ),
    )


def _ordered(chosen: list[int]) -> list[tuple[int, bool]]:
    """Put the chosen lists into the order of the numbers typed beside them."""
    last = len(chosen) + 1
    typed = {one: request.form.get(f"place{one}", last, type=int) for one in chosen}
    return [(one, True) for one in sorted(chosen, key=lambda one: typed[one])]


@bp.post("/<int:campaign_id>/retire")
@requires(Right.EDIT_CAMPAIGNS)
def retire(campaign_id: int) -> ResponseReturnValue:
    """Take a campaign out of use (廃止)."""
    with writing() as session:
        campaigns.retire(session, viewer=viewer(), campaign_id=campaign_id, now=utcnow())
    flash(_("The campaign was taken out of use."), "ok")
    return go(url_for("campaigns.index"))
