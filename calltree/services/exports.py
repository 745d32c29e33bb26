"""The two exports: per list (リスト毎) and per record (履歴毎), streamed at any size (R-HS-4).

First the ids of what is asked for are collected, a page at a time, together with what the header
depends on; then pages of ids become rows. Each page has a short read session of its own, so that
no read transaction lives as long as a download, and what is kept in memory is eight bytes a row.
The price: a row shows its customer or record as it was when its page was read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    AttributeItem,
    CallerNumber,
    CallRecord,
    CustomerList,
    ItemKind,
    ItemTarget,
    Project,
    ProjectItem,
    RecordingState,
    RecordKind,
    ResultStatus,
    SystemResult,
    User,
)
from calltree.services import export_queries as queries
from calltree.services import history, names, scope, search
from calltree.services.criteria import Criteria
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.rights import Right, Viewer
from calltree.text.phones import format_national
from calltree.text.sheets_out import CELL_CHARACTERS, split_cell

PAGE = 1000
"""Rows of one read session: some 20 ms of it."""
SCAN = 20_000
"""Rows looked through at once while ids are collected."""
LONG = 100
"""Memos of more than one cell that are read at once."""
EXTRA_NUMBERS = names.EXTRA_NUMBER_PREFIX
YES = "あり"

Reader = Callable[[], AbstractContextManager[Session]]
Row = Sequence[object]


@dataclass(slots=True)
class Sheet:
    """A table on its way out: the header is known, the rows come as they are read."""

    title: str
    header: list[str]
    rows: Iterator[Row]
    expected: int
    """Rows found when it began; those deleted meanwhile are missing."""


@dataclass(slots=True)
class _Layout:
    """Which cells a row has: every possible one in order, and which of them were chosen."""

    header: list[str]
    chosen: list[int] | None
    """None: all."""
    memo_cells: int = 1

    def pick(self, rows: Iterable[list[object]]) -> Iterator[Row]:
        if self.chosen is None:
            return iter(rows)
        if len(self.chosen) == 1:
            only = self.chosen[0]
            return ([row[only]] for row in rows)
        return map(itemgetter(*self.chosen), rows)

    @property
    def names(self) -> list[str]:
        return self.header if self.chosen is None else [self.header[i] for i in self.chosen]


def _layout(parts: Sequence[tuple[str, Sequence[str]]], chosen: Collection[str]) -> _Layout:
    """Lay out (name to choose by, header cells); nothing chosen means everything."""
    header = [cell for _, cells in parts for cell in cells]
    if not chosen:
        return _Layout(header, None)
    groups = [group for group, cells in parts for _ in cells]
    wanted = [place for place, group in enumerate(groups) if group in chosen]
    return _Layout(header, wanted or None)


# ---- per list --------------------------------------------------------------------------------


def customer_lists(
    session: Session, *, viewer: Viewer, list_id: int | None = None, project_id: int | None = None
) -> list[CustomerList]:
    """Return the lists an export is about: one, or all of a project, in the order of numbers.

    Raises NotAllowed, and NotFound for lists and projects that are not there.
    """
    if not viewer.may(Right.EXPORT):
        raise NotAllowed
    if list_id is not None:
        return [scope.get_list(session, viewer=viewer, list_id=list_id)]
    if project_id is None or session.get(Project, project_id) is None:
        raise NotFound
    return list(
        session.scalars(
            select(CustomerList)
            .where(CustomerList.project_id == project_id, scope.lists_seen(viewer))
            .order_by(CustomerList.id)
        )
    )


def customer_columns(session: Session, *, folders: Sequence[CustomerList]) -> list[str]:
    """Return the names among which one chooses, in order; 追加番号 and メモ stand for several."""
    items = _items(session, ItemTarget.CUSTOMER, {folder.project_id for folder in folders})
    return [
        *names.CUSTOMER_HEAD, names.PHONE_COLUMN, *_list_columns(folders), EXTRA_NUMBERS,
        *items, *names.CUSTOMER_TAIL, names.MEMO_COLUMN,
    ]  # fmt: skip


@dataclass(slots=True)
class _Customers:
    """What the rows of the export per list are made of."""

    folders: list[CustomerList]
    zone: ZoneInfo
    columns: list[str]
    items: dict[str, list[AttributeItem]]
    statuses: dict[int, str]
    users: dict[int, str]
    ids: dict[int, array[int]] = field(default_factory=dict)
    extras: int = 0
    memo_cells: int = 1

    def parts(self) -> list[tuple[str, Sequence[str]]]:
        extras = [f"{EXTRA_NUMBERS}{n}" for n in range(1, self.extras + 1)]
        return [
            *((name, [name]) for name in (*names.CUSTOMER_HEAD, names.PHONE_COLUMN)),
            *((name, [name]) for name in self.columns),
            (EXTRA_NUMBERS, extras),
            *((name, [name]) for name in (*self.items, *names.CUSTOMER_TAIL)),
            (names.MEMO_COLUMN, _memo_header(self.memo_cells)),
        ]


def customers(
    read: Reader,
    *,
    viewer: Viewer,
    list_id: int | None = None,
    project_id: int | None = None,
    criteria: Criteria,
    chosen: Collection[str] = (),
    zone: ZoneInfo,
    now: datetime,
) -> Sheet:
    """Begin the export per list: one row a customer that meets the criteria, in the file's order.

    `chosen` are names of `customer_columns`; none of them means all. 最終結果 is that of the newest
    record of the present 周回, コール数 and コネクト数 count in it. Raises NotAllowed, NotFound.
    """
    with read() as session:
        folders = customer_lists(session, viewer=viewer, list_id=list_id, project_id=project_id)
        projects = {folder.project_id for folder in folders}
        plan = _Customers(
            folders,
            zone,
            _list_columns(folders),
            _items(session, ItemTarget.CUSTOMER, projects),
            _names(session, ResultStatus),
            _names(session, User),
        )
        title = folders[0].name if list_id is not None else _project_name(session, project_id)
    for folder in folders:
        with read() as session:
            plan.ids[folder.id] = search.find_ids(
                session, list_id=folder.id, criteria=criteria, viewer=viewer, now=now
            )
        _measure(read, plan, plan.ids[folder.id])
    layout = _layout(plan.parts(), chosen)
    rows = (
        row
        for folder in folders
        for page in _slices(plan.ids[folder.id], PAGE)
        for row in layout.pick(_customer_page(read, plan, folder, page))
    )
    return Sheet(title, layout.names, rows, sum(map(len, plan.ids.values())))


def _measure(read: Reader, plan: _Customers, ids: array[int]) -> None:
    """Find how many 追加番号 and メモ columns there must be."""
    for page in _slices(ids, SCAN):
        with read() as session:
            given, statements = queries.packed(session, page), queries.of(session)
            extras = session.execute(statements.most_extras, given).scalar() or 0
            long = array("q", session.execute(statements.long_memos, given).scalars())
        plan.extras = max(plan.extras, extras)
        for some in _slices(long, LONG):
            with read() as session:
                memos = _memos(session, some)
            plan.memo_cells = max(plan.memo_cells, *(len(split_cell(t)) for t in memos.values()))


def _memos(session: Session, ids: array[int]) -> dict[int, str]:
    """Customers' memos: oldest first, one line break between."""
    rows = session.execute(queries.of(session).memos, queries.packed(session, ids))
    return {
        customer_id: "\n".join(text for _, text in entries)
        for customer_id, entries in groupby(rows, itemgetter(0))
    }


