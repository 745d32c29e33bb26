"""コール履歴 and 報告履歴: searching call records, page by page (R-HS-1, R-HS-2, R-HS-5).

Newest first, by the key (started_at, id): the page at any depth begins where an index does.
手動発信 has a page of its own and is never here (R-CL-13).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, union
from sqlalchemy.orm import Session, aliased

from calltree.errors import NotFound
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    CallRecord,
    Customer,
    CustomerList,
    Project,
    ProjectRecipient,
    Recording,
    RecordingState,
    RecordKind,
    ResultStatus,
    SystemResult,
    User,
)
from calltree.models.folded import folded
from calltree.models.moments import local_hour, one_of_two, weekday_of
from calltree.services import number_search, scope
from calltree.services.history_criteria import (
    NOBODY,
    UNANSWERED,
    Counted,
    Direction,
    HistoryCriteria,
)
from calltree.services.rights import Right, Viewer
from calltree.text.days import TOKYO
from calltree.text.folding import words

PAGE = 50
RECENT = timedelta(hours=24)
# Not the tables themselves: whose records one sees asks some of them on its own account.
_PROJECT, _LIST = aliased(Project), aliased(CustomerList)
_USER, _STATUS = aliased(User), aliased(ResultStatus)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIRECTIONS = {
    Direction.OUT: (RecordKind.OUTBOUND, RecordKind.PREDICTIVE),
    Direction.IN: (RecordKind.INBOUND,),
}
_COUNTED = {
    Counted.DIAL: CallRecord.counts_dial,
    Counted.CONNECT: CallRecord.counts_connect,
    Counted.CONVERSION: CallRecord.counts_conversion,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the page."""

    id: int
    kind: RecordKind
    started_at: datetime
    talk_ms: int
    number: str
    customer_id: int | None
    """None also for one that was deleted or is out of grant: there is no page to lead to."""
    project: str
    list_name: str
    user: str
    """Empty: nobody of ours (record_names says who is named instead)."""
    result: str
    prospect_level: str
    memo: str
    recording_id: int | None
    """Set only if the viewer may play it and it can be played."""

    @property
    def by_hand(self) -> bool:
        """新規履歴作成: yellow (R-HS-2)."""
        return self.kind is RecordKind.ENTRY


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, newest first, and the key after which the next page begins."""

    rows: list[Row]
    next_key: str = ""


def page(
    session: Session,
    *,
    viewer: Viewer,
    criteria: HistoryCriteria,
    now: datetime,
    after: str = "",
    size: int = PAGE,
) -> Page:
    """Return the next `size` records that the viewer may see, after the key `after`."""
    if not viewer.may(Right.SEE_RECORDS):
        return Page([])
    seen = scope.records_seen(session, viewer=viewer)
    found = conditions(criteria=criteria, now=now)
    return _page(session, viewer, [seen, *found], after, size)


def count(
    session: Session, *, viewer: Viewer, criteria: HistoryCriteria, now: datetime
) -> tuple[int, int]:
    """Count what a search finds; with the newest id, so that later records can be left alone."""
    where = [
        scope.records_seen(session, viewer=viewer),
        *conditions(criteria=criteria, now=now),
    ]
    query = select(func.count(), func.max(CallRecord.id)).where(*where)
    number, newest = session.execute(query).one()
    return number, newest or 0


def reports(
    session: Session,
    *,
    viewer: Viewer,
    criteria: HistoryCriteria,
    now: datetime,
    after: str = "",
    size: int = PAGE,
) -> Page:
    """Return reported records: to a BIZ user what names them, to MGR and SV what is reported."""
    found = conditions(criteria=criteria, now=now)
    return _page(session, viewer, [reported(session, viewer=viewer), *found], after, size)


def reported(session: Session, *, viewer: Viewer) -> ColumnElement[bool]:
    """Condition on CallRecord: 報告履歴 of this viewer, asked anew at each request (R-HS-5)."""
    if not viewer.may(Right.SEE_REPORTS):
        return false()
    if not viewer.manages:
        return scope.reported_to(session, viewer=viewer)
    projects = [
        one for one in reporting_projects(session, viewer=viewer) if one.reported_status_ids
    ]

    def of_any(project_id: Any) -> ColumnElement[bool]:
        wanted = (
            and_(project_id == one.id, CallRecord.status_id.in_(one.reported_status_ids))
            for one in projects
        )
        return or_(false(), *wanted)

    # SQLite must not begin with all records of these projects and sort them.
    return one_of_two(of_any(CallRecord.project_id), of_any(CallRecord.project_id + 0))


def reporting_projects(session: Session, *, viewer: Viewer) -> list[Project]:
    """Return the projects that report: to a BIZ user those that name them, to MGR and SV all."""
    query = select(Project).where(Project.reporting).order_by(Project.name)
    if not viewer.manages:
        query = query.join(ProjectRecipient, ProjectRecipient.project_id == Project.id).where(
            ProjectRecipient.user_id == viewer.user_id
        )
    return list(session.scalars(query)) if viewer.may(Right.SEE_REPORTS) else []


def get(session: Session, *, viewer: Viewer, record_id: int) -> CallRecord:
    """Return a record of コール履歴 that the viewer may see. Raises NotFound."""
    record = scope.get_record(session, viewer=viewer, record_id=record_id)
    if record.kind is RecordKind.MANUAL or not viewer.may(Right.SEE_RECORDS):
        raise NotFound
    return record


def get_reported(session: Session, *, viewer: Viewer, record_id: int) -> CallRecord:
    """Return a record of 報告履歴. Raises NotFound."""
    seen = reported(session, viewer=viewer)
    found = session.scalar(select(CallRecord).where(CallRecord.id == record_id, seen))
    if found is None:
        raise NotFound
    return found


def row_of(session: Session, *, viewer: Viewer, record: CallRecord) -> Row:
    """Give one record as a line of the page."""
    return _rows(session, viewer, [record])[0]


def rows_of(session: Session, *, viewer: Viewer, records: Sequence[CallRecord]) -> list[Row]:
    """Give records that the viewer may see as lines, in the order given."""
    return _rows(session, viewer, list(records))


def conditions(
    *, criteria: HistoryCriteria, now: datetime, by_hand: bool = False
) -> list[ColumnElement[bool]]:
    """Conditions on CallRecord that a search stands for; the caller adds whose records.

    `by_hand` leaves 手動発信 in.
    """
    asked = criteria
    found: list[ColumnElement[bool]] = [] if by_hand else [CallRecord.kind != RecordKind.MANUAL]
    if asked.recent:
        found.append(_recent(now))
    if asked.started_from is not None:
        found.append(CallRecord.started_at >= _start(asked.started_from))
    if asked.started_to is not None:
        found.append(CallRecord.started_at < _start(asked.started_to + timedelta(days=1)))
    if asked.project_id is not None:
        found.append(_project(asked))
    for column, wanted in (
        (CallRecord.list_id, asked.list_id),
        (CallRecord.customer_id, asked.customer_id),
    ):
        if wanted is not None:
            found.append(column == wanted)
    if asked.user in NOBODY:
        found.append(of_nobody(asked.user))
    elif asked.user:
        found.append(CallRecord.user_id == int(asked.user))
    if asked.number:
        found.append(number_search.finds(CallRecord.number, asked.number))
    if asked.statuses:
        found.append(_statuses(asked.statuses))
    if asked.kinds:
        found.append(CallRecord.kind.in_(asked.kinds))
    if asked.direction is not Direction.ANY:
        found.append(CallRecord.kind.in_(_DIRECTIONS[asked.direction]))
    return found + _details(asked)


def offered_users(session: Session) -> list[User]:
    """Return who may stand in the user box: those who work here, by name."""
    return list(session.scalars(select(User).where(User.deleted_at.is_(None)).order_by(User.name)))


def offered_statuses(
    session: Session, *, project_ids: Iterable[int] | None = None
) -> list[ResultStatus]:
    """Return the statuses to search by: built in first, then own ones, retired ones too.

    `project_ids` keeps to the patterns of those projects.
    """
    query = select(ResultStatus).order_by(
        ResultStatus.pattern_id.is_not(None), ResultStatus.position, ResultStatus.id
    )
    if project_ids is not None:
        patterns = select(Project.pattern_id).where(Project.id.in_(list(project_ids)))
        query = query.where(
            or_(ResultStatus.pattern_id.is_(None), ResultStatus.pattern_id.in_(patterns))
        )
    return list(session.scalars(query))


def _recent(now: datetime) -> ColumnElement[bool]:
    """Saved in the last 24 hours; 空白 and the like are never saved and go by their start.

    So that the two small ranges are read and not all of history.
    """
    since = now - RECENT
    ranges = (CallRecord.saved_at >= since, CallRecord.started_at >= since)
    ids = union(*(select(CallRecord.id).where(one) for one in ranges))
    return one_of_two(or_(*ranges), CallRecord.id.in_(ids))


def _project(asked: HistoryCriteria) -> ColumnElement[bool]:
    """Of a user's records those of a project; SQLite shall not look for the user in all of its."""
    bare = CallRecord.project_id == asked.project_id
    if not asked.user:
        return bare
    return one_of_two(bare, CallRecord.project_id + 0 == asked.project_id)


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, TOKYO)


