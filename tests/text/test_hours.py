"""Calling hours, holidays and site days: R-PJ-5."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.days import TOKYO, site_day
from calltree.text.hours import (
    CallingHours,
    HoursVerdict,
    holiday_name,
    hours_verdict,
    next_opening,
)

MONDAY = date(2026, 11, 16)


def tokyo(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), TOKYO).astimezone(UTC)


@pytest.mark.parametrize(
    ("clock", "b2c", "b2b"),
    [
        ("00:00", HoursVerdict.REFUSE, HoursVerdict.ASK),
        ("07:59:59", HoursVerdict.REFUSE, HoursVerdict.ASK),
        ("08:00", HoursVerdict.ASK, HoursVerdict.ASK),
        ("08:59:59.999999", HoursVerdict.ASK, HoursVerdict.ASK),
        ("09:00", HoursVerdict.OPEN, HoursVerdict.OPEN),
        ("19:59:59.999999", HoursVerdict.OPEN, HoursVerdict.OPEN),
        ("20:00", HoursVerdict.ASK, HoursVerdict.ASK),
        ("20:59", HoursVerdict.ASK, HoursVerdict.ASK),
        ("21:00", HoursVerdict.REFUSE, HoursVerdict.ASK),
        ("23:59:59", HoursVerdict.REFUSE, HoursVerdict.ASK),
    ],
)
def test_R_PJ_5_project_hours_ask_and_the_site_bound_refuses(
    clock: str, b2c: HoursVerdict, b2b: HoursVerdict
) -> None:
    moment = tokyo(MONDAY, clock)
    assert hours_verdict(CallingHours(), moment) is b2c
    assert hours_verdict(CallingHours(bound=None), moment) is b2b


def test_R_PJ_5_no_project_widens_the_site_bound() -> None:
    rules = CallingHours(opens=time(0, 0), closes=time(23, 59))
    assert hours_verdict(rules, tokyo(MONDAY, "07:59")) is HoursVerdict.REFUSE
    assert hours_verdict(rules, tokyo(MONDAY, "21:00")) is HoursVerdict.REFUSE
    assert next_opening(rules, tokyo(MONDAY, "03:00")) == tokyo(MONDAY, "08:00")


def test_R_PJ_5_weekends_holidays_and_own_closed_days_ask() -> None:
    saturday = MONDAY + timedelta(days=5)
    assert hours_verdict(CallingHours(), tokyo(saturday, "10:00")) is HoursVerdict.ASK
    every_day = CallingHours(weekdays=frozenset(range(7)))
    assert hours_verdict(every_day, tokyo(saturday, "10:00")) is HoursVerdict.OPEN
    only_monday = CallingHours(weekdays=frozenset({0}))
    assert hours_verdict(only_monday, tokyo(MONDAY, "10:00")) is HoursVerdict.OPEN
    tuesday = MONDAY + timedelta(days=1)
    assert hours_verdict(only_monday, tokyo(tuesday, "10:00")) is HoursVerdict.ASK
    closed = CallingHours(closed_days=frozenset({MONDAY}))
    assert hours_verdict(closed, tokyo(MONDAY, "10:00")) is HoursVerdict.ASK


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2026, 9, 21), "敬老の日"),
        (date(2026, 9, 22), "国民の休日"),
        (date(2026, 9, 23), "秋分の日"),
        (date(2026, 5, 6), "憲法記念日 振替休日"),
        (date(2026, 9, 24), None),
    ],
)
def test_R_PJ_5_the_japanese_calendar_knows_the_holidays_between_holidays(
    day: date, name: str | None
) -> None:
    assert holiday_name(day) == name
    expected = HoursVerdict.OPEN if name is None else HoursVerdict.ASK
    assert hours_verdict(CallingHours(), tokyo(day, "10:00")) is expected
    on_holidays = CallingHours(on_holidays=True)
    assert hours_verdict(on_holidays, tokyo(day, "10:00")) is HoursVerdict.OPEN


def test_R_PJ_5_the_next_opening_passes_over_silver_week() -> None:
    friday_night = tokyo(date(2026, 9, 18), "20:00")
    assert next_opening(CallingHours(), friday_night) == tokyo(date(2026, 9, 24), "09:00")


def test_R_PJ_5_the_next_opening_is_now_while_open_and_none_when_nothing_opens() -> None:
    now = tokyo(MONDAY, "10:30")
    assert next_opening(CallingHours(), now) == now
    assert next_opening(CallingHours(weekdays=frozenset()), now) is None
    assert next_opening(CallingHours(opens=time(20), closes=time(9)), now) is None
    assert next_opening(CallingHours(opens=time(21), closes=time(23)), now) is None


moments = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone comes apart
rules = st.builds(
    CallingHours,
    opens=st.times(),
    closes=st.times(),
    weekdays=st.frozensets(st.integers(0, 6)),
    on_holidays=st.booleans(),
    bound=st.sampled_from([None, (time(8), time(21))]),
)


@given(rules, moments)
def test_R_PJ_5_the_next_opening_is_open_and_the_instant_before_it_is_not(
    rules: CallingHours, moment: datetime
) -> None:
    opening = next_opening(rules, moment)
    if opening is None:
        assert hours_verdict(rules, moment) is not HoursVerdict.OPEN
        return
    assert opening >= moment
    assert hours_verdict(rules, opening) is HoursVerdict.OPEN
    if opening > moment:
        before = opening - timedelta(microseconds=1)
        assert hours_verdict(rules, before) is not HoursVerdict.OPEN


def test_R_PJ_5_a_day_is_a_day_of_the_sites_zone() -> None:
    assert site_day(datetime(2026, 11, 22, 14, 59, 59, tzinfo=UTC)) == date(2026, 11, 22)
    assert site_day(datetime(2026, 11, 22, 15, 0, tzinfo=UTC)) == date(2026, 11, 23)
    honolulu = ZoneInfo("Pacific/Honolulu")
    assert site_day(datetime(2026, 11, 22, 9, 0, tzinfo=UTC), honolulu) == date(2026, 11, 21)
