"""Malformed and hostile uploads: a finding with a code, never an exception, never half a guess."""

import codecs
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.phones import normalise
from calltree.text.sheet_problems import Code, Severity
from calltree.text.sheets_out import CsvTable
from calltree.text.spreadsheets import CODECS, Sheet, open_sheet

FIELDS = [
    "0312345678",
    "",
    '"',
    '""',
    "'",
    ",",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\x00",
    "\x1a",
    "\x1b$B",
    "\ufeff",
    "\u202e",
    "\ud7ff",
    "😀",
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("http://example.jp")',
    "<script>alert(1)</script>",
    "</td><img src=x onerror=alert(1)>",
    "{{ 7*7 }}",
    "'; DROP TABLE customers; --",
    "api originate {a=b}sofia/gateway/x/0312345678 &system(id)",
    "0312345678\n\nexit\n\n",
    "${system(id)}",
    "0312345678,ignore_early_media=true",
    "sep=;",
    "x" * 40_000,
    "%s%n",
    "../../etc/passwd",
]


def check(path: Path) -> Sheet:
    """Open a file in every way there is and hold it to the promises of its reader."""
    sheet = open_sheet(path)
    rows = list(sheet.rows())
    assert sheet.refused == any(p.severity is Severity.REFUSED for p in sheet.problems)
    assert len(sheet.header) == len(sheet.columns) == len(sheet.proposed_header)
    assert all(isinstance(problem.code, Code) for problem in sheet.problems)
    if not sheet.refused:
        assert len(rows) == sheet.row_count
        assert len(set(sheet.header)) == len(sheet.header)
        assert "�" not in "".join(sheet.header)
    numbers = [number for number, _ in rows]
    assert numbers == sorted(set(numbers))
    for _, cells in rows:
        assert len(cells) == len(sheet.header)
        for cell in cells:
            assert "\0" not in cell
            assert "\r" not in cell
            normalise(cell)
    assert list(CsvTable().chunks(sheet.header, [cells for _, cells in rows]))
    return sheet


def mutations(seed: int) -> bytes:
    draw = random.Random(seed)
    delimiter = draw.choice(",,,\t;")
    line_end = draw.choice(["\r\n", "\n", "\r", "\n\r", ""])
    lines = [delimiter.join(["電話番号", *draw.choices(FIELDS[:12], k=draw.randrange(4))])]
    for _ in range(draw.randrange(12)):
        fields = [
            draw.choice(["{}", '"{}"', '"{}', '{}"']).format(draw.choice(FIELDS))
            for _ in range(draw.randrange(6))
        ]
        lines.append(delimiter.join(fields))
    text = line_end.join(lines)
    data = text.encode(draw.choice(["utf-8", "cp932", "euc_jp", "utf-16", "utf-16-le"]), "ignore")
    data = draw.choice([b"", b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE]) + data
    if draw.random() < 0.5 and data:  # damage: a byte changed, a piece lost
        at = draw.randrange(len(data))
        data = data[:at] + draw.randbytes(draw.randrange(3)) + data[at + draw.randrange(3) :]
    return data


@pytest.mark.parametrize("block", range(8))
def test_R_LS_4_five_hundred_malformed_tables_are_findings(tmp_path: Path, block: int) -> None:
    path = tmp_path / "malformed"
    outcomes = set()
    for seed in range(block * 64, block * 64 + 64):
        path.write_bytes(mutations(seed))
        outcomes.add(check(path).refused)
    assert outcomes == {True, False}  # the generator makes both, so neither is proved by nothing


def test_R_LS_4_random_bytes_are_no_table(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    draw = random.Random(4)
    for size in [1, 2, 3, 10, 100, 1_000, 10_000, 100_000] * 12:
        path.write_bytes(draw.randbytes(size))
        sheet = check(path)
        assert size < 100 or sheet.refused


HEADS = [
    b"PK\x03\x04",
    b"PK\x05\x06" + bytes(18),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"%PDF-1.4\n",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"\xff\xd8\xff\xe0",
    b"\x7fELF",
    b"MZ",
    b"\x1f\x8b\x08",
    b"Rar!\x1a\x07",
    b"RIFF",
]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: repr(head[:6]))
def test_R_LS_4_files_of_other_kinds_are_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "other.csv"
    for seed in range(6):
        path.write_bytes(head + random.Random(seed).randbytes(3_000))
        assert check(path).refused


