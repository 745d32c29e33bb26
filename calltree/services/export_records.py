"""The export per record (履歴毎): one row a call record (R-HS-4)."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed
from calltree.models import (
    AttributeItem,
    CallerNumber,
    CallRecord,
    CustomerList,
    ItemTarget,
    Project,
    RecordingState,
    RecordKind,
    ResultStatus,
    User,
)
from calltree.services import export_queries as queries
from calltree.services import history, names, record_names, scope
from calltree.services.export_sheets import (
    LONG,
    PAGE,
    SCAN,
    YES,
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
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.rights import Right, Viewer
from calltree.text.phones import format_national
from calltree.text.sheets_out import CELL_CHARACTERS, split_cell


def record_columns(session: Session, *, criteria: HistoryCriteria) -> list[str]:
    """Return the names among which one chooses, in order."""
    return [
        *names.RECORD_HEAD, names.PHONE_COLUMN, *names.RECORD_MIDDLE,
        *items_by_name(session, ItemTarget.RESULT, _projects_of(session, criteria)),
        names.MEMO_COLUMN, names.RECORDING_COLUMN,
    ]  # fmt: skip


@dataclass(slots=True)
class _Records:
    """What the rows of the export per record are made of."""

    local: LocalClock
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
            (names.MEMO_COLUMN, memo_header(self.memo_cells)),
            (names.RECORDING_COLUMN, [names.RECORDING_COLUMN]),
        ]


def records(
    read: Reader,
    *,
    viewer: Viewer,
    criteria: HistoryCriteria,
    chosen: Collection[str] = (),
    reported: bool = False,
    zone: ZoneInfo,
    now: datetime,
) -> Sheet:
    """Begin the export per record: what a search of コール履歴 finds, newest first.

    With `reported` a search of 報告履歴. Raises NotAllowed.
    """
    if not viewer.may(Right.EXPORT):
        raise NotAllowed
    with read() as session:
        callers = session.execute(select(CallerNumber.id, CallerNumber.number))
        plan = _Records(
            LocalClock(zone),
            items_by_name(session, ItemTarget.RESULT, _projects_of(session, criteria)),
            names_of(session, Project),
            names_of(session, CustomerList),
            names_of(session, User),
            names_of(session, ResultStatus),
            {caller_id: format_national(number) for caller_id, number in callers},
        )
        title = plan.projects.get(criteria.project_id or 0, "")
    _collect(read, plan, viewer, criteria, now, reported=reported)
    layout = layout_of(plan.parts(), chosen)
    rows = (
        row
        for page in slices(plan.ids, PAGE)
        for row in layout.pick(_record_page(read, plan, page))
    )
    return Sheet(title, layout.names, rows, len(plan.ids))


def _collect(
    read: Reader,
    plan: _Records,
    viewer: Viewer,
    criteria: HistoryCriteria,
    now: datetime,
    *,
    reported: bool,
) -> None:
    """Collect the ids newest first, and the length of the longest memo."""
    key = ""
    while True:
        with read() as session:
            whose = history.reported if reported else scope.records_seen
            seen = whose(session, viewer=viewer)
            where = history.conditions(criteria=criteria, now=now)
            statement = (
                select(CallRecord.id, func.length(CallRecord.memo))
                .where(seen, *where, *history.behind(key))
                .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
                .limit(SCAN)
            )
            found = queries.rows(session, statement, {})
            last = session.get(CallRecord, found[-1][0]) if found else None
        plan.ids.extend([row[0] for row in found])
        long = array("q", [row[0] for row in found if row[1] >= CELL_CHARACTERS])
        for some in slices(long, LONG):
            with read() as session:
                memos = session.scalars(select(CallRecord.memo).where(CallRecord.id.in_(some)))
                plan.memo_cells = max(plan.memo_cells, *(len(split_cell(t)) for t in memos))
        if last is None or len(found) < SCAN:
            return
        key = history.key_of(last)


def _record_page(read: Reader, plan: _Records, ids: array[int]) -> Iterator[Row]:
    with read() as session:
        given = queries.begin_at(session, ids)
        found = {row[0]: row for row in queries.rows(session, queries.of(session).records, given)}
    rows = [found[record_id] for record_id in ids if record_id in found]  # others: deleted since
    if not rows:
        return iter(())
    (
        record_ids, kinds, started_at, talk_ms, project_ids, list_ids, customer_ids, mains, numbers,
        caller_ids, user_ids, status_ids, system, kept, memos, states, reasons, destroyed_at,
    ) = zip(*rows, strict=True)  # fmt: skip
    local, projects, lists, callers = plan.local, plan.projects, plan.lists, plan.callers
    users = plan.users
    dialled = [format_national(number) for number in numbers]
    # A column at once: half the time of a row at once.
    return zip(
        map(str, record_ids),
        [record_names.KIND_NAMES[kind] for kind in kinds],
        local.column(started_at),
        [str(ms // 1000) for ms in talk_ms],
        [projects.get(project_id, "") for project_id in project_ids],
        [lists.get(list_id, "") for list_id in list_ids],
        ["" if customer_id is None else str(customer_id) for customer_id in customer_ids],
        [
            shown if main == number else format_national(main or "")
            for main, number, shown in zip(mains, numbers, dialled, strict=True)
        ],
        [
            "" if kind == RecordKind.ENTRY else shown
            for kind, shown in zip(kinds, dialled, strict=True)
        ],
        [callers.get(caller_id, "") for caller_id in caller_ids],
        [
            users.get(user_id) or record_names.nobody_name(kind)
            for user_id, kind in zip(user_ids, kinds, strict=True)
        ],
        result_names(plan.statuses, status_ids, system),
        *item_columns(list(plan.items.values()), kept),
        *memo_columns(memos, plan.memo_cells),
        [
            _sound(state, reason, at, local) if state else ""
            for state, reason, at in zip(states, reasons, destroyed_at, strict=True)
        ],
        strict=True,
    )


def _sound(state: str, reason: str, destroyed_at: str | None, local: LocalClock) -> str:
    """あり, nothing, or what became of it (R-RC-2)."""
    if state == RecordingState.DESTROYED and reason == "capacity" and destroyed_at:
        return f"容量超過により削除 {local(destroyed_at)[:10]}"
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
