"""The rows of a file that do not go in, to be mended and brought again (R-LS-5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from calltree.models import Import, Site
from calltree.services.import_check import Choices, Target, lay_out
from calltree.text.phones import Reason, Rejected, normalise
from calltree.text.sheets_out import Encoding
from calltree.text.spreadsheets import Sheet, open_sheet


class Rejects:
    """A file's header, and each rejected row with its reason; reads the file anew each time."""

    def __init__(self, session: Session, *, path: Path, given: Import) -> None:
        self._choices = Choices.read(given.choices)
        self._sheet: Sheet = open_sheet(path, self._choices.encoding, self._choices.sheet)
        site = session.get(Site, 1)
        self._prefixes = list(site.extra_prefixes) if site else []
        layout = lay_out(self._sheet, self._choices, None)
        phones = [i for i, target in enumerate(layout.targets) if target is Target.PHONE]
        self._phone = phones[0] if phones else None
        self.header = self._sheet.header

    @property
    def encoding(self) -> Encoding:
        """The encoding in which the file came, if a table may leave in it."""
        reading = self._sheet.reading
        cp932 = reading is not None and reading.encoding == "cp932"
        return Encoding.CP932 if cp932 else Encoding.UTF_8_BOM

    def rows(self) -> Iterator[tuple[int, list[str], Reason]]:
        """Give spreadsheet row, cells as they came, and why."""
        if self._phone is None:
            return
        for row, cells in self._sheet.rows():
            found = normalise(cells[self._phone], self._prefixes)
            if not isinstance(found, Rejected):
                continue
            if found.reason is Reason.TWO_OR_MORE and self._choices.split_numbers:
                continue
            yield row, cells, found.reason
