"""XLSX files as rows of text, after proof that opening them cannot exhaust the machine."""

import datetime
import math
import mmap
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import python_calamine

from calltree.text.sheet_problems import Code, Problem, Refused
from calltree.text.workbook_styles import CellStyles, format_codes, sheet_part, styled_cell

# calamine lays a sheet out as one block from its first to its last cell, 24 bytes each and more.
_CELLS_LIMIT: Final = 12_000_000
_ENTRIES_LIMIT: Final = 10_000
_CHUNK: Final = 1 << 18
_OLE2: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CELL: Final = re.compile(
    rb"<(?:[A-Za-z0-9]+:)?c\s[^<>]*?\br=[\"']([A-Z]{1,7})([0-9]{1,9})[\"'][^<>]*(?<!/)>"
)
# Cells may leave out where they stand; then the row says it.
_CELL_WITHOUT_PLACE: Final = re.compile(
    rb"<(?:[A-Za-z0-9]+:)?c(?:\s+[a-qs-z][a-z]*=[\"'][^\"'<>]*[\"'])*\s*>"
)
_ROW: Final = re.compile(rb"<(?:[A-Za-z0-9]+:)?row\s[^<>]*?\br=[\"']([0-9]{1,9})[\"']")
_SHEET_PART: Final = re.compile(r"xl/worksheets/[^/]+\.xml\Z", re.IGNORECASE)

CellValue = (
    int
    | float
    | str
    | bool
    | datetime.time
    | datetime.date
    | datetime.datetime
    | datetime.timedelta
    | None
)


@dataclass(slots=True)
class Workbook:
    """One opened sheet of a workbook."""

    sheets: tuple[str, ...]
    sheet: str
    _data: python_calamine.CalamineSheet
    _styles: CellStyles

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Row number as shown and cells as text, from A1 on."""
        # calamine gives the empty rows above the first cell, but not the empty columns before it.
        before = [""] * (self._data.start or (0, 0))[1]
        for number, row in enumerate(self._data.iter_rows(), 1):
            cells = before + [as_displayed(value) for value in row]
            for column in self._styles.columns:
                index = column - 1 - len(before)
                if 0 <= index < len(row):
                    shown = self._styles.shown(column, number, row[index])
                    cells[column - 1] = cells[column - 1] if shown is None else shown
            yield number, cells


def is_workbook(head: bytes) -> bool:
    """Whether the first eight bytes are those of a zip or of an old Office file."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or head == _OLE2


def open_workbook(path: Path, sheet: str | None, *, inflated_limit: int) -> Workbook:
    """Open the sheet asked for, or the first visible one with data.

    All parts together may inflate to `inflated_limit` bytes, counted, not believed.

    Raises Refused: OLD_EXCEL, PASSWORD, NOT_A_TABLE, ZIP_BOMB, DAMAGED_WORKBOOK, NO_SUCH_SHEET,
    NO_ROWS.
    """
    _refuse_old_office(path)
    try:
        _check_archive(path, inflated_limit)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, struct.error, EOFError) as error:
        raise Refused(Problem(Code.DAMAGED_WORKBOOK)) from error
    except (NotImplementedError, RuntimeError) as error:  # an encrypted or exotic zip
        raise Refused(Problem(Code.DAMAGED_WORKBOOK)) from error
    try:
        return _open_checked(path, sheet)
    except (Refused, KeyboardInterrupt, SystemExit):
        raise
    except python_calamine.PasswordError as error:
        raise Refused(Problem(Code.PASSWORD)) from error
    except BaseException as error:  # a panic inside calamine is no Exception
        raise Refused(Problem(Code.DAMAGED_WORKBOOK)) from error


