"""電話回線: trunks, and bringing them to the switch."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import put_error
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.models import CallerIdForm, NumberForm, Transport, Trunk, TrunkKind
from calltree.services import switch_commands, trunk_health, trunks
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("trunks", __name__, url_prefix="/admin/trunks")

KIND_NAMES = {
    TrunkKind.REGISTERED: N_("By user name and password"),
    TrunkKind.ADDRESS: N_("By our IP address"),
}
FORM_NAMES = {
    NumberForm.NATIONAL: N_("0312345678 (national)"),
    NumberForm.E164: N_("+81312345678 (E.164)"),
}
CALLER_ID_NAMES = {
    CallerIdForm.FROM: N_("In From"),
    CallerIdForm.ASSERTED: N_("In P-Asserted-Identity"),
    CallerIdForm.ANONYMOUS: N_("Withheld from the called (P-Asserted-Identity, Privacy)"),
}
LOAD_FAILURES = {
    "practice": N_("The practice switch has one line of its own and takes no trunks."),
    "no_config_dir": N_(
        "SWITCH_CONFIG_DIR is not set. Make the configuration again (switch config) and restart "
        "FreeSWITCH."
    ),
    "config_not_written": N_(
        "The configuration could not be written. Look at SWITCH_CONFIG_DIR and its owner."
    ),
    "config_not_read": N_("FreeSWITCH could not read the configuration. Look into its log."),
    "gateway_stays": N_("FreeSWITCH still holds the old trunk. Wait a moment and send again."),
    "gateway_missing": N_("FreeSWITCH did not take every trunk. Look into its log."),
    "link_down": N_("FreeSWITCH could not be reached. Start it and send again."),
}
OTHER_FAILURE = N_("FreeSWITCH did not take the trunks. Look into the log.")


class TrunkForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A trunk as the carrier's letter describes it."""

    name = StringField(lazy(N_("Trunk name")), validators=[InputRequired(), Length(max=64)])
    kind = RadioField(lazy(N_("How the carrier identifies us")), coerce=TrunkKind)
    proxy = StringField(
        lazy(N_("Server")),
        description=lazy(N_("As sip.example.jp or sip.example.jp:5060.")),
        validators=[InputRequired(), Length(max=255)],
    )
    realm = StringField(
        lazy(N_("SIP domain")),
        description=lazy(N_("Empty: the server's name.")),
        validators=[Length(max=255)],
    )
    transport = SelectField(lazy(N_("Transport")), coerce=Transport)
    username = StringField(lazy(N_("User name")), validators=[Length(max=64)])
    password = PasswordField(
        lazy(N_("Password")),
        description=lazy(N_("It is never shown. Empty: the present one stays.")),
        validators=[Length(max=128)],
    )
    lines = IntegerField(
        lazy(N_("Lines at once")),
        description=lazy(N_("Empty: no limit of its own.")),
        validators=[Optional(), NumberRange(1, 1000)],
    )
    prefixes = TextAreaField(
        lazy(N_("Called numbers that it takes")),
        description=lazy(N_("Their first digits, such as 090, one in each line. Empty: all.")),
    )
    number_form = RadioField(lazy(N_("Form of numbers")), coerce=NumberForm)
    caller_id_form = RadioField(lazy(N_("Our number stands")), coerce=CallerIdForm)
    position = IntegerField(
        lazy(N_("Order")),
        description=lazy(N_("The smallest is tried first.")),
        validators=[InputRequired(), NumberRange(0, 1000)],
    )
    enabled = BooleanField(lazy(N_("In use")))

    def offer(self) -> None:
        """Fill the choices."""
        self.kind.choices = [(key.value, _(name)) for key, name in KIND_NAMES.items()]
        self.transport.choices = [(key.value, key.upper()) for key in Transport]
        self.number_form.choices = [(key.value, _(name)) for key, name in FORM_NAMES.items()]
        named = CALLER_ID_NAMES.items()
        self.caller_id_form.choices = [(key.value, _(name)) for key, name in named]

    def show(self, trunk: Trunk | None) -> None:
        """Put a trunk's values, or a new one's defaults, into the fields; never the password."""
        values = trunk or trunks.TrunkDetails(name="", proxy="")
        for name in trunks.TrunkDetails.__slots__:
            if name not in ("password", "prefixes"):
                self[name].data = getattr(values, name)
        self.prefixes.data = "\n".join(values.prefixes)

    def details(self) -> trunks.TrunkDetails:
        """Return what was typed."""
        values = {name: self[name].data for name in trunks.TrunkDetails.__slots__}
        for name in ("name", "proxy", "realm", "username", "password"):
            values[name] = values[name] or ""
        for name in ("proxy", "realm", "username"):
            values[name] = values[name].strip()
        lines = (self.prefixes.data or "").splitlines()
        values["prefixes"] = tuple(line.strip() for line in lines if line.strip())
        return trunks.TrunkDetails(**values)


