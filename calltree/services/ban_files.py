"""Files of do-not-call numbers: CSVで登録 and CSVで解除 (R-DN-3).

A file is read as an import reads it: any encoding, CSV, TSV or XLSX, at most 50,000 rows. Its
column 電話番号 is taken, else its first; a file without a header is understood too. All else in it
is left alone.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.models import BulkJob, BulkKind, DncSource, DoNotCall, Site
from calltree.services import do_not_call
from calltree.services.names import PHONE_COLUMN
from calltree.text.phones import Phone, Reason, normalise
from calltree.text.sheet_problems import Code, Problem, Severity
from calltree.text.sheets_out import Encoding
from calltree.text.spreadsheets import Sheet, open_sheet

SHOWN = 50
GIVEN_CHARACTERS = 64
_ITS_COLUMNS_AFFAIR = (Code.DUPLICATE_HEADER, Code.ROW_TOO_LONG)
"""Refusals of an import that say nothing about the one column that is read here."""


@dataclass(slots=True)
class BanFile:
    """A file of numbers that can be asked what is wrong with it."""

    sheet: Sheet
    place: int = 0
    has_header: bool = True
    prefixes: Collection[str] = ()
    numbers: list[str] = field(default_factory=list)
    """In their normal form, each once, in the file's order."""
    rows: array[int] = field(default_factory=lambda: array("I"))
    """Of each number, its row as the spreadsheet shows it."""
    total: int = 0
    twice: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)
    shown: list[dict[str, Any]] = field(default_factory=list)
    """The first rows that cannot be read."""

    @property
    def blocking(self) -> list[Problem]:
        """What stands in the way of the whole file."""
        found = [
            problem
            for problem in self.sheet.problems
            if problem.severity is Severity.REFUSED and problem.code not in _ITS_COLUMNS_AFFAIR
        ]
        alone = self.has_header is False and len(found) == 1
        return [] if alone and found[0].code is Code.NO_ROWS else found

    @property
    def encoding(self) -> Encoding:
        """The encoding in which the file came, if a table may leave in it."""
        reading = self.sheet.reading
        cp932 = reading is not None and reading.encoding == "cp932"
        return Encoding.CP932 if cp932 else Encoding.UTF_8_BOM

    def cells(self) -> Iterator[tuple[int, list[str]]]:
        """Give (row, cells), the first row too if it is no header."""
        if not self.has_header:
            yield self.sheet.header_row, list(self.sheet.header)
        yield from self.sheet.rows()

    def rejects(self) -> Iterator[tuple[int, list[str], Reason]]:
        """Give spreadsheet row, cells as they came, and why."""
        for row, cells in self.cells():
            found = normalise(cells[self.place], self.prefixes)
            if not isinstance(found, Phone):
                yield row, cells, found.reason


def read(path: Path, *, prefixes: Collection[str], values: bool = True) -> BanFile:
    """Read a file; with `values` its numbers too. Raises OSError for a lost file."""
    file = BanFile(open_sheet(path), prefixes=prefixes)
    header = file.sheet.header
    if not header:
        return file
    if PHONE_COLUMN in header:
        file.place = header.index(PHONE_COLUMN)
    else:
        file.has_header = not isinstance(normalise(header[0], prefixes), Phone)
    if values and not file.blocking:
        _read_numbers(file)
    return file


def _read_numbers(file: BanFile) -> None:
    known: set[str] = set()
    for row, cells in file.cells():
        file.total += 1
        cell = cells[file.place]
        found = normalise(cell, file.prefixes)
        if not isinstance(found, Phone):
            file.reasons[found.reason] += 1
            if len(file.shown) < SHOWN:
                given = cell[:GIVEN_CHARACTERS]
                file.shown.append({"row": row, "found": given, "reason": found.reason.value})
        elif found.number in known:
            file.twice += 1
        else:
            known.add(found.number)
            file.numbers.append(found.number)
            file.rows.append(row)


def prefixes_of(session: Session) -> list[str]:
    """Return the prefixes that the site allows beyond the usual ones (R-CL-16)."""
    site = session.get(Site, 1)
    return list(site.extra_prefixes) if site else []


def wish_of(job: BulkJob) -> do_not_call.Wish:
    """What CSVで登録 enters for each number."""
    until = job.choices.get("expires_at")
    return do_not_call.Wish(
        DncSource.CSV,
        job.user_id,
        project_ids=frozenset(job.choices.get("project_ids", ())),
        expires_at=datetime.fromisoformat(until) if until else None,
        note=job.choices.get("note", ""),
        job_id=job.id,
    )


def findings(session: Session, *, job: BulkJob, file: BanFile, now: datetime) -> dict[str, Any]:
    """Say what a file would do, for the page; nothing is written."""
    blocking = file.blocking
    reading = file.sheet.reading
    found: dict[str, Any] = {
        "refused": bool(blocking),
        "reading": asdict(reading) if reading else None,
        "problems": [asdict(p) | {"severity": p.severity.value} for p in blocking[:SHOWN]],
        "column": file.sheet.header[file.place] if file.has_header and file.sheet.header else "",
        "shown": file.shown,
    }
    if blocking:
        return found
    counts: dict[str, Any] = {
        "total": file.total,
        "twice": file.twice,
        "invalid": file.reasons.total(),
        "by_reason": {reason.value: count for reason, count in file.reasons.items()},
    }
    if job.kind is BulkKind.BAN_ADD:
        known = do_not_call.covered(session, numbers=file.numbers, wish=wish_of(job), now=now)
        counts |= {"new": len(file.numbers) - len(known), "existing": len(known)}
    else:
        banned = banned_among(session, numbers=file.numbers, now=now)
        counts |= {"found": len(banned), "absent": len(file.numbers) - len(banned)}
    return found | {"counts": counts}


def banned_among(session: Session, *, numbers: list[str], now: datetime) -> dict[str, list[int]]:
    """Return the entries in force on each of these numbers that has any, in whatever scope."""
    found: dict[str, list[int]] = {}
    for part in do_not_call.slices(numbers):
        rows = session.execute(
            select(DoNotCall.number, DoNotCall.id).where(
                DoNotCall.number.in_(part), do_not_call.in_force(now)
            )
        )
        for number, entry_id in rows:
            found.setdefault(number, []).append(entry_id)
    return found


def entered_by(session: Session, *, job_id: int) -> int:
    """Count the entries that came with a file."""
    return session.scalar(select(func.count()).where(DoNotCall.job_id == job_id)) or 0
