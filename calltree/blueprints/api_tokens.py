"""APIトークン: tokens for other programs, made and revoked by a manager (R-AR-3)."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import DateField, IntegerField, SelectField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from calltree.blueprints import shown_once
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.forms import CheckListField, end_of_day, put_error
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import lazy
from calltree.services import api_tokens, people
from calltree.services.api_tokens import Scope, TokenDetails
from calltree.services.rights import Right
from calltree.services.sentences import N_

bp = Blueprint("api_tokens", __name__, url_prefix="/admin/api-tokens")

SCOPE_NAMES = {
    Scope.LISTS_READ: N_("Read lists"),
    Scope.CUSTOMERS_READ: N_("Read customers"),
    Scope.CUSTOMERS_WRITE: N_("Add and change customers"),
    Scope.RECORDS_READ: N_("Read call records"),
    Scope.BANS_READ: N_("Look up do-not-call numbers"),
    Scope.BANS_WRITE: N_("Enter do-not-call numbers"),
    Scope.BANS_RELEASE: N_("Release do-not-call entries"),
    Scope.TASKS_READ: N_("Read tasks"),
    Scope.CALLS_DIAL: N_("Have an operator call"),
}
STATE_NAMES = {
    "works": (N_("In use"), "ok"),
    "revoked": (N_("Revoked"), "mute"),
    "expired": (N_("Expired"), "warn"),
    "user_gone": (N_("User deleted"), "warn"),
}


class TokenForm(FlaskForm):  # type: ignore[misc] # flask_wtf is published without types
    """A new token; it is never changed, only revoked."""

    name = StringField(
        lazy(N_("Name")),
        description=lazy(N_("Of the program that gets it, such as the CRM.")),
        validators=[InputRequired(), Length(max=64)],
    )
    user_id = SelectField(
        lazy(N_("In the name of")),
        description=lazy(
            N_("It sees and does what this user may, never more. A deleted user's token ends.")
        ),
        coerce=int,
    )
    scopes = CheckListField(lazy(N_("May do")), coerce=Scope)
    expires_on = DateField(
        lazy(N_("Until")),
        description=lazy(N_("Empty: until it is revoked.")),
        validators=[Optional()],
    )
    per_minute = IntegerField(
        lazy(N_("Requests a minute")),
        validators=[InputRequired(), NumberRange(1, api_tokens.MOST_PER_MINUTE)],
        default=api_tokens.PER_MINUTE,
    )

    def offer(self) -> None:
        """Fill the choices."""
        users = people.active(reading())
        self.user_id.choices = [(user.id, f"{user.name} ({user.login_id})") for user in users]
        self.scopes.choices = [
            (scope.value, f"{_(name)} ({scope.value})") for scope, name in SCOPE_NAMES.items()
        ]

    def details(self) -> TokenDetails:
        """Return what was typed."""
        return TokenDetails(
            name=self.name.data or "",
            user_id=self.user_id.data,
            scopes=tuple(self.scopes.data or ()),
            expires_at=end_of_day(self.expires_on.data),
            per_minute=self.per_minute.data or api_tokens.PER_MINUTE,
        )


@bp.get("/")
@requires(Right.SEE_SETTINGS)
def index() -> ResponseReturnValue:
    """Show every token: what it may, when it was last used, whether it still works."""
    now = utcnow()
    rows = [
        (token, user, STATE_NAMES[api_tokens.state_of(token, user, now=now)])
        for token, user in api_tokens.all_tokens(reading())
    ]
    return render_template(
        "api_tokens/index.html", rows=rows, scope_names={s.value: n for s, n in SCOPE_NAMES.items()}
    )


@bp.route("/new", methods=["GET", "POST"])
@requires(Right.EDIT_SETTINGS)
def create() -> ResponseReturnValue:
    """Make a token; the page that follows shows it, once."""
    form = TokenForm()
    form.offer()
    if form.validate_on_submit():
        try:
            with writing() as session:
                row, token = api_tokens.create(
                    session, viewer=viewer(), details=form.details(), now=utcnow()
                )
        except Refused as refusal:
            put_error(form, refusal)
        else:
            shown_once.keep(token, of=f"token-{row.id}")
            return go(url_for("api_tokens.made", token_id=row.id))
    page = render_template("api_tokens/form.html", form=form)
    return page, 422 if form.errors or form.form_errors else 200


@bp.get("/<int:token_id>/made")
@requires(Right.EDIT_SETTINGS)
def made(token_id: int) -> ResponseReturnValue:
    """Show the token just made; loaded anew the page says that it was shown."""
    row = api_tokens.get(reading(), token_id)
    token = shown_once.take(f"token-{token_id}")
    return render_template("api_tokens/made.html", row=row, token=token)


@bp.post("/<int:token_id>/revoke")
@requires(Right.EDIT_SETTINGS)
def revoke(token_id: int) -> ResponseReturnValue:
    """End a token at once."""
    with writing() as session:
        api_tokens.revoke(session, viewer=viewer(), token_id=token_id, now=utcnow())
    flash(_("The token was revoked. It lets nobody in any more."), "ok")
    return go(url_for("api_tokens.index"))
