"""Uploaded tables: R-LS-3 and R-LS-4."""

import codecs
import csv
import datetime
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.text.sheet_problems import Code, Problem, Severity
from calltree.text.spreadsheets import Limits, Sheet, open_sheet

Write = Callable[..., Path]

TABLE = "電話番号,会社名,備考\r\n03-1234-5678,髙橋①商店～,ﾊﾝｶｸ\r\n090-1234-5678,はしご,\r\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(data: bytes | str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "uploaded"
        path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
        return path

    return write


def codes(sheet: Sheet) -> list[Code]:
    return [problem.code for problem in sheet.problems]


@pytest.mark.parametrize(
    ("codec", "bom", "shown"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", codecs.BOM_UTF8, "utf-8-bom"),
        ("cp932", b"", "cp932"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
    ],
)
def test_R_LS_4_encodings_are_read_as_they_come(
    write: Write, codec: str, bom: bytes, shown: str
) -> None:
    sheet = open_sheet(write(bom + TABLE.encode(codec)))
    assert sheet.problems == []
    assert sheet.reading is not None
    assert sheet.reading.encoding == shown
    assert sheet.header == ("電話番号", "会社名", "備考")
    assert list(sheet.rows()) == [
        (2, ["03-1234-5678", "髙橋①商店～", "ﾊﾝｶｸ"]),
        (3, ["090-1234-5678", "はしご", ""]),
    ]


@pytest.mark.parametrize(("codec", "shown"), [("euc_jp", "euc-jp"), ("iso2022_jp", "iso-2022-jp")])
@pytest.mark.parametrize("text", ["電話番号,会社名\n03,焼津を歩く会\n", "電話番号\n1です\n"])
def test_R_LS_4_euc_jp_is_not_taken_for_cp932(
    write: Write, codec: str, shown: str, text: str
) -> None:
    sheet = open_sheet(write(text, codec))
    assert sheet.reading is not None
    assert sheet.reading.encoding == shown
    assert sheet.header[0] == "電話番号"


def test_R_LS_4_a_person_may_force_the_encoding_and_it_stays_strict(write: Write) -> None:
    path = write("電話番号,名\n1,を\n", "euc_jp")
    assert open_sheet(path, encoding="euc-jp").sample(1) == [(2, ["1", "を"])]
    refused = open_sheet(path, encoding="utf-8")
    assert codes(refused) == [Code.UNDECODABLE]
    assert refused.problems[0].row == 1
    assert codes(open_sheet(path, encoding="rot13")) == [Code.UNKNOWN_ENCODING]


def test_R_LS_4_undecodable_bytes_are_refused_with_their_row(write: Write) -> None:
    path = write("電話番号\n03\n".encode("cp932") + b"\x81\x00\xff\xff\n".replace(b"\0", b"\x20"))
    sheet = open_sheet(path)
    assert sheet.problems == [
        Problem(Code.UNDECODABLE, row=3, found="81 20 ff ff", expected=("utf-8", "cp932", "euc-jp"))
    ]
    assert sheet.refused
    assert list(sheet.rows()) == []


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_R_LS_4_delimiters_are_found(write: Write, delimiter: str) -> None:
    text = '電話番号|"名|前"|備考\n03|a|b\n'.replace("|", delimiter)
    sheet = open_sheet(write(text))
    assert sheet.reading is not None
    assert sheet.reading.delimiter == delimiter
    assert sheet.header == ("電話番号", f"名{delimiter}前".strip(), "備考")


def test_R_LS_4_the_line_sep_of_excel_is_obeyed_and_not_counted(write: Write) -> None:
    sheet = open_sheet(write("sep=;\n電話番号;名,前\n03;a,b\n"))
    assert sheet.header == ("電話番号", "名,前")
    assert list(sheet.rows()) == [(2, ["03", "a,b"])]


def test_R_LS_4_row_numbers_are_those_of_the_spreadsheet(write: Write) -> None:
    sheet = open_sheet(write('電話番号,備考\n1,"二\r\n行"\n,\n\n2,x\n'))
    assert list(sheet.rows()) == [(2, ["1", "二\n行"]), (5, ["2", "x"])]
    assert sheet.problems == [
        Problem(Code.EMPTY_ROW_DROPPED, row=3),
        Problem(Code.EMPTY_ROW_DROPPED, row=4),
    ]
    assert not sheet.refused


def test_R_LS_4_blanks_and_empty_columns_are_mended_and_reported(write: Write) -> None:
    sheet = open_sheet(write("　電話番号\ufeff ,,名前,\n03, ,a,\n04,　,b,データ\n"))
    assert sheet.header == ("電話番号", "名前", "列4")
    assert sheet.columns == (1, 3, 4)
    assert list(sheet.rows()) == [(2, ["03", "a", ""]), (3, ["04", "b", "データ"])]
    assert sheet.problems == [
        Problem(
            Code.HEADER_TRIMMED,
            row=1,
            column=1,
            found="　電話番号\ufeff ",
            expected=("電話番号",),
        ),
        Problem(Code.EMPTY_COLUMN_DROPPED, row=1, column=2),
        Problem(Code.HEADER_NAMED, row=1, column=4, expected=("列4",)),
    ]
    assert all(problem.severity is Severity.REPORTED for problem in sheet.problems)


def test_R_LS_4_a_line_break_in_a_header_goes(write: Write) -> None:
    assert open_sheet(write('"電話\n番号","Zip\ncode"\n03,1\n')).header == ("電話番号", "Zip code")


def test_R_LS_4_duplicate_headers_propose_numbers_that_are_free(write: Write) -> None:
    sheet = open_sheet(write("電話番号,住所,住所１,住所,FAX,ｆａｘ\n03,a,b,c,d,e\n"))
    assert sheet.refused
    assert sheet.proposed_header == ("電話番号", "住所2", "住所１", "住所3", "FAX1", "ｆａｘ2")
    assert sheet.problems[0] == Problem(
        Code.DUPLICATE_HEADER, row=1, column=2, found="住所", expected=("住所2",)
    )
    assert open_sheet(write("住所,住所\n1,2\n")).proposed_header == ("住所1", "住所2")


def test_R_LS_4_rows_with_more_cells_than_headers_are_refused_by_row(write: Write) -> None:
    sheet = open_sheet(write("電話番号,名\n1,a\n2,b,,x\n3,c,,\n"))
    assert sheet.problems == [
        Problem(Code.ROW_TOO_LONG, row=3, column=4, found="4", expected=("2",))
    ]
    assert sheet.refused


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.EMPTY_FILE),
        ("電話番号\n".encode(), Code.NO_ROWS),
        (b"\n\n , \n", Code.NO_ROWS),
        (b"%PDF-1.7 ...", Code.NOT_A_TABLE),
        (b"<html><table>", Code.NOT_A_TABLE),
        (b"a\x01b,\x02\n1,2\n", Code.NOT_A_TABLE),
        (b"a,b\n1,\x002\n", Code.NUL_CHARACTER),
        (b"PK\x03\x04 and no zip", Code.DAMAGED_WORKBOOK),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), Code.OLD_EXCEL),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            Code.PASSWORD,
        ),
        ('電話番号,名\n1,"a\n2,b\n'.encode(), Code.QUOTE_NOT_CLOSED),
        ('電話番号,名\n1,"a'.encode(), Code.QUOTE_NOT_CLOSED),
        ("電話番号,名\n1,".encode() + b"x" * 200_000, Code.CELL_TOO_LONG),
        ("電話番号,名\n1,".encode() + b"x" * 40_000, Code.CELL_TOO_LONG),
    ],
)
def test_R_LS_4_files_that_are_no_tables_are_refused_by_name(
    write: Write, data: bytes, code: Code
) -> None:
    sheet = open_sheet(write(data))
    assert codes(sheet)[-1] is code
    assert sheet.refused


