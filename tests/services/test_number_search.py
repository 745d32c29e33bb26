"""R-HS-1, R-LS-10: whatever page looks for a number, the same typing finds the same numbers."""

import pytest
from sqlalchemy import String, literal, select

from calltree.db import Store
from calltree.services import number_search


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("0312345678", True),
        ("03-1234-5678", True),
        ("０３（１２３４）５６７８", True),
        ("+81 3-1234-5678", True),
        ("312345678", True),
        ("345", True),
        ("5678", True),
        ("031234567", True),
        ("03123456780", False),
        ("0412345678", False),
        ("45", False),
        ("", False),
        ("%%%", False),
        ("山田", False),
    ],
)
def test_R_HS_1_a_number_is_found_whole_or_by_three_digits(
    store: Store, given: str, found: bool
) -> None:
    number = literal("0312345678", String)
    with store.read() as session:
        row = session.scalar(select(1).where(number_search.finds(number, given)))
    assert (row is not None) is found