@bp.get("/")
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show the trunks in their order, and whether the switch has them."""
    return render_template(
        "trunks/index.html",
        trunks=trunks.all_trunks(reading()),
        ailing=trunk_health.ailing(reading()),
        caller_id_names=CALLER_ID_NAMES,
        **_loads(),
    )


@bp.get("/loads")
@requires(Right.SEE_SETTINGS)
def loads() -> ResponseReturnValue:
    """Show how far the switches are with the last order to take the trunks."""
    return render_template("trunks/_loads.html", **_loads())


def _loads() -> dict[str, object]:
    found = trunks.last_loads(reading(), nodes=settings().node_names)
    failures = {row.node: _(LOAD_FAILURES.get(row.failure, OTHER_FAILURE)) for row in found}
    waiting = [row for row in found if switch_commands.still_awaited(row, utcnow())]
    return {"loads": found, "failures": failures, "waiting": waiting}


@bp.route("/new", methods=["GET", "POST"], defaults={"trunk_id": None})
@bp.route("/<int:trunk_id>", methods=["GET", "POST"])
@requires(Right.EDIT_SETTINGS)
def edit(trunk_id: int | None) -> ResponseReturnValue:
    """Create or change a trunk; the switch is told at once."""
    trunk = trunks.get(reading(), trunk_id) if trunk_id else None
    form = TrunkForm()
    form.offer()
    if request.method == "GET":
        form.show(trunk)
    elif form.validate():
        try:
            with writing() as session:
                saved = trunks.save(
                    session,
                    viewer=viewer(),
                    trunk_id=trunk_id,
                    details=form.details(),
                    now=utcnow(),
                )
                trunk_health.forget(session, trunk=saved)
                trunks.load(session, viewer=viewer(), nodes=settings().node_names, now=utcnow())
        except Refused as refusal:
            put_error(form, refusal)
        else:
            flash(_("Saved."), "ok")
            return go(url_for("trunks.index"))
    status = 422 if form.errors else 200
    return render_template("trunks/form.html", form=form, trunk=trunk), status


@bp.post("/<int:trunk_id>/retire")
@requires(Right.EDIT_SETTINGS)
def retire(trunk_id: int) -> ResponseReturnValue:
    """Retire a trunk (廃止)."""
    with writing() as session:
        trunks.retire(session, viewer=viewer(), trunk_id=trunk_id, now=utcnow())
        trunks.load(session, viewer=viewer(), nodes=settings().node_names, now=utcnow())
    flash(_("The trunk was retired."), "ok")
    return go(url_for("trunks.index"))


@bp.post("/load")
@requires(Right.EDIT_SETTINGS)
def load() -> ResponseReturnValue:
    """Send the trunks to the switch again."""
    with writing() as session:
        trunks.load(session, viewer=viewer(), nodes=settings().node_names, now=utcnow())
    return go(url_for("trunks.index"))
