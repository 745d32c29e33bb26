"""各種設定: result patterns and attribute items."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import BooleanField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import saved
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.models import ItemKind, ItemTarget
from calltree.services import patterns
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("patterns", __name__, url_prefix="/admin/settings/results")

COLOURS = {
    "": N_("None"),
    "green": N_("Green"),
    "blue": N_("Blue"),
    "orange": N_("Orange"),
    "red": N_("Red"),
    "grey": N_("Grey"),
}
TARGET_NAMES = {
    ItemTarget.CUSTOMER: N_("Customer attribute"),
    ItemTarget.RESULT: N_("Result attribute"),
}
KIND_NAMES = {
    ItemKind.TEXT: N_("Text"),
    ItemKind.NUMBER: N_("Number"),
    ItemKind.DATE: N_("Date"),
    ItemKind.CHOICE: N_("Choice"),
    ItemKind.CHECK: N_("Check box"),
}


RECOUNT = "ask_recount"
"""The question that a second press goes over: the form sends it back."""


class StatusForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """An own result status."""

    name = StringField(lazy(N_("Status name")), validators=[InputRequired(), Length(max=64)])
    connected = BooleanField(
        lazy(N_("Counts as a connect")),
        description=lazy(N_("Changing it recomputes the figures of all records.")),
        default=True,
    )
    conversion = BooleanField(lazy(N_("Counts as a conversion (CV)")))
    asks_callback_time = BooleanField(lazy(N_("Ask for the callback time")))
    bans_number = BooleanField(lazy(N_("Enter the numbers in do-not-call")))
    colour = SelectField(lazy(N_("Colour")))
    key = StringField(
        lazy(N_("Key")),
        description=lazy(N_("One letter or digit. Empty: a free one is taken.")),
        validators=[Length(max=1)],
    )

    def details(self) -> patterns.StatusDetails:
        """Return what was typed."""
        return patterns.StatusDetails(
            name=self.name.data or "",
            connected=self.connected.data,
            conversion=self.conversion.data,
            asks_callback_time=self.asks_callback_time.data,
            bans_number=self.bans_number.data,
            colour=self.colour.data,
            key=(self.key.data or "").upper(),
        )


class ItemForm(FlaskForm):  # type: ignore[misc]  # wtforms has no types
    """An attribute item."""

    name = StringField(lazy(N_("Item name")), validators=[InputRequired(), Length(max=64)])
    target = SelectField(lazy(N_("Belongs to")), coerce=ItemTarget)
    kind = SelectField(lazy(N_("Type")), coerce=ItemKind)
    choices = TextAreaField(
        lazy(N_("Choices")), description=lazy(N_("For a choice: one in each line."))
    )
    required = BooleanField(lazy(N_("Required")))


class PatternForm(FlaskForm):  # type: ignore[misc]  # wtforms has no types
    """A result pattern's name."""

    name = StringField(lazy(N_("Pattern name")), validators=[InputRequired(), Length(max=64)])


