"""What a rule may raise. One place (blueprints/failures.py) turns each into a page or fragment."""

from __future__ import annotations

from typing import Any


class CalltreeError(Exception):
    """Base of everything a rule raises on purpose."""


class NotFound(CalltreeError):
    """It does not exist, or this person may not know that it does (404)."""


class NotAllowed(CalltreeError):
    """The person is known and may not do this (403)."""


class Refused(CalltreeError):
    """A rule says no (409). `code` names the sentence; `values` fill it (see services/sentences).

    Nothing has been changed when this is raised.
    """

    def __init__(self, code: str, field: str | None = None, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.values = values


class TelephonyDown(CalltreeError):
    """The switch or the queue to it cannot be reached (503)."""
