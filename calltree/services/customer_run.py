"""Carrying bulk work on customers out, in the worker: in order of id, a few at a time.

Whoever is open on an operator's page or in a call at that moment is left alone and counted by the
reason. Rows are locked before anybody looks who has them: an operator who opens one in the same
moment waits for us and then meets the customer as it is by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotFound
from calltree.models import (
    Attempt,
    BeforeImage,
    BulkJob,
    BulkKind,
    Customer,
    CustomerHold,
    CustomerList,
    Task,
)
from calltree.services import (
    customer_work,
    cycles,
    figures,
    holds,
    imports,
    list_bin,
    search,
)
from calltree.services.bulk_writing import Claim, Failed
from calltree.services.lists import MAX_CUSTOMERS
from calltree.services.rights import Viewer
from calltree.services.search_conditions import visible
from calltree.text.folding import fold_cells, fold_name

MOST = 200
"""Customers of one transaction at most: an operator may be waiting for one of them."""
GONE, HELD, IN_CALL, TWIN, FULL, BEYOND = "gone", "held", "in_call", "twin", "full", "beyond"
"""Why a customer was left alone."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """The customers of one transaction, locked, whom nobody has at this moment."""

    session: Session
    claim: Claim
    job: BulkJob
    customers: list[Customer]
    left: Counter[str]


def run(claim: Claim, *, job: BulkJob, viewer: Viewer) -> None:
    """Do it to all that the job is about, from where an earlier worker left it."""
    after = int(job.findings.get("last_id", 0))
    while ids := _next(claim, job, viewer, after):
        with claim.write() as session:
            given = session.get_one(BulkJob, job.id)
            batch = _taken(session, claim, given, ids)
            done = STEPS[job.kind](batch)
            after = ids[-1]
            given.rows_done += len(ids)
            given.findings = {**given.findings, "last_id": after}
            claim.count(session, done + batch.left)
            if claim.pace.sqlite:
                search.merge_index(session, pages=len(ids) // 3 + 2)


def _next(claim: Claim, job: BulkJob, viewer: Viewer, after: int) -> list[int]:
    restoring = job.kind is BulkKind.CUSTOMER_RESTORE
    with claim.store.read() as session:
        try:
            where = (list_bin.conditions if restoring else customer_work.conditions)(
                session, viewer=viewer, choices=job.choices
            )
        except NotFound as error:
            raise Failed("list_gone") from error
        query = select(Customer.id).where(*where, Customer.id > after).order_by(Customer.id)
        return list(session.scalars(query.limit(min(claim.pace.rows, MOST))))


def _taken(session: Session, claim: Claim, job: BulkJob, ids: list[int]) -> _Batch:
    if job.kind in (BulkKind.CUSTOMER_MOVE, BulkKind.CUSTOMER_RESET):
        cycles.lock_records(session, customer_ids=ids)
    rows = session.scalars(
        select(Customer)
        .where(Customer.id.in_(ids))
        .order_by(Customer.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    in_bin = job.kind is BulkKind.CUSTOMER_RESTORE
    there = [
        row
        for row in rows
        if (row.deleted_at is not None) == in_bin and row.list_id == job.choices["list_id"]
    ]
    kept, left = whom_nobody_has(session, there, claim.clock())
    left[GONE] += len(ids) - len(there)
    return _Batch(session, claim, job, kept, +left)


def whom_nobody_has(
    session: Session, customers: Sequence[Customer], now: datetime
) -> tuple[list[Customer], Counter[str]]:
    """Part locked customers: those free at this moment, and how many of the others by reason."""
    ids = [customer.id for customer in customers]
    held = select(CustomerHold.customer_id).where(
        CustomerHold.customer_id.in_(ids), ~holds.is_over(now)
    )
    calling = select(Attempt.customer_id).where(
        Attempt.customer_id.in_(ids), Attempt.ended_at.is_(None)
    )
    in_call, open_ = set(session.scalars(calling)), set(session.scalars(held))
    left = Counter(
        IN_CALL if row.id in in_call else HELD for row in customers if row.id in in_call | open_
    )
    return [row for row in customers if row.id not in in_call | open_], left


def _assign(batch: _Batch) -> Counter[str]:
    users, each = batch.job.choices["users"], batch.job.choices["each"]
    done: Counter[str] = Counter()
    turn = int(batch.job.counts.get("assigned", 0))
    for customer in batch.customers:
        if not users:
            customer.assigned_user_id = None
            done["unassigned"] += 1
            continue
        place = turn // each if each else turn % len(users)
        if place >= len(users):
            batch.left[BEYOND] += 1
            continue
        customer.assigned_user_id = users[place]
        turn += 1
        done["assigned"] += 1
    announce(batch.session, "lists", list_id=batch.job.choices["list_id"])
    return done


def _move(batch: _Batch) -> Counter[str]:
    session, now = batch.session, batch.claim.clock()
    source, target = _both_lists(batch)
    going = _with_room(batch, target)
    layout = _layout(source, target)
    for customer in going:
        customer.cells = layout(customer.cells)
        customer.folded = fold_cells(customer.cells)
        customer.position = target.next_position
        customer.updated_at = now
        target.next_position += 1
    ids = [customer.id for customer in going]
    images = select(BeforeImage).where(BeforeImage.customer_id.in_(ids))
    for image in session.scalars(images):  # an import can still be undone
        image.cells, image.new_cells = layout(image.cells), layout(image.new_cells)
    cycles.carry_over(session, source=source, target=target, customers=going)
    session.execute(
        update(Task)
        .where(Task.customer_id.in_(ids), Task.done_at.is_(None))
        .values(list_id=target.id)
    )
    return Counter(moved=len(going))


def _both_lists(batch: _Batch) -> tuple[CustomerList, CustomerList]:
    ids = (batch.job.choices["list_id"], batch.job.choices["target_id"])
    rows = batch.session.scalars(
        select(CustomerList)
        .where(CustomerList.id.in_(ids), CustomerList.deleted_at.is_(None))
        .order_by(CustomerList.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = {folder.id: folder for folder in rows}
    if len(found) < len(ids):
        raise Failed("list_gone")
    # an import writes by the places of columns; it was not there when the move was asked for
    if imports.at_work_in(batch.session, list_ids=ids):
        raise Failed("list_importing")
    return found[ids[0]], found[ids[1]]


def _with_room(batch: _Batch, target: CustomerList) -> list[Customer]:
    """Those whose number the target has not yet, as many as it takes."""
    numbers = {customer.number for customer in batch.customers}
    there = set(
        batch.session.scalars(
            select(Customer.number).where(
                Customer.number.in_(numbers), Customer.list_id == target.id, visible()
            )
        )
    )
    room = MAX_CUSTOMERS - target.customers
    going: list[Customer] = []
    for customer in batch.customers:
        if customer.number in there:
            batch.left[TWIN] += 1
        elif len(going) >= room:
            batch.left[FULL] += 1
        else:
            there.add(customer.number)
            going.append(customer)
    return going


def _layout(source: CustomerList, target: CustomerList) -> Callable[[Sequence[str]], list[str]]:
    """Give the function that brings a row of cells into the target's columns, by their names."""
    places = {fold_name(name): place for place, name in enumerate(source.columns)}
    taken = [places.get(fold_name(name)) for name in target.columns]

    def laid_out(cells: Sequence[str]) -> list[str]:
        return [cells[place] if place is not None and place < len(cells) else "" for place in taken]

    return laid_out


