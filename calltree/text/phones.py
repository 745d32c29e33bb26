"""Telephone numbers as people write them, in the one form that is dialled and matched (R-LS-5).

The normal form is national digits: ``"0312345678"``. What was typed is kept beside it by the
caller. Nothing here knows a customer, a list or the do-not-call list.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers

from calltree.text.folding import strip_invisible


class Reason(StrEnum):
    """Why a cell is not one number that may be dialled."""

    EMPTY = "empty"
    TWO_OR_MORE = "two_or_more"
    NO_AREA_CODE = "no_area_code"
    WRONG_LENGTH = "wrong_length"
    EXPONENT = "exponent"
    EXTENSION = "extension"
    NOT_ALLOWED = "not_allowed"


class NoteCode(StrEnum):
    """What was done to a cell before it became a number."""

    TRIMMED = "trimmed"
    LABEL_DROPPED = "label_dropped"
    ZERO_RESTORED = "zero_restored"
    COUNTRY_CODE_REMOVED = "country_code_removed"
    DECIMAL_REMOVED = "decimal_removed"
    REPEATED = "repeated"


class DialVerdict(StrEnum):
    """Whether a number may leave for the network (R-CL-16)."""

    ALLOWED = "allowed"
    NOT_DIGITS = "not_digits"
    EMERGENCY = "emergency"
    SHORT_CODE = "short_code"
    INTERNATIONAL = "international"
    PREFIX_NOT_ALLOWED = "prefix_not_allowed"
    WRONG_LENGTH = "wrong_length"


class PrefixVerdict(StrEnum):
    """Whether a manager may add a prefix."""

    ALLOWED = "allowed"
    NOT_DIGITS = "not_digits"
    EMERGENCY = "emergency"
    INTERNATIONAL = "international"
    NOT_NATIONAL = "not_national"
    WRONG_LENGTH = "wrong_length"


@dataclass(frozen=True, slots=True)
class Note:
    """Something reported about a cell that was understood; text is what was dropped, if any."""

    code: NoteCode
    text: str = ""


@dataclass(frozen=True, slots=True)
class Phone:
    """A cell that is one number."""

    given: str
    number: str
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A cell that is not. ``found``: the whole numbers seen in it, normal form, in order."""

    reason: Reason
    given: str
    found: tuple[str, ...] = ()


EMERGENCY: Final = frozenset({"110", "118", "119"})

# Services behind a geographic look: 0570 ナビダイヤル, 0990 paid information, 0180 mass calls,
# 0170 and 0190 message services, 0910 personal numbers.
_SERVICE_PREFIXES: Final = ("0570", "0990", "0180", "0170", "0190", "0910")
_ELEVEN_DIGIT_PREFIXES: Final = ("050", "070", "080", "090")
_NATIONAL: Final = re.compile(r"0[0-9]{9,10}\Z")
_ALLOWED_BY_DEFAULT: Final = re.compile(
    rf"(?:0[5789]0[0-9]{{8}}|(?!{'|'.join(_SERVICE_PREFIXES)})0[1-9][1-9][0-9]{{7}})\Z"
)

