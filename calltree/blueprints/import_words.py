"""What the import's findings are called and what to do about each; codes come from the services."""

from __future__ import annotations

from flask_babel import gettext as _

from calltree.models import ImportState
from calltree.services.import_check import Duplicate, Target, Treatment
from calltree.services.sentences import N_
from calltree.text.phones import Reason
from calltree.text.sheet_problems import Code

STATES = {
    ImportState.UPLOADED: N_("Uploaded"),
    ImportState.CHECKING: N_("Being checked"),
    ImportState.CHECKED: N_("Waiting for you"),
    ImportState.RUNNING: N_("Being imported"),
    ImportState.PUBLISHED: N_("Being updated"),
    ImportState.UPDATING: N_("Being updated"),
    ImportState.DONE: N_("Imported"),
    ImportState.CANCELLED: N_("Cancelled"),
    ImportState.FAILED: N_("Failed"),
    ImportState.UNDOING: N_("Being undone"),
    ImportState.UNDONE: N_("Undone"),
}
STATE_KINDS = {
    ImportState.DONE: "ok",
    ImportState.FAILED: "bad",
    ImportState.CHECKED: "warn",
    ImportState.CANCELLED: "mute",
    ImportState.UNDONE: "mute",
}
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-bom": "UTF-8 (BOM)",
    "cp932": "Shift_JIS(CP932)",
    "euc-jp": "EUC-JP",
    "iso-2022-jp": "ISO-2022-JP",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 (LE)",
    "utf-16-be": "UTF-16 (BE)",
}
DELIMITERS = {",": N_("comma"), "\t": N_("tab"), ";": N_("semicolon")}
TARGETS = {
    Target.COLUMN: N_("Take in"),
    Target.PHONE: N_("Phone number (電話番号)"),
    Target.EXTRA: N_("As an extra number"),
    Target.IGNORE: N_("Leave out"),
}
DUPLICATES = {
    Duplicate.BANNED: N_("On do-not-call"),
    Duplicate.LIST: N_("In this list already"),
    Duplicate.FILE: N_("Twice in the file"),
    Duplicate.PROJECT: N_("In another list of the project"),
}
TREATMENTS = {
    Treatment.SKIP: N_("Skip"),
    Treatment.KEEP: N_("Keep both"),
    Treatment.UPDATE: N_("Update"),
}
REASONS = {
    Reason.TWO_OR_MORE: N_("Two or more numbers"),
    Reason.NO_AREA_CODE: N_("No area code"),
    Reason.EMPTY: N_("No number"),
    Reason.WRONG_LENGTH: N_("Wrong number of digits"),
    Reason.EXPONENT: N_("Exponent notation"),
    Reason.EXTENSION: N_("With an extension"),
    Reason.NOT_ALLOWED: N_("Number not allowed"),
}
FIXES = {
    Reason.TWO_OR_MORE: N_("Leave one number in the cell, or take the rest as extra numbers."),
    Reason.NO_AREA_CODE: N_("Write the number with its area code."),
    Reason.EMPTY: N_("Enter a phone number, or delete the row."),
    Reason.WRONG_LENGTH: N_("Check the digits."),
    Reason.EXPONENT: N_("Excel lost digits. Format the column as text and enter the number again."),
    Reason.EXTENSION: N_("Remove the extension and write it in another column."),
    Reason.NOT_ALLOWED: N_("Emergency, special and international numbers are not called."),
}
WARNINGS = {
    "trimmed": N_("Blanks around the number were removed"),
    "label_dropped": N_("Words beside the number were left out"),
    "zero_restored": N_("A lost leading 0 was restored"),
    "country_code_removed": N_("+81 was replaced with 0"),
    "decimal_removed": N_("A decimal part of Excel was removed"),
    "repeated": N_("The same number was written twice in a cell"),
    "split": N_("Further numbers of the cell became extra numbers"),
    "extra_dropped": N_("An extra number could not be read and was left out"),
}
FAILURES = {
    "file_gone": N_("The uploaded file is gone. Upload it again."),
    "changed_meanwhile": N_(
        "The list or its project was changed meanwhile, so nothing was taken in. Import it again."
    ),
    "unexpected": N_(
        "Something went wrong on our side and nothing was taken in. Import it again; "
        "if that fails too, tell the administrator."
    ),
}
PROBLEMS = {
    Code.EMPTY_FILE: N_("The file is empty. Choose the file again."),
    Code.TOO_LARGE: N_("The file is larger than 64 MB. Split it and import the parts."),
    Code.NOT_A_TABLE: N_("This is not a CSV or XLSX file. Save it as .xlsx or .csv in Excel."),
    Code.OLD_EXCEL: N_("This is a file of an old Excel. Save it again as .xlsx or .csv in Excel."),
    Code.PASSWORD: N_(
        "The file has a password. Remove it and save it again as .xlsx or .csv in Excel."
    ),
    Code.ZIP_BOMB: N_(
        "The file unpacks to too much data. Save only the sheet you need as .csv in Excel."
    ),
    Code.DAMAGED_WORKBOOK: N_(
        "The workbook is damaged. Open it in Excel and save it again as .xlsx or .csv."
    ),
    Code.NO_SUCH_SHEET: N_("There is no sheet %(found)s. Choose another sheet."),
    Code.UNKNOWN_ENCODING: N_("This encoding is not known. Choose another one."),
    Code.UNDECODABLE: N_(
        "The file cannot be read as %(expected)s (bytes %(found)s). "
        "Choose another encoding, or save it as CSV UTF-8 in Excel."
    ),
    Code.NUL_CHARACTER: N_("There is a character that no text holds. Save it again in Excel."),
    Code.QUOTE_NOT_CLOSED: N_('A quotation mark (") is not closed. Close it or remove it.'),
    Code.NO_ROWS: N_("There is no row below the header. Choose the file again."),
    Code.TOO_MANY_ROWS: N_(
        "There are %(found)s rows; a file may have %(expected)s. "
        "Split it and import the parts one by one into the same list."
    ),
    Code.TOO_MANY_COLUMNS: N_(
        "There are %(found)s columns; a list may have %(expected)s. Delete columns in Excel."
    ),
    Code.CELL_TOO_LONG: N_("A cell has more than %(expected)s characters. Shorten it."),
    Code.ROW_TOO_LONG: N_(
        "The row has %(found)s cells, the header %(expected)s. "
        "Look for a comma inside a cell, or add the header."
    ),
    Code.DUPLICATE_HEADER: N_("The header %(found)s stands there twice (proposed: %(expected)s)."),
    Code.HEADER_TRIMMED: N_("Blanks around the header %(expected)s were removed."),
    Code.HEADER_NAMED: N_("A column without a header was named %(expected)s."),
    Code.EMPTY_COLUMN_DROPPED: N_("An empty column was left out."),
    Code.CONTROL_CHARACTER_REMOVED: N_("A control character (%(found)s) was removed."),
}
COLUMN_PROBLEMS = {
    "phone_missing": N_("There is no column 電話番号. Choose the column that holds the number."),
    "two_phone_columns": N_("Two columns are chosen as 電話番号. Leave one of them."),
    "column_twice": N_("The column %(name)s stands there twice. Rename one of them."),
    "too_many_columns": N_("The list would have %(found)s columns; it may have %(most)s."),
    "name_reserved": N_(
        "%(name)s is a name that the system and its exports use. Rename or leave out the column."
    ),
    "name_clash_status": N_(
        "%(name)s is also the result status %(other)s of the project %(project)s. "
        "Rename or leave out the column."
    ),
    "name_clash_item": N_(
        "%(name)s is also the attribute item %(other)s of the project %(project)s. "
        "Rename or leave out the column."
    ),
}


def file_problem(problem: dict[str, object]) -> str:
    """Say one finding about the file."""
    expected = problem["expected"]
    joined = "、".join(map(str, expected)) if isinstance(expected, list | tuple) else expected
    words = PROBLEMS.get(Code(str(problem["code"])))
    if words is None:
        return str(_("The file could not be read."))
    return str(_(words, found=problem["found"], expected=joined))


def column_problem(problem: dict[str, object]) -> str:
    """Say one finding about the columns."""
    return str(_(COLUMN_PROBLEMS[str(problem["code"])], **problem))
