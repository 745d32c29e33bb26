"""Tables going out as CSV, safe to open in a spreadsheet (R-HS-4)."""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, Final

# The longest cell that Excel keeps.
CELL_CHARACTERS: Final = 32_767
# Stands for a character that CP932 does not have; Japanese offices know it as exactly that.
GETA: Final = "〓"

_BATCH: Final = 500
# What a spreadsheet takes for a formula or a command. Full-width signs too: Japanese Excel reads
# them as their narrow forms.
_SIGNS: Final = "=+-@\t\r＝＋－＠−﹢﹣⁺₌"
# What it passes over before it looks.
_BLANKS: Final = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\ufeff"
_WATCHED: Final = frozenset(_SIGNS + _BLANKS)
_DANGEROUS: Final = re.compile(f"[{re.escape(_BLANKS)}]*[{re.escape(_SIGNS)}]")
_QUOTED: Final = re.compile('[,"\r\n]')
# 03-1234-5678, +81 (3) 1234 5678, -5: no letters, nothing that could run.
_NUMBER_LIKE: Final = re.compile(r"[0-9+\-() ]+\Z")

# The same signs under the code points that Windows gives them; macOS and the web use the others.
_WINDOWS_TWINS: Final = str.maketrans("〜−—‖¢£¬¥", "～－―∥￠￡￢￥")
_TWINS: Final = re.compile("[〜−—‖¢£¬¥]")
_GETA_HANDLER: Final = "calltree.geta"


def _geta(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return GETA * (error.end - error.start), error.end


codecs.register_error(_GETA_HANDLER, _geta)


class Encoding(StrEnum):
    """The encodings a table may leave in."""

    UTF_8_BOM = "utf-8-bom"
    CP932 = "cp932"


def harmless(cell: str) -> str:
    """The cell as it may stand in a spreadsheet: with a leading ' if it would be run.

    Cells of digits, + - ( ) and blanks only are left as they are.
    """
    if not _DANGEROUS.match(cell):
        return cell
    if _NUMBER_LIKE.match(unicodedata.normalize("NFKC", cell)):
        return cell
    return "'" + cell


def split_cell(text: str, limit: int = CELL_CHARACTERS) -> list[str]:
    """A long text as pieces that fit into cells (メモ, メモ2, …), at a line end where one is near.

    At least one piece; together they are the text. Room for a leading ' is kept in each.
    """
    room = limit - 1
    pieces = []
    while len(text) > room:
        end = text.rfind("\n", room // 2, room) + 1 or room
        pieces.append(text[:end])
        text = text[end:]
    return [*pieces, text]


@dataclass(slots=True)
class CsvTable:
    """Rows as encoded CSV in batches. ``replaced`` counts the characters that became 〓."""

    encoding: Encoding = Encoding.UTF_8_BOM
    replaced: int = field(default=0, init=False)

    def chunks(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
        """The table in pieces of 500 rows (one row a piece was eighteen times slower to send).

        None is an empty cell, anything that is not text goes through str(). Lines end in CR LF.
        """
        head = "\ufeff" if self.encoding is Encoding.UTF_8_BOM else ""
        head += _any_lines([header])
        source = iter(rows)
        while batch := list(islice(source, _BATCH)):
            yield self._encoded(head + _lines(batch))
            head = ""
        if head:
            yield self._encoded(head)

    def _encoded(self, text: str) -> bytes:
        if self.encoding is Encoding.UTF_8_BOM:
            return text.encode("utf-8", "replace")
        try:
            return text.encode("cp932")
        except UnicodeEncodeError:
            known = unicodedata.normalize("NFC", text)
            if _TWINS.search(known):
                known = known.translate(_WINDOWS_TWINS)
            encoded = known.encode("cp932", _GETA_HANDLER)
            self.replaced += encoded.decode("cp932").count(GETA) - known.count(GETA)
            return encoded


def _lines(batch: list[Sequence[object]]) -> str:
    """Rows as csv.writer would write them, in half the time: a column at once, not a cell."""
    if len(batch[0]) > 1:  # alone in its row, an empty cell wears quotes
        with suppress(TypeError, ValueError):  # a cell that is not text, rows of unequal lengths
            columns = [_column(column) for column in zip(*batch, strict=True)]
            return "\r\n".join([*map(",".join, zip(*columns, strict=True)), ""])
    return _any_lines(batch)


def _column(cells: Sequence[Any]) -> Sequence[str]:
    """Cells of one column, made harmless and quoted; TypeError where one is not text."""
    different = set(cells)  # names and results come again and again
    if not _WATCHED.isdisjoint([cell[:1] for cell in different]):
        cells = [harmless(cell) if cell[:1] in _WATCHED else cell for cell in cells]
    text = "".join(different)
    if "," in text or '"' in text or "\n" in text or "\r" in text:
        quoted = _QUOTED.search
        cells = ['"' + cell.replace('"', '""') + '"' if quoted(cell) else cell for cell in cells]
    return cells


def _any_lines(rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(
        [harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return buffer.getvalue()