# Every sign seen in place of a hyphen.
_HYPHENS: Final = (
    "-\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2500\u2501\u2574\u2796\ufe58\ufe63"
    "\uff0d\u02d7\u2e3a\u2e3b\u00af\u203e\uffe3\u00ad\u1806\u05be\u30a0"
)
_WAVES: Final = "~\u301c\uff5e\u223c\u02dc\u223e"
_UNIFY: Final = {
    **dict.fromkeys(map(ord, _HYPHENS), "-"),
    **dict.fromkeys(map(ord, _WAVES), "~"),
    # ① and its like enumerate numbers; NFKC would glue the 1 to the digits that follow.
    **dict.fromkeys([*range(0x2460, 0x249C), *range(0x24EA, 0x2500), *range(0x2776, 0x2794)], "、"),
}
# ー is also the long vowel of a label (センター), 一 the kanji for one: hyphens only in a number.
_KANA_HYPHEN: Final = re.compile(r"(?<=[0-9)\]\s])[ー一〰]+(?=[0-9(\[\s])")
_PLAIN: Final = re.compile(r"0[0-9]{1,4}-?[0-9]{1,4}-?[0-9]{3,4}\Z")
_EXPONENT: Final = re.compile(r"\A[0-9](?:\.[0-9]*)?[eE]\+?[0-9]{1,2}\Z")
_DECIMAL: Final = re.compile(r"(\+?[0-9]{7,15})\.0+\Z")
_EXTENSION: Final = re.compile(
    r"内線|[0-9]\D{0,3}?(?:内\D{0,2}|ext(?:ension)?\W{0,3}|x\s*|#\s*)[0-9]{1,6}",
    re.IGNORECASE,
)
# Digits joined by what people put inside one number; anything else parts two candidates.
_RUN: Final = re.compile(r"\+?[0-9(\[][-0-9()\[\]~. ]*")
# What stands between a number and the written end of the next: 03-1234-5678・5679
_AND: Final = re.compile(r"[\s]*(?:[・/、,;&~と]|または|又は|or)[\s]*\Z", re.IGNORECASE)
_PUNCTUATION_ONLY: Final = re.compile(r"[-+0-9()\[\]~. ・·/_:、,]+\Z")
_SHORT_CODE: Final = re.compile(r"1[0-9]{2}\Z")
_GROUPS: Final = re.compile(r"\+?[0-9]+")
_LABEL_EDGES: Final = " \t\r\n-~:;,.、。・/|()[]{}<>「」『』【】〔〕*_=\"'"


def normalise(cell: str, extra_prefixes: Collection[str] = ()) -> Phone | Rejected:
    """Read one cell as one number.

    ``extra_prefixes`` are those a manager has added (R-CL-16). A label beside the number is dropped
    and noted; a second number, an extension or a number that may not be dialled rejects the cell.
    Never raises.
    """
    if _PLAIN.match(cell):  # four cells of five; the long way round costs twenty times as much
        number = cell.replace("-", "")
        if _ALLOWED_BY_DEFAULT.match(number):
            return Phone(cell, number)
    return _read_slowly(cell, extra_prefixes)


def _read_slowly(cell: str, extra_prefixes: Collection[str]) -> Phone | Rejected:
    text = _unified(cell)
    notes: list[Note] = []
    if text.strip() != text:
        notes.append(Note(NoteCode.TRIMMED))
        text = text.strip()
    if not any(c in "0123456789" for c in text):
        return Rejected(Reason.EMPTY, cell)
    if _EXPONENT.match(text):
        return Rejected(Reason.EXPONENT, cell)
    decimal = _DECIMAL.match(text)
    if decimal:
        notes.append(Note(NoteCode.DECIMAL_REMOVED))
        text = decimal[1]

    found = list(_numbers_in(text, extra_prefixes))
    distinct = tuple(dict.fromkeys(found))
    if _EXTENSION.search(text):
        return Rejected(Reason.EXTENSION, cell, distinct[:1])
    if len(distinct) > 1:
        return Rejected(Reason.TWO_OR_MORE, cell, distinct)
    digits = "".join(c for c in text if c in "0123456789")
    read = _read_digits(_plus(text) + digits, extra_prefixes)
    if read is not None and (found or _PUNCTUATION_ONLY.match(text)):
        number, done = read
        if done is not None:
            notes.append(Note(done))
    elif len(found) > 1:  # the same number twice
        number = found[0]
        notes.append(Note(NoteCode.REPEATED))
    else:  # no number, or one with digits left over that belong to nothing
        return Rejected(_why_not(digits, text, extra_prefixes), cell, distinct)
    label = _label(text)
    if label:
        notes.append(Note(NoteCode.LABEL_DROPPED, label))
    return Phone(cell, number, tuple(notes))


def _unified(cell: str) -> str:
    text = unicodedata.normalize("NFKC", strip_invisible(cell.translate(_UNIFY)))
    return _KANA_HYPHEN.sub("-", text.translate(_UNIFY))  # NFKC makes hyphens of its own


def _plus(text: str) -> str:
    first = re.search(r"[0-9]", text)
    return "+" if first and "+" in text[: first.start()] else ""


