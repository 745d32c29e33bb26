"""Searching customers over every column, number, status and attribute (R-LS-10, R-CL-1, R-LS-12).

`find_ids` gives the ids of a whole result, `page` some rows of it by key, `count` how many they
are, `matches` whether one customer belongs to it at this moment, `make_queue` stores it as an
operator's queue. What the conditions mean is in `services.search_conditions`.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Session, aliased

from calltree.models import Customer, CustomerList, WorkQueue
from calltree.services import scope
from calltree.services.criteria import Criteria, Order
from calltree.services.rights import Viewer
from calltree.services.search_conditions import Conditions

PAGE = 50
WINDOW = 1500
"""Customers looked through in file order before the index is asked: a frequent word fills its
first page from these, and a rare one loses a few milliseconds."""
BEYOND = 2**62
"""Above every position and id."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a result, and after which customer the next one begins (None at the end)."""

    rows: list[Customer]
    next_after: int | None


def find_ids(
    session: Session, *, list_id: int, criteria: Criteria, viewer: Viewer, now: datetime
) -> array[int]:
    """Return the ids of all customers of a list who meet the criteria, in the order asked for.

    Packed 64-bit integers: 200,000 of them are 1.6 MB. Raises NotFound for a list that the viewer
    may not see.
    """
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    conditions = Conditions(session, folder=folder, criteria=criteria, viewer=viewer, now=now)
    statement = select(Customer.id).where(*conditions.all())
    return pack(session, statement.order_by(*_order(conditions, criteria)))


def pack(session: Session, statement: Select[Any]) -> array[int]:
    """Run a statement of one integer column and pack what it gives; no row objects are made."""
    cursor = session.connection().execute(statement).cursor
    return array("q", itertools.chain.from_iterable(cursor.fetchall()))


def page(
    session: Session,
    *,
    list_id: int | None,
    criteria: Criteria,
    viewer: Viewer,
    now: datetime,
    after: int | None = None,
    size: int = PAGE,
    folder: CustomerList | None = None,
) -> Found:
    """Return the next `size` customers of a result after customer `after`.

    `list_id` None searches every list the viewer may see, in the order of ids. `folder`: the list,
    where it has been asked for as one that the viewer may see. Raises NotFound.
    """
    if list_id is not None and folder is None:
        folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    conditions = Conditions(session, folder=folder, criteria=criteria, viewer=viewer, now=now)
    start = _after(session, conditions, criteria, after)
    order = _order(conditions, criteria)
    may_fill = conditions.uses_index and not conditions.is_of_few
    if may_fill and criteria.order is Order.FILE and not criteria.descending:
        early = _window(conditions, after)
        statement = select(Customer).where(*conditions.all(indexed=False), *start, early)
        rows = list(session.scalars(statement.order_by(*order).limit(size + 1)))
        if len(rows) > size:
            return Found(rows[:size], rows[size - 1].id)
    statement = select(Customer).where(*conditions.all(), *start)
    rows = list(session.scalars(statement.order_by(*order).limit(size + 1)))
    more = len(rows) > size
    return Found(rows[:size], rows[size - 1].id if more else None)


def rows_of(session: Session, *, ids: Sequence[int]) -> list[Customer]:
    """Return the customers of these ids (a page of a queue) in their order; missing ones not."""
    found = session.scalars(select(Customer).where(Customer.id.in_(ids)))
    by_id = {customer.id: customer for customer in found}
    return [by_id[customer_id] for customer_id in ids if customer_id in by_id]


def count(
    session: Session,
    *,
    list_id: int,
    criteria: Criteria,
    viewer: Viewer,
    now: datetime,
    folder: CustomerList | None = None,
) -> int:
    """Count the customers of a list who meet the criteria; `folder` as in `page`.

    Raises NotFound.
    """
    folder = folder or scope.get_list(session, viewer=viewer, list_id=list_id)
    conditions = Conditions(session, folder=folder, criteria=criteria, viewer=viewer, now=now)
    return session.scalar(select(func.count()).where(*conditions.all())) or 0


