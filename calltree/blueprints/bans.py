"""架電禁止管理: numbers that must never be dialled."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import DateField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import CheckListField, put_error
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.models import DncSource, User
from calltree.services import do_not_call, projects
from calltree.services import settings as site_settings
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.text import phones

bp = Blueprint("bans", __name__, url_prefix="/admin/do-not-call")

SOURCE_NAMES = {
    DncSource.STATUS: N_("Call result"),
    DncSource.FORM: N_("Form"),
    DncSource.CSV: N_("CSV"),
    DncSource.API: N_("API"),
}


class BanForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """Numbers to ban, one in each line."""

    numbers = TextAreaField(
        lazy(N_("Phone numbers")),
        description=lazy(N_("One in each line, with or without hyphens.")),
        validators=[InputRequired(), Length(max=20000)],
    )
    project_ids = CheckListField(
        lazy(N_("Only in these projects")),
        description=lazy(N_("None chosen: in all projects.")),
        coerce=int,
    )
    expires_on = DateField(
        lazy(N_("Until")),
        description=lazy(N_("Empty: for ever.")),
        validators=[Optional()],
    )
    note = StringField(lazy(N_("Note")), validators=[Length(max=256)])

    def offer(self) -> None:
        """Fill the choices."""
        found = projects.all_projects(reading())
        self.project_ids.choices = [(project.id, project.name) for project in found]


@bp.get("/")
@requires(Right.SEE_BANS)
def index() -> ResponseReturnValue:
    """Show the entries in force, newest first."""
    session = reading()
    digits = phones.digits_fragment(request.args.get("number", "")) or ""
    before = request.args.get("before", type=int)
    entries = do_not_call.page(session, digits=digits, before_id=before, now=utcnow())
    names = {project.id: project.name for project in projects.all_projects(session)}
    scopes = do_not_call.projects_of(session, [entry.id for entry in entries])
    authors = {entry.user_id for entry in entries if entry.user_id}
    users = dict(session.execute(select(User.id, User.name).where(User.id.in_(authors))).all())
    return render_template(
        "bans/index.html",
        entries=entries,
        scopes={entry: [names[i] for i in ids] for entry, ids in scopes.items()},
        users=users,
        source_names=SOURCE_NAMES,
        number=request.args.get("number", ""),
        older=entries[-1].id if len(entries) == do_not_call.PAGE else None,
    )


@bp.route("/new", methods=["GET", "POST"])
@requires(Right.ADD_BANS)
def add() -> ResponseReturnValue:
    """Ban numbers by the form."""
    form = BanForm()
    form.offer()
    if form.validate_on_submit():
        extra = tuple(site_settings.get(reading()).extra_prefixes)
        try:
            with writing() as session:
                counted = do_not_call.add(
                    session,
                    viewer=viewer(),
                    numbers=(form.numbers.data or "").splitlines(),
                    project_ids=form.project_ids.data or (),
                    note=form.note.data or "",
                    expires_at=_end_of(form.expires_on.data),
                    extra_prefixes=extra,
                    now=utcnow(),
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            return _say(counted)
    return render_template("bans/form.html", form=form), 422 if form.errors else 200


def _say(counted: do_not_call.Counted) -> ResponseReturnValue:
    flash(
        _(
            "%(added)s entered, %(existing)s were there already, %(invalid)s are no phone numbers.",
            added=counted.added,
            existing=counted.existing,
            invalid=len(counted.invalid),
        ),
        "warn" if counted.invalid else "ok",
    )
    return go(url_for("bans.index"))


def _end_of(day: date | None) -> datetime | None:
    """Return the first moment after a site day."""
    if day is None:
        return None
    return datetime.combine(day + timedelta(days=1), time(0), tzinfo=settings().timezone)


@bp.post("/release")
@requires(Right.RELEASE_BANS)
def release() -> ResponseReturnValue:
    """Release the chosen entries, with a reason."""
    chosen = request.form.getlist("entry", type=int)
    with writing() as session:
        count = do_not_call.release(
            session,
            viewer=viewer(),
            entry_ids=chosen,
            reason=request.form.get("reason", ""),
            now=utcnow(),
        )
    flash(_("%(count)s released.", count=count), "ok")
    return go(url_for("bans.index"))