@pytest.mark.parametrize(
    "make",
    [
        lambda: "電話番号,名\n1," + "x" * 10_000_000,
        lambda: "電話番号,名\n1," + '"' + "x\n" * 5_000_000,
        lambda: "電話番号,名\n1," + '"' + "x" * 10_000_000 + '"\n',
        lambda: "x" * 20_000_000,
        lambda: "電話番号" + "," * 2_000_000 + "\n1\n",
        lambda: '"' * 3_000_001,
        lambda: "電話番号\n" + "\n" * 3_000_000 + "1\n",
        lambda: "電話番号,a\n" + "1,2,3\n" * 60_000,
    ],
    ids=[
        "cell",
        "open quote",
        "quoted cell",
        "no line end",
        "wide",
        "quotes",
        "empty",
        "long rows",
    ],
)
def test_R_LS_4_ten_megabytes_of_one_thing_are_a_finding(
    tmp_path: Path, make: Callable[[], str]
) -> None:
    path = tmp_path / "huge"
    path.write_text(make(), encoding="utf-8", newline="")
    sheet = open_sheet(path)
    assert sheet.problems
    assert len(sheet.problems) < 1_000
    for number, cells in sheet.sample(20):
        assert number > sheet.header_row
        assert len(cells) == len(sheet.header)


@pytest.mark.parametrize("text", FIELDS, ids=lambda text: ascii(text[:16]))
def test_R_LS_4_hostile_text_in_every_place_of_a_table_stays_text(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "hostile"
    quoted = '"' + text.replace('"', '""') + '"'
    path.write_bytes(f"電話番号,名\n0312345678,{quoted}\n{quoted},x\n".encode())
    sheet = check(path)
    if not sheet.refused:
        assert len(list(sheet.rows())) == 2
    path.write_bytes(f"電話番号,{quoted}\n0312345678,x\n".encode())
    check(path)


def test_R_LS_4_every_forced_encoding_of_every_encoding_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "forced"
    for codec in ("utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp", "utf-16", "utf-16-le"):
        path.write_bytes("電話番号,名\n0312345678,焼津の会\n".encode(codec))
        for forced in CODECS:
            sheet = open_sheet(path, encoding=forced)
            rows = list(sheet.rows())
            assert sheet.refused or len(rows) == sheet.row_count
            assert "�" not in "".join(cell for _, row in rows for cell in row)


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.append(["電話番号", "名"])
    for text in FIELDS:
        page.append([312345678, openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("", text)[:32_767]])
    path = tmp_path_factory.mktemp("book") / "good.xlsx"
    book.save(path)
    return path


def test_R_LS_4_a_workbook_of_hostile_text_is_text(workbook: Path) -> None:
    sheet = check(workbook)
    assert not [p for p in sheet.problems if p.code is not Code.CELL_TOO_LONG]
    assert sheet.row_count == len(FIELDS)


def test_R_LS_4_damaged_workbooks_are_findings(tmp_path: Path, workbook: Path) -> None:
    good = workbook.read_bytes()
    path = tmp_path / "damaged.xlsx"
    draw = random.Random(9)
    for _ in range(150):
        data = bytearray(good)
        for _ in range(draw.randrange(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.choice([len(data), draw.randrange(4, len(data))])])
        check(path)


def test_R_LS_4_workbooks_with_damaged_xml_are_findings(tmp_path: Path, workbook: Path) -> None:
    path = tmp_path / "damaged.xlsx"
    draw = random.Random(11)
    with zipfile.ZipFile(workbook) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name in [name for name in parts if name.endswith((".xml", ".rels"))]:
        for _ in range(8):
            data = bytearray(parts[name])
            for _ in range(draw.randrange(1, 10)):
                at = draw.randrange(len(data))
                data[at : at + draw.randrange(4)] = draw.choice(
                    [b"", b"<", b">", b'"', b"\0", b"99999999999", b"-1", b"&x;", b"]]>"]
                )
            with zipfile.ZipFile(path, "w") as archive:
                for part, content in parts.items():
                    archive.writestr(part, bytes(data) if part == name else content)
            check(path)


@given(st.binary(max_size=400))
def test_R_LS_4_no_bytes_whatever_raise(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data)
    check(path)
