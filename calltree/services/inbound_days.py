"""Own closed days of a number as lines of text: ``2026-12-29 - 2027-01-03 年末年始``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, timedelta

from calltree.errors import Refused
from calltree.services.inbound_routes import MAX_NAME

MOST_IN_A_LINE = 60
_DAY = r"(\d{4})[-/年](\d{1,2})[-/月](\d{1,2})日?"
_LINE = re.compile(rf"{_DAY}(?:\s*[-~〜]\s*{_DAY})?\s*(.*)")


def read_closed_days(text: str) -> dict[date, str]:
    """Read the lines of own closed days. Raises Refused with the line that is wrong."""
    found: dict[date, str] = {}
    for line in unicodedata.normalize("NFKC", text).splitlines():
        if not line.strip():
            continue
        read = _LINE.fullmatch(line.strip())
        first = _day(read.groups()[:3]) if read else None
        last = _day(read.groups()[3:6]) if read and read[4] else first
        if read is None or first is None or last is None:
            raise Refused("closed_day_unreadable", field="closed_days", text=line.strip())
        if last < first:
            raise Refused("days_reversed", field="closed_days")
        if (last - first).days >= MOST_IN_A_LINE:
            raise Refused("closed_days_many", field="closed_days", most=MOST_IN_A_LINE)
        for past in range((last - first).days + 1):
            found[first + timedelta(days=past)] = read[7].strip()[:MAX_NAME]
    return found


def _day(parts: tuple[str, ...]) -> date | None:
    try:
        return date(*(int(part) for part in parts))
    except ValueError:
        return None


def write_closed_days(days: Mapping[date, str]) -> str:
    """Write days so that `read_closed_days` reads them back, runs of one name in one line."""
    runs: list[tuple[date, date, str]] = []
    for day, name in sorted(days.items()):
        if runs and runs[-1][2] == name and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = (runs[-1][0], day, name)
        else:
            runs.append((day, day, name))
    return "\n".join(
        f"{first}{'' if first == last else f' - {last}'} {name}".strip()
        for first, last, name in runs
    )