def _reset(batch: _Batch) -> Counter[str]:
    folder = batch.session.get_one(CustomerList, batch.job.choices["list_id"])
    cycles.start_again(batch.session, folder=folder, customers=batch.customers)
    for customer in batch.customers:
        customer.updated_at = batch.claim.clock()
    return Counter(reset=len(batch.customers))


def _delete(batch: _Batch) -> Counter[str]:
    now = batch.claim.clock()
    figures.leave(batch.session, customers=batch.customers)
    for customer in batch.customers:
        customer.deleted_at, customer.deleted_by = now, batch.job.user_id
    return Counter(deleted=len(batch.customers))


def _restore(batch: _Batch) -> Counter[str]:
    folder = batch.session.scalars(
        select(CustomerList)
        .where(CustomerList.id == batch.job.choices["list_id"], CustomerList.deleted_at.is_(None))
        .with_for_update()
    ).one_or_none()
    if folder is None:
        raise Failed("list_gone")
    room = max(0, MAX_CUSTOMERS - folder.customers)
    back, rest = batch.customers[:room], batch.customers[room:]
    for customer in back:
        customer.deleted_at = customer.deleted_by = None
    batch.session.flush()
    figures.enter(batch.session, customers=back)
    if rest:
        batch.left[FULL] += len(rest)
    return Counter(restored=len(back))


STEPS: dict[BulkKind, Callable[[_Batch], Counter[str]]] = {
    BulkKind.CUSTOMER_ASSIGN: _assign,
    BulkKind.CUSTOMER_MOVE: _move,
    BulkKind.CUSTOMER_RESET: _reset,
    BulkKind.CUSTOMER_DELETE: _delete,
    BulkKind.CUSTOMER_RESTORE: _restore,
}
