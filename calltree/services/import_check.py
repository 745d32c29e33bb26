"""What an uploaded file would do to a list, asked before anything is written (R-LS-3…6).

Pure: a `Sheet`, what the manager chose, and what the database knows go in; a `Layout` (columns) and
a `Plan` (rows) come out, and say what is wrong with either. `services.imports` brings the facts,
`services.import_run` carries a plan out.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from calltree.services.names import EXTRA_NUMBER_PREFIX, PHONE_COLUMN, Clash
from calltree.text.folding import fold_name
from calltree.text.phones import NoteCode, Phone, Reason, Rejected, normalise
from calltree.text.sheet_problems import Code, Problem, Severity
from calltree.text.spreadsheets import Sheet

MAX_CUSTOMERS = 200_000
MAX_COLUMNS = 200
SHOWN = 50
GIVEN_CHARACTERS = 64
_SAMPLED = 50
_DECIMAL = re.compile(r"[0-9]{1,3}\.[0-9]+\Z")
"""緯度 and 経度: their digits alone would pass for a number."""


class Target(StrEnum):
    """What becomes of a column of the file."""

    PHONE = "phone"
    EXTRA = "extra"
    COLUMN = "column"
    IGNORE = "ignore"


class Duplicate(StrEnum):
    """Where a number stands already; in the order in which it is asked."""

    BANNED = "banned"
    LIST = "list"
    FILE = "file"
    PROJECT = "project"


class Treatment(StrEnum):
    """スキップ, 残す, 更新."""

    SKIP = "skip"
    KEEP = "keep"
    UPDATE = "update"


class Verdict(StrEnum):
    """What can be said of the whole file; only the last two may be run."""

    REFUSED = "refused"
    COLUMNS_WRONG = "columns_wrong"
    ROWS_WRONG = "rows_wrong"
    FINE = "fine"


class Action(IntEnum):
    """What a run does with one row."""

    ADD = 0
    SKIP = 1
    UPDATE = 2
    MERGE = 3
    REJECT = 4


DEFAULTS = {
    Duplicate.BANNED: Treatment.SKIP,
    Duplicate.LIST: Treatment.SKIP,
    Duplicate.FILE: Treatment.SKIP,
    Duplicate.PROJECT: Treatment.KEEP,
}


@dataclass(slots=True)
class Choices:
    """What the manager decided so far. Columns are meant by their place in the file, from 0."""

    encoding: str | None = None
    sheet: str | None = None
    number_headers: bool = False
    """Duplicate headers become 住所1, 住所2."""
    targets: dict[int, Target] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    split_numbers: bool = False
    """A cell with several numbers: the first is 電話番号, the rest are extra numbers."""
    duplicates: dict[Duplicate, Treatment] = field(default_factory=lambda: dict(DEFAULTS))
    recalled: int | None = None
    """The import whose columns were taken over (`services.import_memory`)."""

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Choices:
        """Take what `stored` gave back."""
        return cls(
            encoding=stored.get("encoding"),
            sheet=stored.get("sheet"),
            number_headers=bool(stored.get("number_headers")),
            targets={int(k): Target(v) for k, v in stored.get("targets", {}).items()},
            names={int(k): str(v) for k, v in stored.get("names", {}).items()},
            split_numbers=bool(stored.get("split_numbers")),
            duplicates=DEFAULTS
            | {Duplicate(k): Treatment(v) for k, v in stored.get("duplicates", {}).items()},
            recalled=stored.get("recalled"),
        )

    def stored(self) -> dict[str, Any]:
        """Give the choices as they stand in `Import.choices`."""
        return {
            "encoding": self.encoding,
            "sheet": self.sheet,
            "number_headers": self.number_headers,
            "targets": {str(k): v.value for k, v in self.targets.items()},
            "names": {str(k): v for k, v in self.names.items()},
            "split_numbers": self.split_numbers,
            "duplicates": {k.value: v.value for k, v in self.duplicates.items()},
            "recalled": self.recalled,
        }


@dataclass(slots=True)
class Layout:
    """Which column of the file goes where; `problems` empty means the columns are right."""

    header: tuple[str, ...]
    targets: tuple[Target, ...]
    phone: int | None
    extras: tuple[int, ...]
    columns: list[str]
    """The list's columns after the import."""
    takes: list[int]
    """For each of `columns` its place in the file, or -1."""
    added: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    proposals: list[int] = field(default_factory=list)
    """Columns that look like phone numbers, best first."""
    problems: list[dict[str, Any]] = field(default_factory=list)