def matches(
    session: Session, *, customer_id: int, criteria: Criteria, viewer: Viewer, now: datetime
) -> bool:
    """Say whether a customer, in whichever list, meets the criteria at this moment.

    Whether the list is granted is not asked here, `services.work_queue` says that by its own name.
    """
    folder = session.scalar(
        select(CustomerList)
        .join(Customer, Customer.list_id == CustomerList.id)
        .where(Customer.id == customer_id)
    )
    if folder is None:
        return False
    conditions = Conditions(
        session, folder=folder, criteria=criteria, viewer=viewer, now=now, customer_id=customer_id
    )
    statement = select(Customer.id).where(Customer.id == customer_id)
    return session.scalar(statement.where(*conditions.all(indexed=False))) is not None


def make_queue(
    session: Session, *, viewer: Viewer, list_id: int, criteria: Criteria, now: datetime
) -> WorkQueue:
    """Search a list and keep the result as the viewer's one queue (R-CL-1). Raises NotFound."""
    ids = find_ids(session, list_id=list_id, criteria=criteria, viewer=viewer, now=now)
    return store_queue(
        session, user_id=viewer.user_id, list_id=list_id, criteria=criteria, ids=ids, now=now
    )


def store_queue(
    session: Session,
    *,
    user_id: int,
    list_id: int,
    criteria: Criteria,
    ids: array[int],
    now: datetime,
) -> WorkQueue:
    """Keep ids found before (in a read session: it is the long part) as the user's one queue."""
    session.execute(delete(WorkQueue).where(WorkQueue.user_id == user_id))
    queue = WorkQueue(
        user_id=user_id,
        list_id=list_id,
        criteria=criteria.stored(),
        made_at=now,
        customer_ids=ids.tobytes(),
        size=len(ids),
    )
    session.add(queue)
    session.flush()
    return queue


def merge_index(session: Session, *, pages: int = 16) -> bool:
    """Do a few milliseconds of the index's own merging; True while there is more to do.

    A bulk writer calls it once between its batches, in a transaction of its own, and a nightly job
    until it says False. Postgres tends its index itself.
    """
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        return False
    before = _changes(session)
    connection.execute(
        text("INSERT INTO customer_search(customer_search, rank) VALUES ('merge', :pages)"),
        {"pages": pages},
    )
    return _changes(session) - before >= 2  # FTS5's own way of telling that it did something


def _changes(session: Session) -> int:
    return int(session.execute(text("SELECT total_changes()")).scalar_one())


def _sort_key(conditions: Conditions, criteria: Criteria) -> ColumnElement[Any]:
    if criteria.order is Order.DIALLED:
        return func.coalesce(Customer.last_dialled_at, NEVER)
    if criteria.order is Order.NUMBER:
        return cast(ColumnElement[Any], Customer.number)
    if criteria.order is Order.DIALS:
        return conditions.dials
    if criteria.order is Order.COLUMN:
        cell = conditions.cell(criteria.order_column)
        if cell is not None:
            return cell
    key: Any = Customer.position if conditions.folder else Customer.id
    return cast(ColumnElement[Any], key)


def _order(conditions: Conditions, criteria: Criteria) -> list[ColumnElement[Any]]:
    key = _sort_key(conditions, criteria)
    if criteria.descending:
        return [key.desc(), Customer.id.desc()]
    return [key.asc(), Customer.id.asc()]


def _after(
    session: Session, conditions: Conditions, criteria: Criteria, after: int | None
) -> list[ColumnElement[bool]]:
    """Everything behind one customer in the order; that customer need not be in the result."""
    if after is None:
        return []
    key = _sort_key(conditions, criteria)
    value = session.execute(select(key).where(Customer.id == after)).scalar_one_or_none()
    if value is None:
        return []
    # key alone first: an index can start there
    if criteria.descending:
        return [key <= value, or_(key < value, Customer.id < after)]
    return [key >= value, or_(key > value, Customer.id > after)]


def _window(conditions: Conditions, after: int | None) -> ColumnElement[bool]:
    """The next WINDOW customers of the list, whoever they are: up to this position (or id)."""
    key: Any = Customer.position if conditions.folder else Customer.id
    asked = aliased(Customer)
    asked_key: Any = asked.position if conditions.folder else asked.id
    within = asked.list_id == conditions.folder.id if conditions.folder else literal(True)
    statement = select(asked_key).where(within)
    if after is not None:
        behind = select(key).where(Customer.id == after).correlate(None).scalar_subquery()
        statement = statement.where(asked_key > behind)
    last = statement.order_by(asked_key).offset(WINDOW - 1).limit(1).scalar_subquery()
    return cast(ColumnElement[bool], key <= func.coalesce(last, BEYOND))
