"""Walking an operator's queue (R-CL-1): the next customer who still qualifies at this moment.

Conditions were true when the queue was made; they are asked again for each customer offered, and
those passed over are counted by reason.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import LargeBinary, exists, func, select, update
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import CallRecord, Customer, CustomerList, WorkQueue
from calltree.services import do_not_call, holds, scope, search
from calltree.services.criteria import Criteria
from calltree.services.rights import Viewer

BATCH = 200
ID_BYTES = 8

GONE, OUT_OF_GRANT, BANNED, ASSIGNED, HELD, DONE, CHANGED = (
    "gone",
    "out_of_grant",
    "banned",
    "assigned",
    "held",
    "done",
    "changed",
)
"""Why somebody was passed over, the first that applies. `done`: called since the search."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The next customer, now held; or, with `customer_id` None, the end of the list."""

    customer_id: int | None
    skipped: dict[str, int] = field(default_factory=dict)
    """Reason → how many were passed over on the way."""

    @property
    def is_end(self) -> bool:
        """「リストの最後です」."""
        return self.customer_id is None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far through the queue one is."""

    queue_id: int
    list_id: int
    position: int
    size: int
    skipped: dict[str, int] = field(default_factory=dict)
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class _Walk:
    """The queue and who walks it."""

    queue_id: int
    list_id: int
    criteria: Criteria
    made_at: datetime
    viewer: Viewer
    now: datetime


def progress(session: Session, *, user_id: int) -> Progress | None:
    """Return where this operator's queue stands; None when there is none."""
    row = session.execute(
        select(
            WorkQueue.id,
            WorkQueue.list_id,
            WorkQueue.cursor,
            WorkQueue.size,
            WorkQueue.skipped,
            WorkQueue.at_end,
        )
        .where(WorkQueue.user_id == user_id)
        .order_by(WorkQueue.id.desc())
        .limit(1)
    ).one_or_none()
    return Progress(*row) if row else None


def take_next(
    session: Session, *, viewer: Viewer, page_id: str | None = None, now: datetime
) -> Taken:
    """Hold and return the next customer of the viewer's queue who still qualifies.

    Raises Refused 'no_queue', and 'list_unavailable' once the whole list is out of grant.
    """
    # The ids are a blob of up to 1.6 MB; only the slice that is looked at is ever read.
    row = session.execute(
        select(
            WorkQueue.id,
            WorkQueue.list_id,
            WorkQueue.criteria,
            WorkQueue.made_at,
            WorkQueue.cursor,
            WorkQueue.size,
        )
        .where(WorkQueue.user_id == viewer.user_id)
        .order_by(WorkQueue.id.desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise Refused("no_queue")
    _require_list(session, row.list_id, viewer)
    walk = _Walk(row.id, row.list_id, Criteria.restored(row.criteria), row.made_at, viewer, now)
    skipped: Counter[str] = Counter()
    cursor, taken = row.cursor, None
    while taken is None and cursor < row.size:
        ids = _slice(session, walk.queue_id, cursor)
        reasons = _reasons(session, walk, ids)
        for customer_id in ids:
            cursor += 1
            reason = reasons.get(customer_id, GONE)
            if reason is None:
                reason = _take(session, walk, customer_id, page_id)
            if reason is None:
                taken = customer_id
                break
            skipped[reason] += 1
    session.execute(
        update(WorkQueue)
        .where(WorkQueue.id == walk.queue_id)
        .values(cursor=cursor, skipped=dict(skipped), at_end=taken is None)
    )
    return Taken(taken, dict(skipped))


def _require_list(session: Session, list_id: int, viewer: Viewer) -> None:
    seen = select(CustomerList.id).where(CustomerList.id == list_id, scope.lists_dialled(viewer))
    if session.scalar(seen) is None:
        name = session.scalar(select(CustomerList.name).where(CustomerList.id == list_id))
        raise Refused("list_unavailable", list=name or "")


def _slice(session: Session, queue_id: int, cursor: int) -> array[int]:
    piece = func.substr(
        WorkQueue.customer_ids, cursor * ID_BYTES + 1, BATCH * ID_BYTES, type_=LargeBinary
    )
    ids = array("q")
    ids.frombytes(bytes(session.scalars(select(piece).where(WorkQueue.id == queue_id)).one()))
    return ids


def _reasons(session: Session, walk: _Walk, ids: array[int]) -> dict[int, str | None]:
    """Look at a batch at once: id → why it is passed over, None if nothing speaks against it."""
    user_id = walk.viewer.user_id
    newer = exists().where(
        CallRecord.customer_id == Customer.id, CallRecord.started_at >= walk.made_at
    )
    others = Customer.assigned_user_id.is_not(None) & (Customer.assigned_user_id != user_id)
    rows = session.execute(
        select(
            Customer.id,
            Customer.list_id == walk.list_id,
            do_not_call.banned(Customer.number, CustomerList.project_id, walk.now),
            others,
            holds.held_by_other(Customer.id, user_id, walk.now),
            newer,
        )
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(Customer.id.in_(list(ids)), scope.is_present())
    )
    named = (OUT_OF_GRANT, BANNED, ASSIGNED, HELD, DONE)
    found: dict[int, str | None] = {}
    for customer_id, here, *against in rows:
        applies = (not here, *against)
        found[customer_id] = next(
            (name for name, holds_true in zip(named, applies, strict=True) if holds_true), None
        )
    return found


def _take(session: Session, walk: _Walk, customer_id: int, page_id: str | None) -> str | None:
    if not search.matches(
        session,
        customer_id=customer_id,
        criteria=walk.criteria,
        viewer=walk.viewer,
        now=walk.now,
    ):
        return CHANGED
    try:
        holds.take(
            session,
            customer_id=customer_id,
            user_id=walk.viewer.user_id,
            page_id=page_id,
            now=walk.now,
        )
    except Refused:
        return HELD
    # Asked once more now that nobody else can have them: between the batch's look and the hold
    # another may have taken, called and left this customer.
    reason = _reasons(session, walk, array("q", [customer_id])).get(customer_id, GONE)
    if reason is not None:
        holds.release(session, customer_id=customer_id, user_id=walk.viewer.user_id)
    return reason
