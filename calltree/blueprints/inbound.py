"""受電: what each number does with calls, what a call would meet, and the refused callers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from calltree.blueprints import formats
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import saved
from calltree.blueprints.inbound_forms import DAYS, RouteForm
from calltree.db import utcnow
from calltree.errors import NotAllowed, NotFound
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.models import CallerNumber, Guidance, InboundAction, Situation
from calltree.services import (
    guidances,
    inbound_facts,
    inbound_refusals,
    inbound_routes,
    inbound_words,
    projects,
)
from calltree.services.inbound_rules import Plan, Step
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.text.days import site_day
from calltree.text.phones import format_national

bp = Blueprint("inbound", __name__, url_prefix="/admin/inbound")

WHO = {"known": N_("Shows a number"), "withheld": N_("Number withheld")}
SHOWN_CALLER = "0300000000"
"""Somebody whom nobody has refused."""


@dataclass(frozen=True, slots=True)
class Met:
    """What a call to one number would meet."""

    number: CallerNumber
    plan: Plan
    why: str
    steps: list[str]


class RefusalForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A caller to refuse."""

    number = StringField(lazy(N_("Phone number")), validators=[InputRequired(), Length(max=20)])
    note = StringField(lazy(N_("Note")), validators=[Length(max=inbound_refusals.MAX_NOTE)])


def tabs() -> list[tuple[str, str, bool, None]]:
    """The pages of this room."""
    pages = (
        ("inbound.index", _("Inbound routes")),
        ("inbound.trial", _("If a call came in at …")),
        ("guidances.index", _("Guidances")),
        ("inbound.refused", _("Refused callers")),
    )
    here = f"{request.blueprint}.{(request.endpoint or '').rpartition('.')[2]}"
    return [(name, url_for(endpoint), endpoint == here, None) for endpoint, name in pages]


@bp.get("/")
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show every number that takes calls and, in short, what it does."""
    session, today = reading(), _today()
    names = _names(session)
    numbers = inbound_routes.numbers(session)
    given = inbound_routes.details_of(
        session, number_ids=[number.id for number in numbers], today=today
    )
    rows = [
        (number, of, {key: told(step, names) for key, step in of.steps.items()})
        for number in numbers
        for of in (given[number.id],)
    ]
    return render_template(
        "inbound/index.html", rows=rows, tabs=tabs(), days=DAYS, situations=inbound_words.SITUATIONS
    )


def _today() -> date:
    return site_day(utcnow(), settings().timezone)


def _names(session: Session) -> dict[int, Guidance]:
    return {one.id: one for one in guidances.all_guidances(session)}


def told(step: Step, sounds: dict[int, Guidance]) -> str:
    """Say a step in one line: what is done, where to, for how long, with which sound."""
    parts = [str(_(inbound_words.ACTIONS[step.action]))]
    if step.forward_to:
        parts.append(format_national(step.forward_to))
    if step.seconds:
        parts.append(str(_("%(seconds)s s", seconds=step.seconds)))
    if step.guidance_id in sounds:
        parts.append(str(_("“%(name)s”", name=sounds[step.guidance_id].name)))
    return str(_(", ")).join(parts)


@bp.route("/<int:number_id>", methods=["GET", "POST"])
@requires(Right.EDIT_SETTINGS)
def edit(number_id: int) -> ResponseReturnValue:
    """Set what a number does with calls: in force on the next one."""
    number, today = projects.caller_number(reading(), number_id), _today()
    if not inbound_routes.takes_calls(number):
        raise NotFound(f"inbound number {number_id}")
    form = RouteForm()
    form.offer()
    if request.method == "GET":
        form.show(inbound_routes.details(reading(), number_id=number_id, today=today))

    def save(session: Session) -> None:
        inbound_routes.save(
            session,
            viewer=viewer(),
            number_id=number_id,
            given=form.details(),
            today=today,
            nodes=settings().node_names,
            now=utcnow(),
        )

    if saved(form, save):
        return go(url_for("inbound.index"))
    page = render_template(
        "inbound/form.html",
        form=form,
        number=number,
        days=range(len(DAYS)),
        situations=inbound_words.SITUATIONS,
        bounds=inbound_routes.SECONDS,
        without_sound={InboundAction.REFUSE, InboundAction.ACCEPT},
        open=Situation.OPEN,
    )
    return page, 422 if form.errors else 200


@bp.get("/trial")
@requires(Right.SEE_SETTINGS)
def trial() -> ResponseReturnValue:
    """この日時に着信したら: what a call at a moment would meet, number by number."""
    session, typed = reading(), request.args.get("at", "")
    wrong = False
    try:
        moment = datetime.fromisoformat(typed) if typed else _next_hour()
    except ValueError:
        moment, wrong = _next_hour(), True
    moment = moment.replace(tzinfo=settings().timezone, second=0, microsecond=0)
    who = "withheld" if request.args.get("who") == "withheld" else "known"
    ready = request.args.get("ready") != "no"
    names = _names(session)
    found = [
        _met(session, number, moment, who, ready, names)
        for number in inbound_routes.numbers(session)
    ]
    page = render_template(
        "inbound/trial.html",
        found=found,
        at=f"{moment:%Y-%m-%dT%H:%M}",
        moment=moment,
        who=who,
        whos=WHO,
        ready=ready,
        wrong=wrong,
        situations=inbound_words.SITUATIONS,
        tabs=tabs(),
    )
    return page, 422 if wrong else 200


def _next_hour() -> datetime:
    now = utcnow().astimezone(settings().timezone) + timedelta(hours=1)
    return now.replace(minute=0, tzinfo=None)


def _met(
    session: Session,
    number: CallerNumber,
    moment: datetime,
    who: str,
    ready: bool,
    names: dict[int, Guidance],
) -> Met:
    caller = "" if who == "withheld" else SHOWN_CALLER
    plan = inbound_facts.plan_if(
        session, number=number.number, caller=caller, ready=ready, now=moment
    )
    why = str(_(inbound_words.why(plan.reason, plan.name), name=plan.name))
    return Met(number, plan, why, [told(step, names) for step in plan.steps])


@bp.route("/refused", methods=["GET", "POST"])
@requires(Right.SEE_SETTINGS)
def refused() -> ResponseReturnValue:
    """Show the refused callers; a manager may add one."""
    form = RefusalForm()
    if request.method == "POST" and not viewer().may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)

    def save(session: Session) -> None:
        inbound_refusals.add(
            session,
            viewer=viewer(),
            number=form.number.data or "",
            note=form.note.data or "",
            now=utcnow(),
        )

    if saved(form, save):
        return go(url_for("inbound.refused"))
    page = render_template(
        "inbound/refused.html",
        form=form,
        rows=inbound_refusals.all_refusals(reading()),
        tabs=tabs(),
    )
    return page, 422 if form.errors else 200


@bp.post("/refused/remove")
@requires(Right.EDIT_SETTINGS)
def admit() -> ResponseReturnValue:
    """Take a caller's calls again."""
    number = request.form.get("number", "")
    with writing() as session:
        inbound_refusals.remove(session, viewer=viewer(), number=number, now=utcnow())
    flash(_("Calls from %(number)s are taken again.", number=formats.phone(number)), "ok")
    return go(url_for("inbound.refused"))