def _statuses(wanted: Iterable[str]) -> ColumnElement[bool]:
    ids = [int(code) for code in wanted if re.fullmatch(r"[0-9]{1,9}", code)]
    system = [SystemResult(code) for code in wanted if code in list(SystemResult)]
    found: list[ColumnElement[bool]] = [false()]
    if ids:
        found.append(CallRecord.status_id.in_(ids))
    if system:
        found.append(and_(CallRecord.status_id.is_(None), CallRecord.system.in_(system)))
    return or_(*found)


def _details(asked: HistoryCriteria) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.talk_min_s is not None:
        found.append(CallRecord.talk_ms >= asked.talk_min_s * 1000)
    if asked.talk_max_s is not None:
        found.append(CallRecord.talk_ms < (asked.talk_max_s + 1) * 1000)
    if asked.levels:
        found.append(CallRecord.prospect_level.in_(asked.levels))
    for item_id, text in asked.items:
        value = folded(func.coalesce(CallRecord.attributes[str(item_id)].as_string(), ""))
        found += [value.contains(word, autoescape=True) for word in words(text)]
    return found + _of_figure(asked)


def _of_figure(asked: HistoryCriteria) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.counted is not None:
        found.append(_COUNTED[asked.counted].is_(True))
    if asked.group:
        found.append(scope.in_group(CallRecord.user_id, asked.group))
    if asked.weekday is not None:
        found.append(weekday_of(CallRecord.site_day) == asked.weekday)
    if asked.hour is not None:
        found.append(local_hour(CallRecord.started_at) == asked.hour)
    return found