def _refuse_old_office(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(8) != _OLE2:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            locked = data.find("EncryptedPackage".encode("utf-16-le")) >= 0
    if locked:
        raise Refused(Problem(Code.PASSWORD))
    raise Refused(Problem(Code.OLD_EXCEL, found="xls"))


def _check_archive(path: Path, limit: int) -> None:
    with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
        entries = archive.infolist()
        names = {entry.filename.lower() for entry in entries}
        if "xl/workbook.bin" in names:
            raise Refused(Problem(Code.OLD_EXCEL, found="xlsb"))
        if "xl/workbook.xml" not in names:
            raise Refused(Problem(Code.NOT_A_TABLE, found="zip"))
        declared = sum(entry.file_size for entry in entries)
        if declared > limit or len(entries) > _ENTRIES_LIMIT:
            raise Refused(_bomb(declared, limit))
        inflated = 0
        for entry in entries:
            cells = _Extent() if _SHEET_PART.match(entry.filename) else None
            for piece in _inflate(raw, entry):
                inflated += len(piece)
                if inflated > limit:
                    raise Refused(_bomb(inflated, limit))
                if cells is not None:
                    cells.see(piece)


def _bomb(size: int, limit: int) -> Problem:
    return Problem(Code.ZIP_BOMB, found=str(size), expected=(str(limit),))


def _inflate(raw: IO[bytes], entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes that really come out: zipfile stops at the declared size, other readers do not."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError(entry.compress_type)
    raw.seek(entry.header_offset)
    header = raw.read(30)
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    raw.seek(entry.header_offset + 30 + name_length + extra_length)
    left = entry.compress_size
    stored = entry.compress_type == zipfile.ZIP_STORED
    inflater = zlib.decompressobj(-15)
    while left > 0:
        data = raw.read(min(_CHUNK, left))
        if not data:
            raise EOFError
        left -= len(data)
        if stored:
            yield data
            continue
        while data:
            yield inflater.decompress(data, _CHUNK * 8)
            data = inflater.unconsumed_tail
        if inflater.eof:
            return


class _Extent:
    """The block from the first to the last cell with content, as the sheet's XML streams by."""

    def __init__(self) -> None:
        self._tail = b""
        self._columns: set[bytes] = set()
        self._rows = (1 << 60, 0)

    def see(self, piece: bytes) -> None:
        data = self._tail + piece
        cells = _CELL.findall(data)
        if _CELL_WITHOUT_PLACE.search(data):
            cells += [(b"GR", row) for row in _ROW.findall(data)] + [(b"A", b"1")]
        self._tail = _open_tag(data)
        if not cells:
            return
        self._columns.update(column for column, _ in cells)
        # Rows may stand in any order in a file made to harm.
        numbers = set(map(int, {row for _, row in cells}))
        self._rows = (min(self._rows[0], *numbers), max(self._rows[1], *numbers))
        columns = [_column_number(letters) for letters in self._columns]
        size = (max(columns) - min(columns) + 1) * (self._rows[1] - self._rows[0] + 1)
        if size > _CELLS_LIMIT:
            raise Refused(Problem(Code.ZIP_BOMB, found=str(size), expected=(str(_CELLS_LIMIT),)))


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _open_checked(path: Path, wanted: str | None) -> Workbook:
    book = python_calamine.CalamineWorkbook.from_path(str(path))
    visible = tuple(
        sheet.name
        for sheet in book.sheets_metadata
        if sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
        and sheet.visible == python_calamine.SheetVisibleEnum.Visible
    )
    if wanted is not None and wanted not in visible:
        raise Refused(Problem(Code.NO_SUCH_SHEET, found=wanted, expected=visible))
    for name in visible if wanted is None else (wanted,):
        data = book.get_sheet_by_name(name)
        if data.start is not None and data.height:
            return Workbook(visible, name, data, _read_styles(path, name))
    raise Refused(Problem(Code.NO_ROWS))


def _read_styles(path: Path, sheet: str) -> CellStyles:
    with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
        codes = format_codes(archive)
        part = sheet_part(archive, sheet)
        if not codes or part not in archive.namelist():
            return CellStyles()
        styles = CellStyles(codes)
        pattern = styled_cell(codes)
        tail = b""
        for piece in _inflate(raw, archive.getinfo(part)):
            data = tail + piece
            tail = _open_tag(data)
            styles.see(
                (int(style), _column_number(column), int(row))
                for style, column, row in pattern.findall(data)
            )
    return styles


def _open_tag(data: bytes) -> bytes:
    """The end of a piece that may be a tag cut in two."""
    return data[max(data.rfind(b"<"), len(data) - 4096, 0) :]


def as_displayed(value: CellValue) -> str:
    """A cell's value as Excel shows it: whole numbers without .0, dates as 2026/1/5."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime.datetime):
        day = f"{value.year}/{value.month}/{value.day}"
        clock = value.time()
        return day if clock == datetime.time(0) else f"{day} {_clock(clock)}"
    if isinstance(value, datetime.date):
        return f"{value.year}/{value.month}/{value.day}"
    if isinstance(value, datetime.time):
        return _clock(value)
    if isinstance(value, datetime.timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(value)


def _number(value: float) -> str:
    if math.isfinite(value) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # a telephone number must not arrive as 312340001.0
    return f"{value:.15g}"


def _clock(value: datetime.time) -> str:
    seconds = f":{value.second:02}" if value.second else ""
    return f"{value.hour}:{value.minute:02}{seconds}"
