"""The export per list (リスト毎): one row a customer (R-HS-4)."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from json import loads
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound
from calltree.models import (
    AttributeItem,
    CustomerList,
    ItemTarget,
    Project,
    ResultStatus,
    User,
)
from calltree.services import export_queries as queries
from calltree.services import names, record_names, scope, search
from calltree.services.criteria import Criteria
from calltree.services.export_sheets import (
    LONG,
    PAGE,
    SCAN,
    LocalClock,
    Reader,
    Row,
    Sheet,
    item_columns,
    items_by_name,
    layout_of,
    memo_columns,
    memo_header,
    names_of,
    result_names,
    slices,
)
from calltree.services.rights import Right, Viewer
from calltree.text.phones import format_national
from calltree.text.sheets_out import split_cell

EXTRA_NUMBERS = names.EXTRA_NUMBER_PREFIX


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
    items = items_by_name(session, ItemTarget.CUSTOMER, {folder.project_id for folder in folders})
    return [
        *names.CUSTOMER_HEAD, names.PHONE_COLUMN, *list_columns(folders), EXTRA_NUMBERS,
        *items, *names.CUSTOMER_TAIL, names.MEMO_COLUMN,
    ]  # fmt: skip


@dataclass(slots=True)
class _Customers:
    """What the rows of the export per list are made of."""

    folders: list[CustomerList]
    local: LocalClock
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
            (names.MEMO_COLUMN, memo_header(self.memo_cells)),
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
            LocalClock(zone),
            list_columns(folders),
            items_by_name(session, ItemTarget.CUSTOMER, projects),
            names_of(session, ResultStatus),
            names_of(session, User),
        )
        title = folders[0].name if list_id is not None else _project_name(session, project_id)
    for folder in folders:
        with read() as session:
            plan.ids[folder.id] = search.find_ids(
                session, list_id=folder.id, criteria=criteria, viewer=viewer, now=now
            )
        _measure(read, plan, plan.ids[folder.id])
    layout = layout_of(plan.parts(), chosen)
    rows = (
        row
        for folder in folders
        for page in slices(plan.ids[folder.id], PAGE)
        for row in layout.pick(_customer_page(read, plan, folder, page))
    )
    return Sheet(title, layout.names, rows, sum(map(len, plan.ids.values())))


def _measure(read: Reader, plan: _Customers, ids: array[int]) -> None:
    """Find how many 追加番号 and メモ columns there must be."""
    for page in slices(ids, SCAN):
        with read() as session:
            given, statements = queries.begin_at(session, page), queries.of(session)
            extras = queries.rows(session, statements.most_extras, given)[0][0] or 0
            long = array(
                "q", [row[0] for row in queries.rows(session, statements.long_memos, given)]
            )
        plan.extras = max(plan.extras, extras)
        for some in slices(long, LONG):
            with read() as session:
                memos = _memos(session, queries.begin_at(session, some))
            plan.memo_cells = max(plan.memo_cells, *(len(split_cell(t)) for t in memos.values()))


def _memos(session: Session, given: dict[str, object]) -> dict[int, str]:
    """Customers' memos: oldest first, one line break between."""
    return dict(queries.rows(session, queries.of(session).memos, given))


def _extras(session: Session, given: dict[str, object]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for customer_id, number in queries.rows(session, queries.of(session).extras, given):
        found.setdefault(customer_id, []).append(format_national(number))
    return found


def _customer_page(
    read: Reader, plan: _Customers, folder: CustomerList, ids: array[int]
) -> Iterator[Row]:
    with read() as session:
        given, statements = queries.begin_at(session, ids), queries.of(session)
        found = {row[0]: row for row in queries.rows(session, statements.customers, given)}
        memos = _memos(session, given)
        extras = _extras(session, given) if plan.extras else {}
    rows = [found[customer_id] for customer_id in ids if customer_id in found]  # others: deleted
    if not rows:
        return iter(())
    (
        customer_ids, numbers, cells, kept, levels, status_ids, system, cycles, dials, connects,
        dialled_at, user_ids, due_at, notes,
    ) = zip(*rows, strict=True)  # fmt: skip
    users, automatic = plan.users, record_names.AUTOMATIC_NAME
    counted = [cycle == folder.cycle for cycle in cycles]
    results = result_names(plan.statuses, status_ids, system)
    # A column at once: half the time of a row at once.
    return zip(
        map(str, customer_ids),
        [str(folder.id)] * len(rows),
        [folder.name] * len(rows),
        [format_national(number) for number in numbers],
        *_cell_columns(folder.columns, plan.columns, cells),
        *_extra_columns(plan.extras, [extras.get(customer_id, ()) for customer_id in customer_ids]),
        *item_columns(list(plan.items.values()), kept),
        levels,
        [name if this else "" for name, this in zip(results, counted, strict=True)],
        plan.local.column(dialled_at),
        [
            users.get(user_id, automatic) if at else ""
            for user_id, at in zip(user_ids, dialled_at, strict=True)
        ],
        [str(n) if this else "0" for n, this in zip(dials, counted, strict=True)],
        [str(n) if this else "0" for n, this in zip(connects, counted, strict=True)],
        plan.local.column(due_at),
        notes,
        *memo_columns(
            [memos.get(customer_id, "") for customer_id in customer_ids], plan.memo_cells
        ),
        strict=True,
    )


def _extra_columns(width: int, numbers: Sequence[Sequence[str]]) -> Iterable[Sequence[str]]:
    """Give 追加番号1, 追加番号2, …; whose number came since the header was sent is cut off."""
    return [[of[n] if len(of) > n else "" for of in numbers] for n in range(width)]


def list_columns(folders: Sequence[CustomerList]) -> list[str]:
    """Every column of the lists once, in the order in which they first stand."""
    return list(dict.fromkeys(column for folder in folders for column in folder.columns))


def _cell_columns(
    own: list[str], all_columns: list[str], cells: Sequence[str]
) -> Iterable[Sequence[str]]:
    """Give the list's columns under the header, from rows' cells as JSON.

    A row that an older import left is shorter, and a list may not have every column.
    """
    rows: list[list[str]] = loads(f"[{','.join(cells)}]")  # one text: parsed in half the time
    width = len(own)
    if any(len(row) != width for row in rows):
        rows = [[*row, *[""] * width][:width] for row in rows]
    columns = dict(zip(own, zip(*rows, strict=True), strict=True))
    return [columns.get(name) or [""] * len(rows) for name in all_columns]


def _project_name(session: Session, project_id: int | None) -> str:
    return session.scalar(select(Project.name).where(Project.id == project_id)) or ""
