"""What counts, and the only place that changes it: the counting table of spec §1.

Three flags stand on every record (`counts_dial`, `counts_connect`, `counts_conversion`); customers
sum them over the list's present 周回, and lists sum their customers. All are changed in the
transaction of the record that changes them, by `settle`, `forget`, `enter`, `leave` and
`start_again`; `recount` is the slow check that finds and repairs what should never differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, and_, bindparam, case, func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from calltree.db import announce
from calltree.models import (
    CallRecord,
    Customer,
    CustomerList,
    RecordKind,
    ResultStatus,
    SystemResult,
)
from calltree.services import scope

DIALLED = (RecordKind.OUTBOUND, RecordKind.PREDICTIVE)
"""Kinds that count in 作業数, コール数 and コネクト数; the others count as themselves only."""


# Built once: every dial asks all.
_NEWEST = (
    select(CallRecord.id, CallRecord.status_id, CallRecord.system, CallRecord.user_id)
    .where(
        CallRecord.customer_id == bindparam("customer"),
        CallRecord.cycle == bindparam("cycle"),
        CallRecord.system != SystemResult.LINE_ERROR,
        CallRecord.id != bindparam("without"),
    )
    .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
    .limit(1)
)
_LAST_DIALLED = select(func.max(CallRecord.started_at)).where(
    CallRecord.customer_id == bindparam("customer"),
    CallRecord.kind.in_(DIALLED),
    CallRecord.system != SystemResult.LINE_ERROR,
    CallRecord.id != bindparam("without"),
)
_CYCLE = select(CustomerList.cycle).where(CustomerList.id == Customer.list_id).scalar_subquery()
_LOCKED = (
    select(Customer, _CYCLE)
    .where(Customer.id == bindparam("customer"))
    .with_for_update(of=Customer)
    .execution_options(populate_existing=True)
)
_ADD = (
    update(CustomerList)
    .where(CustomerList.id == bindparam("list"))
    .values(
        customers=CustomerList.customers + bindparam("plus_customers", type_=Integer),
        worked=CustomerList.worked + bindparam("plus_worked", type_=Integer),
        dials=CustomerList.dials + bindparam("plus_dials", type_=Integer),
        connects=CustomerList.connects + bindparam("plus_connects", type_=Integer),
    )
)


class Counts(NamedTuple):
    """The three flags of a record."""

    dial: bool
    connect: bool
    conversion: bool


class Totals(NamedTuple):
    """The four figures of a list."""

    customers: int
    worked: int
    dials: int
    connects: int


@dataclass(frozen=True, slots=True)
class Today:
    """One operator's figures of a site day, across lists (R-CL-11)."""

    dials: int = 0
    connects: int = 0
    predictive_dials: int = 0
    predictive_connects: int = 0
    conversions: int = 0
    entries: int = 0
    """対応数."""
    inbound: int = 0
    """受電数."""
    manual: int = 0
    """手動発信数."""

    @property
    def rate(self) -> float | None:
        """コネクト率, None (shown as –) when nothing was dialled."""
        return rate(self.connects, self.dials)


def rate(part: int, whole: int) -> float | None:
    """Divide; None, shown as –, when there is nothing to divide by."""
    return part / whole if whole else None


def counts_of(kind: RecordKind, status: ResultStatus | None, system: SystemResult) -> Counts:
    """Give what a record with this result counts as: one line of the table."""
    if kind not in DIALLED or system is SystemResult.LINE_ERROR:
        return Counts(dial=False, connect=False, conversion=False)
    if status is None:  # 空白, 放棄
        return Counts(dial=True, connect=False, conversion=False)
    return Counts(dial=True, connect=status.connected, conversion=status.conversion)


def is_last(record: CallRecord) -> bool:
    """Whether a record may stand as its customer's last result."""
    return record.customer_id is not None and record.system is not SystemResult.LINE_ERROR


def settle(session: Session, *, record: CallRecord, now: datetime, is_new: bool = False) -> None:
    """Bring the record's flags, its customer and its list in line with its result.

    For a record just made, saved, rewritten, corrected or failed; doing it twice changes nothing.
    `is_new`: made at `now`, so that no other of the customer's can be later.
    """
    status = session.get(ResultStatus, record.status_id) if record.status_id else None
    counts = counts_of(record.kind, status, record.system)
    change = (  # None before a new record is written
        int(counts.dial) - int(record.counts_dial or 0),
        int(counts.connect) - int(record.counts_connect or 0),
    )
    record.counts_dial, record.counts_connect, record.counts_conversion = counts
    session.flush()
    if record.customer_id is not None:
        _change(session, record, *change, now=now, is_new=is_new)
    if record.user_id is not None:
        announce(session, "figures", user_id=record.user_id)


