"""What a search of コール履歴 asks for, and its form in a URL (R-HS-1).

A search lives in its address: `HistoryCriteria.parse` reads the query's pairs, `pairs` writes them
back. Values that cannot be understood are left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from calltree.models import RecordKind
from calltree.services.criteria import read_pairs

AUTOMATIC = "auto"
"""自動発信, among the users."""
UNANSWERED = "unanswered"
"""応答なし, among the users: calls that came in and reached nobody of ours."""
NOBODY = (AUTOMATIC, UNANSWERED)
"""Whose records have no user."""
NO_GROUP = "none"
"""Those who are in no group, among the groups."""


class Span(StrEnum):
    """Of which time, when no dates are given."""

    RECENT = ""
    """Saved in the last 24 hours, the default."""
    ALL = "all"


class Direction(StrEnum):
    """Who called whom."""

    ANY = ""
    OUT = "out"
    IN = "in"


class Counted(StrEnum):
    """What a record counts as (spec §1)."""

    DIAL = "dial"
    CONNECT = "connect"
    CONVERSION = "conversion"


@dataclass(frozen=True, slots=True)
class HistoryCriteria:
    """Conditions that must all hold."""

    span: Span = Span.RECENT
    started_from: date | None = None
    started_to: date | None = None
    """Both days included; days of the site."""
    project_id: int | None = None
    list_id: int | None = None
    customer_id: int | None = None
    user: str = ""
    """A user's id, one of NOBODY, or empty."""
    number: str = ""
    statuses: tuple[str, ...] = ()
    """Any of: a status id, or a SystemResult."""
    kinds: tuple[RecordKind, ...] = ()
    direction: Direction = Direction.ANY
    talk_min_s: int | None = None
    talk_max_s: int | None = None
    levels: tuple[str, ...] = ()
    items: tuple[tuple[int, str], ...] = ()
    """(attribute item id, a part of its value)."""
    counted: Counted | None = None
    group: str = ""
    """A group's id, NO_GROUP, or empty: who is in it now."""
    weekday: int | None = None
    """Monday = 0."""
    hour: int | None = None
    """In which the dial began, 0 to 23."""

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str]]) -> HistoryCriteria:
        """Read a query's (key, value) pairs; unknown keys and bad values are passed over."""
        one, several = read_pairs(pairs)
        return cls(
            span=Span.ALL if one.get("span") == Span.ALL else Span.RECENT,
            started_from=day_of(one.get("from")),
            started_to=day_of(one.get("to")),
            project_id=whole(one.get("project")),
            list_id=whole(one.get("list")),
            customer_id=whole(one.get("customer")),
            user=_user(one.get("user", "")),
            number=one.get("number", ""),
            statuses=tuple(dict.fromkeys(several.get("status", ()))),
            kinds=_kinds(several.get("kind", ())),
            direction=_direction(one.get("direction")),
            talk_min_s=_seconds(one.get("talk_min")),
            talk_max_s=_seconds(one.get("talk_max")),
            levels=tuple(dict.fromkeys(several.get("level", ()))),
            items=_items(one),
            counted=_counted(one.get("counted", "")),
            group=one.get("group", "") if _is_group(one.get("group", "")) else "",
            weekday=_below(7, one.get("weekday")),
            hour=_below(24, one.get("hour")),
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Write the query's pairs; `parse` of them gives the same criteria."""
        single: list[tuple[str, object]] = [
            ("span", self.span.value),
            ("from", self.started_from),
            ("to", self.started_to),
            ("project", self.project_id),
            ("list", self.list_id),
            ("customer", self.customer_id),
            ("user", self.user),
            ("number", self.number),
            ("direction", self.direction.value),
            ("talk_min", self.talk_min_s),
            ("talk_max", self.talk_max_s),
            *(("status", value) for value in self.statuses),
            *(("kind", kind.value) for kind in self.kinds),
            *(("level", value) for value in self.levels),
            *((f"i.{item_id}", text) for item_id, text in self.items),
            *self.of_figure,
        ]
        return [(key, str(value)) for key, value in single if value not in (None, "")]

    @property
    def of_figure(self) -> list[tuple[str, object]]:
        """The pairs that only a figure of 集計 asks for: no box of the page does."""
        given = [
            ("counted", self.counted.value if self.counted else None),
            ("group", self.group),
            ("weekday", self.weekday),
            ("hour", self.hour),
        ]
        return [(key, value) for key, value in given if value not in (None, "")]

    @property
    def wider(self) -> HistoryCriteria:
        """The same conditions, of all time."""
        return replace(self, span=Span.ALL)

    @property
    def recent(self) -> bool:
        """Whether it is about what was saved in the last 24 hours."""
        dated = self.started_from is not None or self.started_to is not None
        return self.span is Span.RECENT and not dated


def whole(value: str | None) -> int | None:
    """Read a whole number of at most nine digits; None for anything else."""
    if value and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None


def _seconds(value: str | None) -> int | None:
    """Days at most: the ledger counts milliseconds in 32 bits."""
    given = whole(value)
    return None if given is None else min(given, 10**6)


def day_of(value: str | None) -> date | None:
    """Read a day as 2026-11-22; None for anything else."""
    with contextlib.suppress(ValueError):
        day = date.fromisoformat(value or "")
        # the calendar's ends have no midnight in every zone
        return day if 1900 <= day.year < 3000 else None
    return None


def _user(value: str) -> str:
    return value if value in NOBODY or whole(value) is not None else ""


def _is_group(value: str) -> bool:
    return value == NO_GROUP or whole(value) is not None


def _below(end: int, value: str | None) -> int | None:
    given = whole(value)
    return given if given is not None and given < end else None


def _counted(value: str) -> Counted | None:
    with contextlib.suppress(ValueError):
        return Counted(value)
    return None


def _kinds(values: Iterable[str]) -> tuple[RecordKind, ...]:
    known = {kind.value for kind in RecordKind}
    return tuple(dict.fromkeys(RecordKind(value) for value in values if value in known))


def _direction(value: str | None) -> Direction:
    with contextlib.suppress(ValueError):
        return Direction(value or "")
    return Direction.ANY


def _items(one: dict[str, str]) -> tuple[tuple[int, str], ...]:
    found = []
    for key, value in one.items():
        kind, _, name = key.partition(".")
        item_id = whole(name)
        if kind == "i" and item_id is not None:
            found.append((item_id, value))
    return tuple(found)
