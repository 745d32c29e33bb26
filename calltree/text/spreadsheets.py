"""Uploaded tables: CSV, TSV and XLSX as a header and rows of text (R-LS-3, R-LS-4).

A file is read as a stream, twice: `open_sheet` looks at all of it and says everything that is wrong
or was mended; `Sheet.rows` goes through it again for whoever takes it in. Meaning (which column
holds the number, which names are taken) belongs to the import, not here.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Final, Protocol

from calltree.text.encodings import CODECS, Decoding, find_encoding
from calltree.text.folding import INVISIBLE, fold_name, strip_invisible
from calltree.text.sheet_problems import Code, Problem, Refused, Severity
from calltree.text.workbooks import is_workbook, open_workbook

__all__ = ["CODECS", "Code", "Limits", "Problem", "Reading", "Severity", "Sheet", "open_sheet"]

_DELIMITERS: Final = (",", "\t", ";")
_DELIMITER_SAMPLE: Final = 1 << 18
_KEPT_PER_CODE: Final = 100
_EXCEL_COLUMNS: Final = 16_384
# Stands behind the last line; no file that came this far holds a NUL. Swallowed by a record, it
# proves that a quote was still open, which Python's csv says only in its strict mode.
_END: Final = "\0"
_INVISIBLE_CLASS: Final = "".join(map(re.escape, map(chr, INVISIBLE)))
_SOMETHING: Final = re.compile(rf"[^\s{_INVISIBLE_CLASS}]")
_CONTROL: Final = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_END: Final = re.compile("\r\n?")
_BREAK: Final = re.compile(r"\s*[\r\n]\s*")
_WRAP: Final = re.compile(r"(?<=[^\x00-\x7f])\s*[\r\n]\s*(?=[^\x00-\x7f])")
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*\Z', re.IGNORECASE)
_MAGIC: Final = (
    (re.compile(rb"\s*<(?:!doctype|html|table|\?xml)", re.IGNORECASE), "html"),
    (re.compile(rb"%PDF-"), "pdf"),
    (re.compile(rb"\{\\rtf"), "rtf"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may hold at most (R-LS-3)."""

    rows: int = 50_000
    columns: int = 200
    size_bytes: int = 64 << 20
    inflated_bytes: int = 512 << 20
    cell_characters: int = 32_767


@dataclass(frozen=True, slots=True)
class Reading:
    """How the file was read, to be said and changed: encoding and delimiter, or sheets."""

    kind: str  # "csv" or "xlsx"
    encoding: str | None = None  # a key of CODECS
    delimiter: str | None = None
    sheets: tuple[str, ...] = ()  # the visible ones
    sheet: str | None = None


class _Source(Protocol):
    def records(self) -> Iterator[tuple[int, list[str]]]: ...