def forget(session: Session, *, record: CallRecord, now: datetime) -> None:
    """Take a record out of all figures; the caller deletes it in the same transaction."""
    change = (-int(record.counts_dial), -int(record.counts_connect))
    record.counts_dial = record.counts_connect = record.counts_conversion = False
    if record.customer_id is not None:
        _change(session, record, *change, now=now, without=record.id)
    if record.user_id is not None:
        announce(session, "figures", user_id=record.user_id)


def enter(session: Session, *, customers: Sequence[Customer]) -> None:
    """Count customers that came into their lists: added by hand, restored, moved in."""
    for list_id, weight in weights(session, customers=customers).items():
        _add_to_list(session, list_id, *weight)


def leave(session: Session, *, customers: Sequence[Customer]) -> None:
    """Stop counting customers that go: into the bin, or out to another list."""
    for list_id, weight in weights(session, customers=customers).items():
        _add_to_list(session, list_id, *(-figure for figure in weight))


def start_again(session: Session, *, customers: Sequence[Customer]) -> None:
    """Stop counting what customers were called so far; they stay in their lists (リセット)."""
    for list_id, (_customers, *weight) in weights(session, customers=customers).items():
        _add_to_list(session, list_id, 0, *(-figure for figure in weight))


def weights(session: Session, *, customers: Sequence[Customer]) -> dict[int, Totals]:
    """Sum what customers add to their lists' figures, in the order in which lists are locked."""
    cycles = _cycles(session, {customer.list_id for customer in customers})
    sums = {list_id: [0, 0, 0, 0] for list_id in sorted(cycles)}
    for customer in customers:
        weight = (1, *_weight_in(customer, cycles[customer.list_id]))
        of_list = sums[customer.list_id]
        of_list[:] = (kept + more for kept, more in zip(of_list, weight, strict=True))
    return {list_id: Totals(*figures) for list_id, figures in sums.items()}


def add_customers(session: Session, *, list_id: int, count: int) -> None:
    """Count an import's never dialled customers, all at once; negative when it is undone."""
    _add_to_list(session, list_id, count, 0, 0, 0)


def today(session: Session, *, user_id: int, day: date) -> Today:
    """Sum one operator's records of a site day (R-CL-11)."""
    rows = session.execute(
        select(
            CallRecord.kind,
            func.count(),
            func.sum(_one(CallRecord.counts_dial)),
            func.sum(_one(CallRecord.counts_connect)),
            func.sum(_one(CallRecord.counts_conversion)),
        )
        .where(CallRecord.user_id == user_id, CallRecord.site_day == day)
        .group_by(CallRecord.kind)
    ).all()
    by_kind = {kind: tuple(int(n) for n in figures) for kind, *figures in rows}
    none = (0, 0, 0, 0)
    hand = by_kind.get(RecordKind.OUTBOUND, none)
    predictive = by_kind.get(RecordKind.PREDICTIVE, none)
    return Today(
        dials=hand[1] + predictive[1],
        connects=hand[2] + predictive[2],
        predictive_dials=predictive[1],
        predictive_connects=predictive[2],
        conversions=hand[3] + predictive[3],
        entries=by_kind.get(RecordKind.ENTRY, none)[0],
        inbound=by_kind.get(RecordKind.INBOUND, none)[0],
        manual=by_kind.get(RecordKind.MANUAL, none)[0],
    )


def totals(session: Session, *, list_id: int) -> Totals:
    """Count a list's figures from its customers, the slow way."""
    cycle = select(CustomerList.cycle).where(CustomerList.id == list_id).scalar_subquery()
    now_counted = Customer.cycle == cycle
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(_one(and_(now_counted, Customer.dials > 0))), 0),
            func.coalesce(func.sum(case((now_counted, Customer.dials), else_=0)), 0),
            func.coalesce(func.sum(case((now_counted, Customer.connects), else_=0)), 0),
        ).where(Customer.list_id == list_id, scope.is_present())
    ).one()
    return Totals(*(int(figure) for figure in row))


def recount(session: Session, *, list_id: int) -> dict[str, list[int]]:
    """Compare a list with its records, repair what differs, and say what did.

    Returns {figure: [kept, counted]} of the list, and under "customers_repaired" how many of its
    customers differed; empty when all is well. For the nightly check: reads every record.
    """
    folder = session.scalars(
        select(CustomerList).where(CustomerList.id == list_id).with_for_update()
    ).one()
    found: dict[str, list[int]] = {}
    repaired = _recount_customers(session, folder)
    if repaired:
        found["customers_repaired"] = [0, repaired]
    counted = totals(session, list_id=list_id)
    for figure, value in counted._asdict().items():
        kept = getattr(folder, figure)
        if kept != value:
            found[figure] = [kept, value]
            setattr(folder, figure, value)
    if found:
        announce(session, "lists", list_id=list_id)
    session.flush()
    return found


