"""Opening hours as people write them (R-IN-1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.opening import ALL_DAY, OpeningError, read_opening, write_opening


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("9:00-18:00", "09:00-18:00"),
        ("９：００～１８：００", "09:00-18:00"),
        ("9時〜18時", "09:00-18:00"),
        ("9時30分から17時まで", "09:30-17:00"),
        ("9-12、13-18", "09:00-12:00 13:00-18:00"),
        ("13:00-18:00 9:00-12:00", "09:00-12:00 13:00-18:00"),
        ("9:00 - 12:00, 12:00 - 18:00", "09:00-12:00 12:00-18:00"),
        ("18:00-24:00", "18:00-24:00"),
        ("24時間", "00:00-24:00"),
        ("", ""),
        ("休み", ""),
    ],
)
def test_R_IN_1_hours_are_read_as_people_write_them(text: str, written: str) -> None:
    assert write_opening(read_opening(text)) == written


@pytest.mark.parametrize(
    ("text", "code", "piece"),
    [
        ("18:00-9:00", "opening_reversed", "18:00-9:00"),
        ("9:00-9:00", "opening_reversed", "9:00-9:00"),
        ("9:60-18:00", "opening_unreadable", "9:60-18:00"),
        ("9:00-24:01", "opening_unreadable", "9:00-24:01"),
        ("9:00", "opening_unreadable", "9:00"),
        ("朝から夕方", "opening_unreadable", "朝-夕方"),
        ("9-13, 12-18", "opening_overlap", "9-13, 12-18"),
        ("1-2 3-4 5-6 7-8 9-10", "opening_unreadable", "1-2 3-4 5-6 7-8 9-10"),
    ],
)
def test_R_IN_1_hours_that_cannot_be_are_named(text: str, code: str, piece: str) -> None:
    with pytest.raises(OpeningError) as refused:
        read_opening(text)
    assert (refused.value.code, refused.value.text) == (code, piece)


_CUTS = st.lists(st.integers(0, 1440), min_size=2, max_size=8, unique=True).map(sorted)


@given(_CUTS)
def test_R_IN_1_what_is_written_is_read_back(cuts: list[int]) -> None:
    spans = tuple(zip(cuts[0::2], cuts[1::2], strict=False))
    assert read_opening(write_opening(spans)) == spans
    assert read_opening(write_opening(ALL_DAY)) == ALL_DAY
