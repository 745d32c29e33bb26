"""What a table of 集計 is asked for, and its form in a URL (R-WT-2).

It lives in its address: `SummaryCriteria.parse` reads the query's pairs, `pairs` writes them back.
Values that cannot be understood are left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import TypeVar

from calltree.errors import NotAllowed
from calltree.services.history_criteria import NO_GROUP, NOBODY
from calltree.services.rights import Right, Viewer

MOST_DAYS = 1100
"""Three years: a longer period is cut to its last days."""
Member = TypeVar("Member", bound=StrEnum)


class Axis(StrEnum):
    """What the lines of a table stand for."""

    DAY = "day"
    HOUR = "hour"
    PROJECT = "project"
    LIST = "list"
    USER = "user"
    GROUP = "group"
    STATUS = "status"


class Period(StrEnum):
    """A period that moves on by itself; CUSTOM has its own days."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    WEEK = "week"
    MONTH = "month"
    LAST_MONTH = "last_month"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class SummaryCriteria:
    """A period of whole days, what its lines are, and whose records it keeps to."""

    first: date
    last: date
    """Both included; days of the site."""
    period: Period = Period.CUSTOM
    by: Axis = Axis.DAY
    then: Axis | None = None
    """A second axis: a line for each pair that has a record."""
    project_id: int | None = None
    list_id: int | None = None
    user: str = ""
    """A user's id, one of NOBODY, or empty."""
    group: str = ""
    """A group's id, NO_GROUP, or empty."""

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str]], *, today: date) -> SummaryCriteria:
        """Read a query's pairs; without a period it is this month's."""
        one: dict[str, str] = {}
        for key, value in pairs:
            if value:
                one.setdefault(key, value)
        period = _member(Period, one.get("period", "")) or Period.MONTH
        if one.get("shown") == period and (one.get("from") or one.get("to")):
            period = Period.CUSTOM  # a form's dates, filled in since that period was shown
        first, last = _days(period, one, today)
        by = _member(Axis, one.get("by", "")) or Axis.DAY
        then = _member(Axis, one.get("then", ""))
        return cls(
            first=max(first, last - timedelta(days=MOST_DAYS - 1)),
            last=last,
            period=period,
            by=by,
            then=then if then is not by else None,
            project_id=_whole(one.get("project", "")),
            list_id=_whole(one.get("list", "")),
            user=_id_or(NOBODY, one.get("user", "")),
            group=_id_or((NO_GROUP,), one.get("group", "")),
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Write the query's pairs; `parse` of them on the same day gives the same criteria."""
        custom = self.period is Period.CUSTOM
        given = [
            ("period", self.period.value),
            ("from", self.first.isoformat() if custom else ""),
            ("to", self.last.isoformat() if custom else ""),
            ("by", self.by.value),
            ("then", self.then.value if self.then else ""),
            ("project", str(self.project_id or "")),
            ("list", str(self.list_id or "")),
            ("user", self.user),
            ("group", self.group),
        ]
        return [(key, value) for key, value in given if value]

    def asked_by(self, viewer: Viewer) -> SummaryCriteria:
        """Give what the viewer may ask: an operator's question is about themselves.

        Raises NotAllowed.
        """
        if not viewer.may(Right.SEE_FIGURES):
            raise NotAllowed(Right.SEE_FIGURES)
        return self if viewer.manages else replace(self, user=str(viewer.user_id), group="")

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of a line, in order."""
        return (self.by, self.then) if self.then else (self.by,)


def _days(period: Period, one: dict[str, str], today: date) -> tuple[date, date]:
    month = today.replace(day=1)
    if period is Period.CUSTOM:
        given = [day for key in ("from", "to") if (day := _day(one.get(key, "")))]
        return (min(given), max(given)) if given else (today, today)
    if period is Period.YESTERDAY:
        return today - timedelta(days=1), today - timedelta(days=1)
    if period is Period.WEEK:
        return today - timedelta(days=today.weekday()), today
    if period is Period.MONTH:
        return month, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    if period is Period.LAST_MONTH:
        last = month - timedelta(days=1)
        return last.replace(day=1), last
    return today, today


def _day(value: str) -> date | None:
    with contextlib.suppress(ValueError):
        day = date.fromisoformat(value)
        return day if 1900 <= day.year < 3000 else None  # the calendar's ends have no midnight
    return None


def _whole(value: str) -> int | None:
    if value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None


def _id_or(words: tuple[str, ...], value: str) -> str:
    return value if value in words or _whole(value) is not None else ""


def _member(kind: type[Member], value: str) -> Member | None:
    with contextlib.suppress(ValueError):
        return kind(value)
    return None