def _recount_customers(session: Session, folder: CustomerList) -> int:
    # by the customer's list and not the record's: who was moved here brought the figures along
    sums = (
        select(
            CallRecord.customer_id.label("customer_id"),
            func.sum(_one(CallRecord.counts_dial)).label("dials"),
            func.sum(_one(CallRecord.counts_connect)).label("connects"),
        )
        .join(Customer, Customer.id == CallRecord.customer_id)
        .where(Customer.list_id == folder.id, CallRecord.cycle == folder.cycle)
        .group_by(CallRecord.customer_id)
        .subquery()
    )
    kept = case((Customer.cycle == folder.cycle, Customer.dials), else_=0)
    kept_connects = case((Customer.cycle == folder.cycle, Customer.connects), else_=0)
    dials = func.coalesce(sums.c.dials, 0)
    connects = func.coalesce(sums.c.connects, 0)
    wrong = session.execute(
        select(Customer.id, dials, connects)
        .outerjoin(sums, sums.c.customer_id == Customer.id)
        .where(Customer.list_id == folder.id, (kept != dials) | (kept_connects != connects))
    ).all()
    for customer_id, true_dials, true_connects in wrong:
        session.execute(
            update(Customer)
            .where(Customer.id == customer_id)
            .values(cycle=folder.cycle, dials=int(true_dials), connects=int(true_connects))
        )
    return len(wrong)


def _change(
    session: Session,
    record: CallRecord,
    dials: int,
    connects: int,
    *,
    now: datetime,
    without: int | None = None,
    is_new: bool = False,
) -> None:
    # Locked: two records of one customer settled in the same moment would each sum the other out.
    customer, cycle = session.execute(_LOCKED, {"customer": record.customer_id}).one()
    change = (0, 0, 0)
    if record.cycle == cycle:  # an older 周回's records are history, not figures
        before = _weight_in(customer, cycle)
        if customer.cycle != cycle:
            customer.cycle, customer.dials, customer.connects = cycle, 0, 0
        customer.dials += dials
        customer.connects += connects
        after = _weight_in(customer, cycle)
        if customer.deleted_at is None:
            worked, all_dials, all_connects = after
            change = (worked - before[0], all_dials - before[1], all_connects - before[2])
    if is_new and _is_latest(record, customer, cycle):
        _point_at(customer, record)
    else:
        _set_last(session, customer, cycle, without=without)
    customer.updated_at = now
    if any(change):
        _add_to_list(session, customer.list_id, 0, *change)


def _is_latest(record: CallRecord, customer: Customer, cycle: int) -> bool:
    before = customer.last_dialled_at
    return (
        record.kind in DIALLED
        and record.cycle == cycle
        and record.system is not SystemResult.LINE_ERROR
        and (before is None or before <= record.started_at)
    )


def _point_at(customer: Customer, record: CallRecord) -> None:
    customer.last_record_id = record.id
    customer.last_status_id = record.status_id
    customer.last_system = record.system.value
    customer.last_user_id = record.user_id
    customer.last_dialled_at = record.started_at


def _set_last(
    session: Session, customer: Customer, cycle: int, *, without: int | None = None
) -> None:
    """Point the customer at the newest record that counts as its last."""
    connection = session.connection()  # the records were flushed, the customer's own row may wait
    of = {"customer": customer.id, "without": without or 0}
    newest = connection.execute(_NEWEST, of | {"cycle": cycle}).one_or_none()
    customer.last_record_id = newest.id if newest else None
    customer.last_status_id = newest.status_id if newest else None
    customer.last_system = newest.system.value if newest else ""
    customer.last_user_id = newest.user_id if newest else None
    customer.last_dialled_at = connection.scalar(_LAST_DIALLED, of)


def _weight_in(customer: Customer, cycle: int) -> tuple[int, int, int]:
    """What one customer adds to 作業数, コール数 and コネクト数."""
    if customer.cycle != cycle:
        return (0, 0, 0)
    return (int(customer.dials > 0), customer.dials, customer.connects)


def _cycles(session: Session, list_ids: set[int]) -> dict[int, int]:
    rows = session.execute(
        select(CustomerList.id, CustomerList.cycle).where(CustomerList.id.in_(list_ids))
    )
    return dict(iter(rows))


def _add_to_list(
    session: Session, list_id: int, customers: int, worked: int, dials: int, connects: int
) -> None:
    plus = Totals(customers, worked, dials, connects)._asdict()
    session.flush()
    session.connection().execute(
        _ADD, {"list": list_id} | {f"plus_{name}": figure for name, figure in plus.items()}
    )
    loaded = session.identity_map.get(identity_key(CustomerList, list_id))
    if loaded is not None:
        session.expire(loaded, Totals._fields)
    announce(session, "lists", list_id=list_id)


def _one(condition: Any) -> Any:
    return case((condition, 1), else_=0)
