"""Which language a page is written in: the user's, then the cookie's, Japanese else."""

from __future__ import annotations

from typing import Any, cast

from babel.support import NullTranslations
from flask import Flask, g, request
from flask_babel import get_locale, get_translations, gettext, lazy_gettext
from flask_login import current_user

from calltree import catalogues
from calltree.extensions import babel
from calltree.services.sentences import SENTENCES

LOCALES = ("ja", "en")
API_ROOM = "/api/"


def choose_locale() -> str:
    """Never guessed from geography or the browser: an office shares its computers."""
    if request and request.path.startswith(API_ROOM):  # a program says what it wants
        chosen = request.accept_languages.best_match(LOCALES) or g.get("token_locale", "ja")
    elif current_user and current_user.is_authenticated:
        chosen = current_user.viewer.locale
    else:
        chosen = request.cookies.get("locale", "ja") if request else "ja"
    return chosen if chosen in LOCALES else "ja"


def init_app(app: Flask) -> None:
    """Give templates the translations and `locale()`."""
    catalogues.ensure_compiled()
    babel.init_app(app, locale_selector=choose_locale)
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=lambda text: _catalogue().ugettext(text),
        ngettext=lambda one, many, count: _catalogue().ungettext(one, many, count),
        newstyle=True,
        pgettext=lambda context, text: _catalogue().upgettext(context, text),
        npgettext=lambda context, one, many, count: _catalogue().unpgettext(
            context, one, many, count
        ),
    )
    app.jinja_env.add_extension("jinja2.ext.do")
    app.add_template_global(choose_locale, "locale_name")
    app.add_template_global(sentence)


def sentence(code: str, **values: object) -> str:
    """Say a code in the reader's language; an unknown code is a programming error."""
    known = SENTENCES.get(code)
    if known is None and code.startswith("http_"):
        known = SENTENCES["failed"]
    if known is None:
        raise KeyError(f"no sentence for {code}")
    return str(gettext(known, **values))


def lazy(message: str) -> str:
    """Translate when the page is drawn: a form's labels are made once, for every language."""
    return cast(str, lazy_gettext(message))


def _catalogue() -> NullTranslations:
    """Return the catalogue of this request, for templates.

    Flask-Babel looks the language up and writes out its name for each text: a page has hundreds,
    and a seventh of the CPU of a list went there.
    """
    here: Any = g._get_current_object()
    try:
        locale, catalogue = here.catalogue
        if locale is here._flask_babel.babel_locale:  # another one by force_locale
            return cast(NullTranslations, catalogue)
    except AttributeError:
        pass
    found: NullTranslations = get_translations()
    here.catalogue = (get_locale(), found)
    return found
