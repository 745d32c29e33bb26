"""休業日: the site's own closed days, and the public holidays that the calendar knows."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import DateField, StringField
from wtforms.validators import InputRequired, Length, Optional

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import saved
from calltree.db import utcnow
from calltree.errors import NotAllowed, NotFound
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.services import closed_days
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.text.days import site_day
from calltree.text.hours import holidays_between

bp = Blueprint("closed_days", __name__, url_prefix="/admin/settings/closed-days")

SHOWN_AHEAD = timedelta(days=366)


class ClosedDaysForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """One day, or a row of days, on which the site does not call."""

    first = DateField(lazy(N_("Closed from")), validators=[InputRequired()])
    last = DateField(
        lazy(N_("Closed until")),
        description=lazy(N_("Empty: this one day.")),
        validators=[Optional()],
    )
    name = StringField(
        lazy(N_("Occasion")),
        description=lazy(N_("Such as the summer or the New Year holidays.")),
        validators=[Length(max=closed_days.MAX_NAME)],
    )


def _today() -> date:
    return site_day(utcnow(), settings().timezone)


@bp.route("/", methods=["GET", "POST"])
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show the closed days and holidays of the coming year; a manager may add some."""
    form, today = ClosedDaysForm(), _today()
    if request.method == "POST" and not viewer().may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)

    def save(session: Session) -> None:
        closed_days.add(
            session,
            viewer=viewer(),
            first=form.first.data or today,
            last=form.last.data,
            name=form.name.data or "",
            today=today,
            now=utcnow(),
        )

    if saved(form, save):
        return go(url_for("closed_days.index"))
    page = render_template(
        "settings/closed_days.html",
        form=form,
        days=closed_days.upcoming(reading(), today=today),
        holidays=holidays_between(today, today + SHOWN_AHEAD),
    )
    return page, 422 if form.errors else 200


@bp.post("/remove")
@requires(Right.EDIT_SETTINGS)
def remove() -> ResponseReturnValue:
    """Open a day again."""
    try:
        day = date.fromisoformat(request.form.get("day", ""))
    except ValueError:
        raise NotFound("closed day") from None
    with writing() as session:
        closed_days.remove(session, viewer=viewer(), day=day, now=utcnow())
    flash(_("The closed day was removed."), "ok")
    return go(url_for("closed_days.index"))
