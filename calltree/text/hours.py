"""When a project may call (R-PJ-5): site bound, project hours, weekdays, holidays, closed days.

Pure: whoever asks brings the rules and the moment. Hours begin inclusive and end exclusive.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import jpholiday

from calltree.text.days import TOKYO

B2C_BOUND: Final = (time(8, 0), time(21, 0))
PROJECT_HOURS: Final = (time(9, 0), time(20, 0))
MONDAY_TO_FRIDAY: Final = frozenset(range(5))
_LOOKED_AHEAD_DAYS: Final = 400


class HoursVerdict(StrEnum):
    """OPEN: anything may dial. ASK: only a person who has been asked. REFUSE: nobody."""

    OPEN = "open"
    ASK = "ask"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class CallingHours:
    """One project's rules as they stand. ``bound`` is the site's for B2C projects, else None."""

    opens: time = PROJECT_HOURS[0]
    closes: time = PROJECT_HOURS[1]
    weekdays: frozenset[int] = MONDAY_TO_FRIDAY  # Monday = 0
    on_holidays: bool = False
    closed_days: frozenset[date] = field(default_factory=frozenset)
    bound: tuple[time, time] | None = B2C_BOUND
    zone: ZoneInfo = TOKYO


def hours_verdict(rules: CallingHours, moment: datetime) -> HoursVerdict:
    """Whether the project may call at an aware moment."""
    local = moment.astimezone(rules.zone)
    clock = local.time()
    if rules.bound is not None and not rules.bound[0] <= clock < rules.bound[1]:
        return HoursVerdict.REFUSE
    if rules.opens <= clock < rules.closes and is_calling_day(rules, local.date()):
        return HoursVerdict.OPEN
    return HoursVerdict.ASK


def is_calling_day(rules: CallingHours, day: date) -> bool:
    """Whether the project calls on this day of the site's zone at all."""
    if day.weekday() not in rules.weekdays or day in rules.closed_days:
        return False
    return rules.on_holidays or holiday_name(day) is None


def next_opening(rules: CallingHours, moment: datetime) -> datetime | None:
    """The first moment, not before this one, at which the verdict is OPEN; in UTC.

    None when no day of the next thirteen months is open, or when the hours leave nothing.
    """
    return next((begins for begins, _ends in openings(rules, moment)), None)


def openings(rules: CallingHours, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The open spans of the next thirteen months that end after this moment, in UTC and order.

    The first begins no sooner than the moment.
    """
    opens, closes = rules.opens, rules.closes
    if rules.bound is not None:
        opens, closes = max(opens, rules.bound[0]), min(closes, rules.bound[1])
    if opens >= closes:
        return
    today = moment.astimezone(rules.zone).date()
    for ahead in range(_LOOKED_AHEAD_DAYS):
        day = today + timedelta(days=ahead)
        if not is_calling_day(rules, day):
            continue
        start = datetime.combine(day, opens, rules.zone).astimezone(UTC)
        end = datetime.combine(day, closes, rules.zone).astimezone(UTC)
        if moment < end:
            yield max(start, moment.astimezone(UTC)), end


def open_between(rules: CallingHours, since: datetime, until: datetime) -> timedelta:
    """How long of this span the project may call."""
    total = timedelta()
    for begins, ends in openings(rules, since):
        if begins >= until:
            break
        total += min(ends, until) - begins
    return total


def after_open(rules: CallingHours, moment: datetime, span: timedelta) -> datetime | None:
    """The moment by which the project has been open for so long since then; in UTC.

    None when that is not within the next thirteen months.
    """
    for begins, ends in openings(rules, moment):
        if span <= ends - begins:
            return begins + span
        span -= ends - begins
    return None


@lru_cache(maxsize=4096)
def holiday_name(day: date) -> str | None:
    """The name of a Japanese holiday, 振替休日 and 国民の休日 included, or None."""
    name: str | None = jpholiday.is_holiday_name(day)
    return name


def holidays_between(first: date, last: date) -> list[tuple[date, str]]:
    """Every Japanese holiday from `first` to `last`, both included, with its name."""
    return [(day, str(name)) for day, name in jpholiday.between(first, last)]
