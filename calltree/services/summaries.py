"""集計: what the ledger adds up to, by project, list, user, group, day, hour, result (R-WT-2, 3).

Nothing is kept beside the ledger: every figure is counted from the records of the period when it
is asked for, so a corrected record is in the next table. What a record counts as stands on it
already (`services.figures`), and it belongs to the day its dial began. 後処理, 待機 and 稼働 come
from the operators' intervals, which know no project, list or result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from calltree.models import (
    SYSTEM_RESULT_NAMES,
    CallRecord,
    ClosedDay,
    CustomerList,
    Group,
    GroupMember,
    Project,
    ProjectState,
    RecordKind,
    ResultStatus,
    Site,
    SystemResult,
    User,
)
from calltree.models.moments import local_hour, weekday_of
from calltree.services import hours, scope
from calltree.services.figures import DIALLED, rate
from calltree.services.history import of_nobody
from calltree.services.history_criteria import NOBODY
from calltree.services.rights import Viewer
from calltree.services.summary_criteria import Axis, SummaryCriteria
from calltree.services.working_times import HOUR_MS, Spent, member_of, times
from calltree.text.days import TOKYO
from calltree.text.hours import is_calling_day

MEASURED = frozenset({Axis.USER, Axis.GROUP, Axis.DAY, Axis.HOUR})
"""Axes that operators' time can be told apart by."""
UNANSWERED_KEY = 0
"""Among the users: calls that came in and reached nobody of ours."""
AIMED = frozenset({Axis.PROJECT, Axis.DAY})
"""Axes that a target can be told apart by: it is a project's, for each calling day."""


@dataclass(slots=True)
class Figures:
    """What one line says; times in milliseconds."""

    dials: int = 0
    connects: int = 0
    conversions: int = 0
    talk_ms: int = 0
    """Of the dials that count."""
    entries: int = 0
    """対応数."""
    inbound: int = 0
    """受電数."""
    manual: int = 0
    """手動発信数."""
    failures: int = 0
    """回線エラー, which counts as no dial."""
    spent: Spent | None = None
    """None where operators' time cannot be told apart."""
    target: int | None = None
    """CV aimed at; None where no target stands."""

    @property
    def connect_rate(self) -> float | None:
        """コネクト数 ÷ コール数."""
        return rate(self.connects, self.dials)

    @property
    def conversion_rate(self) -> float | None:
        """CV ÷ コネクト数."""
        return rate(self.conversions, self.connects)

    @property
    def talk_each_ms(self) -> float | None:
        """通話時間 ÷ コネクト数."""
        return rate(self.talk_ms, self.connects)

    @property
    def dials_an_hour(self) -> float | None:
        """コール数 ÷ 稼働時間."""
        return rate(self.dials * HOUR_MS, self.spent.working_ms) if self.spent else None

    @property
    def reached(self) -> float | None:
        """CV ÷ 目標."""
        return rate(self.conversions, self.target or 0)


