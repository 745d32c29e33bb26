"""Looking for a number by what a person typed of it: one rule on every page (R-LS-10, R-HS-1).

A whole number is looked for as it is, by its index; three digits and more anywhere in it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, false

from calltree.text.phones import digits_fragment

FULL_NUMBER = 10
"""So many digits, the first a 0, are a whole number."""


def finds(number: Any, given: str) -> ColumnElement[bool]:
    """Condition on a column of numbers; too little to look for finds nothing, not everything."""
    digits = digits_fragment(given)
    return holds(number, digits) if digits else false()


def holds(number: Any, digits: str) -> ColumnElement[bool]:
    """Condition on a column of numbers, for digits as `digits_fragment` reads them."""
    if is_whole(digits):
        return number == digits  # type: ignore[no-any-return] # a column's ==
    return number.contains(digits, autoescape=True)  # type: ignore[no-any-return] # as above


def is_whole(digits: str) -> bool:
    """Whether nothing is missing of the number."""
    return len(digits) >= FULL_NUMBER and digits.startswith("0")
