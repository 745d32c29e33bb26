"""案件管理 and 発信番号."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import (
    BooleanField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.formats import WEEKDAY_IDS, phone
from calltree.blueprints.forms import CheckListField, optional_id, put_error, saved
from calltree.db import utcnow
from calltree.errors import NotAllowed, Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.models import Audience, DiallingMode, NumberDirection, Project, ProjectState
from calltree.services import patterns, projects, trunks
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("projects", __name__, url_prefix="/admin/projects")

# プレディコール comes with its own screens; a mode that cannot be started is not offered.
OFFERED_MODES = (DiallingMode.PREVIEW, DiallingMode.PROGRESSIVE)
MODE_NAMES = {
    DiallingMode.PREVIEW: N_("Preview (the operator presses CALL)"),
    DiallingMode.PROGRESSIVE: N_("Progressive (the next customer is dialled by itself)"),
}
STATE_NAMES = {ProjectState.RUNNING: N_("Running"), ProjectState.STOPPED: N_("Stopped")}
AUDIENCE_NAMES = {Audience.B2C: N_("Consumers (B2C)"), Audience.B2B: N_("Businesses (B2B)")}
DIRECTION_NAMES = {
    NumberDirection.OUTBOUND: N_("Outbound"),
    NumberDirection.INBOUND: N_("Inbound"),
    NumberDirection.BOTH: N_("Both directions"),
}


class ProjectForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A project as its manager sets it up."""

    name = StringField(lazy(N_("Project name")), validators=[InputRequired(), Length(max=64)])
    state = RadioField(lazy(N_("State")), coerce=ProjectState)
    audience = RadioField(lazy(N_("Who is called")), coerce=Audience)
    pattern_id = SelectField(lazy(N_("Result pattern")), coerce=optional_id)
    main_number_id = SelectField(lazy(N_("Main caller number")), coerce=optional_id)
    further_number_ids = CheckListField(lazy(N_("Further caller numbers")), coerce=int)
    item_ids = CheckListField(lazy(N_("Attribute items")), coerce=int)
    mode = SelectField(lazy(N_("Dialling mode")), coerce=DiallingMode)
    auto_dial_delay_s = IntegerField(
        lazy(N_("Wait before the next dial (seconds)")),
        description=lazy(N_("0 to 5. The operator can stop the dial while it waits.")),
        validators=[InputRequired(), NumberRange(0, 5)],
    )
    ring_time_s = IntegerField(
        lazy(N_("Ring time (seconds)")),
        description=lazy(N_("15 to 60.")),
        validators=[InputRequired(), NumberRange(15, 60)],
    )
    opens = TimeField(lazy(N_("Calls from")), validators=[InputRequired()])
    closes = TimeField(lazy(N_("Calls until")), validators=[InputRequired()])
    weekdays = CheckListField(lazy(N_("Weekdays")), coerce=int)
    on_holidays = BooleanField(lazy(N_("Call on public holidays too")))
    target_conversions = IntegerField(
        lazy(N_("Target of CV a day")),
        description=lazy(N_("Counted on the project's calling days. Empty: no target.")),
        validators=[Optional(), NumberRange(0, 100_000)],
    )
    recordings_days = IntegerField(
        lazy(N_("Recordings are kept for (days)")),
        description=lazy(
            N_("Older ones are removed in the night. Empty: as long as there is room for them.")
        ),
        validators=[Optional(), NumberRange(1, 3650)],
    )
    prospect_levels = TextAreaField(
        lazy(N_("Prospect levels")), description=lazy(N_("One in each line."))
    )
    business_name = StringField(
        lazy(N_("Business name")),
        description=lazy(N_("Said first, with the caller's name and purpose (特定商取引法16条).")),
        validators=[Length(max=128)],
    )
    caller_person = StringField(
        lazy(N_("Caller's name")),
        description=lazy(N_("Empty: the operator's own name.")),
        validators=[Length(max=128)],
    )
    purpose = StringField(lazy(N_("Purpose of the call")), validators=[Length(max=256)])
    script = TextAreaField(
        lazy(N_("Talk script")),
        description=lazy(N_("Write {列名} where the customer's value belongs.")),
        validators=[Length(max=20000)],
    )

    def offer(self) -> None:
        """Fill the choices from what the site has."""
        session = reading()
        self.state.choices = [(key.value, _(name)) for key, name in STATE_NAMES.items()]
        self.audience.choices = [(key.value, _(name)) for key, name in AUDIENCE_NAMES.items()]
        self.mode.choices = [(mode.value, _(MODE_NAMES[mode])) for mode in OFFERED_MODES]
        found = [pattern for pattern, _statuses, _users in patterns.patterns(session)]
        self.pattern_id.choices = [("", _("Not chosen yet")), *((p.id, p.name) for p in found)]
        numbers = [
            number
            for number in projects.caller_numbers(session)
            if number.direction is not NumberDirection.INBOUND
        ]
        shown = [(n.id, f"{phone(n.number)} {n.label}".strip()) for n in numbers]
        self.main_number_id.choices = [("", _("Not chosen yet")), *shown]
        self.further_number_ids.choices = shown
        self.item_ids.choices = [(item.id, item.name) for item in patterns.items(session)]
        self.weekdays.choices = [(day, _(name)) for day, name in enumerate(WEEKDAY_IDS)]

    def show(self, project: Project | None) -> None:
        """Put a project's values, or a new project's defaults, into the fields."""
        values = project or projects.ProjectDetails(name="")
        for name in ("name", *projects.COLUMNS):
            self[name].data = getattr(values, name)
        self.weekdays.data = list(values.weekdays)
        self.prospect_levels.data = "\n".join(values.prospect_levels)
        if project is not None:
            session = reading()
            numbers = projects.numbers_of(session, project)
            self.further_number_ids.data = [
                number.id for number in numbers if number.id != project.main_number_id
            ]
            self.item_ids.data = [item.id for item in patterns.items_of(session, project.id)]

    def details(self) -> projects.ProjectDetails:
        """Return what was chosen."""
        values = {name: self[name].data for name in projects.COLUMNS}
        for name in ("script", "business_name", "caller_person", "purpose"):
            values[name] = values[name] or ""
        levels = (self.prospect_levels.data or "").splitlines()
        return projects.ProjectDetails(
            name=self.name.data or "",
            further_number_ids=tuple(self.further_number_ids.data or ()),
            item_ids=tuple(self.item_ids.data or ()),
            weekdays=tuple(self.weekdays.data or ()),
            prospect_levels=tuple(level.strip() for level in levels if level.strip()),
            **values,
        )


