"""Tables going out: R-HS-4."""

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.sheets_out import CsvTable, Encoding, harmless, split_cell


def read(data: bytes, encoding: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline="")))


def written(rows: list[Sequence[object]], encoding: Encoding = Encoding.UTF_8_BOM) -> bytes:
    return b"".join(CsvTable(encoding).chunks(["a", "b"], rows))


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "=cmd|'/C calc'!A0",
        "+A1",
        "-A1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "　=1",
        "\ufeff=1",
        "\x1c=1",
        "\u2003@x",
        "＝1+A1",
        "＋A1",
        "－A1",
        "＠A1",
        "-1+1=",
        "+81 3 1234 5678 x",
    ],
)
def test_R_HS_4_what_a_spreadsheet_would_run_gets_a_leading_quote(cell: str) -> None:
    assert harmless(cell) == "'" + cell
    assert read(written([(cell, "x")]), "utf-8-sig")[1] == ["'" + cell, "x"]


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "03-1234-5678",
        "+81-3-1234-5678",
        "-5",
        "(03) 1234",
        "-",
        "－",
        " 03",
        "a=1",
        "1+1",
        "　氏",
    ],
)
def test_R_HS_4_numbers_and_plain_text_are_left_as_they_are(cell: str) -> None:
    assert harmless(cell) == cell


@given(st.text())
def test_R_HS_4_no_cell_begins_with_a_sign_unless_it_is_like_a_number(cell: str) -> None:
    first = harmless(cell).lstrip()[:1]
    if first and first in "=+-@＝＋－＠":
        assert not any(character.isalpha() for character in cell)
        assert "=" not in cell


def test_R_HS_4_rows_of_anything_are_written() -> None:
    assert read(written([(None, 5), ("=x", -5), (0, "")]), "utf-8-sig") == [
        ["a", "b"],
        ["", "5"],
        ["'=x", "-5"],
        ["0", ""],
    ]


def test_R_HS_4_utf_8_wears_a_bom_and_an_empty_table_has_its_header() -> None:
    assert written([]) == "\ufeffa,b\r\n".encode()
    assert written([], Encoding.CP932) == b"a,b\r\n"


def test_R_HS_4_impossible_characters_become_geta_and_are_counted() -> None:
    table = CsvTable(Encoding.CP932)
    data = b"".join(table.chunks(["名"], [["髙橋①〜−"], ["\U00020bb7野家😀"], ["〓か\u3099"]]))
    assert read(data, "cp932") == [["名"], ["髙橋①～－"], ["〓野家〓"], ["〓が"]]
    assert table.replaced == 2


def test_R_HS_4_rows_leave_in_batches() -> None:
    sizes = [
        chunk.count(b"\r\n") for chunk in CsvTable().chunks(["a"], ([str(i)] for i in range(1200)))
    ]
    assert sizes == [501, 500, 200]


@given(st.lists(st.tuples(st.text(), st.text()), max_size=20))
def test_R_HS_4_what_is_written_reads_back(rows: list[tuple[str, str]]) -> None:
    rows = [(a.replace("\ufeff", ""), b) for a, b in rows]
    expected = [[harmless(a), harmless(b)] for a, b in rows]
    assert read(written(list(rows)), "utf-8-sig")[1:] == expected


def test_R_HS_4_long_text_continues_in_the_next_cell_at_a_line_end() -> None:
    assert split_cell("") == [""]
    assert split_cell("a" * 32_766) == ["a" * 32_766]
    text = ("【2026/11/22 14:30 山田太郎 見込】" + "あ" * 300 + "\n") * 300
    pieces = split_cell(text)
    assert "".join(pieces) == text
    assert len(pieces) == 3
    assert all(len(harmless(piece)) <= 32_767 for piece in pieces)
    assert all(piece.endswith("\n") for piece in pieces)
    assert [len(piece) for piece in split_cell("a" * 70_000)] == [32_766, 32_766, 4_468]


@given(st.lists(st.tuples(st.text(alphabet='a,"\r\n ='), st.text()), min_size=1, max_size=20))
def test_R_HS_4_rows_are_written_byte_for_byte_as_csv_writer_does(
    rows: list[tuple[str, str]],
) -> None:
    expected = io.StringIO()
    csv.writer(expected).writerows([["a", "b"], *([harmless(a), harmless(b)] for a, b in rows)])
    assert written(list(rows)) == b"\xef\xbb\xbf" + expected.getvalue().encode("utf-8", "replace")


def test_R_HS_4_rows_of_one_cell_and_of_unequal_lengths_are_written() -> None:
    assert read(written([("",), ("x",)]), "utf-8-sig")[1:] == [[""], ["x"]]
    assert read(written([("=a",), ("x", "y", "z")]), "utf-8-sig")[1:] == [["'=a"], ["x", "y", "z"]]
