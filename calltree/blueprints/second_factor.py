"""2段階認証: asked for at sign-in, or set up first; new recovery codes afterwards (R-US-6)."""

from __future__ import annotations

from functools import wraps
from typing import Any

import segno
from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext
from markupsafe import Markup

from calltree.blueprints import halfway, shown_once
from calltree.blueprints.access import View, public, requires, viewer
from calltree.blueprints.auth import come_in, next_address, require_password
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import limiter, reading, settings, writing
from calltree.locale import sentence
from calltree.services import people, second_factor
from calltree.services.accounts import Account
from calltree.services.rights import Right
from calltree.services.settings import get as site_settings

bp = Blueprint("second_factor", __name__, url_prefix="/sign-in")

_NEW = "new_factor"
"""A secret that is being set up: of this session only, so that nobody else knows it before."""
# By account, for an attacker has many addresses; a shift of operators signs in from one.
_TRIES = limiter.shared_limit(
    "5/minute;30/hour;100/day",
    scope="second factor",
    key_func=halfway.account_key,
)


def _halfway(view: View) -> Any:
    """Give the view who is halfway in; all others go back to signing in."""

    @wraps(view)
    def asked() -> ResponseReturnValue:
        account = halfway.who()
        if account is None:
            return redirect(url_for("auth.sign_in", next=request.args.get("next")), 303)
        answer: ResponseReturnValue = view(account)
        return answer

    return public(asked)


@bp.get("/code")
@_halfway
def ask(who: Account) -> ResponseReturnValue:
    """Ask for the code; who has no factor yet sets it up first."""
    if not second_factor.is_set_up(reading(), user_id=who.viewer.user_id):
        return redirect(url_for("second_factor.begin", next=request.args.get("next")), 303)
    return render_template("auth/code.html", error="")


@bp.post("/code")
@_TRIES
@_halfway
def prove(who: Account) -> ResponseReturnValue:
    """Check the code."""
    try:
        with writing() as write:
            left = second_factor.prove(
                write, user_id=who.viewer.user_id, given=request.form.get("code", ""), now=utcnow(),
                key=settings().secret_key,
            )  # fmt: skip
    except Refused as refusal:
        return render_template("auth/code.html", error=sentence(refusal.code)), 422
    come_in(who, proven=True)
    if left is not None:
        flash(
            ngettext("%(num)d recovery code is left.", "%(num)d recovery codes are left.", left),
            "warn",
        )
    return redirect(next_address(who), 303)


@bp.get("/set-up")
@_halfway
def begin(who: Account) -> ResponseReturnValue:
    """Show the QR code to be read by an app."""
    if second_factor.is_set_up(reading(), user_id=who.viewer.user_id):
        return redirect(halfway.address(request.args.get("next")), 303)
    return _set_up_page(who)


@bp.post("/set-up")
@_TRIES
@_halfway
def set_up(who: Account) -> ResponseReturnValue:
    """Take the factor once the app has shown a right code; show the recovery codes, once."""
    mine = who.viewer.user_id
    if second_factor.is_set_up(reading(), user_id=mine) or _NEW not in session:
        return redirect(halfway.address(request.args.get("next")), 303)
    try:
        with writing() as write:
            codes = second_factor.set_up(
                write, user_id=mine, secret=session[_NEW], given=request.form.get("code", ""),
                key=settings().secret_key, now=utcnow(),
            )  # fmt: skip
    except Refused as refusal:
        return _set_up_page(who, sentence(refusal.code)), 422
    come_in(who, proven=True)
    return render_template("auth/recovery_codes.html", codes=codes, go_on=next_address(who))


@bp.post("/recovery-codes")
@requires(Right.OWN_ACCOUNT)
@limiter.limit("10/minute")
def renew_codes() -> ResponseReturnValue:
    """Make new recovery codes for oneself, asked for the password; the next page shows them."""
    mine = viewer()
    try:
        require_password(request.form.get("present", ""))
        with writing() as write:
            codes = second_factor.renew_codes(write, viewer=mine, now=utcnow())
    except Refused as refusal:
        flash(sentence(refusal.code, **refusal.values), "bad")
        return redirect(url_for("auth.password"), 303)
    shown_once.keep(" ".join(codes), of="recovery codes")
    return redirect(url_for("second_factor.codes"), 303)


@bp.get("/recovery-codes")
@requires(Right.OWN_ACCOUNT)
def codes() -> ResponseReturnValue:
    """Show the codes just made; loaded anew it leads back to where more can be made."""
    made = shown_once.take("recovery codes").split()
    if not made:
        return redirect(url_for("auth.password"), 303)
    home = url_for("auth.home")
    return render_template("auth/recovery_codes.html", codes=made, go_on=home, is_renewed=True)


def _set_up_page(who: Account, error: str = "") -> str:
    secret = session.setdefault(_NEW, second_factor.new_secret())
    user = people.get(reading(), who.viewer.user_id)
    issuer = site_settings(reading()).name or "CALLTREE"
    told = second_factor.address_of(secret, login_id=user.login_id, issuer=issuer)
    picture = segno.make(told, error="m", micro=False).svg_inline(scale=4, border=4, light="#fff")
    groups = [secret[at : at + 4] for at in range(0, len(secret), 4)]
    qr = Markup(picture)  # noqa: S704 - a library's drawing, made of numbers only
    return render_template("auth/set_up.html", qr=qr, secret=" ".join(groups), error=error)