def test_R_LS_4_an_open_quote_names_the_row_it_opens_in(write: Write) -> None:
    sheet = open_sheet(write('電話番号,名\n1,a\n2,"b\n3,c\n'))
    assert sheet.problems == [Problem(Code.QUOTE_NOT_CLOSED, row=3, column=2)]
    assert sheet.sample() == [(2, ["1", "a"])]


def test_R_LS_3_limits_say_what_was_found(write: Write) -> None:
    limits = Limits(rows=2, columns=3, size_bytes=100)
    rows = open_sheet(write("番号\n1\n2\n3\n"), limits=limits)
    assert rows.problems == [Problem(Code.TOO_MANY_ROWS, found="3", expected=("2",))]
    columns = open_sheet(write("a,b,c,d\n1,2,3,4\n"), limits=limits)
    assert columns.problems == [Problem(Code.TOO_MANY_COLUMNS, row=1, found="4", expected=("3",))]
    size = open_sheet(write("a\n" + "1" * 200), limits=limits)
    assert size.problems == [Problem(Code.TOO_LARGE, found="202", expected=("100",))]


def test_R_LS_3_fifty_thousand_rows_are_taken_and_one_more_is_not(write: Write) -> None:
    body = "電話番号\n" + "0312345678\n" * 50_000
    assert open_sheet(write(body)).problems == []
    more = open_sheet(write(body + "0312345678\n"))
    assert more.problems == [Problem(Code.TOO_MANY_ROWS, found="50001", expected=("50000",))]