def blocking(sheet: Sheet, choices: Choices) -> list[Problem]:
    """Return the findings for which nothing of the file may be taken."""
    return [
        problem
        for problem in sheet.problems
        if problem.severity is Severity.REFUSED
        and not (problem.code is Code.DUPLICATE_HEADER and choices.number_headers)
    ]


def lay_out(sheet: Sheet, choices: Choices, existing: Sequence[str] | None) -> Layout:
    """Decide for each column where it goes; `existing` are the columns of a list there is."""
    header = _header(sheet, choices)
    targets = _targets(header, choices, existing)
    phones = [i for i, target in enumerate(targets) if target is Target.PHONE]
    layout = Layout(
        header=header,
        targets=tuple(targets),
        phone=phones[0] if len(phones) == 1 else None,
        extras=tuple(i for i, target in enumerate(targets) if target is Target.EXTRA),
        columns=list(existing or ()),
        takes=[],
    )
    _place_columns(layout, existing)
    if len(phones) > 1:
        layout.problems.append({"code": "two_phone_columns"})
    elif not phones:
        layout.proposals = _phone_like(sheet)
        layout.problems.append({"code": "phone_missing"})
    if len(layout.columns) > MAX_COLUMNS:
        found = len(layout.columns)
        layout.problems.append({"code": "too_many_columns", "found": found, "most": MAX_COLUMNS})
    return layout


def _header(sheet: Sheet, choices: Choices) -> tuple[str, ...]:
    header = sheet.proposed_header if choices.number_headers else sheet.header
    return tuple(choices.names.get(i) or name for i, name in enumerate(header))


def _targets(
    header: Sequence[str], choices: Choices, existing: Sequence[str] | None
) -> list[Target]:
    known = None if existing is None else {fold_name(name) for name in existing}
    chosen_phone = Target.PHONE in choices.targets.values()
    targets = []
    for place, name in enumerate(header):
        chosen = choices.targets.get(place)
        if chosen is not None:
            targets.append(chosen)
        elif name == PHONE_COLUMN and not chosen_phone:
            targets.append(Target.PHONE)
        elif fold_name(name).startswith(fold_name(EXTRA_NUMBER_PREFIX)):
            targets.append(Target.EXTRA)
        elif known is not None and fold_name(name) not in known:
            targets.append(Target.IGNORE)
        else:
            targets.append(Target.COLUMN)
    return targets


def _place_columns(layout: Layout, existing: Sequence[str] | None) -> None:
    places: dict[str, int] = {}
    for place, (name, target) in enumerate(zip(layout.header, layout.targets, strict=True)):
        if target is Target.IGNORE:
            layout.left_out.append(name)
        if target is not Target.COLUMN:
            continue
        key = fold_name(name)
        if key in places:
            layout.problems.append({"code": "column_twice", "name": name, "place": place})
            continue
        places[key] = place
        if key not in {fold_name(column) for column in layout.columns}:
            layout.columns.append(name)
            if existing is not None:
                layout.added.append(name)
    layout.takes = [places.get(fold_name(name), -1) for name in layout.columns]
    if existing is not None:
        layout.missing = [name for name in existing if fold_name(name) not in places]


def _phone_like(sheet: Sheet) -> list[int]:
    hits: Counter[int] = Counter()
    for _, cells in sheet.sample(_SAMPLED):
        hits.update(
            i
            for i, cell in enumerate(cells)
            if not _DECIMAL.match(cell) and isinstance(normalise(cell), Phone)
        )
    best = hits.most_common(5)
    return [place for place, often in best if often * 2 >= best[0][1]]