def _customer_page(
    read: Reader, plan: _Customers, folder: CustomerList, ids: array[int]
) -> Iterator[list[object]]:
    with read() as session:
        given, statements = queries.packed(session, ids), queries.of(session)
        found = {row[0]: row for row in session.execute(statements.customers, given)}
        memos = _memos(session, ids)
        extras: dict[int, list[str]] = {}
        if plan.extras:
            for customer_id, number in session.execute(statements.extras, given):
                extras.setdefault(customer_id, []).append(format_national(number))
    head: list[object] = [folder.id, folder.name]
    cells_of = _cells_of(folder.columns, plan.columns)
    items = list(plan.items.values())
    no_items, no_extras = [""] * len(items), [""] * plan.extras
    for customer_id in ids:
        row = found.get(customer_id)
        if row is None:  # deleted since the ids were collected
            continue
        counted = row[7] == folder.cycle
        more = extras.get(customer_id)
        yield [
            customer_id,
            *head,
            format_national(row[1]),
            *cells_of(row[2]),
            *(more + no_extras[len(more) :] if more else no_extras),
            *(_values(items, row[3]) if row[3] else no_items),
            row[4],
            _last_result(plan, row[5], row[6]) if counted else "",
            _moment(row[10], plan.zone),
            _caller(plan, row[10], row[11]),
            row[8] if counted else 0,
            row[9] if counted else 0,
            _moment(row[12], plan.zone),
            row[13],
            *_memo(memos.get(customer_id, ""), plan.memo_cells),
        ]


def _last_result(plan: _Customers, status_id: int | None, system: str) -> str:
    if status_id is not None:
        return plan.statuses.get(status_id, "")
    return _SYSTEM_NAMES.get(system, "")


