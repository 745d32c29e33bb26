"""オペレータ状況: who is doing what since when, the lines, and today (R-WT-1).

Three statements for the whole floor, however many work on it: who works, what the ledger of today
adds up to by person, and the lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from sqlalchemy import and_, func, literal_column, or_, select
from sqlalchemy.orm import Session, aliased

from calltree.models import (
    Attempt,
    CallRecord,
    CallState,
    Customer,
    HelpRequest,
    LegState,
    Monitor,
    MonitorMode,
    Operator,
    OperatorState,
    RecordKind,
    Role,
    Softphone,
    SystemResult,
    User,
)
from calltree.models.people import LegKind
from calltree.services import figures, gate, help_requests, softphones
from calltree.services.gate import LinesInUse
from calltree.text.days import TOKYO, site_day

_AT_WORK_ALWAYS = (Role.OPERATOR,)
"""Whose 離席 is shown too; who supervises is on the floor only while they call themselves."""
_IDLE = (OperatorState.SIGNED_OUT, OperatorState.AWAY)
LEG_GRACE = timedelta(seconds=15)
"""So long a telephone may take to come before it counts as trouble."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Somebody whose leg is in an operator's call."""

    user_id: int
    name: str
    mode: MonitorMode


@dataclass(frozen=True, slots=True)
class Row:
    """One operator."""

    user_id: int
    name: str
    state: OperatorState
    held: bool
    reason: str
    since: datetime
    customer_id: int | None
    customer: str
    """The first cell that says who it is; empty: nobody is open."""
    number: str
    """Of the call that goes on; empty: none does."""
    call_since: datetime | None
    joined: bool
    """A call in which the two hear each other: it can be listened to."""
    trouble: str
    """A code of `softphones.TROUBLES`; empty: all is well."""
    help_at: datetime | None
    """Since when help is asked for and nobody comes."""
    helped_by: str
    """Who comes; empty: nobody, or none is asked for."""
    listeners: tuple[Listener, ...]


@dataclass(slots=True)
class Day:
    """Today's figures of one person, or of all."""

    dials: int = 0
    connects: int = 0
    conversions: int = 0
    blanks: int = 0
    abandoned: int = 0
    joined: int = 0
    """Of automatic calls: with an operator."""

    @property
    def connect_rate(self) -> float | None:
        """コネクト数 ÷ コール数."""
        return figures.rate(self.connects, self.dials)

    @property
    def abandoned_share(self) -> float | None:
        """放棄率 = 放棄 ÷ (放棄 + joined) (R-DL-4); None: nothing was dialled by itself."""
        return figures.rate(self.abandoned, self.abandoned + self.joined)