def _read_digits(
    digits: str, extra_prefixes: Collection[str]
) -> tuple[str, NoteCode | None] | None:
    """The national number that these digits are, and what had to be done; None if they are none."""

    def allowed(number: str) -> bool:
        return may_dial(number, extra_prefixes) is DialVerdict.ALLOWED

    if allowed(digits):
        return digits, None
    for country_code in ("+81", "0081", "81"):
        if digits.startswith(country_code):
            number = "0" + digits.removeprefix(country_code).removeprefix("0")
            if allowed(number):
                return number, NoteCode.COUNTRY_CODE_REMOVED
    if digits[:1] not in "+0" and allowed("0" + digits):
        return "0" + digits, NoteCode.ZERO_RESTORED
    return None


def _numbers_in(text: str, extra_prefixes: Collection[str]) -> Iterator[str]:
    previous = ""
    end = 0
    for match in _RUN.finditer(text):
        run, between = match[0], text[end : match.start()]
        end = match.end()
        groups = _GROUPS.findall(run)
        if not groups:
            continue
        whole = _read_digits("".join(groups), extra_prefixes)
        if whole is not None:
            previous = whole[0]
            yield previous
            continue
        tail = groups[0]
        if previous and len(groups) == 1 and len(tail) <= 4 and _AND.match(between):
            yield previous[: -len(tail)] + tail
            continue
        for number in _numbers_in_groups(groups, extra_prefixes):
            previous = number
            yield number
        waved = re.search(r"[0-9] ?~ ?([0-9]{1,4})\Z", run.rstrip(" -."))
        if waved and previous:
            yield previous[: -len(waved[1])] + waved[1]


def _numbers_in_groups(groups: list[str], extra_prefixes: Collection[str]) -> Iterator[str]:
    """Two numbers with nothing but a blank between them: 03-1234-5678 090-1234-5678."""
    start = 0
    while start < len(groups):
        for end in range(start + 1, min(start + 6, len(groups)) + 1):
            joined = "".join(groups[start:end])
            # Only with its 0 or country code: any nine digits could be a number without its 0.
            read = _read_digits(joined, extra_prefixes) if joined[0] in "0+" else None
            if read is not None:
                yield read[0]
                start = end
                break
        else:
            start += 1


def _why_not(digits: str, text: str, extra_prefixes: Collection[str]) -> Reason:
    if _plus(text) and not digits.startswith("81"):
        return Reason.NOT_ALLOWED
    if digits.startswith(("184", "186")) and len(digits) > 10:  # 非通知 and 通知 in front
        return Reason.NOT_ALLOWED
    if len(digits) <= 4 and re.search(r"[^\W\d_]", text):  # a mail address, a remark
        return Reason.EMPTY
    if not digits.startswith("0"):
        if _SHORT_CODE.match(digits):
            return Reason.NOT_ALLOWED
        if 5 <= len(digits) <= 8:
            return Reason.NO_AREA_CODE
        if len(digits) in (9, 10) and _refused_as_such("0" + digits, extra_prefixes):
            return Reason.NOT_ALLOWED
        return Reason.WRONG_LENGTH
    return Reason.NOT_ALLOWED if _refused_as_such(digits, extra_prefixes) else Reason.WRONG_LENGTH


def _refused_as_such(digits: str, extra_prefixes: Collection[str]) -> bool:
    verdict = may_dial(digits, extra_prefixes)
    return verdict in (DialVerdict.PREFIX_NOT_ALLOWED, DialVerdict.INTERNATIONAL)


def _label(text: str) -> str:
    rest = re.sub(r"[-+0-9()\[\]~. ]*[0-9][-0-9()\[\]~. ]*", " ", text)
    parts = [part.strip(_LABEL_EDGES) for part in rest.split()]
    return " ".join(part for part in parts if part)


