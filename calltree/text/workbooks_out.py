"""Tables going out as XLSX: streamed, with real numbers, shares and durations.

A table longer than a sheet may be goes on in a further sheet with the same header.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Final, cast
from xml.sax.saxutils import escape

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BATCH: Final = 500
# Rows of a sheet that Excel opens, without the header.
_MOST_ROWS: Final = 1_048_575
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# XML holds none of these, escaped or not.
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
# Excel reads _x000D_ as a sign's number; an underscore so written stands for itself.
_READ_AS_SIGN: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_SPECIAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff<>&_]")
_WIDTHS: Final = (8, 40)
_MS_A_DAY: Final = 86_400_000


class Share(float):
    """A part of a whole, shown as a percentage."""

    def __str__(self) -> str:
        return f"{float(self) * 100:.1f}%"


class Duration(int):
    """Milliseconds, shown as 1:02:03; a spreadsheet can add them up."""

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self / 1000), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


Cell = str | int | float | None
_STYLES: Final = (
    f'<styleSheet xmlns="{_MAIN}">'
    '<numFmts count="3"><numFmt numFmtId="164" formatCode="0.0%"/>'
    '<numFmt numFmtId="165" formatCode="[h]:mm:ss"/>'
    '<numFmt numFmtId="166" formatCode="#,##0.0"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Yu Gothic"/></font>'
    '<font><b/><sz val="11"/><name val="Yu Gothic"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders>'
    '<cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="6"><xf/>'
    '<xf fontId="1" applyFont="1"/>'
    '<xf numFmtId="3" applyNumberFormat="1"/>'
    '<xf numFmtId="164" applyNumberFormat="1"/>'
    '<xf numFmtId="165" applyNumberFormat="1"/>'
    '<xf numFmtId="166" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)
_TEXT, _TITLE, _WHOLE, _SHARE, _TIME, _BROKEN = range(6)


def chunks(title: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """Give the workbook in pieces; the rows are taken as they come.

    Text stays text (nothing in it is run), None is an empty cell; a cell holds 32,767 characters
    at most, which is the caller's to see to. The first row stays in sight.
    """
    sink = _Sink()
    source = iter(rows)
    with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_DEFLATED) as archive:
        sheets, first = 0, None
        while sheets == 0 or (first := next(source, None)) is not None:
            sheets += 1
            part = islice(source if first is None else chain([first], source), _MOST_ROWS)
            with archive.open(_place(sheets), "w", force_zip64=True) as sheet:
                sheet.write(_beginning(header).encode())
                while batch := list(islice(part, _BATCH)):
                    lines = ("<row>" + "".join(map(_cell, row)) + "</row>" for row in batch)
                    sheet.write("".join(lines).encode())
                    yield sink.taken()
                sheet.write(b"</sheetData></worksheet>")
        for name, text in _parts(title, sheets):
            archive.writestr(name, _HEAD + text)
    yield sink.taken()


@dataclass(slots=True)
class XlsxTable:
    """A table as XLSX; to be sent as `sheets_out.CsvTable` is. Nothing of it is replaced."""

    title: str
    replaced: int = 0

    def chunks(self, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
        """Give the workbook in pieces."""
        return chunks(self.title, header, rows)


def _place(sheet: int) -> str:
    return f"xl/worksheets/sheet{sheet}.xml"


class _Sink:
    """What zipfile writes to and cannot go back in."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def write(self, data: bytes) -> int:
        self._kept += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def taken(self) -> bytes:
        data = bytes(self._kept)
        self._kept.clear()
        return data


def _cell(value: Cell) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, Duration):
        return f'<c s="{_TIME}"><v>{int(value) / _MS_A_DAY!r}</v></c>'
    if isinstance(value, Share):
        return f'<c s="{_SHARE}"><v>{float(value)!r}</v></c>'
    if isinstance(value, int):
        return f'<c s="{_WHOLE}"><v>{int(value)}</v></c>'
    if isinstance(value, float):
        return f'<c s="{_BROKEN}"><v>{value!r}</v></c>'
    return _text(value, _TEXT)


def _text(value: str, style: int) -> str:
    if _SPECIAL.search(value):
        value = escape(_READ_AS_SIGN.sub("_x005F_", _NO_XML.sub("", value)))
    return f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'


def _beginning(header: Sequence[str]) -> str:
    least, most = _WIDTHS
    widths = (min(max(least, 2 * len(name) + 2), most) for name in header)
    columns = "".join(
        f'<col min="{place}" max="{place}" width="{width}" customWidth="1"/>'
        for place, width in enumerate(widths, 1)
    )
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        f"</sheetView></sheetViews><cols>{columns}</cols><sheetData><row>"
        + "".join(_text(name, _TITLE) for name in header)
        + "</row>"
    )


def _parts(title: str, sheets: int) -> Iterator[tuple[str, str]]:
    name = re.sub(r"[\[\]:*?/\\']", " ", _NO_XML.sub("", title)).strip()[:31] or "Sheet1"
    numbers = range(1, sheets + 1)
    names = [name, *(f"{name[:24]} ({number})" for number in numbers[1:])]
    kinds = (
        f'<Override PartName="/{_place(number)}" ContentType="{_TYPE}.worksheet+xml"/>'
        for number in numbers
    )
    listed = (
        f'<sheet name="{escape(name, {chr(34): "&quot;"})}" sheetId="{number}" r:id="rId{number}"/>'
        for number, name in zip(numbers, names, strict=True)
    )
    related = (
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" '
        f'Target="{_place(number).removeprefix("xl/")}"/>'
        for number in numbers
    )
    yield (
        "[Content_Types].xml",
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        + "".join(kinds)
        + f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    )
    yield (
        "_rels/.rels",
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    )
    yield (
        "xl/workbook.xml",
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        + "".join(listed)
        + "</sheets></workbook>",
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(related)
        + f'<Relationship Id="rId{sheets + 1}" Type="{_OFFICE}/styles" Target="styles.xml"/>'
        "</Relationships>",
    )
    yield "xl/styles.xml", _STYLES