@dataclass(frozen=True, slots=True)
class Today:
    """Today's figures by person, and of the site; calls without a person are in the sum only."""

    day: date
    by_user: dict[int, Day]
    total: Day


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines in use of how many; at the limit nothing more can be dialled."""

    used: int
    total: int

    @property
    def full(self) -> bool:
        """Whether this is the red alert."""
        return self.used >= self.total


@dataclass(frozen=True, slots=True)
class Floor:
    """Everything that the page shows."""

    at: datetime
    rows: list[Row]
    today: Today
    lines: Lines
    wrap_up_limit_s: int
    counts: dict[OperatorState, int] = field(default_factory=dict)


# Built once: it is drawn twice a second.
_TAKER = aliased(User)
_ROWS = (
    select(Operator, User, Attempt, Customer.cells, Softphone, HelpRequest, _TAKER.name, Monitor)
    .join(User, User.id == Operator.user_id)
    .outerjoin(Attempt, Attempt.id == Operator.attempt_id)
    .outerjoin(Customer, Customer.id == func.coalesce(Attempt.customer_id, Operator.customer_id))
    .outerjoin(Softphone, Softphone.user_id == Operator.user_id)
    .outerjoin(
        HelpRequest, and_(HelpRequest.user_id == Operator.user_id, HelpRequest.over_at.is_(None))
    )
    .outerjoin(_TAKER, _TAKER.id == HelpRequest.taken_by)
    .outerjoin(Monitor, Monitor.user_id == Operator.user_id)
    .where(
        User.deleted_at.is_(None),
        or_(Operator.state != OperatorState.SIGNED_OUT, Monitor.user_id.is_not(None)),
    )
    .order_by(User.name, User.id)
    .execution_options(populate_existing=True)
)


def rows(session: Session, *, now: datetime) -> list[Row]:
    """Return everybody who works now, by name: one statement."""
    found = session.execute(_ROWS).all()
    listeners: dict[int, list[Listener]] = {}
    for _operator, user, *_rest, monitor in found:
        if monitor is not None:
            listening = Listener(user.id, user.name, monitor.mode)
            listeners.setdefault(monitor.attempt_id, []).append(listening)
    return [
        _row(operator, user, attempt, cells, softphone, asked, taker, listeners, now)
        for operator, user, attempt, cells, softphone, asked, taker, _monitor in found
        if user.role in _AT_WORK_ALWAYS or operator.state not in _IDLE
    ]


def _row(
    operator: Operator,
    user: User,
    attempt: Attempt | None,
    cells: list[str] | None,
    softphone: Softphone | None,
    asked: HelpRequest | None,
    taker: str | None,
    listeners: dict[int, list[Listener]],
    now: datetime,
) -> Row:
    in_call = attempt is not None and attempt.ended_at is None
    call = attempt if in_call else None
    return Row(
        user_id=user.id,
        name=user.name,
        state=operator.state,
        held=call is not None and call.state is CallState.HELD,
        reason=operator.reason,
        since=operator.since,
        customer_id=(call.customer_id if call else None) or operator.customer_id,
        customer=next((cell for cell in cells or () if cell), ""),
        number=call.number if call else "",
        call_since=(call.joined_at or call.created_at) if call else None,
        joined=call is not None
        and call.joined_at is not None
        and call.state in (CallState.EARLY, CallState.TALKING, CallState.HELD),
        trouble=_trouble(operator, softphone, now),
        help_at=asked.asked_at if asked and help_requests.waits(asked, now) else None,
        helped_by=(taker or "") if help_requests.is_told(asked, now) else "",
        listeners=tuple(listeners.get(call.id, ())) if call else (),
    )


def _trouble(operator: Operator, softphone: Softphone | None, now: datetime) -> str:
    """Say what is wrong with an operator's ear: what the page tells, else what the leg shows."""
    if operator.state is OperatorState.SIGNED_OUT:
        return ""
    reported = (
        softphone is not None
        and softphone.reported_at is not None
        and now - softphone.reported_at <= softphones.REPORT_LIVES
    )
    if operator.leg_kind is LegKind.BROWSER and softphone is not None and reported:
        if softphone.trouble:
            return softphone.trouble
        if softphone.microphone not in ("", softphones.MICROPHONE_OK):
            return softphone.microphone
    if operator.leg_state in (LegState.PARKED, LegState.JOINED):
        return ""
    since = operator.leg_since or operator.since
    return "no_leg" if operator.leg_state is LegState.LOST or now - since > LEG_GRACE else ""


def today(session: Session, *, now: datetime) -> Today:
    """Add up the records of today: one statement, along the ledger's index of moments."""
    day = site_day(now)
    kind, system = CallRecord.kind, CallRecord.system
    automatic = kind == RecordKind.PREDICTIVE
    # not the bare column: SQLite would go through its index, which is the whole ledger's
    who = CallRecord.user_id + literal_column("0")
    sums = session.execute(
        select(
            who,
            func.count().filter(CallRecord.counts_dial),
            func.count().filter(CallRecord.counts_connect),
            func.count().filter(CallRecord.counts_conversion),
            func.count().filter(system == SystemResult.BLANK, CallRecord.closed_at.is_not(None)),
            func.count().filter(automatic, system == SystemResult.ABANDONED),
            func.count().filter(automatic, CallRecord.user_id.is_not(None)),
        )
        .where(CallRecord.started_at >= datetime.combine(day, time.min, TOKYO))
        .group_by(who)
    ).all()
    by_user: dict[int, Day] = {}
    total = Day()
    for user_id, *counted in sums:
        one = Day(*map(int, counted))
        if user_id is not None:
            by_user[user_id] = one
        for name in Day.__slots__:
            setattr(total, name, getattr(total, name) + getattr(one, name))
    return Today(day, by_user, total)


def lines(session: Session) -> Lines:
    """Return the lines in use (R-CL-8)."""
    found: LinesInUse = gate.lines_in_use(session)
    return Lines(found.total, found.limit)
