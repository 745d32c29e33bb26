"""稼働時間: how long operators were in which state (R-WT-4), and what 集計 needs of it.

An interval belongs to the day it began: `operators.split_intervals` leaves none open over midnight.
One that is still open counts until now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, select
from sqlalchemy.orm import Session

from calltree.models import GroupMember, OperatorInterval, OperatorState, User
from calltree.models.moments import local_hour, milliseconds, same_hour
from calltree.services import scope
from calltree.services.history_criteria import NO_GROUP, NOBODY
from calltree.services.rights import Viewer
from calltree.services.summary_criteria import Axis, SummaryCriteria
from calltree.text.days import TOKYO

IDLE = (OperatorState.READY, OperatorState.BROWSING)
"""待機 here: neither in a call nor busy with one."""
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds of operators' time."""

    wrap_up_ms: int = 0
    idle_ms: int = 0
    working_ms: int = 0
    """All but 離席."""

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.wrap_up_ms + other.wrap_up_ms,
            self.idle_ms + other.idle_ms,
            self.working_ms + other.working_ms,
        )


@dataclass(slots=True)
class Day:
    """One user's day."""

    user_id: int
    user: str
    day: date
    first_in: datetime
    last_out: datetime | None
    """None while the user is signed in."""
    states: dict[OperatorState, int] = field(default_factory=dict)
    """Milliseconds in each state."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Milliseconds of 離席 by reason; '' is without one."""

    @property
    def working_ms(self) -> int:
        """All but 離席."""
        return sum(ms for state, ms in self.states.items() if state is not OperatorState.AWAY)

    @property
    def present_ms(self) -> int:
        """From state to state, 離席 included."""
        return sum(self.states.values())


def times(
    session: Session, *, viewer: Viewer, criteria: SummaryCriteria, now: datetime
) -> dict[tuple[Any, ...], Spent]:
    """Add up by the criteria's axes, which are of user, group, day and hour only."""
    found: dict[tuple[Any, ...], Spent] = defaultdict(Spent)
    by_hour = Axis.HOUR in criteria.axes
    end = _end(now)
    within = same_hour(OperatorInterval.started_at, end)
    names = [f"k{place}" for place, _axis in enumerate(criteria.axes)]
    query = select(
        *(_key(axis).label(name) for axis, name in zip(criteria.axes, names, strict=True)),
        *_sums(end),
    ).group_by(*names)
    query = query.where(*_where(viewer, criteria), *((within,) if by_hour else ()))
    for *keys, wrap_up, idle, working in session.execute(_joined(query, criteria)):
        found[tuple(keys)] += Spent(int(wrap_up or 0), int(idle or 0), int(working or 0))
    if by_hour:
        _add_across_hours(session, viewer, criteria, ~within, end, found)
    return dict(found)


def days(
    session: Session, *, viewer: Viewer, criteria: SummaryCriteria, now: datetime
) -> list[Day]:
    """Return each user's days of the period, by day and name (R-WT-4). Raises NotAllowed."""
    criteria = criteria.asked_by(viewer)
    end = _end(now)
    query = (
        select(
            OperatorInterval.site_day,
            OperatorInterval.user_id,
            User.name,
            OperatorInterval.state,
            OperatorInterval.reason,
            func.min(OperatorInterval.started_at),
            func.max(OperatorInterval.ended_at),
            func.count().filter(OperatorInterval.ended_at.is_(None)),
            func.sum(milliseconds(OperatorInterval.started_at, end)),
        )
        .join(User, User.id == OperatorInterval.user_id)
        .where(*_where(viewer, criteria))
        .group_by(
            OperatorInterval.site_day,
            OperatorInterval.user_id,
            User.name,
            OperatorInterval.state,
            OperatorInterval.reason,
        )
    )
    found: dict[tuple[date, int], Day] = {}
    still_open: set[tuple[date, int]] = set()
    for day, user_id, name, state, reason, begun, ended, open_now, ms in session.execute(query):
        key = (day, user_id)
        one = found.setdefault(key, Day(user_id, name, day, begun, ended))
        one.first_in = min(one.first_in, begun)
        one.last_out = max(filter(None, (one.last_out, ended)), default=None)
        if open_now:
            still_open.add(key)
        one.states[state] = one.states.get(state, 0) + int(ms or 0)
        if state is OperatorState.AWAY:
            one.reasons[reason] = one.reasons.get(reason, 0) + int(ms or 0)
    for key in still_open:
        found[key].last_out = None
    return sorted(found.values(), key=lambda one: (one.day, one.user, one.user_id))