_SYSTEM_NAMES = {result.value: name for result, name in SYSTEM_RESULT_NAMES.items()}


def _caller(plan: _Customers, dialled_at: datetime | None, user_id: int | None) -> str:
    if dialled_at is None:
        return ""
    return plan.users.get(user_id or 0, history.AUTOMATIC_NAME)


def _list_columns(folders: Sequence[CustomerList]) -> list[str]:
    """Every column of the lists once, in the order in which they first stand."""
    return list(dict.fromkeys(column for folder in folders for column in folder.columns))


def _cells_of(own: list[str], all_columns: list[str]) -> Callable[[list[str]], list[str]]:
    """How a customer's cells come under the header; a row that an older import left is shorter."""
    width = len(all_columns)
    if own == all_columns:
        return lambda cells: cells if len(cells) == width else [*cells, *[""] * width][:width]
    places = [own.index(name) if name in own else -1 for name in all_columns]

    def under(cells: list[str]) -> list[str]:
        return [cells[i] if 0 <= i < len(cells) else "" for i in places]

    return under


# ---- per record ------------------------------------------------------------------------------


def record_columns(session: Session, *, criteria: HistoryCriteria) -> list[str]:
    """Return the names among which one chooses, in order."""
    return [
        *names.RECORD_HEAD, names.PHONE_COLUMN, *names.RECORD_MIDDLE,
        *_items(session, ItemTarget.RESULT, _projects_of(session, criteria)),
        names.MEMO_COLUMN, names.RECORDING_COLUMN,
    ]  # fmt: skip


@dataclass(slots=True)
class _Records:
    """What the rows of the export per record are made of."""

    zone: ZoneInfo
    items: dict[str, list[AttributeItem]]
    projects: dict[int, str]
    lists: dict[int, str]
    users: dict[int, str]
    statuses: dict[int, str]
    callers: dict[int, str]
    ids: array[int] = field(default_factory=lambda: array("q"))
    memo_cells: int = 1

    def parts(self) -> list[tuple[str, Sequence[str]]]:
        return [
            *((name, [name]) for name in (*names.RECORD_HEAD, names.PHONE_COLUMN)),
            *((name, [name]) for name in (*names.RECORD_MIDDLE, *self.items)),
            (names.MEMO_COLUMN, _memo_header(self.memo_cells)),
            (names.RECORDING_COLUMN, [names.RECORDING_COLUMN]),
        ]


def records(
    read: Reader,
    *,
    viewer: Viewer,
    criteria: HistoryCriteria,
    chosen: Collection[str] = (),
    zone: ZoneInfo,
    now: datetime,
) -> Sheet:
    """Begin the export per record: what a search of コール履歴 finds, newest first.

    Raises NotAllowed.
    """
    if not viewer.may(Right.EXPORT):
        raise NotAllowed
    with read() as session:
        callers = session.execute(select(CallerNumber.id, CallerNumber.number))
        plan = _Records(
            zone,
            _items(session, ItemTarget.RESULT, _projects_of(session, criteria)),
            _names(session, Project),
            _names(session, CustomerList),
            _names(session, User),
            _names(session, ResultStatus),
            {caller_id: format_national(number) for caller_id, number in callers},
        )
        title = plan.projects.get(criteria.project_id or 0, "")
    _collect(read, plan, viewer, criteria, now)
    layout = _layout(plan.parts(), chosen)
    rows = (
        row
        for page in _slices(plan.ids, PAGE)
        for row in layout.pick(_record_page(read, plan, page))
    )
    return Sheet(title, layout.names, rows, len(plan.ids))


def _collect(
    read: Reader, plan: _Records, viewer: Viewer, criteria: HistoryCriteria, now: datetime
) -> None:
    """Collect the ids newest first, and the length of the longest memo."""
    key = ""
    while True:
        with read() as session:
            seen = scope.records_seen(session, viewer=viewer)
            where = history.conditions(criteria=criteria, now=now)
            found = session.execute(
                select(CallRecord.id, func.length(CallRecord.memo), CallRecord.started_at)
                .where(seen, *where, *history.behind(key))
                .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
                .limit(SCAN)
            ).all()
        if not found:
            return
        plan.ids.extend([row[0] for row in found])
        long = array("q", [row[0] for row in found if row[1] >= CELL_CHARACTERS])
        for some in _slices(long, LONG):
            with read() as session:
                memos = session.scalars(select(CallRecord.memo).where(CallRecord.id.in_(some)))
                plan.memo_cells = max(plan.memo_cells, *(len(split_cell(t)) for t in memos))
        if len(found) < SCAN:
            return
        key = history.key_at(found[-1][2], found[-1][0])


