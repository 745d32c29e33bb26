"""What a request gives: parameters without NUL, whole numbers and ids that a database can hold.

One place for all pages, because both databases end a request that is handed more: Postgres takes
no NUL in a text and no number beyond a column's, SQLite's driver none beyond 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Flask, Request
from werkzeug.datastructures import ImmutableMultiDict, iter_multi_items
from werkzeug.routing import IntegerConverter, ValidationError
from werkzeug.utils import cached_property

MOST = 2**31 - 1
"""Of ids and whole numbers; the tables' narrowest column."""


def whole(text: str) -> int:
    """Read a whole number in plain digits. Raises ValueError, also for one that nothing holds."""
    if not (text.isascii() and len(text) <= len(str(MOST)) + 1):
        raise ValueError("not a whole number")
    number = int(text)
    if abs(number) > MOST:
        raise ValueError("beyond every id")
    return number


class Parameters(ImmutableMultiDict[str, Any]):
    """`request.args`, `.form` and `.files`."""

    def __init__(self, given: Any = None) -> None:
        pairs: Iterable[tuple[Any, Any]] = iter_multi_items(given) if given is not None else ()
        super().__init__([(_clean(key), _clean(value)) for key, value in pairs])

    def get(  # type: ignore[override] # overloads of a cached type, the same calls
        self, key: str, default: Any = None, type: Any = None
    ) -> Any:
        """As werkzeug's; `type=int` reads by `whole`."""
        return super().get(key, default, whole if type is int else type)

    def getlist(self, key: str, type: Any = None) -> list[Any]:
        """As werkzeug's; `type=int` reads by `whole`."""
        return super().getlist(key, whole if type is int else type)


def _clean(part: Any) -> Any:
    return part.replace("\x00", "") if isinstance(part, str) else part


class CheckedRequest(Request):
    """A request whose parameters are `Parameters`."""

    parameter_storage_class = Parameters

    @cached_property
    def values(self) -> Parameters:  # type: ignore[override] # werkzeug's would read by int
        """Both `args` and `form`."""
        return Parameters([*self.args.items(multi=True), *self.form.items(multi=True)])


class Id(IntegerConverter):
    """`<int:…>` of a path: an id that no table can hold leads to the page that is not there."""

    def to_python(self, value: str) -> Any:
        """Give the number. Raises ValidationError: no route matches."""
        try:
            return super().to_python(str(whole(value)))
        except ValueError:
            raise ValidationError from None


def init_app(app: Flask) -> None:
    """Use them for every request and route; before any blueprint is registered."""
    app.request_class = CheckedRequest
    app.url_map.converters["int"] = Id