def test_R_LS_4_control_characters_are_removed_and_reported(write: Write) -> None:
    sheet = open_sheet(write("電話番号,備考\n1,a\x0bb\n"))
    assert list(sheet.rows()) == [(2, ["1", "ab"])]
    assert sheet.problems == [
        Problem(Code.CONTROL_CHARACTER_REMOVED, row=2, column=2, found="U+000B")
    ]


def test_R_LS_4_of_each_finding_a_hundred_are_kept_and_all_are_counted(write: Write) -> None:
    sheet = open_sheet(write("番号\n1\n" + " \n" * 300))
    assert len(sheet.problems) == 100
    assert sheet.counts[Code.EMPTY_ROW_DROPPED] == 300


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]), max_size=12)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_R_LS_3_what_csv_writes_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], quoting: int
) -> None:
    out = io.StringIO()
    table = [["電話番号", "a", "b"], *[["0", *row[1:]] for row in rows]]
    csv.writer(out, quoting=quoting).writerows(table)
    path = tmp_path_factory.mktemp("round") / "trip.csv"
    path.write_bytes(out.getvalue().encode())
    sheet = open_sheet(path, encoding="utf-8")
    read = [row for _, row in sheet.rows()]
    assert not sheet.refused
    assert read == table[1:]


# XLSX