def _page(
    session: Session, viewer: Viewer, where: list[ColumnElement[bool]], after: str, size: int
) -> Page:
    records = session.scalars(turned(select(CallRecord).where(*where), after, size)).all()
    shown = list(records[:size])
    more = len(records) > size
    return Page(_rows(session, viewer, shown), key_of(shown[-1]) if more else "")


def turned(query: Select[Any], after: str, size: int) -> Select[Any]:
    """Limit a query of call records to the page after a key, newest first, and one row more."""
    return (
        query.where(*behind(after))
        .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
        .limit(size + 1)
    )


def key_of(record: CallRecord) -> str:
    """Give the place of a record in the order, for the address of the next page."""
    return f"{(record.started_at - _EPOCH) // timedelta(microseconds=1)}-{record.id}"


def behind(key: str) -> list[ColumnElement[bool]]:
    """Conditions for everything older than a key; none for a key that says nothing."""
    matched = re.fullmatch(r"([0-9]{1,17})-([0-9]{1,18})", key)
    if matched is None:
        return []
    moment = _EPOCH + timedelta(microseconds=int(matched[1]))
    older = or_(CallRecord.started_at < moment, CallRecord.id < int(matched[2]))
    return [CallRecord.started_at <= moment, older]  # the moment alone first: an index starts there


def _rows(session: Session, viewer: Viewer, records: list[CallRecord]) -> list[Row]:
    around = _around(session, viewer, [record.id for record in records])
    return [
        Row(
            id=record.id,
            kind=record.kind,
            started_at=record.started_at,
            talk_ms=record.talk_ms,
            number=record.number,
            customer_id=record.customer_id if around[record.id].has_page else None,
            project=around[record.id].project or "",
            list_name=around[record.id].list or "",
            user=around[record.id].user or "",
            result=around[record.id].status or SYSTEM_RESULT_NAMES.get(record.system, ""),
            prospect_level=record.prospect_level,
            memo=record.memo,
            recording_id=around[record.id].recording,
        )
        for record in records
    ]


def of_nobody(user: str) -> ColumnElement[bool]:
    """Condition on a record: 自動発信's, or of a caller whom nobody answered."""
    came_in = CallRecord.kind == RecordKind.INBOUND
    return and_(CallRecord.user_id.is_(None), came_in if user == UNANSWERED else ~came_in)


def _around(session: Session, viewer: Viewer, record_ids: list[int]) -> dict[int, Any]:
    """Give what stands around each record: names, the recording that may be played, and whether
    its customer has a page for the viewer."""
    if not record_ids:
        return {}
    sound = and_(
        Recording.record_id == CallRecord.id,
        Recording.state == RecordingState.STORED,
        scope.recordings_played(session, viewer=viewer),
    )
    seen = scope.customers_seen(session, viewer=viewer)
    rows = session.execute(
        select(
            CallRecord.id,
            exists().where(Customer.id == CallRecord.customer_id, seen).label("has_page"),
            _PROJECT.name.label("project"),
            _LIST.name.label("list"),
            _USER.name.label("user"),
            _STATUS.name.label("status"),
            Recording.id.label("recording"),
        )
        .outerjoin(_PROJECT, _PROJECT.id == CallRecord.project_id)
        .outerjoin(_LIST, _LIST.id == CallRecord.list_id)
        .outerjoin(_USER, _USER.id == CallRecord.user_id)
        .outerjoin(_STATUS, _STATUS.id == CallRecord.status_id)
        .outerjoin(Recording, sound)
        .where(CallRecord.id.in_(record_ids))
    )
    return {row.id: row for row in rows}
