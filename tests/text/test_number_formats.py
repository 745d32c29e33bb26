"""Numbers and dates as displayed: R-LS-4."""

from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.number_formats import shown_date, shown_number

POSTAL = "[<=999]000;[<=9999]000-00;000-0000"
TELEPHONE = r"[<=99999999]####\-####;\(00\)\ ####\-####"


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("000-0000", 250022, "025-0022"),
        (r"000\-0000", 4250022, "425-0022"),
        (POSTAL, 250022, "025-0022"),
        (POSTAL, 25, "025"),
        (TELEPHONE, 312345678, "(03) 1234-5678"),
        (TELEPHONE, 12345678, "1234-5678"),
        ("0000000000", 312345678, "0312345678"),
        ("00000", 1234567, "1234567"),
        ("0", 1.5, "2"),
        ("0.00", 1.005, "1.01"),
        ("#,##0", 1234567, "1,234,567"),
        ("#,##0", -1234, "-1,234"),
        ("#,##0;[Red]▲#,##0", -1234, "▲1,234"),
        ("#,##0;△#,##0;-", 0, "-"),
        ("¥#,##0", 500, "¥500"),
        ('#,##0"円"', 1200, "1,200円"),
        ('0"名"', 40, "40名"),
        ("0%", 0.5, "50%"),
        ("0.0%", 0.123, "12.3%"),
        ("0.##", 1.5, "1.5"),
        ("#,##0_ ", 12, "12"),
        ("General", 1, None),
        ("@", 1, None),
        ("0.00E+00", 1, None),
        ("", 1, None),
        ("# ?/?", 0.5, None),
        ("0", 1e28, None),
        ("0." + "0" * 100, 1, None),
        ("0", float("nan"), None),
        ("0", float("-inf"), None),
    ],
)
def test_R_LS_4_numbers_are_shown_in_their_format(
    code: str, value: float, shown: str | None
) -> None:
    assert shown_number(code, value) == shown


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("yyyy/mm/dd", datetime(2026, 1, 5), "2026/01/05"),  # noqa: DTZ001 - a cell has no zone
        ('yyyy"年"m"月"d"日"', date(2026, 1, 5), "2026年1月5日"),
        ("yyyy年m月d日(aaa)", date(2026, 1, 5), "2026年1月5日(月)"),
        (r"yyyy\-mm\-dd\ hh:mm:ss", datetime(2026, 1, 5, 4, 3, 2), "2026-01-05 04:03:02"),  # noqa: DTZ001 - a cell has no zone
        ("m/d/yy", date(2026, 1, 5), "1/5/26"),
        ("h:mm", time(9, 5), "9:05"),
        ("mm:ss", time(9, 5, 7), "05:07"),
        ("[$-411]yyyy/m/d;@", date(2026, 1, 5), "2026/1/5"),
        ("[$-411]ggge年m月d日", date(2026, 1, 5), None),
        ("[h]:mm", time(9, 5), None),
        ("yyyy/m/d", time(9, 5), None),
        ("General", date(2026, 1, 5), None),
    ],
)
def test_R_LS_4_dates_are_shown_in_their_format(
    code: str, value: date | time, shown: str | None
) -> None:
    assert shown_date(code, value) == shown


@given(
    st.text(alphabet='0#?.,%-()[]<=>;"\\_*ymdhsaE @円$9', max_size=20),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
def test_R_LS_4_no_format_of_a_hostile_workbook_raises(code: str, value: float) -> None:
    assert isinstance(shown_number(code, value), str | None)
    assert isinstance(shown_date(code, date(2026, 1, 5)), str | None)


@given(st.integers(0, 9_999_999))
def test_R_LS_4_a_postal_code_keeps_its_seven_digits(number: int) -> None:
    assert shown_number("000-0000", number) == f"{number:07}"[:3] + "-" + f"{number:07}"[3:]
