"""Pages by key for programs: lists, customers, records, bans and tasks that a viewer may see.

Each gives some rows and the key behind which the next page begins, '' at the end. A page at any
depth begins where an index does, and rows that come or go meanwhile shift nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, or_, select, union
from sqlalchemy.orm import Session, aliased

from calltree.errors import NotAllowed
from calltree.models import (
    CallRecord,
    Customer,
    CustomerList,
    DoNotCall,
    ExtraNumber,
    Project,
    Task,
    User,
)
from calltree.services import ban_search, history, number_search, scope, tasks
from calltree.services.ban_search import BanCriteria
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.rights import Right, Viewer
from calltree.services.tasks import Tab

Row = TypeVar("Row")
MOST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Part(Generic[Row]):
    """Some rows, and the key of the next page."""

    rows: list[Row]
    next_key: str


def _cut(rows: Sequence[Row], size: int, key: Any) -> Part[Row]:
    """Of `size + 1` rows keep `size`; the key is that of the last one kept."""
    kept = list(rows[:size])
    return Part(kept, str(key(kept[-1])) if len(rows) > size else "")


def lists(
    session: Session, *, viewer: Viewer, project_id: int | None = None, after: str = "", size: int
) -> Part[tuple[CustomerList, str]]:
    """Return lists with their project's name, newest first."""
    query = (
        select(CustomerList, Project.name)
        .join(Project, Project.id == CustomerList.project_id)
        .where(scope.lists_seen(viewer))
        .order_by(CustomerList.id.desc())
        .limit(size + 1)
    )
    if project_id is not None:
        query = query.where(CustomerList.project_id == project_id)
    if after:
        query = query.where(CustomerList.id < _first(after))
    rows = [(folder, name) for folder, name in session.execute(query)]
    return _cut(rows, size, lambda row: row[0].id)


def customers(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int | None = None,
    number: str = "",
    after: str = "",
    size: int,
) -> Part[Customer]:
    """Return customers: of one list in file order, else by id.

    `number` is digits of a main or extra number. Raises NotFound for a list of others.
    """
    where = [scope.customers_seen(session, viewer=viewer)]
    place: Any = Customer.id
    if list_id is not None:
        scope.get_list(session, viewer=viewer, list_id=list_id)
        where.append(Customer.list_id == list_id)
        place = Customer.position
    if number:
        where.append(_has_number(number))
    if after:
        first, last_id = _first(after), _number(after.partition("-")[2])
        # the place alone first: an index starts there
        where += [place >= first, or_(place > first, Customer.id > last_id)]
    query = select(Customer).where(*where).order_by(place, Customer.id).limit(size + 1)
    rows = list(session.scalars(query))
    return _cut(rows, size, lambda row: f"{row.position if list_id else row.id}-{row.id}")


def _has_number(digits: str) -> ColumnElement[bool]:
    extra = select(ExtraNumber.customer_id)
    if number_search.is_whole(digits):
        main = aliased(Customer)
        with_one = union(  # as one set of ids: of an OR Postgres would read all customers
            select(main.id).where(main.number == digits),
            extra.where(ExtraNumber.number == digits),
        )
        return Customer.id.in_(with_one)
    extra = extra.where(number_search.holds(ExtraNumber.number, digits))
    return or_(number_search.holds(Customer.number, digits), Customer.id.in_(extra))


def records(
    session: Session,
    *,
    viewer: Viewer,
    criteria: HistoryCriteria,
    after: str = "",
    size: int,
    now: datetime,
) -> Part[CallRecord]:
    """Return call records, newest first."""
    if not viewer.may(Right.SEE_RECORDS):
        raise NotAllowed(Right.SEE_RECORDS)
    query = (
        select(CallRecord)
        .where(
            scope.records_seen(session, viewer=viewer),
            *history.conditions(criteria=criteria, now=now),
            *history.behind(after),
        )
        .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
        .limit(size + 1)
    )
    return _cut(list(session.scalars(query)), size, history.key_of)


def bans(
    session: Session, *, viewer: Viewer, number: str = "", after: str = "", size: int, now: datetime
) -> Part[DoNotCall]:
    """Return do-not-call entries in force, newest first."""
    if not viewer.may(Right.SEE_BANS):
        raise NotAllowed(Right.SEE_BANS)
    before_id = _first(after) if after else None
    found = ban_search.page(
        session, criteria=BanCriteria(number=number), now=now, before_id=before_id, size=size + 1
    )
    return _cut(found, size, lambda row: row.id)


def open_tasks(
    session: Session,
    *,
    viewer: Viewer,
    tab: Tab | None = None,
    after: str = "",
    size: int,
    now: datetime,
) -> Part[tasks.Shown]:
    """Return open tasks that the viewer may see, the oldest first."""
    where = [tasks.seen(viewer, now)]
    if tab is not None:
        where.append(tasks.in_tab(tab, now))
    if after:
        where.append(Task.id > _first(after))
    rows = session.execute(
        select(Task, Customer, CustomerList.name, User.name)
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .outerjoin(User, User.id == Task.user_id)
        .where(*where)
        .order_by(Task.id)
        .limit(size + 1)
    )
    shown = [tasks.Shown(task, customer, name, user or "") for task, customer, name, user in rows]
    return _cut(shown, size, lambda row: row.task.id)


def _first(key: str) -> int:
    """Read the number that a key of ours begins with."""
    return _number(key.partition("-")[0])


def _number(digits: str) -> int:
    """Postgres compares no id with a number that no id can be."""
    return min(int(digits or 0), MOST_ID)
