"""Tables going out as XLSX: one sheet, streamed, with real numbers, shares and durations."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Final, cast
from xml.sax.saxutils import escape

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BATCH: Final = 500
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# XML holds none of these, escaped or not.
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
# Excel reads _x000D_ as a sign's number; an underscore so written stands for itself.
_READ_AS_SIGN: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
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
    with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _parts(title):
            archive.writestr(name, _HEAD + text)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(_beginning(header).encode())
            batch = []
            for row in rows:
                batch.append("<row>" + "".join(map(_cell, row)) + "</row>")
                if len(batch) == _BATCH:
                    sheet.write("".join(batch).encode())
                    batch.clear()
                    yield sink.taken()
            sheet.write(("".join(batch) + "</sheetData></worksheet>").encode())
    yield sink.taken()


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
    clean = _READ_AS_SIGN.sub("_x005F_", _NO_XML.sub("", value))
    return f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">{escape(clean)}</t></is></c>'


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


def _parts(title: str) -> Iterator[tuple[str, str]]:
    sheet = re.sub(r"[\[\]:*?/\\']", " ", _NO_XML.sub("", title)).strip()[:31] or "Sheet1"
    yield (
        "[Content_Types].xml",
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    )
    yield (
        "_rels/.rels",
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    )
    yield (
        "xl/workbook.xml",
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        f'<sheet name="{escape(sheet, {chr(34): "&quot;"})}" sheetId="1" r:id="rId1"/>'
        "</sheets></workbook>",
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    )
    yield "xl/styles.xml", _STYLES
