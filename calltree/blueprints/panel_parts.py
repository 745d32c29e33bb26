"""Fragments as they are pushed, and those that are drawn once for all pages."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy.orm import Session

from calltree.blueprints import call_figures
from calltree.locale import choose_locale

_ROOT_ID = re.compile(r'\s*<\w[^>]*?\sid="([\w-]+)"')


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines in use, drawn."""

    text: str
    full: bool


def lines_in_use(session: Session) -> Lines:
    """Draw the lines in use as of now."""
    values = call_figures.lines(session)
    text = partial("operator/_lines.html", lines=values)
    return Lines(text, values["used"] >= values["total"])


class Shared:
    """A panel that is the same for everybody of one language: drawn once per change, not per page.

    All pages are told of a change in one moment, so whoever comes within it is given the same.
    """

    def __init__(self, draw: Callable[[Session], Lines], address: str) -> None:
        self._draw = draw
        self._address = address
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[int, Lines]] = {}

    def get(self, session: Session) -> Lines:
        """Give the panel as of the last time the address was told."""
        told = current_app.extensions["calltree.live"].times_told(self._address)
        locale = choose_locale()
        with self._lock:
            kept = self._kept.get(locale)
            if kept is None or kept[0] != told:
                kept = self._kept[locale] = (told, self._draw(session))
        return kept[1]


LINES = Shared(lines_in_use, "lines")


def partial(template: str, swap: str = "outerMorph", **context: Any) -> str:
    """Draw a fragment as a message that puts it where its own id is.

    A fragment says all its values itself: what surrounds a whole page is not read for it.
    """
    text = current_app.jinja_env.get_template(template).render(context)
    root = _ROOT_ID.match(text)
    if root is None:
        raise ValueError(f"{template} has no id on its root")
    return f'<hx-partial hx-target="#{root[1]}" hx-swap="{swap}">{text}</hx-partial>'


def instead_of_main(template: str, **context: Any) -> str:
    """Draw a fragment as a message that puts it in place of all that the page shows."""
    text = current_app.jinja_env.get_template(template).render(context)
    return f'<hx-partial hx-target="#main" hx-swap="innerHTML">{text}</hx-partial>'
