"""Which number format each cell of a worksheet wears; the reader of values does not say it."""

import datetime
import html
import re
import zipfile
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from calltree.text.number_formats import BUILT_IN, shown_date, shown_number

_PART_LIMIT: Final = 16 << 20
_MOST_STYLES: Final = 16_000_000
_TAG: Final = r"<(?:\w+:)?{}\s([^<>]*)>"
_NUMBER_FORMAT: Final = re.compile(_TAG.format("numFmt"))
_CELL_FORMATS: Final = re.compile(r"<(?:\w+:)?cellXfs\b.*?</(?:\w+:)?cellXfs>", re.DOTALL)
_FORMAT: Final = re.compile(_TAG.format("xf"))
_SHEET: Final = re.compile(_TAG.format("sheet"))
_RELATION: Final = re.compile(_TAG.format("Relationship"))
_ATTRIBUTE: Final = re.compile(r"([\w:]+)\s*=\s*[\"']([^\"']*)[\"']")
_PLAIN: Final = frozenset({"", "general", "@", "0", "g/標準"})


@dataclass(slots=True)
class CellStyles:
    """For each column (from 1) the style of each row (from 1), 0 where it changes nothing."""

    codes: dict[int, str] = field(default_factory=dict)  # style → format code
    columns: dict[int, "array[int]"] = field(default_factory=dict)
    size: int = 0

    def see(self, cells: Iterable[tuple[int, int, int]]) -> None:
        """Take in (style, column, row) triples."""
        for style, column, row in cells:
            styles = self.columns.setdefault(column, array("H"))
            if row >= len(styles):
                missing = row + 256 - len(styles)
                self.size += missing
                if self.size > _MOST_STYLES:  # made to harm: the plain values will do
                    continue
                styles.extend(array("H", bytes(2 * missing)))
            styles[row] = style

    def shown(self, column: int, row: int, value: object) -> str | None:
        """What Excel shows, or None where the plain value will do."""
        styles = self.columns[column]
        code = self.codes.get(styles[row]) if row < len(styles) else None
        if code is None or isinstance(value, bool | str):
            return None
        if isinstance(value, int | float):
            return shown_number(code, value)
        if isinstance(value, datetime.date | datetime.time):
            return shown_date(code, value)
        return None


def _attributes(text: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(text)}


def _part(archive: zipfile.ZipFile, name: str) -> str:
    if name not in archive.namelist() or archive.getinfo(name).file_size > _PART_LIMIT:
        return ""
    return archive.read(name).decode("utf-8", "replace")


def format_codes(archive: zipfile.ZipFile) -> dict[int, str]:
    """Style number → format code, of the styles that change how a number or date is shown."""
    xml = _part(archive, "xl/styles.xml")
    own = dict(BUILT_IN)
    for text in _NUMBER_FORMAT.findall(xml):
        found = _attributes(text)
        if found.get("numFmtId", "").isdecimal():
            own[int(found["numFmtId"])] = found.get("formatCode", "")
    cell_formats = _CELL_FORMATS.search(xml)
    codes = {}
    for style, text in enumerate(_FORMAT.findall(cell_formats[0] if cell_formats else "")):
        number = _attributes(text).get("numFmtId", "")
        code = own.get(int(number), "") if number.isdecimal() else ""
        if code.lower() not in _PLAIN and style < 1 << 16:
            codes[style] = code
    return codes


def sheet_part(archive: zipfile.ZipFile, sheet: str) -> str:
    """The name of the part that holds a sheet; empty when the workbook does not say."""
    wanted = ""
    for text in _SHEET.findall(_part(archive, "xl/workbook.xml")):
        found = _attributes(text)
        if found.get("name") == sheet:
            wanted = next((v for name, v in found.items() if name.endswith(":id")), "")
    for text in _RELATION.findall(_part(archive, "xl/_rels/workbook.xml.rels")):
        found = _attributes(text)
        if wanted and found.get("Id") == wanted:
            target = found.get("Target", "")
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    return ""


def styled_cell(codes: Iterable[int]) -> re.Pattern[bytes]:
    """Finds (style, column letters, row) of cells with content that wear one of these styles."""
    styles = b"|".join(str(code).encode() for code in sorted(codes))
    return re.compile(
        rb"<(?:[A-Za-z0-9]+:)?c\s(?=[^<>]*\bs=[\"'](" + styles + rb")[\"'])"
        rb"[^<>]*?\br=[\"']([A-Z]{1,3})([0-9]{1,7})[\"'][^<>]*(?<!/)>"
    )
