"""What a search of customers asks for, and its form in a URL (R-LS-10, R-CL-1).

A search lives in its address: `Criteria.parse` reads the query's pairs, `pairs` writes them back.
Values that cannot be understood are left out, as a person would expect of a mistyped address.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

MAX_TEXT = 200
Kind = TypeVar("Kind", bound=StrEnum)


class Presence(StrEnum):
    """空 / 空でない, or the text as a whole (完全一致)."""

    ANY = ""
    EQUALS = "equals"
    """The cell is the text and nothing more; without a text it asks nothing."""
    EMPTY = "empty"
    FILLED = "filled"


class Shortcut(StrEnum):
    """The searches of コールデータ検索 that have a button of their own (R-CL-1)."""

    NONE = ""
    FIRST = "first"
    SECOND = "second"
    THIRD = "third"
    MY_PROSPECTS = "my_prospects"
    CALLBACKS = "callbacks"


class Order(StrEnum):
    """What the result is sorted by; COLUMN names one in `Criteria.order_column`."""

    FILE = ""
    DIALLED = "dialled"
    DIALS = "dials"
    NUMBER = "number"
    COLUMN = "column"


class Ban(StrEnum):
    """Whether the customer's number is on 架電禁止."""

    ANY = ""
    BANNED = "banned"
    FREE = "free"


NOT_DIALLED = "none"
"""未架電, among the statuses."""
UNASSIGNED = "none"
"""担当なし."""


@dataclass(frozen=True, slots=True)
class Term:
    """What a column or attribute item holds: every word of `text`, or anything, or nothing."""

    name: str
    text: str = ""
    presence: Presence = Presence.ANY


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions that must all hold, and the order of the result."""

    text: str = ""
    """Words anywhere in the columns; digits of three and more are looked for in numbers too."""
    number: str = ""
    columns: tuple[Term, ...] = ()
    items: tuple[Term, ...] = ()
    """`name` is the attribute item's id."""
    statuses: tuple[str, ...] = ()
    """Any of: a status id, a SystemResult, or NOT_DIALLED."""
    last_user_id: int | None = None
    dialled_from: date | None = None
    dialled_to: date | None = None
    """Both days included; days of the site."""
    dials_min: int | None = None
    dials_max: int | None = None
    prospect_levels: tuple[str, ...] = ()
    assigned: str = ""
    """A user's id, UNASSIGNED, or empty."""
    ban: Ban = Ban.ANY
    shortcut: Shortcut = Shortcut.NONE
    order: Order = Order.FILE
    order_column: str = ""
    descending: bool = False

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str]]) -> Criteria:
        """Read a query's (key, value) pairs; unknown keys and bad values are passed over."""
        one, several = read_pairs(pairs)
        return cls(
            text=one.get("q", ""),
            number=one.get("number", ""),
            columns=_terms("c", one),
            items=_terms("i", one),
            statuses=tuple(dict.fromkeys(several.get("status", ()))),
            last_user_id=_whole(one.get("user")),
            dialled_from=_day(one.get("from")),
            dialled_to=_day(one.get("to")),
            dials_min=_whole(one.get("dials_min")),
            dials_max=_whole(one.get("dials_max")),
            prospect_levels=tuple(dict.fromkeys(several.get("level", ()))),
            assigned=_assigned(one.get("assigned", "")),
            ban=_choice(Ban, one.get("ban"), Ban.ANY),
            shortcut=_choice(Shortcut, one.get("shortcut"), Shortcut.NONE),
            order=_choice(Order, one.get("sort"), Order.FILE),
            order_column=one.get("sort_column", ""),
            descending=one.get("desc") == "1",
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Write the query's pairs; `parse` of them gives the same criteria."""
        single = [
            ("q", self.text),
            ("number", self.number),
            ("user", _text(self.last_user_id)),
            ("from", _text(self.dialled_from)),
            ("to", _text(self.dialled_to)),
            ("dials_min", _text(self.dials_min)),
            ("dials_max", _text(self.dials_max)),
            ("assigned", self.assigned),
            ("ban", self.ban.value),
            ("shortcut", self.shortcut.value),
            ("sort", self.order.value),
            ("sort_column", self.order_column),
            ("desc", "1" if self.descending else ""),
        ]
        single += [("status", value) for value in self.statuses]
        single += [("level", value) for value in self.prospect_levels]
        for prefix, terms in (("c", self.columns), ("i", self.items)):
            for term in terms:
                single.append((f"{prefix}.{term.name}", term.text))
                single.append((f"{prefix}e.{term.name}", term.presence.value))
        return [(key, value) for key, value in single if value]

    def stored(self) -> dict[str, object]:
        """Give the form kept in a queue's row."""
        return {"pairs": [list(pair) for pair in self.pairs()]}

    @classmethod
    def restored(cls, stored: dict[str, object]) -> Criteria:
        """Read the form kept in a queue's row."""
        kept = stored.get("pairs", [])
        assert isinstance(kept, list)  # noqa: S101 - written by `stored`
        return cls.parse((str(key), str(value)) for key, value in kept)

    @property
    def is_empty(self) -> bool:
        """Whether every customer meets them."""
        return not [key for key, _ in self.pairs() if key not in ("sort", "sort_column", "desc")]


def read_pairs(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the first text of each key, and all of each; empty ones are passed over."""
    one: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    for key, value in pairs:
        given = value.replace("\x00", "").strip()[:MAX_TEXT]  # Postgres refuses NUL
        if given:
            one.setdefault(key, given)
            several.setdefault(key, []).append(given)
    return one, several


def _terms(prefix: str, one: dict[str, str]) -> tuple[Term, ...]:
    found: dict[str, tuple[str, Presence]] = {}
    for key, value in one.items():
        kind, dot, name = key.partition(".")
        if not (dot and name):
            continue
        text, presence = found.get(name, ("", Presence.ANY))
        if kind == prefix:
            found[name] = (value, presence)
        elif kind == f"{prefix}e":
            found[name] = (text, _choice(Presence, value, Presence.ANY))
    # an attribute item is named by its id
    found = {name: term for name, term in found.items() if prefix != "i" or _whole(name)}
    return tuple(
        Term(name, text, presence) for name, (text, presence) in found.items() if text or presence
    )


def _whole(value: str | None) -> int | None:
    if value and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None


def _day(value: str | None) -> date | None:
    with contextlib.suppress(ValueError):
        day = date.fromisoformat(value or "")
        # the calendar's ends have no midnight in every zone
        return day if 1900 <= day.year < 3000 else None
    return None


def _assigned(value: str) -> str:
    return value if value == UNASSIGNED or _whole(value) is not None else ""


def _choice(kind: type[Kind], value: str | None, otherwise: Kind) -> Kind:
    with contextlib.suppress(ValueError):
        return kind(value or "")
    return otherwise


def _text(value: object) -> str:
    return "" if value is None else str(value)