@bp.get("/")
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show the patterns with their statuses, and the attribute items."""
    session = reading()
    return render_template(
        "patterns/index.html",
        patterns=patterns.patterns(session),
        built_in=patterns.offered(session, None),
        items=patterns.items(session),
        target_names=TARGET_NAMES,
        kind_names=KIND_NAMES,
    )


@bp.route("/patterns/new", methods=["GET", "POST"], defaults={"pattern_id": None})
@bp.route("/patterns/<int:pattern_id>", methods=["GET", "POST"])
@requires(Right.EDIT_MASTER_DATA)
def pattern(pattern_id: int | None) -> ResponseReturnValue:
    """Create or rename a pattern."""
    found = patterns.pattern(reading(), pattern_id) if pattern_id else None
    form = PatternForm(obj=found)

    def save(session: Session) -> None:
        patterns.save_pattern(
            session,
            viewer=viewer(),
            pattern_id=pattern_id,
            name=form.name.data or "",
            now=utcnow(),
        )

    if saved(form, save):
        return go(url_for("patterns.index"))
    status = 422 if form.errors else 200
    return render_template("patterns/pattern.html", form=form, pattern=found), status


@bp.route(
    "/patterns/<int:pattern_id>/statuses/new", methods=["GET", "POST"], defaults={"status_id": None}
)
@bp.route("/patterns/<int:pattern_id>/statuses/<int:status_id>", methods=["GET", "POST"])
@requires(Right.EDIT_MASTER_DATA)
def status(pattern_id: int, status_id: int | None) -> ResponseReturnValue:
    """Create or change an own status."""
    session = reading()
    home = patterns.pattern(session, pattern_id)
    found = patterns.own_status(session, pattern_id, status_id) if status_id else None
    form = StatusForm(obj=found)
    form.colour.choices = [(key, _(name)) for key, name in COLOURS.items()]

    asks = ""

    def save(write: Session) -> None:
        nonlocal asks
        try:
            patterns.save_status(
                write,
                viewer=viewer(),
                pattern_id=pattern_id,
                status_id=status_id,
                details=form.details(),
                confirmed=RECOUNT in request.form.getlist("confirmed"),
                now=utcnow(),
            )
        except Refused as refusal:
            asks = RECOUNT if refusal.code == RECOUNT else ""
            raise

    if saved(form, save):
        return go(url_for("patterns.index"))
    used = bool(found) and patterns.is_used(reading(), found.id if found else 0)
    code = 422 if form.errors else 200
    page = render_template(
        "patterns/status.html", form=form, pattern=home, status=found, used=used, asks=asks
    )
    return page, code


@bp.post("/patterns/<int:pattern_id>/statuses/<int:status_id>/delete")
@requires(Right.EDIT_MASTER_DATA)
def delete_status(pattern_id: int, status_id: int) -> ResponseReturnValue:
    """Delete an own status, or retire one that records use."""
    with writing() as session:
        gone = patterns.remove_status(
            session, viewer=viewer(), pattern_id=pattern_id, status_id=status_id, now=utcnow()
        )
    message = _("The status was deleted.") if gone else _("The status was retired.")
    flash(message, "ok")
    return go(url_for("patterns.index"))


@bp.route("/items/new", methods=["GET", "POST"], defaults={"item_id": None})
@bp.route("/items/<int:item_id>", methods=["GET", "POST"])
@requires(Right.EDIT_MASTER_DATA)
def item(item_id: int | None) -> ResponseReturnValue:
    """Create or change an attribute item."""
    found = patterns.item(reading(), item_id) if item_id else None
    form = ItemForm(obj=found)
    form.target.choices = [(key.value, _(name)) for key, name in TARGET_NAMES.items()]
    form.kind.choices = [(key.value, _(name)) for key, name in KIND_NAMES.items()]
    if request.method == "GET" and found is not None:
        form.choices.data = "\n".join(found.choices)

    def save(session: Session) -> None:
        details = patterns.ItemDetails(
            name=form.name.data or "",
            target=found.target if found else form.target.data,
            kind=form.kind.data,
            choices=tuple((form.choices.data or "").splitlines()),
            required=form.required.data,
        )
        patterns.save_item(session, viewer=viewer(), item_id=item_id, details=details, now=utcnow())

    if saved(form, save):
        return go(url_for("patterns.index"))
    code = 422 if form.errors else 200
    return render_template("patterns/item.html", form=form, item=found), code


@bp.post("/items/<int:item_id>/retire")
@requires(Right.EDIT_MASTER_DATA)
def retire_item(item_id: int) -> ResponseReturnValue:
    """Take an item from the screens."""
    with writing() as session:
        patterns.retire_item(session, viewer=viewer(), item_id=item_id, now=utcnow())
    flash(_("The item was retired."), "ok")
    return go(url_for("patterns.index"))