def may_dial(number: str, extra_prefixes: Collection[str] = ()) -> DialVerdict:
    """Whether a number in normal form may leave for the network (R-CL-16).

    Allowed are 0AB-J, 050, 070/080/090, 0120, 0800 and a manager's own prefixes; for every path,
    extra numbers, transfer and forward targets alike. Emergency numbers never, whatever was added.
    """
    if _ALLOWED_BY_DEFAULT.match(number):
        return DialVerdict.ALLOWED
    if not (number.isascii() and number.isdigit()):
        return DialVerdict.NOT_DIGITS
    if number in EMERGENCY:
        return DialVerdict.EMERGENCY
    if not number.startswith("0"):
        return DialVerdict.SHORT_CODE if len(number) <= 4 else DialVerdict.PREFIX_NOT_ALLOWED
    if number.startswith(("00", "010")):
        return DialVerdict.INTERNATIONAL
    if not (_allowed_by_default(number) or number.startswith(tuple(extra_prefixes))):
        return DialVerdict.PREFIX_NOT_ALLOWED
    # 0A0 numbers have eleven digits, all others ten.
    length = 11 if number[2:3] == "0" else 10
    return DialVerdict.ALLOWED if len(number) == length else DialVerdict.WRONG_LENGTH


def _allowed_by_default(number: str) -> bool:
    if number[2:3] == "0":
        return number.startswith(_ELEVEN_DIGIT_PREFIXES)
    return not number.startswith(_SERVICE_PREFIXES)


def may_add_prefix(prefix: str) -> PrefixVerdict:
    """Whether a manager may allow numbers that begin with this (R-CL-16): three to seven digits."""
    if not (prefix.isascii() and prefix.isdigit()):
        return PrefixVerdict.NOT_DIGITS
    if prefix.startswith(tuple(EMERGENCY)) or any(e.startswith(prefix) for e in EMERGENCY):
        return PrefixVerdict.EMERGENCY
    if prefix.startswith(("00", "010")):
        return PrefixVerdict.INTERNATIONAL
    if not prefix.startswith("0"):
        return PrefixVerdict.NOT_NATIONAL
    return PrefixVerdict.ALLOWED if 3 <= len(prefix) <= 7 else PrefixVerdict.WRONG_LENGTH


def format_national(number: str) -> str:
    """Normal form with hyphens where Japan puts them: ``"03-1234-5678"``.

    What is not a national number comes back as it is. Grouping source: phonenumbers' JP metadata.
    """
    if not _NATIONAL.match(number):
        return number
    area, exchange = _group_lengths(number[:_TELLING_DIGITS], len(number))
    if not area:
        return number
    return f"{number[:area]}-{number[area:exchange]}-{number[exchange:]}"


def _groupings() -> list[tuple[re.Pattern[str], re.Pattern[str], int]]:
    """Leading digits and whole pattern, without the 0, and count of groups, in the order tried."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("JP")
    return [
        (
            re.compile(form.leading_digits_pattern[-1]),
            re.compile(rf"(?:{form.pattern})\Z"),
            str(form.format).count("-") + 1,
        )
        for form in (metadata.number_format if metadata else [])
        if form.national_prefix_formatting_rule
    ]


_GROUPINGS: Final = _groupings()
# No leading digits pattern of a number with a 0 looks further than five digits behind it.
_TELLING_DIGITS: Final = 6


@lru_cache(maxsize=65536)
def _group_lengths(head: str, length: int) -> tuple[int, int]:
    """Where the second and the third group begin; zeros where there are no three groups.

    The grouping hangs on the first digits alone: exports format hundreds of thousands, and
    phonenumbers' own formatting takes 40 µs for each.
    """
    national = head[1:].ljust(length - 1, "0")
    for leading, whole, groups in _GROUPINGS:
        found = whole.match(national) if leading.match(national) else None
        if found:
            return (found.end(1) + 1, found.end(2) + 1) if groups == 3 else (0, 0)
    return (0, 0)


def digits_fragment(text: str) -> str | None:
    """The digits by which numbers are searched, or None when this is no piece of a number.

    At least three digits, with anything that people put inside numbers between them; +81 becomes 0.
    """
    compact = re.sub(r"[-\s()~.ー]", "", _unified(text))
    if compact.startswith("+81"):
        compact = "0" + compact.removeprefix("+81").removeprefix("0")
    return compact if re.fullmatch(r"[0-9]{3,15}", compact) else None
