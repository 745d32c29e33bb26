"""Parts of the day and the next try in another one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.dayparts import another_part, part_of, tried_until
from calltree.text.days import TOKYO

THREE_HOURS = timedelta(hours=3)


def tokyo(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=TOKYO).astimezone(UTC)


@pytest.mark.parametrize(
    ("tried", "due"),
    [
        (tokyo(24, 10), tokyo(24, 13)),
        (tokyo(24, 14, 30), tokyo(24, 17, 30)),
        (tokyo(24, 13), tokyo(24, 17)),  # 16:00 is the same afternoon
        (tokyo(24, 18), tokyo(25, 0)),  # the evening is over; the gate keeps the night
    ],
)
def test_R_DL_5_no_answer_is_tried_again_in_another_part_of_the_day(
    tried: datetime, due: datetime
) -> None:
    assert another_part(tried, THREE_HOURS) == due


@given(st.integers(0, 366 * 24 * 60), st.integers(1, 2 * 24 * 60))
def test_R_DL_5_never_sooner_and_never_in_the_same_part(minute: int, minutes: int) -> None:
    tried = tokyo(1, 0) + timedelta(minutes=minute)
    after = timedelta(minutes=minutes)
    due = another_part(tried, after)
    assert tried + after <= due <= tried + after + timedelta(days=1)
    assert part_of(due) != part_of(tried)


@given(st.integers(0, 3 * 24 * 60), st.integers(0, 2 * 24 * 60), st.integers(1, 7 * 60))
def test_R_DL_5_who_was_tried_until_then_is_due_and_nobody_else(
    minute: int, later: int, minutes: int
) -> None:
    tried, after = tokyo(1, 0) + timedelta(minutes=minute), timedelta(minutes=minutes)
    now = tried + timedelta(minutes=later)
    assert (tried <= tried_until(now, after)) == (another_part(tried, after) <= now)
