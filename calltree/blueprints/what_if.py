"""発信倍率の試算: a day of this team under several ways of dialling (R-DL-6)."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import DecimalField, IntegerField
from wtforms.validators import InputRequired, NumberRange

from calltree.blueprints import bulk as bulk_pages
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.navigation import stand_under
from calltree.db import utcnow
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.models import BulkJob, BulkState
from calltree.pacing.what_if import (
    LEAST_RATE,
    METHODS,
    MOST_OPERATORS,
    PEERS,
    SHORTEST_TALK_S,
    Figures,
    Team,
)
from calltree.services import bulk, what_if
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("what_if", __name__, url_prefix="/admin/what-if")

METHOD_NAMES = {
    "safe": N_("Safe 1:1"),
    "standard": N_("Standard (adjusts itself, up to 2×)"),
    "bold": N_("Bold (adjusts itself, up to 3×)"),
    "fixed_2": N_("Fixed 2×, 1:1 above the limit"),
    "fixed_3": N_("Fixed 3×, 1:1 above the limit"),
    "multiple_2": N_("2× without any limit"),
    "multiple_3": N_("3× without any limit"),
    "vicidial": "VICIdial (ADAPT_HARD_LIMIT)",
    "impact": "Impact Dialing",
}
PRESETS = ("safe", "standard", "bold")
TOLD = ("multiple_2", "multiple_3", "standard", "bold")
"""Of these a sentence is said; all stand in the table."""
BASE = "safe"
FAILED = bulk_pages.FAILURES["unexpected"]
FURTHEST_LINES = 1000


class TeamForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """The team whose days are simulated."""

    operators = IntegerField(
        lazy(N_("Operators at once")),
        validators=[InputRequired(), NumberRange(1, MOST_OPERATORS)],
    )
    answer_rate = DecimalField(
        lazy(N_("Answer rate (%)")),
        places=1,
        validators=[InputRequired(), NumberRange(LEAST_RATE * 100, 100)],
    )
    talk_s = IntegerField(
        lazy(N_("Talk (seconds, mean)")),
        validators=[InputRequired(), NumberRange(SHORTEST_TALK_S, 3600)],
    )
    wrap_up_s = IntegerField(
        lazy(N_("Wrap-up (seconds, mean)")), validators=[InputRequired(), NumberRange(0, 3600)]
    )
    lines = IntegerField(
        lazy(N_("Lines")), validators=[InputRequired(), NumberRange(1, FURTHEST_LINES)]
    )
    limit = DecimalField(
        lazy(N_("Limit of the abandoned share (%)")),
        places=1,
        validators=[InputRequired(), NumberRange(0.5, 20)],
    )

    def show(self, team: Team) -> None:
        """Put a team into the fields."""
        for name in ("operators", "talk_s", "wrap_up_s", "lines"):
            self[name].data = getattr(team, name)
        for name in ("answer_rate", "limit"):
            self[name].data = getattr(team, name) * 100

    def team(self) -> Team:
        """Return what was typed."""
        return Team(
            operators=self.operators.data or 0,
            answer_rate=float(self.answer_rate.data or 0) / 100,
            talk_s=self.talk_s.data or 0,
            wrap_up_s=self.wrap_up_s.data or 0,
            lines=self.lines.data or 0,
            limit=float(self.limit.data or 0) / 100,
        )


@bp.route("/", methods=["GET", "POST"])
@requires(Right.RUN_CAMPAIGNS)
def index() -> ResponseReturnValue:
    """Show the form with our own figures, and have what was typed tried out."""
    form = TeamForm()
    began = None
    if request.method == "GET":
        began = what_if.start(reading())
        form.show(began.team)
    elif form.validate():
        with writing() as session:
            job = what_if.ask(session, viewer=viewer(), team=form.team(), now=utcnow())
            trial_id = job.id
        return go(url_for("what_if.show", trial_id=trial_id))
    page = render_template("campaigns/what_if.html", form=form, began=began, job=None)
    return page, 422 if form.errors else 200


@bp.get("/<int:trial_id>")
@requires(Right.RUN_CAMPAIGNS)
def show(trial_id: int) -> ResponseReturnValue:
    """Show what came of a trial, or how far it is."""
    stand_under("what_if.index")
    job = what_if.get(reading(), viewer=viewer(), trial_id=trial_id)
    form = TeamForm()
    form.show(what_if.team_of(job))
    return render_template(
        "campaigns/what_if.html",
        form=form,
        began=None,
        job=job,
        working=job.state in bulk.WORKING,
        failure=_(FAILED) if job.state is BulkState.FAILED else "",
        **_told(job),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One method in the table."""

    method: str
    name: str
    figures: Figures
    badge: tuple[str, str]
    """What is said of the limit, and how."""


def _told(job: BulkJob) -> dict[str, object]:
    """Give the table and the sentences, once every method was tried."""
    team, came = what_if.team_of(job), what_if.came_of(job)
    if job.state is not BulkState.DONE or BASE not in came:
        return {"rows": [], "sentences": [], "suggested": "", "team": team}
    rows = [
        Row(method, _(METHOD_NAMES[method]), came[method], _badge(came[method], team.limit))
        for method in METHODS
        if method in came
    ]
    of = {row.method: row for row in rows}
    best = max(
        (row for row in rows if row.method in PRESETS and row.figures.worst_day <= team.limit),
        key=lambda row: row.figures.talks_an_hour,
        default=rows[0],
    )
    return {
        "rows": rows,
        "peers": tuple(PEERS),
        "sentences": [
            _sentence(of[method], came[BASE], team.limit) for method in TOLD if method in of
        ],
        "suggested": best.name,
        "team": team,
    }


def _badge(figures: Figures, limit: float) -> tuple[str, str]:
    if figures.worst_day <= limit:
        return _("Below the limit"), "ok"
    if figures.abandoned <= limit:
        return _("Above it on some days"), "warn"
    return _("Above the limit"), "bad"


def _sentence(row: Row, base: Figures, limit: float) -> str:
    """Say in one or two sentences what a method would do."""
    figures = row.figures
    said = _(
        "With “%(name)s” an operator talks with %(talks)s customers an hour (%(base)s at 1:1). "
        "Of those who answer, %(mean)s%% find nobody, %(worst)s%% on the worst day.",
        name=row.name,
        talks=f"{figures.talks_an_hour:.1f}",
        base=f"{base.talks_an_hour:.1f}",
        mean=f"{figures.abandoned * 100:.1f}",
        worst=f"{figures.worst_day * 100:.1f}",
    )
    percent = f"{limit * 100:.1f}"
    if figures.worst_day <= limit:
        held = _("That is below the limit of %(limit)s%% on every day.", limit=percent)
    elif figures.abandoned <= limit:
        held = _(
            "On %(over)s of %(days)s days that is above the limit of %(limit)s%%.",
            over=figures.days_over,
            days=figures.days,
            limit=percent,
        )
    else:
        held = _("That is above the limit of %(limit)s%%: not to be recommended.", limit=percent)
    return f"{said} {held}" if said.isascii() else f"{said}{held}"
