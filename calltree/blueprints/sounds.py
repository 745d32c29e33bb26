"""音声: which guidance is played as hold music, to who waits, and as the apology."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import SelectField

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import optional_id, saved
from calltree.db import utcnow
from calltree.errors import NotAllowed
from calltree.extensions import reading, settings
from calltree.htmx import go
from calltree.locale import lazy
from calltree.services import guidances, site_sounds
from calltree.services.rights import Right
from calltree.services.sentences import N_
from calltree.services.site_sounds import SiteSound

bp = Blueprint("sounds", __name__, url_prefix="/admin/settings/sounds")


class SoundsForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A guidance for each of the site's sounds; the names are those of SiteSound."""

    hold_music_id = SelectField(
        lazy(N_("Hold music")),
        description=lazy(
            N_("For customers on hold and for callers who wait. It is played again and again.")
        ),
        coerce=optional_id,
    )
    waiting_guidance_id = SelectField(
        lazy(N_("Guidance while nobody is free")),
        description=lazy(
            N_(
                "For customers who answer predictive dialling before an operator is free, and for "
                "callers while CALLTREE cannot be reached."
            )
        ),
        coerce=optional_id,
    )
    apology_guidance_id = SelectField(
        lazy(N_("Apology")),
        description=lazy(
            N_("Before a call that nobody could take is released. Name your business in it.")
        ),
        coerce=optional_id,
    )

    def offer(self, session: Session) -> None:
        """Put the guidances into the boxes."""
        rows = [(row.id, row.name) for row in guidances.all_guidances(session)]
        for sound in SiteSound:
            self[sound].choices = [("", _("Standard sound")), *rows]


@bp.route("/", methods=["GET", "POST"])
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show the site's sounds; a manager may choose others."""
    session, form = reading(), SoundsForm()
    form.offer(session)
    present = site_sounds.chosen(session)
    if request.method == "GET":
        for sound in SiteSound:
            form[sound].data = present.get(sound)
    elif not viewer().may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    elif saved(form, lambda writer: _choose(writer, form)):
        return go(url_for("sounds.index"))
    page = render_template("settings/sounds.html", form=form, present=present, sounds=SiteSound)
    return page, 422 if form.errors else 200


def _choose(session: Session, form: SoundsForm) -> None:
    site_sounds.choose(
        session,
        viewer=viewer(),
        given={sound: form[sound].data for sound in SiteSound},
        nodes=settings().node_names,
        now=utcnow(),
    )