@dataclass(slots=True)
class Sheet:
    """An uploaded table that can be asked what is wrong with it.

    `header` and the cells of `rows` have the same columns: empty ones are left out. A refused file
    may have a header and rows as far as they could be read, for the preview; or neither.
    """

    reading: Reading | None = None
    header: tuple[str, ...] = ()
    proposed_header: tuple[str, ...] = ()  # duplicates numbered: 住所1, 住所2
    columns: tuple[int, ...] = ()  # of each header, its column in the spreadsheet, from 1
    header_row: int = 1
    row_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[Code] = field(default_factory=Counter)  # of all, also of those not kept
    _source: _Source | None = None
    _width: int = 0
    _clean: bool = False

    @property
    def refused(self) -> bool:
        """Whether nothing of this file may be taken."""
        return any(problem.severity is Severity.REFUSED for problem in self.problems)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Row number as the spreadsheet shows it and one cell for each header; no empty rows.

        Text is as given, but for line ends (all are line feeds) and control characters.
        """
        if self._source is None:
            return
        width = self._width
        kept = [column - 1 for column in self.columns]
        all_kept = len(kept) == width
        try:
            for number, row in self._source.records():
                if number <= self.header_row or not _SOMETHING.search("".join(row)):
                    continue
                if len(row) != width:
                    row = (row + [""] * width)[:width]
                if self._clean:
                    row = [_cleaned(cell) for cell in row]
                yield number, row if all_kept else [row[i] for i in kept]
        except Refused:
            return  # said in problems; what came before can still be shown

    def sample(self, count: int = 5) -> list[tuple[int, list[str]]]:
        """The first rows."""
        return list(islice(self.rows(), count))

    def report(self, problem: Problem) -> None:
        """Add a finding; of each code the first hundred are kept and all are counted."""
        self.counts[problem.code] += 1
        if self.counts[problem.code] <= _KEPT_PER_CODE:
            self.problems.append(problem)


def open_sheet(
    path: Path,
    encoding: str | None = None,
    sheet: str | None = None,
    *,
    limits: Limits | None = None,
) -> Sheet:
    """Look at an uploaded file and say all that is wrong with it.

    `encoding` is a key of CODECS and `sheet` the name of a visible sheet, where a person chose;
    otherwise both are found. Whatever the bytes are, the answer is a Sheet: OSError of the disk is
    the only exception.
    """
    limits = limits or Limits()
    result = Sheet()
    try:
        _open(path, encoding, sheet, limits, result)
    except Refused as refusal:
        result.report(refusal.problem)
    return result


def _open(
    path: Path, encoding: str | None, sheet: str | None, limits: Limits, result: Sheet
) -> None:
    size = path.stat().st_size
    if size == 0:
        raise Refused(Problem(Code.EMPTY_FILE))
    if size > limits.size_bytes:
        raise Refused(Problem(Code.TOO_LARGE, found=str(size), expected=(str(limits.size_bytes),)))
    with path.open("rb") as file:
        head = file.read(512)
    if is_workbook(head[:8]):
        workbook = open_workbook(path, sheet, inflated_limit=limits.inflated_bytes)
        result.reading = Reading("xlsx", sheets=workbook.sheets, sheet=workbook.sheet)
        result._source = workbook
        _scan(workbook, limits, result, check_text=True)
        return
    for magic, name in _MAGIC:
        if magic.match(head):
            raise Refused(Problem(Code.NOT_A_TABLE, found=name))
    decoding = find_encoding(path, encoding)
    source = _open_text(path, decoding, limits)
    result.reading = Reading("csv", encoding=decoding.code, delimiter=source.delimiter)
    result._source = source
    _scan(source, limits, result, check_text=decoding.has_controls)


@dataclass(frozen=True, slots=True)
class _TextSource:
    path: Path
    codec: str
    delimiter: str
    skip_first_line: bool
    limits: Limits

    def records(self) -> Iterator[tuple[int, list[str]]]:
        number = 0
        with self.path.open(encoding=self.codec, newline="") as file:
            if self.skip_first_line:
                file.readline()
            reader = csv.reader(chain(file, (_END,)), delimiter=self.delimiter)
            try:
                for number, row in enumerate(reader, 1):
                    if row and _END in row[-1]:
                        if row != [_END]:
                            raise Refused(
                                Problem(Code.QUOTE_NOT_CLOSED, row=number, column=len(row))
                            )
                        return
                    yield number, row
            except csv.Error as error:
                # The one error left to a lenient reader: a field beyond csv.field_size_limit().
                limit = str(self.limits.cell_characters)
                raise Refused(
                    Problem(Code.CELL_TOO_LONG, row=number + 1, expected=(limit,))
                ) from error


def _open_text(path: Path, decoding: Decoding, limits: Limits) -> _TextSource:
    with path.open(encoding=decoding.codec, newline="") as file:
        sample = file.read(_DELIMITER_SAMPLE)
    lines = sample.splitlines(keepends=True)
    # Excel writes and obeys a first line "sep=;" and does not count it.
    separator = _SEPARATOR_LINE.match(lines[0].lstrip("\ufeff")) if lines else None
    delimiter = separator[1] if separator else _delimiter(lines)
    return _TextSource(path, decoding.codec, delimiter, separator is not None, limits)


def _delimiter(lines: list[str]) -> str:
    """The one that parts the header into most cells; a comma when none does."""

    def cells(delimiter: str) -> int:
        try:
            return next((len(row) for row in csv.reader(lines, delimiter=delimiter) if row), 0)
        except csv.Error:
            return 0

    return max(_DELIMITERS, key=cells)


def _cleaned(cell: str) -> str:
    return _CONTROL.sub("", _LINE_END.sub("\n", cell))


def _scan(source: _Source, limits: Limits, result: Sheet, *, check_text: bool) -> None:
    """One pass: find the header, count rows, see which columns hold anything, check each row."""
    header: list[str] | None = None
    unseen: set[int] = set()
    empty_rows = 0  # a file may hold millions
    try:
        for number, row in source.records():
            joined = "".join(row)
            if not _SOMETHING.search(joined):
                empty_rows += 1
                if empty_rows <= _KEPT_PER_CODE:
                    result.problems.append(Problem(Code.EMPTY_ROW_DROPPED, row=number))
                continue
            if "\r" in joined:
                result._clean = True
            if header is None:
                if _CONTROL.search(joined):
                    raise Refused(Problem(Code.NOT_A_TABLE, row=number, found="binary"))
                if len(row) > _EXCEL_COLUMNS:
                    found, most = str(len(row)), str(limits.columns)
                    raise Refused(
                        Problem(Code.TOO_MANY_COLUMNS, row=number, found=found, expected=(most,))
                    )
                header = row
                result.header_row, result._width = number, len(row)
                unseen = set(range(len(row)))
                continue
            result.row_count += 1
            if len(row) > len(header):
                _check_row_end(number, row, len(header), result)
            if len(joined) > limits.cell_characters:
                _check_cell_lengths(number, row, limits, result)
            if check_text and _CONTROL.search(joined):
                _report_controls(number, row, result)
            if unseen:
                unseen -= {i for i in unseen if i < len(row) and _SOMETHING.search(row[i])}
    finally:
        if empty_rows:
            result.counts[Code.EMPTY_ROW_DROPPED] = empty_rows
        if header is not None:
            _name_columns(header, unseen, limits, result)
    if not result.row_count:
        raise Refused(Problem(Code.NO_ROWS))
    if result.row_count > limits.rows:
        raise Refused(
            Problem(Code.TOO_MANY_ROWS, found=str(result.row_count), expected=(str(limits.rows),))
        )


def _check_row_end(number: int, row: list[str], width: int, result: Sheet) -> None:
    beyond = [i for i in range(width, len(row)) if _SOMETHING.search(row[i])]
    if beyond:
        result.report(
            Problem(
                Code.ROW_TOO_LONG,
                row=number,
                column=beyond[0] + 1,
                found=str(beyond[-1] + 1),
                expected=(str(width),),
            )
        )


def _check_cell_lengths(number: int, row: list[str], limits: Limits, result: Sheet) -> None:
    for column, cell in enumerate(row, 1):
        if len(cell) > limits.cell_characters:
            result.report(
                Problem(
                    Code.CELL_TOO_LONG,
                    row=number,
                    column=column,
                    found=str(len(cell)),
                    expected=(str(limits.cell_characters),),
                )
            )


def _report_controls(number: int, row: list[str], result: Sheet) -> None:
    result._clean = True
    for column, cell in enumerate(row, 1):
        control = _CONTROL.search(cell)
        if control:
            found = f"U+{ord(control[0]):04X}"
            result.report(
                Problem(Code.CONTROL_CHARACTER_REMOVED, row=number, column=column, found=found)
            )


def _name_columns(cells: list[str], unseen: set[int], limits: Limits, result: Sheet) -> None:
    row = result.header_row
    header: list[str] = []
    columns: list[int] = []
    for index, cell in enumerate(cells):
        column = index + 1
        name = _trimmed(cell)
        if not name and index in unseen:
            result.report(Problem(Code.EMPTY_COLUMN_DROPPED, row=row, column=column))
            continue
        if not name:
            name = f"列{column}"
            result.report(Problem(Code.HEADER_NAMED, row=row, column=column, expected=(name,)))
        elif name != cell:
            result.report(
                Problem(Code.HEADER_TRIMMED, row=row, column=column, found=cell, expected=(name,))
            )
        header.append(name)
        columns.append(column)
    result.header, result.columns = tuple(header), tuple(columns)
    result.proposed_header = tuple(_numbered(header))
    for name, proposed, column in zip(header, result.proposed_header, columns, strict=True):
        if name != proposed:
            result.report(
                Problem(
                    Code.DUPLICATE_HEADER, row=row, column=column, found=name, expected=(proposed,)
                )
            )
    if len(header) > limits.columns:
        found, most = str(len(header)), str(limits.columns)
        result.report(Problem(Code.TOO_MANY_COLUMNS, row=row, found=found, expected=(most,)))


def _trimmed(header: str) -> str:
    """Blanks around it and characters that show nothing go; a line break in 電話番号 goes too."""
    one_line = _WRAP.sub("", strip_invisible(header)).strip()
    return _BREAK.sub(" ", one_line)


def _numbered(header: Sequence[str]) -> Iterator[str]:
    """The header with the next free number behind each name that stands there twice."""
    often = Counter(map(fold_name, header))
    taken = set(often)
    for name in header:
        if often[fold_name(name)] == 1:
            yield name
            continue
        number = 1
        while fold_name(f"{name}{number}") in taken:
            number += 1
        taken.add(fold_name(f"{name}{number}"))
        yield f"{name}{number}"
