"""Days of the site: a moment belongs to the day that its zone's calendar shows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

TOKYO = ZoneInfo("Asia/Tokyo")


def site_day(moment: datetime, zone: ZoneInfo = TOKYO) -> date:
    """Give the site's calendar day of an aware moment."""
    return moment.astimezone(zone).date()


def day_begins(moment: datetime, zone: ZoneInfo = TOKYO) -> datetime:
    """Give the moment, in UTC, at which the site's calendar day of an aware moment began."""
    return datetime.combine(site_day(moment, zone), time(), zone).astimezone(UTC)