def _record_page(read: Reader, plan: _Records, ids: array[int]) -> Iterator[list[object]]:
    with read() as session:
        given = queries.packed(session, ids)
        found = {row[0]: row for row in session.execute(queries.of(session).records, given)}
    items = list(plan.items.values())
    no_items = [""] * len(items)
    for record_id in ids:
        row = found.get(record_id)
        if row is None:  # deleted since the ids were collected
            continue
        kind = row[1]
        yield [
            record_id,
            history.KIND_NAMES.get(kind, ""),
            _moment(row[2], plan.zone),
            row[3] // 1000,
            plan.projects.get(row[4], ""),
            plan.lists.get(row[5], ""),
            row[6],
            format_national(row[7] or ""),
            "" if kind is RecordKind.ENTRY else format_national(row[8]),
            plan.callers.get(row[9], ""),
            plan.users.get(row[10], history.AUTOMATIC_NAME),
            _result(plan, row[11], row[12]),
            *(_values(items, row[13]) if row[13] else no_items),
            *_memo(row[14], plan.memo_cells),
            _sound(row[15], row[16], row[17], plan.zone),
        ]


def _result(plan: _Records, status_id: int | None, system: SystemResult) -> str:
    if status_id is not None:
        return plan.statuses.get(status_id, "")
    return SYSTEM_RESULT_NAMES.get(system, "")


def _sound(
    state: RecordingState | None, reason: str | None, destroyed_at: datetime | None, zone: ZoneInfo
) -> str:
    """あり, nothing, or what became of it (R-RC-2)."""
    if state is RecordingState.DESTROYED and reason == "capacity":
        return f"容量超過により削除 {_moment(destroyed_at, zone)[:10]}"
    known = (RecordingState.STORED, RecordingState.STOPPED, RecordingState.RECORDING)
    return YES if state in known else ""


def _projects_of(session: Session, criteria: HistoryCriteria) -> set[int] | None:
    """The one project that a search keeps to, None for all."""
    if criteria.project_id is not None:
        return {criteria.project_id}
    if criteria.list_id is not None:
        folder = session.get(CustomerList, criteria.list_id)
        return {folder.project_id} if folder else None
    return None


# ---- of both ---------------------------------------------------------------------------------


def _items(
    session: Session, target: ItemTarget, projects: set[int] | None
) -> dict[str, list[AttributeItem]]:
    """Attribute items by name; retired ones too, for what was written in them stays.

    One name may stand for a retired item and its successor.
    """
    query = (
        select(AttributeItem)
        .join(ProjectItem, ProjectItem.item_id == AttributeItem.id)
        .where(AttributeItem.target == target)
        .order_by(ProjectItem.project_id, ProjectItem.position, AttributeItem.id)
    )
    if projects is not None:
        query = query.where(ProjectItem.project_id.in_(projects))
    found: dict[str, list[AttributeItem]] = {}
    for item in session.scalars(query):
        same = found.setdefault(item.name, [])
        if item not in same:
            same.append(item)
    return found


def _values(items: list[list[AttributeItem]], kept: dict[str, Any]) -> list[str]:
    return [
        next((text for item in same if (text := _value(item, kept.get(str(item.id))))), "")
        for same in items
    ]


def _value(item: AttributeItem, value: Any) -> str:
    if value in (None, False):
        return ""
    if item.kind is ItemKind.CHECK:
        return YES
    return str(value)


def _names(
    session: Session, table: type[Project | CustomerList | User | ResultStatus]
) -> dict[int, str]:
    return {row[0]: row[1] for row in session.execute(select(table.id, table.name))}


def _project_name(session: Session, project_id: int | None) -> str:
    return session.scalar(select(Project.name).where(Project.id == project_id)) or ""


def _slices(ids: array[int], size: int) -> Iterator[array[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _memo_header(cells: int) -> list[str]:
    return [names.MEMO_COLUMN, *(f"{names.MEMO_COLUMN}{n}" for n in range(2, cells + 1))]


def _memo(text: str, cells: int) -> list[str]:
    if cells == 1:
        return [text]
    pieces = split_cell(text)
    return pieces + [""] * (cells - len(pieces))


def _moment(moment: datetime | None, zone: ZoneInfo) -> str:
    """2026/11/22 14:30:05 in the site's zone."""
    if moment is None:
        return ""
    return f"{_minute(moment.replace(second=0, microsecond=0), zone)}:{moment.second:02}"


@lru_cache(maxsize=4096)
def _minute(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y/%m/%d %H:%M}"