def _end(now: datetime) -> ColumnElement[datetime]:
    moment = literal(now, OperatorInterval.started_at.type)
    return func.coalesce(OperatorInterval.ended_at, moment)


def _sums(end: ColumnElement[datetime]) -> list[ColumnElement[int]]:
    length = milliseconds(OperatorInterval.started_at, end)
    state = OperatorInterval.state
    return [
        func.sum(length).filter(state == OperatorState.WRAP_UP),
        func.sum(length).filter(state.in_(IDLE)),
        func.sum(length).filter(state != OperatorState.AWAY),
    ]


def _key(axis: Axis) -> Any:
    return {
        Axis.USER: OperatorInterval.user_id,
        Axis.DAY: OperatorInterval.site_day,
        Axis.GROUP: GroupMember.group_id,
        Axis.HOUR: local_hour(OperatorInterval.started_at),
    }[axis]


def _joined(query: Any, criteria: SummaryCriteria) -> Any:
    """Bring the groups in where they are an axis; who is in two is counted in both."""
    if Axis.GROUP not in criteria.axes:
        return query
    return query.outerjoin(GroupMember, member_of(OperatorInterval.user_id, criteria))


def member_of(user_id: Any, criteria: SummaryCriteria) -> ColumnElement[bool]:
    """Join condition on GroupMember: only the group asked for, if one is."""
    joined: ColumnElement[bool] = GroupMember.user_id == user_id
    if criteria.group and criteria.group != NO_GROUP:
        return and_(joined, GroupMember.group_id == int(criteria.group))
    return joined


def _where(viewer: Viewer, criteria: SummaryCriteria) -> Iterable[ColumnElement[bool]]:
    yield OperatorInterval.site_day >= criteria.first
    yield OperatorInterval.site_day <= criteria.last
    yield OperatorInterval.state != OperatorState.SIGNED_OUT
    if not viewer.manages:
        yield OperatorInterval.user_id == viewer.user_id
    if criteria.user and criteria.user not in NOBODY:
        yield OperatorInterval.user_id == int(criteria.user)
    if criteria.group:
        yield scope.in_group(OperatorInterval.user_id, criteria.group)


def _add_across_hours(
    session: Session,
    viewer: Viewer,
    criteria: SummaryCriteria,
    across: ColumnElement[bool],
    end: ColumnElement[datetime],
    found: dict[tuple[Any, ...], Spent],
) -> None:
    """Cut the few intervals that go from one hour into another."""
    keys = [_key(axis) for axis in criteria.axes if axis is not Axis.HOUR]
    query = select(OperatorInterval.started_at, end, OperatorInterval.state, *keys).where(
        *_where(viewer, criteria), across
    )
    place = criteria.axes.index(Axis.HOUR)
    for start, stop, state, *others in session.execute(_joined(query, criteria)):
        for hour, ms in _hours(start.astimezone(TOKYO), stop.astimezone(TOKYO)):
            line = (*others[:place], hour, *others[place:])
            found[line] += Spent(
                wrap_up_ms=ms if state is OperatorState.WRAP_UP else 0,
                idle_ms=ms if state in IDLE else 0,
                working_ms=ms if state is not OperatorState.AWAY else 0,
            )


def _hours(start: datetime, stop: datetime) -> Iterable[tuple[int, int]]:
    while start < stop:
        turn = start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        until = min(turn, stop)
        yield start.hour, round((until - start) / timedelta(milliseconds=1))
        start = until
