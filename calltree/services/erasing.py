"""個人情報の削除: what the site knows of a person is overwritten, what it counts stays (R-LS-11).

Rows stay where figures are summed from them: a record keeps its time, list, user and result, a
customer's row its counters. Numbers, names, memos, attributes and recordings go. A ban stays: it is
what keeps the person from being called again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, exists, false, func, or_, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    BeforeImage,
    CallRecord,
    Customer,
    CustomerHold,
    CustomerList,
    DoNotCall,
    Draft,
    ExtraNumber,
    Import,
    InboundCall,
    MemoEntry,
    RecordCorrection,
    Recording,
    RecordingState,
    Task,
    User,
    WebhookDelivery,
)
from calltree.services import (
    audit,
    bulk,
    cycles,
    do_not_call,
    figures,
    holds,
    outbox,
    recording_zip,
)
from calltree.services.rights import Right, Viewer

OWN = (ExtraNumber, BeforeImage, CustomerHold, Draft, WebhookDelivery)
"""Tables whose rows go with their customer."""
LEDGER = (Attempt, CallRecord, MemoEntry, Task)
"""What happened: a customer named there cannot be removed, only emptied."""
MOST = 200
_KEPT_OF_CORRECTIONS = ("status", "prospect_level", "callback_at")


@dataclass(frozen=True, slots=True)
class Known:
    """What the site knows of a number, or of one customer."""

    customers: list[tuple[Customer, str]]
    """With the names of their lists; those in the bin too."""
    records: int
    recordings: int
    banned: bool
    files: list[tuple[int, str]]
    """Imports that brought the customers and still have their file: ids and names."""

    @property
    def count(self) -> int:
        """What is typed to confirm: customers and records together."""
        return len(self.customers) + self.records


def known(
    session: Session,
    *,
    viewer: Viewer,
    number: str,
    customer_id: int | None = None,
    now: datetime,
) -> Known:
    """Say what would be erased of a number, or with `customer_id` of this customer alone.

    Raises NotAllowed, NotFound.
    """
    _check(viewer)
    ids = _customer_ids(session, number, customer_id)
    names = select(Customer, CustomerList.name).join(
        CustomerList, CustomerList.id == Customer.list_id
    )
    rows = session.execute(names.where(Customer.id.in_(ids)).order_by(Customer.id))
    mine = _records(ids, "" if customer_id else number)
    sounds = select(func.count()).where(
        Recording.record_id.in_(select(CallRecord.id).where(mine)),
        Recording.destroyed_at.is_(None),
    )
    ban = select(DoNotCall.id).where(DoNotCall.number == number, do_not_call.in_force(now))
    return Known(
        [(customer, name) for customer, name in rows],
        session.scalar(select(func.count(CallRecord.id)).where(mine)) or 0,
        session.scalar(sounds) or 0,
        session.scalar(ban.limit(1)) is not None,
        _files(session, ids),
    )


def _files(session: Session, customer_ids: Sequence[int]) -> list[tuple[int, str]]:
    came_by = select(Customer.import_id).where(Customer.id.in_(customer_ids))
    rows = session.execute(
        select(Import.id, Import.filename)
        .where(Import.id.in_(came_by), Import.stored_name != "")
        .order_by(Import.id)
    )
    return [(import_id, name) for import_id, name in rows]


def _customer_ids(session: Session, number: str, customer_id: int | None) -> list[int]:
    if customer_id is not None:
        found = session.scalar(
            select(Customer.id).where(Customer.id == customer_id, Customer.number == number)
        )
        if found is None:
            raise NotFound
        return [found]
    if not number:
        return []
    extra = select(ExtraNumber.customer_id).where(ExtraNumber.number == number)
    main = session.scalars(select(Customer.id).where(Customer.number == number))
    return sorted({*main, *session.scalars(extra)})


def _records(customer_ids: Sequence[int], number: str) -> ColumnElement[bool]:
    """Records of these customers, and calls with the number outside of any list."""
    of_customers = CallRecord.customer_id.in_(customer_ids)
    if not number:
        return and_(of_customers, CallRecord.number != "")
    return and_(or_(of_customers, CallRecord.number == number), CallRecord.number != "")


def erase(
    session: Session,
    *,
    viewer: Viewer,
    number: str,
    customer_id: int | None = None,
    typed: str,
    now: datetime,
) -> Known:
    """Erase all of a number, or of one customer, for good; returns what it was.

    Raises NotAllowed, NotFound; Refused 'count_differs', 'nothing_known', 'too_much_known',
    'customer_held', 'in_a_call'.
    """
    found = known(session, viewer=viewer, number=number, customer_id=customer_id, now=now)
    if not found.count:
        raise Refused("nothing_known")
    if len(found.customers) > MOST:
        raise Refused("too_much_known", most=MOST)
    bulk.check_typed(typed, found.count)
    ids = [customer.id for customer, _name in found.customers]
    cycles.lock_records(session, customer_ids=ids)
    customers = lock(session, ids)
    _refuse_open(session, ids, number, now)
    mine = _records(ids, "" if customer_id else number)
    record_ids = list(session.scalars(select(CallRecord.id).where(mine)))
    of_number = false() if customer_id else Attempt.number == number
    dials = or_(Attempt.customer_id.in_(ids), of_number)
    session.execute(  # there is nobody to call back any more
        update(InboundCall)
        .where(
            InboundCall.attempt_id.in_(select(Attempt.id).where(dials)),
            InboundCall.done_at.is_(None),
        )
        .values(done_at=now, done_by_id=viewer.user_id)
        .execution_options(synchronize_session=False)
    )
    announce(session, "missed")
    session.execute(update(Attempt).where(dials).values(number=""))
    _erase_records(session, record_ids, now)
    if not customer_id:
        outbox.forget_number(session, number=number)
    there = [customer for customer in customers if customer.deleted_at is None]
    figures.leave(session, customers=there)
    empty(session, customers=customers, user_id=viewer.user_id, now=now)
    audit.note(
        session,
        viewer=viewer,
        action="person.erased",
        kind="customer",
        object_id=customer_id or "",
        now=now,
        ending=number[-4:],
        customers=len(customers),
        records=len(record_ids),
        recordings=found.recordings,
    )
    return found


def lock(session: Session, ids: Sequence[int]) -> list[Customer]:
    """Lock customers in the order of ids, as all do who lock several."""
    return list(
        session.scalars(
            select(Customer)
            .where(Customer.id.in_(ids))
            .order_by(Customer.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def _refuse_open(session: Session, ids: Sequence[int], number: str, now: datetime) -> None:
    live = select(Attempt.id).where(
        or_(Attempt.customer_id.in_(ids), Attempt.number == number), Attempt.ended_at.is_(None)
    )
    if session.scalar(live.limit(1)) is not None:
        raise Refused("in_a_call")
    who = session.scalar(
        select(User.name)
        .join(CustomerHold, CustomerHold.user_id == User.id)
        .where(CustomerHold.customer_id.in_(ids), ~holds.is_over(now))
        .limit(1)
    )
    if who is not None:
        raise Refused("customer_held", name=who)


def _erase_records(session: Session, ids: Sequence[int], now: datetime) -> None:
    session.execute(
        update(CallRecord).where(CallRecord.id.in_(ids)).values(number="", memo="", attributes={})
    )
    session.execute(
        update(Recording)
        .where(Recording.record_id.in_(ids), Recording.destroyed_at.is_(None))
        .values(
            state=RecordingState.HIDDEN,
            destroy_after=now,
            destroyed_reason=recording_zip.REASON_ERASED,
            protected=False,
            waveform=b"",
        )
    )
    sounds = session.scalars(select(Recording.id).where(Recording.record_id.in_(ids))).all()
    recording_zip.take_away(session, recording_ids=sounds, now=now)
    for line in session.scalars(
        select(RecordCorrection).where(RecordCorrection.record_id.in_(ids))
    ):
        line.before = {key: line.before.get(key) for key in _KEPT_OF_CORRECTIONS}
        line.after = {key: line.after.get(key) for key in _KEPT_OF_CORRECTIONS}


def empty(
    session: Session, *, customers: Sequence[Customer], user_id: int | None, now: datetime
) -> None:
    """Take everything personal out of locked customers' own rows; they are gone from then on."""
    ids = [customer.id for customer in customers]
    for own in (*OWN, MemoEntry):
        session.execute(delete(own).where(own.customer_id.in_(ids)))
    session.execute(
        update(Task)
        .where(Task.customer_id.in_(ids), Task.done_at.is_(None))
        .values(done_at=now, done_by=user_id)
    )
    for customer in customers:
        customer.number = customer.number_given = customer.folded = ""
        customer.short_note = customer.prospect_level = ""
        customer.cells, customer.attributes = [], {}
        customer.assigned_user_id = customer.deleted_by = None
        customer.deleted_at = customer.deleted_at or now
        customer.updated_at = now
        announce(session, "customer", customer_id=customer.id)
    session.flush()


def remove_unnamed(session: Session, ids: Sequence[int]) -> list[int]:
    """Remove the customers of which the ledger knows nothing; returns which those were."""
    unnamed = and_(*(~exists().where(table.customer_id == Customer.id) for table in LEDGER))
    gone = list(session.scalars(select(Customer.id).where(Customer.id.in_(ids), unnamed)))
    for own in OWN:
        session.execute(delete(own).where(own.customer_id.in_(gone)))
    session.execute(
        delete(Customer).where(Customer.id.in_(gone)).execution_options(synchronize_session=False)
    )
    return gone


def _check(viewer: Viewer) -> None:
    if not viewer.may(Right.BULK_WORK):
        raise NotAllowed(Right.BULK_WORK)
