"""ガイダンス: the sounds that callers hear, sent as a file or recorded in the page."""

from __future__ import annotations

import io

from flask import Blueprint, flash, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from sqlalchemy.orm import Session
from wtforms import SelectField, StringField
from wtforms.validators import InputRequired, Length

from calltree.blueprints import inbound
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import optional_id, put_error, saved
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.services import guidance_sound, guidances, inbound_queue, site_sounds
from calltree.services.guidance_sound import Normal
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("guidances", __name__, url_prefix="/admin/guidances")


class GuidanceForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A name, and a file that the page has turned into WAV."""

    name = StringField(
        lazy(N_("Guidance name")),
        validators=[InputRequired(), Length(max=guidances.MAX_NAME)],
    )
    queue_place = SelectField(
        lazy(N_("Said in the queue")),
        coerce=optional_id,
        description=lazy(
            N_("Played to whoever waits at this place, where the route tells the position.")
        ),
    )
    file = FileField(
        lazy(N_("Sound file")),
        description=lazy(N_("WAV, MP3 or M4A, 3 minutes at most. The level is evened out.")),
    )

    def __init__(self) -> None:
        super().__init__()
        last = inbound_queue.LAST_PLACE
        places = [(str(place), _("Place %(place)s", place=place)) for place in range(1, last)]
        behind = (str(last), _("Place %(place)s and behind", place=last))
        self.queue_place.choices = [("", _("Not in the queue")), *places, behind]


@bp.get("/")
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show the guidances with their players, and which numbers play them."""
    session = reading()
    return render_template(
        "inbound/guidances.html",
        rows=guidances.all_guidances(session),
        used=guidances.used_by(session),
        in_sounds=set(site_sounds.chosen(session).values()),
        tabs=inbound.tabs(),
    )


@bp.route("/new", methods=["GET", "POST"], defaults={"guidance_id": None})
@bp.route("/<int:guidance_id>", methods=["GET", "POST"])
@requires(Right.EDIT_SETTINGS)
def edit(guidance_id: int | None) -> ResponseReturnValue:
    """Add a guidance, rename one, or exchange its sound."""
    row = guidances.get(reading(), guidance_id) if guidance_id else None
    form = GuidanceForm()
    if request.method == "GET" and row is not None:
        form.name.data, form.queue_place.data = row.name, row.queue_place
    sound = _sent(form) if request.method == "POST" else None

    def save(session: Session) -> None:
        row = guidances.save(
            session,
            viewer=viewer(),
            guidance_id=guidance_id,
            name=form.name.data or "",
            sound=sound,
            queue_place=form.queue_place.data,
            now=utcnow(),
        )
        if sound is not None:
            site_sounds.bring(
                session, viewer=viewer(), guidance_id=row.id, nodes=settings().node_names,
                now=utcnow(),
            )  # fmt: skip

    if not form.file.errors and saved(form, save):
        return go(url_for("guidances.index"))
    page = render_template(
        "inbound/guidance.html", form=form, guidance=row, most_s=guidance_sound.MOST_S
    )
    return page, 422 if form.errors else 200


def _sent(form: GuidanceForm) -> Normal | None:
    """Bring the sent file to our form, before anything is written; what is wrong is said beside."""
    file = form.file.data
    if not file:
        return None
    try:
        return guidances.read(file.stream)
    except Refused as refusal:
        put_error(form, refusal)
        return None
    finally:
        file.close()


@bp.get("/<int:guidance_id>/sound")
@requires(Right.SEE_SETTINGS)
def sound(guidance_id: int) -> ResponseReturnValue:
    """Serve a guidance for its player."""
    data = guidances.sound_of(reading(), guidance_id)
    return send_file(io.BytesIO(data), mimetype="audio/wav", download_name="guidance.wav")


@bp.post("/<int:guidance_id>/retire")
@requires(Right.EDIT_SETTINGS)
def retire(guidance_id: int) -> ResponseReturnValue:
    """Offer a guidance no more."""
    with writing() as session:
        guidances.retire(session, viewer=viewer(), guidance_id=guidance_id, now=utcnow())
    flash(_("The guidance was retired."), "ok")
    return go(url_for("guidances.index"))
