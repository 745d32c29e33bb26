"""What the forms of several pages share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import flash
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import SelectMultipleField
from wtforms.widgets import CheckboxInput, ListWidget

from calltree.errors import Refused
from calltree.extensions import settings, writing
from calltree.locale import sentence


class CheckListField(SelectMultipleField):
    """Several of a list, each with its own check box."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


def optional_id(value: Any) -> int | None:
    """Read a choice whose first entry is "none" (for `coerce`)."""
    return int(value) if value not in (None, "", "None") else None


def end_of_day(day: date | None) -> datetime | None:
    """Return the first moment after a site day: what is typed as the last one includes it."""
    if day is None:
        return None
    return datetime.combine(day + timedelta(days=1), time(0), tzinfo=settings().timezone)


def put_error(form: FlaskForm, refusal: Refused) -> None:
    """Put a refusal's sentence beside the field it is about, or above the form."""
    message = sentence(refusal.code, **refusal.values)
    if refusal.field and refusal.field in form:
        form[refusal.field].errors = [*form[refusal.field].errors, message]
    else:
        form.form_errors.append(message)


def saved(form: FlaskForm, save: Callable[[Session], object]) -> bool:
    """Have a sent and valid form saved in one transaction; False leaves the form to be shown.

    Why it was not saved stands in the form then, also what `save` refused.
    """
    if not form.validate_on_submit():
        return False
    try:
        with writing() as session:
            save(session)
    except Refused as refusal:
        put_error(form, refusal)
        return False
    flash(_("Saved."), "ok")
    return True
