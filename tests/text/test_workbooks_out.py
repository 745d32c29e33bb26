"""XLSX files that leave, read back by two readers that are not ours."""

import io
from datetime import time, timedelta

import openpyxl
import python_calamine
from openpyxl.utils.escape import unescape

from calltree.text import workbooks_out
from calltree.text.workbooks_out import Duration, Share

HOSTILE = ["=1+1", 'a & <b> "c"', "行\n改行", " 空白 ", "\x00\x0b制御", "_x000D_", "0312"]


def made(header, rows, title="集計"):
    return b"".join(workbooks_out.chunks(title, header, rows))


HEADER = ["名前", "数", "率", "時間", "平均", "空"]


def test_R_WT_2_a_workbook_holds_numbers_shares_and_durations() -> None:
    rows = [["山田", 1200, Share(0.125), Duration(3_723_000), 12.5, None]]
    book = openpyxl.load_workbook(io.BytesIO(made(HEADER, rows)))
    sheet = book["集計"]
    assert [cell.value for cell in sheet[1]] == HEADER
    name, number, share, length, mean, empty = sheet[2]
    assert (name.value, number.value, share.value, mean.value) == ("山田", 1200, 0.125, 12.5)
    assert share.number_format == "0.0%"
    assert length.value in (time(1, 2, 3), timedelta(seconds=3723))
    assert empty.value is None
    assert sheet.freeze_panes == "A2"
    assert sheet[1][0].font.bold
    again = python_calamine.load_workbook(io.BytesIO(made(HEADER, rows)))
    assert again.get_sheet_by_index(0).to_python()[1][:2] == ["山田", 1200.0]


def test_R_HS_4_text_stays_text_whatever_stands_in_it() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(made(["a"], [[text] for text in HOSTILE]))).active
    read = [unescape(row[0]) for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert read == [text.replace("\x00", "").replace("\x0b", "") for text in HOSTILE]
    assert {row[0].data_type for row in sheet.iter_rows(min_row=2)} == {"s"}


def test_many_rows_leave_in_pieces() -> None:
    pieces = list(workbooks_out.chunks("多い", ["n"], ([n] for n in range(2_001))))
    assert len(pieces) == 6
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(pieces))).active
    assert sheet.max_row == 2_002


def test_a_sheets_name_is_one_that_excel_takes() -> None:
    book = openpyxl.load_workbook(
        io.BytesIO(made(["a"], [], title="案件/リスト[1]:*?\\'" + "長" * 40))
    )
    assert book.sheetnames[0].startswith("案件 リスト 1")
    assert len(book.sheetnames[0]) <= 31
    assert openpyxl.load_workbook(io.BytesIO(made(["a"], [], title="?"))).sheetnames == ["Sheet1"]


def test_shares_and_durations_read_well_in_a_csv() -> None:
    assert [str(Share(0.1234)), str(Duration(59_499)), str(Duration(36_000_000))] == [
        "12.3%",
        "0:00:59",
        "10:00:00",
    ]


def test_R_HS_4_a_table_longer_than_a_sheet_goes_on_in_another(monkeypatch) -> None:
    monkeypatch.setattr(workbooks_out, "_MOST_ROWS", 700)
    book = openpyxl.load_workbook(io.BytesIO(made(["番号"], ([str(n)] for n in range(1_500)))))
    assert book.sheetnames == ["集計", "集計 (2)", "集計 (3)"]
    assert [sheet.max_row for sheet in book] == [701, 701, 101]
    read = [row[0] for sheet in book for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert read == [str(n) for n in range(1_500)]
    assert {sheet["A1"].value for sheet in book} == {"番号"}
    monkeypatch.setattr(workbooks_out, "_MOST_ROWS", 750)
    assert len(openpyxl.load_workbook(io.BytesIO(made(["a"], [["x"]] * 1_500))).sheetnames) == 2