def add_clashes(layout: Layout, clashes: Iterable[Clash]) -> None:
    """Note the names that the project has already, both sides of each (R-ST-3)."""
    for clash in clashes:
        other = clash.other
        problem: dict[str, Any] = {"code": "name_reserved", "name": clash.name}
        if other is not None:
            problem |= {
                "code": f"name_clash_{other.kind}",
                "other": other.name,
                "project": other.project,
                "list": other.list_name,
            }
        if clash.name in layout.header:
            problem["place"] = layout.header.index(clash.name)
        layout.problems.append(problem)


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands in the database under the file's numbers: normal form → customer."""

    in_list: dict[str, int]
    in_project: dict[str, int]
    banned: frozenset[str]


Extra = tuple[str, str, str]
"""An extra number: as given, normal form, label."""


@dataclass(slots=True)
class Plan:
    """What happens to each row; compact, for a file of 50,000 is held as a whole."""

    rows: array[int] = field(default_factory=lambda: array("I"))
    """Row as the spreadsheet shows it."""
    numbers: list[str] = field(default_factory=list)
    extras: dict[int, tuple[Extra, ...]] = field(default_factory=dict)
    actions: bytearray = field(default_factory=bytearray)
    reasons: dict[int, Reason] = field(default_factory=dict)
    existing: dict[int, int] = field(default_factory=dict)
    """Of a row to UPDATE, its customer."""
    into: dict[int, int] = field(default_factory=dict)
    """Of a row to MERGE, the earlier row of the file."""
    errors: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The first rows of each kind of finding, for the page."""

    def count(self, action: Action) -> int:
        """Say how many rows end so."""
        return self.actions.count(action)

    def shown(self) -> list[dict[str, Any]]:
        """Return the first problem rows: errors before duplicates before warnings."""
        order = {"error": 0, "duplicate": 1, "warning": 2}
        kept = sorted(
            (note for notes in self.notes.values() for note in notes),
            key=lambda note: (order[note["kind"]], note["row"]),
        )
        return sorted(kept[:SHOWN], key=lambda note: (order[note["kind"]], note["row"]))

    def counts(self) -> dict[str, Any]:
        """Give all figures of the preview."""
        return {
            "total": len(self.rows),
            "new": self.count(Action.ADD),
            "updated": self.count(Action.UPDATE),
            "merged": self.count(Action.MERGE),
            "skipped": self.count(Action.SKIP),
            "errors": self.count(Action.REJECT),
            "warnings": sum(self.warnings.values()),
            "duplicates": dict(self.duplicates),
            "by_reason": dict(self.errors),
            "by_warning": dict(self.warnings),
        }

    def _note(self, kind: str, code: str, row: int, **said: Any) -> None:
        kept = self.notes.setdefault(code, [])
        if len(kept) < SHOWN:
            kept.append({"kind": kind, "code": code, "row": row, **said})


def read_numbers(
    sheet: Sheet, layout: Layout, choices: Choices, extra_prefixes: Sequence[str]
) -> Plan:
    """Read the numbers of every row; rows without one that may be dialled are rejected."""
    plan = Plan()
    phone = layout.phone
    if phone is None:
        return plan
    column = layout.header[phone]
    for index, (row, cells) in enumerate(sheet.rows()):
        plan.rows.append(row)
        found = normalise(cells[phone], extra_prefixes)
        extras: list[Extra] = []
        if isinstance(found, Rejected):
            if found.reason is not Reason.TWO_OR_MORE or not choices.split_numbers:
                _reject(plan, index, row, column, found)
                continue
            number = found.found[0]
            extras = [(cells[phone][:GIVEN_CHARACTERS], other, "") for other in found.found[1:]]
            plan.warnings["split"] += 1
        else:
            number = found.number
            if found.notes:
                _warn(plan, row, column, found)
        for place in layout.extras:
            if place < len(cells) and cells[place]:
                column_of = layout.header[place]
                extras += _extra_numbers(plan, row, column_of, cells[place], extra_prefixes)
        plan.numbers.append(number)
        plan.actions.append(Action.ADD)
        if extras:
            distinct = {extra[1]: extra for extra in reversed(extras) if extra[1] != number}
            if distinct:
                plan.extras[index] = tuple(reversed(distinct.values()))
    return plan


def _reject(plan: Plan, index: int, row: int, column: str, found: Rejected) -> None:
    plan.numbers.append("")
    plan.actions.append(Action.REJECT)
    plan.reasons[index] = found.reason
    plan.errors[found.reason.value] += 1
    plan._note("error", found.reason.value, row, column=column, found=found.given[:100])


def _warn(plan: Plan, row: int, column: str, found: Phone) -> None:
    for note in found.notes:
        plan.warnings[note.code.value] += 1
        if note.code is NoteCode.LABEL_DROPPED:
            plan._note("warning", note.code.value, row, column=column, found=found.given[:100])


def _extra_numbers(
    plan: Plan, row: int, column: str, cell: str, extra_prefixes: Sequence[str]
) -> list[Extra]:
    found = normalise(cell, extra_prefixes)
    label = column[:32]
    if isinstance(found, Phone):
        return [(cell[:GIVEN_CHARACTERS], found.number, label)]
    if found.reason is Reason.EMPTY:
        return []
    if found.reason is Reason.TWO_OR_MORE:
        return [(cell[:GIVEN_CHARACTERS], number, label) for number in found.found]
    plan.warnings["extra_dropped"] += 1
    plan._note("warning", "extra_dropped", row, column=column, found=cell[:100])
    return []


def all_numbers(plan: Plan) -> list[str]:
    """Return every number of the plan, each once."""
    numbers = dict.fromkeys(number for number in plan.numbers if number)
    for extras in plan.extras.values():
        numbers.update(dict.fromkeys(extra[1] for extra in extras))
    return list(numbers)


def judge(plan: Plan, facts: Facts, choices: Choices) -> None:
    """Decide for each row that has a number what happens to it (R-LS-6).

    Two customers are the same if any number of the one, main or extra, is a number of the other.
    A row is counted under the first kind that it meets; the first kind that is not 残す decides.
    """
    seen: dict[str, int] = {}
    for index, action in enumerate(plan.actions):
        if action == Action.REJECT:
            continue
        numbers = [plan.numbers[index], *(extra[1] for extra in plan.extras.get(index, ()))]
        met = _met(numbers, facts, seen)
        if met:
            _settle(plan, index, met, choices)
        if plan.actions[index] == Action.ADD:
            for number in numbers:
                seen.setdefault(number, index)


def _met(numbers: list[str], facts: Facts, seen: dict[str, int]) -> dict[Duplicate, int]:
    met: dict[Duplicate, int] = {}
    for number in numbers:
        if number in facts.banned:
            met.setdefault(Duplicate.BANNED, 0)
        if number in facts.in_list:
            met.setdefault(Duplicate.LIST, facts.in_list[number])
        if number in seen:
            met.setdefault(Duplicate.FILE, seen[number])
        if number in facts.in_project:
            met.setdefault(Duplicate.PROJECT, facts.in_project[number])
    return met


def _settle(plan: Plan, index: int, met: dict[Duplicate, int], choices: Choices) -> None:
    kinds = [kind for kind in Duplicate if kind in met]
    plan.duplicates[kinds[0].value] += 1
    treatment, decided = Treatment.KEEP, kinds[0]
    for kind in kinds:
        treatment, decided = choices.duplicates[kind], kind
        if treatment is not Treatment.KEEP:
            break
    said: dict[str, Any] = {"found": plan.numbers[index], "treatment": treatment.value}
    if Duplicate.FILE in met and kinds[0] is Duplicate.FILE:
        said["other_row"] = plan.rows[met[Duplicate.FILE]]
    plan._note("duplicate", kinds[0].value, plan.rows[index], **said)
    if treatment is Treatment.KEEP:
        return
    if treatment is Treatment.SKIP or decided is Duplicate.BANNED:
        plan.actions[index] = Action.SKIP
    elif decided is Duplicate.FILE:
        plan.actions[index] = Action.MERGE
        plan.into[index] = met[decided]
    else:
        plan.actions[index] = Action.UPDATE
        plan.existing[index] = met[decided]
