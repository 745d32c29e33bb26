"""サイト設定: lines, hours, gaps, prefixes."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, StringField, TextAreaField, TimeField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import CheckListField, put_error
from calltree.blueprints.navigation import role_name
from calltree.db import utcnow
from calltree.errors import NotAllowed, Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.models import Role, Site
from calltree.services import settings
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("site", __name__, url_prefix="/admin/settings/site")


LINES = ("extra_prefixes", "away_reasons", "allowed_networks")
"""Settings of several values, one in each line of a text."""


class SiteForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """The site's settings."""

    name = StringField(lazy(N_("Site name")), validators=[Length(max=64)])
    lines = IntegerField(
        lazy(N_("Lines")),
        description=lazy(N_("Outside calls at once, as your contract allows.")),
        validators=[InputRequired(), NumberRange(1, 1000)],
    )
    lines_reserved_inbound = IntegerField(
        lazy(N_("Lines kept for inbound calls")), validators=[NumberRange(0, 1000)]
    )
    lines_max_predictive = IntegerField(
        lazy(N_("Most lines of predictive dialling")),
        description=lazy(N_("Empty: no limit of its own.")),
        validators=[Optional(), NumberRange(1, 1000)],
    )
    seats = IntegerField(
        lazy(N_("Seats")),
        description=lazy(N_("Most users at once. Empty: no limit.")),
        validators=[Optional(), NumberRange(1, 100000)],
    )
    b2c_opens = TimeField(
        lazy(N_("Consumers are called from")),
        description=lazy(N_("No project that calls consumers can go beyond these two times.")),
        validators=[InputRequired()],
    )
    b2c_closes = TimeField(lazy(N_("Consumers are called until")), validators=[InputRequired()])
    min_gap_min = IntegerField(
        lazy(N_("Minimum gap to the last dial of a number (minutes)")),
        validators=[InputRequired(), NumberRange(0, 1440)],
    )
    wrap_up_limit_s = IntegerField(
        lazy(N_("Wrap-up turns red after (seconds)")),
        validators=[InputRequired(), NumberRange(10, 3600)],
    )
    shows_monitoring = BooleanField(
        lazy(N_("Operators see that somebody listens to their call")),
        description=lazy(N_("Whoever speaks to them is heard in any case.")),
    )
    away_reasons = TextAreaField(
        lazy(N_("Reasons for being away")), description=lazy(N_("One in each line."))
    )
    extra_prefixes = TextAreaField(
        lazy(N_("Further prefixes that may be dialled")),
        description=lazy(
            N_("One in each line, such as 0570. Emergency numbers can never be dialled.")
        ),
    )
    recordings_capacity_gb = IntegerField(
        lazy(N_("Space for recordings (GB)")), validators=[InputRequired(), NumberRange(1, 100000)]
    )

    allowed_networks = TextAreaField(
        lazy(N_("Networks from which one may sign in")),
        description=lazy(
            N_(
                "One in each line, such as 203.0.113.0/24. Empty: from everywhere. "
                "In force at once."
            )
        ),
    )

    second_factor_roles = CheckListField(
        lazy(N_("Roles that need a second factor")),
        description=lazy(
            N_(
                "They sign in with their password and a code from an app on their telephone, "
                "which they set up at their next sign-in."
            )
        ),
    )

    def offer_roles(self) -> None:
        """Name the roles in the reader's language."""
        self.second_factor_roles.choices = [(role.value, role_name(role)) for role in Role]

    def show(self, site: Site) -> None:
        """Put the site's values into the fields."""
        for name in settings.SiteDetails.__slots__:
            value = getattr(site, name)
            self[name].data = "\n".join(value) if name in LINES else value

    def details(self) -> settings.SiteDetails:
        """Return what was typed."""
        values = {name: self[name].data for name in settings.SiteDetails.__slots__}
        values["second_factor_roles"] = tuple(values["second_factor_roles"] or ())
        for name in LINES:
            values[name] = tuple(
                line.strip() for line in (values[name] or "").splitlines() if line.strip()
            )
        values["name"] = values["name"] or ""
        return settings.SiteDetails(**values)


@bp.route("/", methods=["GET", "POST"])
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show the settings; a manager may change them."""
    form = SiteForm()
    form.offer_roles()
    if request.method == "GET":
        form.show(settings.get(reading()))
    elif not viewer().may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    elif form.validate():
        try:
            with writing() as session:
                settings.save(
                    session,
                    viewer=viewer(),
                    details=form.details(),
                    now=utcnow(),
                    address=request.remote_addr or "",
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            flash(_("Saved."), "ok")
            return go(url_for("site.index"))
    return render_template("settings/site.html", form=form), 422 if form.errors else 200
