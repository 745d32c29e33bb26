"""Excel's number formats, as far as lists of customers use them: 000-0000, #,##0, 0%, yyyy年m月d日.

Without them the postal code 025-0022 arrives as 250022. What is not understood gives None, and the
caller shows the plain value.
"""

import datetime
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Final

# Formats that Excel knows by number alone and that change what is shown; dates as in Japan.
BUILT_IN: Final = {
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    14: "yyyy/m/d",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy/m/d h:mm",
    30: "m/d/yy",
    31: "yyyy年m月d日",
    32: "h時mm分",
    33: "h時mm分ss秒",
    55: "yyyy年m月",
    56: "m月d日",
    37: "#,##0",
    38: "#,##0",
    39: "#,##0.00",
    40: "#,##0.00",
}

# Beyond fifteen digits Excel itself shows something else.
_LARGEST: Final = 1e15
_SECTION: Final = re.compile(r'((?:"[^"]*"|\\.|[^;"\\])*)(?:;|\Z)')
_CONDITION: Final = re.compile(r"\[(<=|>=|<>|<|>|=)(-?[0-9.]+)\]")
_BRACKETS: Final = re.compile(r"\[[^\]]*\]")
_TOKEN: Final = re.compile(r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|[_*].|(?P<sign>.)', re.DOTALL)
_CODE_LETTER: Final = re.compile(r"[A-Za-z@]")
_DATE_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|(?P<code>y+|m+|d+|h+|s+|a{3,4})|(?P<sign>.)', re.DOTALL
)
_WEEKDAYS: Final = "月火水木金土日"
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "=": lambda a, b: a == b,
}


@lru_cache(maxsize=512)
def _sections(code: str) -> tuple[str, ...]:
    found = [match[1] for match in _SECTION.finditer(code)]
    return tuple(found[:-1] if len(found) > 1 and not found[-1] else found)


def shown_number(code: str, value: float) -> str | None:
    """A number under a format code as Excel shows it, or None where the code is not understood."""
    sections = _sections(code)
    if not code or not sections or not abs(value) < _LARGEST:  # NaN is not less either
        return None
    section, negative = _choose(sections, value)
    section = _BRACKETS.sub("", section)
    shown = _fill(section, abs(value))
    return None if shown is None else ("-" if negative else "") + shown


def _choose(sections: tuple[str, ...], value: float) -> tuple[str, bool]:
    """The section for a value, and whether its sign has to be written."""
    if any(_CONDITION.search(section) for section in sections):
        for section in sections:
            condition = _CONDITION.search(section)
            if condition is None or _COMPARE[condition[1]](value, float(condition[2])):
                return section, value < 0
        return sections[-1], value < 0
    if value < 0 and len(sections) > 1:
        return sections[1], False
    if value == 0 and len(sections) > 2:
        return sections[2], False
    return sections[0], value < 0


def _tokens(section: str) -> list[tuple[bool, str]] | None:
    """Pairs of (is a sign of the format, text); None for codes that are not understood."""
    tokens = []
    for match in _TOKEN.finditer(section):
        if match["quoted"] is not None or match["escaped"] is not None:
            tokens.append((False, match["quoted"] or match["escaped"] or ""))
        elif match["sign"] is not None:
            sign = match["sign"]
            if _CODE_LETTER.match(sign) or sign == "/":  # a fraction
                return None
            tokens.append((sign in "0#?.,%", sign))
    return tokens


def _fill(section: str, value: float) -> str | None:
    tokens = _tokens(section)
    if tokens is None:
        return None
    signs = "".join(text for is_sign, text in tokens if is_sign)
    whole, _, decimals = signs.replace("%", "").partition(".")
    if not signs:  # words only: ;;"なし"
        return "".join(text for _, text in tokens)
    decimals_understood = re.fullmatch(r"[0#?]{0,10}", decimals)
    if not re.fullmatch(r"[0#?,]*[0#?]", whole) or not decimals_understood:
        return None
    number = Decimal(repr(value)) * (100 if "%" in signs else 1)
    number = number.quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP)
    digits, _, fraction = f"{number:f}".partition(".")
    kept = len(decimals.rstrip("#?"))
    fraction = fraction[:kept] + fraction[kept:].rstrip("0")
    if "," in whole:
        return _with_commas(tokens, digits.zfill(whole.count("0")), fraction)
    return _in_places(tokens, digits.lstrip("0"), fraction)


def _with_commas(tokens: list[tuple[bool, str]], digits: str, fraction: str) -> str:
    body = f"{int(digits):,}" + (f".{fraction}" if fraction else "")
    out, placed = [], False
    for is_sign, text in tokens:
        if not is_sign or text == "%":
            out.append(text)
        elif not placed:
            out.append(body)
            placed = True
    return "".join(out)


def _in_places(tokens: list[tuple[bool, str]], digits: str, fraction: str) -> str:
    point = next((i for i, token in enumerate(tokens) if token == (True, ".")), len(tokens))
    places = [i for i in range(point) if tokens[i][0] and tokens[i][1] in "0#?"]
    out: list[str] = []
    left = digits
    for i in range(point - 1, -1, -1):
        is_sign, text = tokens[i]
        if not is_sign or text == "%":
            out.append(text)
        elif i == places[0]:
            out.append(left or {"0": "0", "?": " "}.get(text, ""))
        elif i in places:
            out.append(left[-1:] or {"0": "0", "?": " "}.get(text, ""))
            left = left[:-1]
    tail = "".join(text for is_sign, text in tokens[point:] if not is_sign or text == "%")
    return "".join(reversed(out)) + (f".{fraction}" if fraction else "") + tail


def shown_date(code: str, value: datetime.datetime | datetime.date | datetime.time) -> str | None:
    """A date or time under a format code, or None where the code is not understood."""
    section = _BRACKETS.sub("", _sections(code)[0]) if _sections(code) else ""
    if "[h" in code.lower() or "[m" in code.lower() or re.search(r"[ge]|AM|午", section):
        return None
    tokens = list(_DATE_TOKEN.finditer(section.lower()))
    codes = [match["code"] for match in tokens]
    out = []
    for i, match in enumerate(tokens):
        part = match["code"]
        if part is None:
            text = match["quoted"] or match["escaped"] or match["sign"] or ""
            if _CODE_LETTER.match(match["sign"] or ""):
                return None
            out.append(text)
            continue
        before = next((c for c in reversed(codes[:i]) if c), "")
        after = next((c for c in codes[i + 1 :] if c), "")
        if part in ("m", "mm") and (before.startswith("h") or after.startswith("s")):
            part = part.replace("m", "n")
        shown = _date_part(part, value)
        if shown is None:
            return None
        out.append(shown)
    return "".join(out) if any(codes) else None


def _date_part(part: str, value: datetime.datetime | datetime.date | datetime.time) -> str | None:
    names = {"y": "year", "m": "month", "d": "day", "h": "hour", "n": "minute", "s": "second"}
    if part.startswith("a"):
        if not isinstance(value, datetime.date):
            return None
        return _WEEKDAYS[value.weekday()] + ("曜日" if part == "aaaa" else "")
    number = getattr(value, names[part[0]], None)
    if number is None or len(part) > (4 if part[0] == "y" else 2):
        return None
    if part[0] == "y":
        return f"{number:04}" if len(part) > 2 else f"{number % 100:02}"
    return f"{number:0{len(part)}}"
