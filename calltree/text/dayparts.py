"""Parts of the site's day, and when an unanswered number is tried again (R-DL-5). Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from calltree.text.days import TOKYO

BEGINNINGS = (time(0), time(12), time(17))
"""Morning, afternoon, evening."""


def part_of(moment: datetime, zone: ZoneInfo = TOKYO) -> int:
    """Give the part of its day: 0 morning, 1 afternoon, 2 evening."""
    clock = moment.astimezone(zone).time()
    return sum(clock >= beginning for beginning in BEGINNINGS) - 1


def another_part(tried: datetime, after: timedelta, zone: ZoneInfo = TOKYO) -> datetime:
    """Give the first moment, `after` that or later, in another part of the day than `tried`; UTC.

    Hours and days on which nobody calls are the gate's: a moment of the night waits for morning.
    """
    due = (tried + after).astimezone(zone)
    if part_of(due, zone) != part_of(tried, zone):
        return due.astimezone(UTC)
    later = [beginning for beginning in BEGINNINGS if beginning > due.time()]
    day = due.date() if later else due.date() + timedelta(days=1)
    return datetime.combine(day, (later or BEGINNINGS)[0], zone).astimezone(UTC)


def tried_until(now: datetime, after: timedelta, zone: ZoneInfo = TOKYO) -> datetime:
    """Give the last moment of a try that may be repeated now, as `another_part` has it; UTC.

    The same as asking that of each try, where `after` is no longer than the shortest part.
    """
    latest = now - after
    part = part_of(latest, zone)
    if part != part_of(now, zone):
        return latest.astimezone(UTC)
    day = latest.astimezone(zone).date()
    return (datetime.combine(day, BEGINNINGS[part], zone) - datetime.resolution).astimezone(UTC)
