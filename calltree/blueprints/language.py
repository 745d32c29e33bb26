"""Japanese or English: kept with the user, in a cookie until somebody signs in (R-AR-2)."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from calltree.blueprints.access import public, viewer
from calltree.extensions import settings, writing
from calltree.locale import LOCALES
from calltree.services import accounts

bp = Blueprint("language", __name__)
A_YEAR_S = 365 * 24 * 60 * 60


@bp.post("/language")
@public
def choose() -> ResponseReturnValue:
    """Show every page in the chosen language from now on."""
    locale = request.form.get("locale", "")
    if locale not in LOCALES:
        abort(400)
    if current_user.is_authenticated:
        with writing() as write:
            accounts.set_locale(write, user_id=viewer().user_id, locale=locale)
    answer = redirect(url_for("auth.home"), 303)
    answer.set_cookie(
        "locale",
        locale,
        max_age=A_YEAR_S,
        httponly=True,
        samesite="Lax",
        secure=settings().trusted_proxies > 0,
    )
    return answer