COUNTED = (
    "dials", "connects", "conversions", "talk_ms", "entries", "inbound", "manual", "failures",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line: an entry for each axis, and its figures.

    A key is a day, an hour, an id, or of a result a status's id or system result as text; None
    stands for "no such", of a user for 自動発信; UNANSWERED_KEY for calls that nobody answered. The
    name is empty for days and hours, and for every other None.
    """

    keys: tuple[Any, ...]
    names: tuple[str, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Summary:
    """A table of 集計."""

    criteria: SummaryCriteria
    lines: list[Line]
    total: Figures
    """Of the period itself: who is in two groups is in two lines, and here once."""


def summary(
    session: Session,
    *,
    viewer: Viewer,
    criteria: SummaryCriteria,
    now: datetime,
    aimed: bool = True,
) -> Summary:
    """Add up the ledger; an operator is given their own figures. Raises NotAllowed.

    Without `aimed` no target stands anywhere.
    """
    criteria = criteria.asked_by(viewer)
    counted = _counted(session, viewer, criteria)
    measured = set(criteria.axes) <= MEASURED and is_measured(criteria)
    spent = times(session, viewer=viewer, criteria=criteria, now=now) if measured else {}
    for keys in spent:
        counted.setdefault(keys, Figures())
    for keys, figures in counted.items():
        figures.spent = spent.get(keys, Spent()) if measured else None
    aims = _aims(session, criteria) if aimed and _is_aimed(criteria) else {}
    if set(criteria.axes) <= AIMED:
        aim_of = _aimed_at(aims, criteria.axes)
        for keys, figures in counted.items():
            figures.target = aim_of.get(keys)
    total = _total(session, viewer, criteria, counted, now)
    total.target = sum(aims.values()) if aims else None
    return Summary(criteria, _lines(session, criteria.axes, counted), total)


def totals(
    session: Session, *, viewer: Viewer, criteria: SummaryCriteria, now: datetime
) -> Figures:
    """Return the sums of the whole period. Raises NotAllowed."""
    criteria = criteria.asked_by(viewer)
    query = select(*_sums()).where(*_where(viewer, criteria))
    found = _figures(session.execute(query).one())
    if is_measured(criteria):
        by_user = replace(criteria, by=Axis.USER, then=None)
        spent = times(session, viewer=viewer, criteria=by_user, now=now)
        found.spent = sum(spent.values(), Spent())
    return found


def so_far(session: Session, *, viewer: Viewer, day: date) -> Figures:
    """Return what a day's records add up to and what is aimed at; of operators' time nothing.

    Raises NotAllowed.
    """
    criteria = SummaryCriteria(day, day).asked_by(viewer)
    query = select(*_sums()).where(*_where(viewer, criteria))
    found = _figures(session.execute(query).one())
    aims = _aims(session, criteria)
    found.target = sum(aims.values()) if aims else None
    return found


def heat(
    session: Session, *, viewer: Viewer, criteria: SummaryCriteria
) -> dict[tuple[int, int], Figures]:
    """Return the figures of each (weekday, Monday = 0; hour) that has a record (R-WT-3).

    Raises NotAllowed.
    """
    criteria = criteria.asked_by(viewer)
    keys = (weekday_of(CallRecord.site_day), local_hour(CallRecord.started_at))
    rows = _grouped(session, viewer, criteria, keys)
    return {(int(weekday), int(hour)): found for (weekday, hour), found in rows.items()}


def is_measured(criteria: SummaryCriteria) -> bool:
    """Whether the operators' time belongs to what is asked: they work for all projects at once."""
    narrowed = criteria.project_id or criteria.list_id
    return not narrowed and criteria.user not in NOBODY


def _is_aimed(criteria: SummaryCriteria) -> bool:
    return not (criteria.list_id or criteria.user or criteria.group)


def _counted(
    session: Session, viewer: Viewer, criteria: SummaryCriteria
) -> dict[tuple[Any, ...], Figures]:
    return _grouped(session, viewer, criteria, [_KEYS[axis] for axis in criteria.axes])


def _grouped(
    session: Session, viewer: Viewer, criteria: SummaryCriteria, keys: Iterable[Any]
) -> dict[tuple[Any, ...], Figures]:
    labelled = [key.label(f"k{place}") for place, key in enumerate(keys)]
    query = select(*labelled, *_sums()).where(*_where(viewer, criteria))
    if Axis.GROUP in criteria.axes:
        joined = member_of(CallRecord.user_id, criteria)
        query = query.select_from(CallRecord).outerjoin(GroupMember, joined)
    # by name: Postgres would not know an expression with parameters again
    rows = session.execute(query.group_by(*(key.name for key in labelled)))
    wide = len(labelled)
    return {tuple(row[:wide]): _figures(row[wide:]) for row in rows}


_KEYS: Mapping[Axis, Any] = {
    Axis.DAY: CallRecord.site_day,
    Axis.HOUR: local_hour(CallRecord.started_at),
    Axis.PROJECT: CallRecord.project_id,
    Axis.LIST: CallRecord.list_id,
    Axis.USER: func.coalesce(
        CallRecord.user_id, case((CallRecord.kind == RecordKind.INBOUND, UNANSWERED_KEY))
    ),
    Axis.GROUP: GroupMember.group_id,
    Axis.STATUS: case(
        (CallRecord.status_id.is_not(None), cast(CallRecord.status_id, String)),
        else_=cast(CallRecord.system, String),
    ),
}


def _sums() -> list[ColumnElement[int]]:
    """In the order of COUNTED."""
    kind = CallRecord.kind
    failed = and_(kind.in_(DIALLED), CallRecord.system == SystemResult.LINE_ERROR)
    return [
        func.count().filter(CallRecord.counts_dial),
        func.count().filter(CallRecord.counts_connect),
        func.count().filter(CallRecord.counts_conversion),
        func.coalesce(func.sum(CallRecord.talk_ms).filter(CallRecord.counts_dial), 0),
        func.count().filter(kind == RecordKind.ENTRY),
        func.count().filter(kind == RecordKind.INBOUND),
        func.count().filter(kind == RecordKind.MANUAL),
        func.count().filter(failed),
    ]


def _figures(sums: Iterable[Any]) -> Figures:
    found = Figures()
    for name, one in zip(COUNTED, sums, strict=True):
        setattr(found, name, int(one))
    return found


def _where(viewer: Viewer, criteria: SummaryCriteria) -> Iterable[ColumnElement[bool]]:
    # by moment and not by day: every index of the ledger goes on with the moment
    yield CallRecord.started_at >= _start(criteria.first)
    yield CallRecord.started_at < _start(criteria.last + timedelta(days=1))
    if not viewer.manages:
        yield CallRecord.user_id == viewer.user_id
    if criteria.project_id is not None:
        yield CallRecord.project_id == criteria.project_id
    if criteria.list_id is not None:
        yield CallRecord.list_id == criteria.list_id
    if criteria.user in NOBODY:
        yield of_nobody(criteria.user)
    elif criteria.user:
        yield CallRecord.user_id == int(criteria.user)
    if criteria.group:
        yield scope.in_group(CallRecord.user_id, criteria.group)


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, TOKYO)