class NumberForm(FlaskForm):  # type: ignore[misc]  # wtforms has no types
    """One of our caller numbers."""

    number = StringField(lazy(N_("Phone number")), validators=[Length(max=20)])
    label = StringField(lazy(N_("Label")), validators=[Length(max=64)])
    direction = SelectField(lazy(N_("Direction")), coerce=NumberDirection)
    line_cap = IntegerField(
        lazy(N_("Lines at once")),
        description=lazy(N_("Empty: no limit of its own.")),
        validators=[Optional(), NumberRange(min=1)],
    )
    trunk_id = SelectField(lazy(N_("Trunk")), coerce=optional_id)

    def offer(self) -> None:
        """Fill the choices."""
        self.direction.choices = [(key.value, _(name)) for key, name in DIRECTION_NAMES.items()]
        found = [(trunk.id, trunk.name) for trunk in trunks.all_trunks(reading())]
        self.trunk_id.choices = [("", _("The first that takes the called number")), *found]


@bp.get("/")
@requires(Right.ADMIN_SCREEN)
def index() -> ResponseReturnValue:
    """Show every project."""
    session = reading()
    shown = [
        (project, projects.missing_for_import(project), projects.numbers_of(session, project))
        for project in projects.all_projects(session)
    ]
    return render_template(
        "projects/index.html",
        projects=shown,
        state_names=STATE_NAMES,
        audience_names=AUDIENCE_NAMES,
    )


@bp.route("/new", methods=["GET", "POST"], defaults={"project_id": None})
@bp.route("/<int:project_id>", methods=["GET", "POST"])
@requires(Right.ADMIN_SCREEN)
def edit(project_id: int | None) -> ResponseReturnValue:
    """Show a project; a manager may create and change it."""
    project = projects.get(reading(), project_id) if project_id else None
    form = ProjectForm()
    form.offer()
    if request.method == "GET":
        form.show(project)
    elif not viewer().may(Right.EDIT_MASTER_DATA):
        raise NotAllowed(Right.EDIT_MASTER_DATA)
    elif form.validate():
        try:
            with writing() as session:
                projects.save(
                    session,
                    viewer=viewer(),
                    project_id=project_id,
                    details=form.details(),
                    now=utcnow(),
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            flash(_("Saved."), "ok")
            return go(url_for("projects.index"))
    status = 422 if form.errors else 200
    return render_template("projects/form.html", form=form, project=project), status


@bp.get("/numbers")
@requires(Right.ADMIN_SCREEN)
def numbers() -> ResponseReturnValue:
    """Show our caller numbers, retired ones last."""
    found = projects.caller_numbers(reading(), retired=True)
    found.sort(key=lambda number: number.retired_at is not None)
    return render_template("projects/numbers.html", numbers=found, direction_names=DIRECTION_NAMES)


@bp.route("/numbers/new", methods=["GET", "POST"], defaults={"number_id": None})
@bp.route("/numbers/<int:number_id>", methods=["GET", "POST"])
@requires(Right.EDIT_MASTER_DATA)
def number(number_id: int | None) -> ResponseReturnValue:
    """Create or change a caller number."""
    found = projects.caller_number(reading(), number_id) if number_id else None
    form = NumberForm(obj=found)
    form.offer()
    if request.method == "GET" and found is None:
        form.direction.data = NumberDirection.BOTH

    def save(session: Session) -> None:
        details = projects.NumberDetails(
            number=form.number.data or "",
            label=form.label.data or "",
            direction=form.direction.data,
            line_cap=form.line_cap.data,
            trunk_id=form.trunk_id.data,
        )
        projects.save_number(
            session, viewer=viewer(), number_id=number_id, details=details, now=utcnow()
        )

    if saved(form, save):
        return go(url_for("projects.numbers"))
    status = 422 if form.errors else 200
    return render_template("projects/number.html", form=form, number=found), status


@bp.post("/numbers/<int:number_id>/retire")
@requires(Right.EDIT_MASTER_DATA)
def retire_number(number_id: int) -> ResponseReturnValue:
    """Retire a caller number (廃止)."""
    with writing() as session:
        projects.retire_number(session, viewer=viewer(), number_id=number_id, now=utcnow())
    flash(_("The number was retired."), "ok")
    return go(url_for("projects.numbers"))