def workbook(tmp_path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        page = book.create_sheet(name)
        for row in rows:
            page.append(row)
        if name.startswith("hidden"):
            page.sheet_state = "hidden"
    path = tmp_path / "book.xlsx"
    book.save(path)
    return path


def test_R_LS_4_xlsx_numbers_and_dates_arrive_as_displayed(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        表=[
            ["電話番号", "数", "日付", "時刻", "真偽", "空"],
            [312340001, 1.5, datetime.date(2026, 1, 5), datetime.time(9, 5), True, None],
            # a cell has no zone
            ["０３", 0.1 + 0.2, datetime.datetime(2026, 1, 5, 14, 30), None, False, "x"],  # noqa: DTZ001
        ],
    )
    sheet = open_sheet(path)
    assert sheet.problems == []
    assert list(sheet.rows()) == [
        (2, ["312340001", "1.5", "2026-01-05", "9:05:00", "TRUE", ""]),
        (3, ["０３", "0.3", "2026-01-05 14:30:00", "", "FALSE", "x"]),
    ]


def test_R_LS_4_xlsx_cells_wear_their_number_formats(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book["Sheet"]
    page.append([None, "電話番号", "郵便番号", "登録日", "率", "金額"])
    for row in range(2, 5):
        page.append([None, 312345678, 250022, datetime.date(2026, 1, 5), 0.5, 1234])
        for column, code in (("C", "000-0000"), ("D", "mm-dd"), ("E", "0%"), ("F", "#,##0")):
            page[f"{column}{row}"].number_format = code
    page["C4"].number_format = "General"
    path = tmp_path / "formats.xlsx"
    book.save(path)
    assert [cells for _, cells in open_sheet(path).rows()] == [
        ["312345678", "025-0022", "01-05", "50%", "1,234"],
        ["312345678", "025-0022", "01-05", "50%", "1,234"],
        ["312345678", "250022", "01-05", "50%", "1,234"],
    ]


def test_R_LS_4_the_first_visible_sheet_with_data_is_read_and_another_may_be_chosen(
    tmp_path: Path,
) -> None:
    path = workbook(
        tmp_path, hidden=[["秘"], ["1"]], 空=[], 表一=[["a"], ["1"]], 表二=[["b"], ["2"]]
    )
    sheet = open_sheet(path)
    assert sheet.reading is not None
    assert sheet.reading.sheets == ("空", "表一", "表二")
    assert sheet.reading.sheet == "表一"
    assert sheet.header == ("a",)
    assert open_sheet(path, sheet="表二").header == ("b",)
    assert codes(open_sheet(path, sheet="hidden")) == [Code.NO_SUCH_SHEET]
    assert codes(open_sheet(path, sheet="空")) == [Code.NO_ROWS]


def test_R_LS_4_xlsx_row_numbers_count_the_empty_rows_above(tmp_path: Path) -> None:
    path = workbook(tmp_path, 表=[[], [None, "電話番号"], [None, "1"], [], [None, "2"]])
    sheet = open_sheet(path)
    assert sheet.header_row == 2
    assert list(sheet.rows()) == [(3, ["1"]), (5, ["2"])]


SHEET_XML = (
    '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/'
    '2006/main"><sheetData>{}</sheetData></worksheet>'
)


SMALL = Limits(inflated_bytes=4 << 20)


def with_sheet(tmp_path: Path, xml: bytes) -> Path:
    """A workbook whose one sheet is the given XML."""
    good = workbook(tmp_path, 表=[["a"], ["1"]])
    path = tmp_path / "made.xlsx"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", 8) as target:
        for name in source.namelist():
            target.writestr(name, xml if name.startswith("xl/worksheets/") else source.read(name))
    return path


def test_R_LS_4_a_zip_bomb_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = with_sheet(tmp_path, SHEET_XML.format(" " * (8 << 20)).encode())
    assert path.stat().st_size < 1 << 20
    assert codes(open_sheet(path, limits=SMALL)) == [Code.ZIP_BOMB]


def test_R_LS_4_a_zip_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = with_sheet(tmp_path, SHEET_XML.format(" " * (8 << 20)).encode())
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = max(entry.file_size for entry in archive.infolist()).to_bytes(4, "little")
    while (at := data.find(size)) >= 0:
        data[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    assert codes(open_sheet(path, limits=SMALL)) == [Code.ZIP_BOMB]


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1"><c r="A1"><v>1</v></c><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c><v>1</v></c></row>',
        "<row r='1'><c r='A1'><v>1</v></c></row>"
        "<row r='9'><c t='n' r='AAAAAA99999'><v>1</v></c></row>",
    ],
)
def test_R_LS_4_two_far_cells_do_not_take_the_memory_between_them(
    tmp_path: Path, rows: str
) -> None:
    path = with_sheet(tmp_path, SHEET_XML.format(rows).encode())
    assert codes(open_sheet(path)) == [Code.ZIP_BOMB]


def test_R_LS_4_styled_empty_cells_far_down_are_no_bomb(tmp_path: Path) -> None:
    rows = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>電話番号</t></is></c></row>'
        '<row r="2"><c r="A2"><v>312345678</v></c></row>'
        '<row r="1048576"><c r="XFD1048576" s="0"/></row>'
    )
    sheet = open_sheet(with_sheet(tmp_path, SHEET_XML.format(rows).encode()))
    assert sheet.problems == []
    assert list(sheet.rows()) == [(2, ["312345678"])]


def test_R_LS_4_a_zip_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    assert codes(open_sheet(path)) == [Code.NOT_A_TABLE]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.bin", "a")
    assert codes(open_sheet(path)) == [Code.OLD_EXCEL]
