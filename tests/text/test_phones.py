"""Telephone numbers as people write them: R-LS-5, R-LS-10 and R-CL-16."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.phones import (
    DialVerdict,
    Note,
    NoteCode,
    Phone,
    PrefixVerdict,
    Reason,
    Rejected,
    digits_fragment,
    format_national,
    may_add_prefix,
    may_dial,
    normalise,
)

GEOGRAPHIC = st.from_regex(
    r"(?!0570|0990|0180|0170|0190|0910)0[1-9][1-9][0-9]{7}", fullmatch=True
).filter(str.isascii)
ELEVEN_DIGITS = st.from_regex(r"0[5789]0[0-9]{8}", fullmatch=True).filter(str.isascii)
NUMBERS = st.one_of(GEOGRAPHIC, ELEVEN_DIGITS)

HYPHENS = [*"-ー‐－−–—―‑─ｰ一 　.", " - "]
FULL_WIDTH = str.maketrans("0123456789+()", "０１２３４５６７８９＋（）")


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """A number, and one of the ways R-LS-5 says it may be written."""
    number = draw(NUMBERS)
    groups = format_national(number).split("-")
    prefix = draw(st.sampled_from(["0", "0", "", "+81", "0081", "81", "+81 ", "+81-", "+81(0)"]))
    groups = [prefix + groups[0][1:], *groups[1:]]
    if draw(st.booleans()) and prefix == "0":
        groups[0] = f"({groups[0]})"
        text = groups[0] + draw(st.sampled_from(HYPHENS)).join(groups[1:])
    else:
        text = draw(st.sampled_from([*HYPHENS, ""])).join(groups)
    if draw(st.booleans()):
        text = text.translate(FULL_WIDTH)
    around = draw(
        st.sampled_from(
            [
                "{}",
                " {} ",
                "　{}",
                "(代){}",
                "{}㈹",
                "TEL:{}",
                "電話 {}",
                "{}（自宅）",
                "\u200b{}\ufeff",
            ]
        )
    )
    return number, around.format(text)


@given(spellings())
def test_R_LS_5_every_spelling_meets_in_one_normal_form(case: tuple[str, str]) -> None:
    number, text = case
    result = normalise(text)
    assert isinstance(result, Phone), (text, result)
    assert result.number == number
    assert result.given == text


@pytest.mark.parametrize(
    ("cell", "number", "notes"),
    [
        ("03-1234-5678", "0312345678", ()),
        ("312345678", "0312345678", (Note(NoteCode.ZERO_RESTORED),)),
        ("9012345678", "09012345678", (Note(NoteCode.ZERO_RESTORED),)),
        ("+81312345678", "0312345678", (Note(NoteCode.COUNTRY_CODE_REMOVED),)),
        (
            "312340001.0",
            "0312340001",
            (Note(NoteCode.DECIMAL_REMOVED), Note(NoteCode.ZERO_RESTORED)),
        ),
        ("　03-1234-5678 ", "0312345678", (Note(NoteCode.TRIMMED),)),
        ("03-1234-5678㈹", "0312345678", (Note(NoteCode.LABEL_DROPPED, "代"),)),
        (
            "コールセンター：03ー1234ー5678",
            "0312345678",
            (Note(NoteCode.LABEL_DROPPED, "コールセンター"),),
        ),
        ("0312345678 0312345678", "0312345678", (Note(NoteCode.REPEATED),)),
        ("03・1234・5678", "0312345678", ()),
        ("03_1234_5678", "0312345678", ()),
        ("0800-123-4567", "08001234567", ()),
        ("0120-123-456", "0120123456", ()),
    ],
)
def test_R_LS_5_what_was_done_to_a_cell_is_reported(
    cell: str, number: str, notes: tuple[Note, ...]
) -> None:
    assert normalise(cell) == Phone(cell, number, notes)


@pytest.mark.parametrize(
    ("cell", "reason", "found"),
    [
        ("", Reason.EMPTY, ()),
        ("　", Reason.EMPTY, ()),
        ("なし", Reason.EMPTY, ()),
        ("-", Reason.EMPTY, ()),
        ("E-mail：tea88@example.jp", Reason.EMPTY, ()),
        (
            "03-1234-5678/090-1234-5678",
            Reason.TWO_OR_MORE,
            ("0312345678", "09012345678"),
        ),
        ("03-1234-5678 090-1234-5678", Reason.TWO_OR_MORE, ("0312345678", "09012345678")),
        ("03-1234-5678\n03-1234-5679", Reason.TWO_OR_MORE, ("0312345678", "0312345679")),
        ("TEL:03-1234-5678 FAX:03-1234-5679", Reason.TWO_OR_MORE, ("0312345678", "0312345679")),
        ("①03-1234-5678 ②090-1234-5678", Reason.TWO_OR_MORE, ("0312345678", "09012345678")),
        ("03-1234-5678・5679", Reason.TWO_OR_MORE, ("0312345678", "0312345679")),
        ("03-1234-5678～9", Reason.TWO_OR_MORE, ("0312345678", "0312345679")),
        ("1234-5678", Reason.NO_AREA_CODE, ()),
        ("234-5678", Reason.NO_AREA_CODE, ()),
        ("03-1234-567", Reason.WRONG_LENGTH, ()),
        ("090-1234-567", Reason.WRONG_LENGTH, ()),
        ("0312345678901", Reason.WRONG_LENGTH, ()),
        ("12", Reason.WRONG_LENGTH, ()),
        ("本社03-1234-5678(10時~18時)", Reason.WRONG_LENGTH, ("0312345678",)),
        ("9.01235E+09", Reason.EXPONENT, ()),
        ("３．１２Ｅ＋０８", Reason.EXPONENT, ()),
        ("03-1234-5678 内線12", Reason.EXTENSION, ("0312345678",)),
        ("03-1234-5678（内）12", Reason.EXTENSION, ("0312345678",)),
        ("03-1234-5678x12", Reason.EXTENSION, ("0312345678",)),
        ("03-1234-5678 ext. 12", Reason.EXTENSION, ("0312345678",)),
        ("110", Reason.NOT_ALLOWED, ()),
        ("104", Reason.NOT_ALLOWED, ()),
        ("0990-123-456", Reason.NOT_ALLOWED, ()),
        ("0570-001-234", Reason.NOT_ALLOWED, ()),
        ("570001234", Reason.NOT_ALLOWED, ()),
        ("020-1234-5678", Reason.NOT_ALLOWED, ()),
        ("+1-212-555-1234", Reason.NOT_ALLOWED, ()),
        ("010-1-212-555-1234", Reason.NOT_ALLOWED, ()),
        ("0033-1-212-555-1234", Reason.NOT_ALLOWED, ()),
        ("184-03-1234-5678", Reason.NOT_ALLOWED, ("0312345678",)),
    ],
)
def test_R_LS_5_each_rejection_has_its_own_reason(
    cell: str, reason: Reason, found: tuple[str, ...]
) -> None:
    assert normalise(cell) == Rejected(reason, cell, found)


@given(st.text(max_size=200))
def test_R_LS_5_no_cell_is_an_exception_and_a_number_may_always_be_dialled(cell: str) -> None:
    result = normalise(cell)
    assert result.given == cell
    if isinstance(result, Phone):
        assert may_dial(result.number) is DialVerdict.ALLOWED


@given(st.text(alphabet="0123456789-ー()+ /・~内線x.,eE①", max_size=40))
def test_R_LS_5_cells_of_the_signs_of_numbers_are_no_exception_either(cell: str) -> None:
    result = normalise(cell)
    numbers = [result.number] if isinstance(result, Phone) else list(result.found)
    assert all(number.isascii() and number.isdigit() for number in numbers)


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("0312345678", DialVerdict.ALLOWED),
        ("05012345678", DialVerdict.ALLOWED),
        ("07012345678", DialVerdict.ALLOWED),
        ("08012345678", DialVerdict.ALLOWED),
        ("09012345678", DialVerdict.ALLOWED),
        ("0120123456", DialVerdict.ALLOWED),
        ("08001234567", DialVerdict.ALLOWED),
        ("110", DialVerdict.EMERGENCY),
        ("118", DialVerdict.EMERGENCY),
        ("119", DialVerdict.EMERGENCY),
        ("117", DialVerdict.SHORT_CODE),
        ("177", DialVerdict.SHORT_CODE),
        ("104", DialVerdict.SHORT_CODE),
        ("0990123456", DialVerdict.PREFIX_NOT_ALLOWED),
        ("0570001234", DialVerdict.PREFIX_NOT_ALLOWED),
        ("06012345678", DialVerdict.PREFIX_NOT_ALLOWED),
        ("312345678", DialVerdict.PREFIX_NOT_ALLOWED),
        ("0033123456789", DialVerdict.INTERNATIONAL),
        ("010123456789", DialVerdict.INTERNATIONAL),
        ("031234567", DialVerdict.WRONG_LENGTH),
        ("03123456789", DialVerdict.WRONG_LENGTH),
        ("03-1234-5678", DialVerdict.NOT_DIGITS),
        ("０３１２３４５６７８", DialVerdict.NOT_DIGITS),
        ("0312345678\n", DialVerdict.NOT_DIGITS),
        ("", DialVerdict.NOT_DIGITS),
    ],
)
def test_R_CL_16_only_allowed_prefixes_are_dialled(number: str, verdict: DialVerdict) -> None:
    assert may_dial(number) is verdict


def test_R_CL_16_a_prefix_a_manager_added_is_dialled_and_an_emergency_number_never() -> None:
    assert may_dial("0570001234", ["0570"]) is DialVerdict.ALLOWED
    assert may_dial("06012345678", ["060"]) is DialVerdict.ALLOWED
    assert normalise("060-1234-5678", ["060"]) == Phone("060-1234-5678", "06012345678")
    for everything in (["1", "11", "110", "118", "119", "0", "00"],):
        assert may_dial("110", everything) is DialVerdict.EMERGENCY
        assert may_dial("119", everything) is DialVerdict.EMERGENCY
        assert may_dial("0033123456789", everything) is DialVerdict.INTERNATIONAL


@pytest.mark.parametrize(
    ("prefix", "verdict"),
    [
        ("0570", PrefixVerdict.ALLOWED),
        ("060", PrefixVerdict.ALLOWED),
        ("110", PrefixVerdict.EMERGENCY),
        ("11", PrefixVerdict.EMERGENCY),
        ("1", PrefixVerdict.EMERGENCY),
        ("1190", PrefixVerdict.EMERGENCY),
        ("104", PrefixVerdict.NOT_NATIONAL),
        ("00", PrefixVerdict.INTERNATIONAL),
        ("010", PrefixVerdict.INTERNATIONAL),
        ("0", PrefixVerdict.WRONG_LENGTH),
        ("", PrefixVerdict.NOT_DIGITS),
        ("０５７０", PrefixVerdict.NOT_DIGITS),
    ],
)
def test_R_CL_16_a_manager_never_adds_an_emergency_prefix(
    prefix: str, verdict: PrefixVerdict
) -> None:
    assert may_add_prefix(prefix) is verdict


@given(NUMBERS)
def test_R_LS_5_national_format_is_that_of_phonenumbers_and_reads_back(number: str) -> None:
    shown = format_national(number)
    assert shown.replace("-", "") == number
    parsed = phonenumbers.PhoneNumber(country_code=81, national_number=int(number))
    expected = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    if len(expected.split("-")) == 3:
        assert shown == expected


def test_R_LS_5_national_format_leaves_anything_else_alone() -> None:
    assert format_national("0312345678") == "03-1234-5678"
    assert format_national("0546292000") == "054-629-2000"
    assert format_national("110") == "110"
    assert format_national("anonymous") == "anonymous"


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("123", "123"),
        ("03-12", "0312"),
        ("０３−１２", "0312"),
        ("(03)1234", "031234"),
        ("+81-3-1234", "031234"),
        ("5678 ", "5678"),
        ("12", None),
        ("山田", None),
        ("03山田", None),
        ("", None),
        ("1' OR 1=1", None),
    ],
)
def test_R_LS_10_numbers_are_searched_by_three_digits_or_more(
    typed: str, digits: str | None
) -> None:
    assert digits_fragment(typed) == digits
