"""Japanese or English: kept with the user, in a cookie until somebody signs in (R-AR-2).

Whoever chooses on the sign-in page and then signs in keeps that language. The cookie alone changes
nobody's: an office shares its computers.
"""

from __future__ import annotations

from flask import Blueprint, abort, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from calltree.blueprints.access import public, viewer
from calltree.extensions import settings, writing
from calltree.locale import LOCALES
from calltree.services import accounts

bp = Blueprint("language", __name__)
CHOSEN = "locale_chosen"
"""In the session of who has not signed in yet."""
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
    else:
        session[CHOSEN] = locale
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
