"""What can be wrong with an uploaded file, as codes and places; the pages word them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """REFUSED: nothing of the file is taken. REPORTED: it was read, and this was done to it."""

    REFUSED = "refused"
    REPORTED = "reported"


class Code(StrEnum):
    """One per thing that a person has to be told; the comment says what found and expected hold."""

    # The file as such
    EMPTY_FILE = "empty_file"
    TOO_LARGE = "too_large"  # bytes
    NOT_A_TABLE = "not_a_table"  # found: what it seems to be (html, pdf, zip, binary)
    OLD_EXCEL = "old_excel"  # found: xls or xlsb
    PASSWORD = "password"  # noqa: S105 - a kind of problem, no secret
    ZIP_BOMB = "zip_bomb"  # inflated bytes
    DAMAGED_WORKBOOK = "damaged_workbook"
    NO_SUCH_SHEET = "no_such_sheet"  # found: the name asked for; expected: the names there are
    UNKNOWN_ENCODING = "unknown_encoding"  # found: the name asked for; expected: the choices
    UNDECODABLE = "undecodable"  # found: the bytes as hex; expected: the encodings tried
    NUL_CHARACTER = "nul_character"
    QUOTE_NOT_CLOSED = "quote_not_closed"  # row: where the record with the open quote begins
    # The table
    NO_ROWS = "no_rows"
    TOO_MANY_ROWS = "too_many_rows"
    TOO_MANY_COLUMNS = "too_many_columns"
    CELL_TOO_LONG = "cell_too_long"  # characters
    ROW_TOO_LONG = "row_too_long"  # cells
    DUPLICATE_HEADER = "duplicate_header"  # found: the header; expected: the proposed one
    # What was done and is only said
    HEADER_TRIMMED = "header_trimmed"  # found: before; expected: after
    HEADER_NAMED = "header_named"  # expected: the name given
    EMPTY_COLUMN_DROPPED = "empty_column_dropped"
    EMPTY_ROW_DROPPED = "empty_row_dropped"
    CONTROL_CHARACTER_REMOVED = "control_character_removed"  # found: U+000B


_REPORTED: Final = frozenset(
    {
        Code.HEADER_TRIMMED,
        Code.HEADER_NAMED,
        Code.EMPTY_COLUMN_DROPPED,
        Code.EMPTY_ROW_DROPPED,
        Code.CONTROL_CHARACTER_REMOVED,
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. Rows and columns count from 1 as the spreadsheet shows them."""

    code: Code
    row: int | None = None
    column: int | None = None
    found: str = ""
    expected: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        return Severity.REPORTED if self.code in _REPORTED else Severity.REFUSED


class Refused(Exception):
    """The file cannot be read on from here; carries the problem out of the reader."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