def _total(
    session: Session,
    viewer: Viewer,
    criteria: SummaryCriteria,
    counted: Mapping[tuple[Any, ...], Figures],
    now: datetime,
) -> Figures:
    lines = counted.values()
    summed = Axis.GROUP not in criteria.axes  # who is in two groups would be counted twice
    measured = is_measured(criteria)
    if not summed or (measured and not set(criteria.axes) <= MEASURED):
        return totals(session, viewer=viewer, criteria=criteria, now=now)
    total = _figures(sum(getattr(one, name) for one in lines) for name in COUNTED)
    if measured:
        total.spent = sum((one.spent or Spent() for one in lines), Spent())
    return total


def _aims(session: Session, criteria: SummaryCriteria) -> dict[tuple[int, date], int]:
    """Return the CV aimed at by each project on each of its calling days; empty without any."""
    query = (
        select(Project, Site)
        .join(Site, Site.id == 1)
        .where(Project.target_conversions.is_not(None), Project.state == ProjectState.RUNNING)
    )
    if criteria.project_id is not None:
        query = query.where(Project.id == criteria.project_id)
    found: dict[tuple[int, date], int] = {}
    aiming = session.execute(query).all()
    closed = set(session.scalars(select(ClosedDay.day))) if aiming else set()
    for project, site in aiming:
        rules = hours.rules(site, project, closed_days=closed)
        for day in days_of(criteria):
            if is_calling_day(rules, day):
                found[project.id, day] = project.target_conversions or 0
    return found


def _aimed_at(
    aims: Mapping[tuple[int, date], int], axes: tuple[Axis, ...]
) -> dict[tuple[Any, ...], int]:
    found: dict[tuple[Any, ...], int] = defaultdict(int)
    for (project_id, day), aim in aims.items():
        of: dict[Axis, Any] = {Axis.PROJECT: project_id, Axis.DAY: day}
        found[tuple(of[axis] for axis in axes)] += aim
    return dict(found)


def days_of(criteria: SummaryCriteria) -> Iterable[date]:
    """Give every day of the period."""
    return (
        criteria.first + timedelta(days=ahead)
        for ahead in range((criteria.last - criteria.first).days + 1)
    )


def _lines(
    session: Session, axes: tuple[Axis, ...], counted: Mapping[tuple[Any, ...], Figures]
) -> list[Line]:
    known = _names(session, axes)
    places = [{key: place for place, key in enumerate(names)} for names in known]

    def place(keys: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            (key is None, where.get(key, len(where)) if where else 0, str(key).zfill(2))
            for key, where in zip(keys, places, strict=True)
        )

    return [
        Line(
            keys,
            tuple(names.get(key, "") for key, names in zip(keys, known, strict=True)),
            counted[keys],
        )
        for keys in sorted(counted, key=place)
    ]


_NAMED: Mapping[Axis, Any] = {
    Axis.STATUS: ResultStatus,
    Axis.PROJECT: Project,
    Axis.LIST: CustomerList,
    Axis.USER: User,
    Axis.GROUP: Group,
}
_PLACE = ResultStatus.position + case((ResultStatus.pattern_id.is_not(None), 1000), else_=0)
"""Of a status: built in first. The names of all else are in order by themselves."""


def _names(session: Session, axes: tuple[Axis, ...]) -> list[dict[Any, str]]:
    """Name each axis's keys in the order in which they stand; empty for days and hours."""
    named: dict[Axis, dict[Any, str]] = {axis: {} for axis in axes}
    asked = [
        select(
            literal(axis.value).label("axis"),
            (_PLACE if axis is Axis.STATUS else literal(0)).label("place"),
            table.name.label("name"),
            table.id.label("id"),
        )
        for axis in axes
        if (table := _NAMED.get(axis)) is not None
    ]
    rows = session.execute(union_all(*asked).order_by("place", "name", "id")) if asked else ()
    for axis, _place, name, key in rows:
        named[Axis(axis)][str(key) if axis == Axis.STATUS else key] = name
    if Axis.STATUS in named:
        named[Axis.STATUS] |= {code.value: name for code, name in SYSTEM_RESULT_NAMES.items()}
    if Axis.USER in named:
        named[Axis.USER] |= {UNANSWERED_KEY: "", None: ""}
    return [named[axis] for axis in axes]
