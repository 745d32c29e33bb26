"""Moments, lengths and numbers as Japanese offices write them (R-AR-2, spec §1)."""

from datetime import UTC, date, datetime

import pytest
from flask import Flask

from calltree.blueprints import formats

pytestmark = pytest.mark.one_database

MIDNIGHT = datetime(2026, 11, 23, 15, 5, 59, tzinfo=UTC)
"""Tuesday, five past midnight in Tokyo."""


@pytest.mark.parametrize(("locale", "weekday"), [("ja", "火"), ("en", "Tue")])
def test_R_AR_2_a_moment_is_of_the_sites_day_with_its_weekday(
    app: Flask, locale: str, weekday: str
) -> None:
    with app.test_request_context(headers={"Cookie": f"locale={locale}"}):
        assert formats.moment(MIDNIGHT) == f"2026/11/24({weekday}) 00:05"
        assert formats.day(MIDNIGHT) == formats.day(date(2026, 11, 24)) == f"2026/11/24({weekday})"
        assert formats.clock(MIDNIGHT) == "00:05"
        assert [formats.moment(None), formats.day(None), formats.clock(None)] == ["–"] * 3


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "–"),
        (0, "0:00"),
        (59.9, "0:59"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (90061, "25:01:01"),
    ],
)
def test_a_length_is_written_with_its_hours_once_there_are_any(
    seconds: float | None, written: str
) -> None:
    assert formats.duration(seconds) == written


def test_a_share_of_nothing_is_a_dash_and_a_count_ends_somewhere() -> None:
    assert formats.percent(0, 0) == "–"
    assert formats.percent(2, 3) == "66.7%"
    assert formats.percent(0, 5) == "0.0%"
    assert [formats.capped(n) for n in (0, 999, 1000)] == ["0", "999", "999+"]
    assert [formats.phone(n) for n in ("0312345678", "", None)] == ["03-1234-5678", "–", "–"]
