"""Ask a file and the database together what an import would do; check and run both begin here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import CustomerList, Import, Project, Site
from calltree.services import import_facts, import_memory, names
from calltree.services.import_check import (
    MAX_CUSTOMERS,
    SHOWN,
    Action,
    Choices,
    Layout,
    Plan,
    Verdict,
    add_clashes,
    all_numbers,
    blocking,
    judge,
    lay_out,
    read_numbers,
)
from calltree.text.sheet_problems import Code
from calltree.text.spreadsheets import Sheet, open_sheet

SAMPLE_ROWS = 5
SAMPLE_CHARACTERS = 120


@dataclass(slots=True)
class Analysis:
    """A file as it stands against its list at one moment."""

    sheet: Sheet
    choices: Choices
    layout: Layout | None = None
    plan: Plan | None = None
    over: int = 0
    """Customers that the list would hold, where that is more than it may."""

    @property
    def verdict(self) -> Verdict:
        """What stands in the way first: the file, its columns, its rows, or nothing."""
        if blocking(self.sheet, self.choices) or self.over:
            return Verdict.REFUSED
        if self.layout is None or self.layout.problems or self.plan is None:
            return Verdict.COLUMNS_WRONG
        return Verdict.ROWS_WRONG if self.plan.count(Action.REJECT) else Verdict.FINE

    @property
    def ready(self) -> tuple[Layout, Plan]:
        """The columns and rows of a file that may be run."""
        if self.layout is None or self.plan is None:
            raise ValueError("this file cannot be run")
        return self.layout, self.plan

    def findings(self) -> dict[str, Any]:
        """Give what the pages need, as it stands in `Import.findings`."""
        sheet, layout, plan = self.sheet, self.layout, self.plan
        kept = [p for p in sheet.problems if p.code is not Code.EMPTY_ROW_DROPPED][:SHOWN]
        sample = [(row, _short(cells)) for row, cells in sheet.sample(SAMPLE_ROWS)]
        return {
            "verdict": self.verdict.value,
            "reading": asdict(sheet.reading) if sheet.reading else None,
            "header": list(sheet.header),
            "places": list(sheet.columns),
            "proposed": list(sheet.proposed_header),
            "sample": sample,
            "row_count": sheet.row_count,
            "problems": [asdict(p) | {"severity": p.severity.value} for p in kept],
            "problem_counts": {code.value: count for code, count in sheet.counts.items()},
            "layout": asdict(layout) if layout else None,
            "counts": plan.counts() if plan else {},
            "shown": plan.shown() if plan else [],
            "over": self.over,
        }


def _short(cells: list[str]) -> list[str]:
    return [cell[:SAMPLE_CHARACTERS] for cell in cells]


def analyse(store: Store, *, path: Path, given: Import, now: datetime) -> Analysis:
    """Read the file and look its numbers up. Writes nothing; raises OSError for a lost file."""
    choices = Choices.read(given.choices)
    sheet = open_sheet(path, choices.encoding, choices.sheet)
    found = Analysis(sheet, choices)
    if not sheet.header:
        return found
    with store.read() as session:
        existing, held, prefixes = _target(session, given)
        found.choices = choices = import_memory.recall(
            session, given=given, header=sheet.header, choices=choices
        )
        found.layout = layout = lay_out(sheet, choices, existing)
        project = session.get_one(Project, given.project_id)
        wanted = layout.columns if existing is None else layout.added
        add_clashes(layout, names.column_clashes(session, project=project, columns=wanted))
    if layout.problems or blocking(sheet, choices):
        return found
    plan = read_numbers(sheet, layout, choices, prefixes)
    with store.read() as session:
        facts = import_facts.load(
            session,
            numbers=all_numbers(plan),
            project_id=given.project_id,
            list_id=given.list_id,
            now=now,
        )
    judge(plan, facts, choices)
    found.plan = plan
    would_hold = held + plan.count(Action.ADD)
    found.over = would_hold if would_hold > MAX_CUSTOMERS else 0
    return found


def _target(session: Session, given: Import) -> tuple[list[str] | None, int, list[str]]:
    """Return the columns of the list there is (None for a new one), its size, our prefixes."""
    site = session.get(Site, 1)
    prefixes = list(site.extra_prefixes) if site else []
    if given.new_list_name or given.list_id is None:
        return None, 0, prefixes
    folder = session.scalars(select(CustomerList).where(CustomerList.id == given.list_id)).one()
    return list(folder.columns), folder.customers, prefixes
