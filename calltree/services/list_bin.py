"""ごみ箱: deleted lists and customers, for 30 days to be brought back (R-LS-11).

What rests here is seen, searched and dialled nowhere; its history and every summary stay. A list
takes its customers along as they are, so it comes back whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    HIDDEN_IMPORT_STATES,
    BulkJob,
    BulkKind,
    Customer,
    CustomerList,
    Import,
    Project,
    User,
)
from calltree.services import bulk, erasing, figures, imports, lists, number_search, scope
from calltree.services.rights import Right, Viewer
from calltree.services.search_conditions import visible

KEPT = timedelta(days=30)
PAGE = 50


@dataclass(frozen=True, slots=True)
class DeletedList:
    """A list in the bin."""

    folder: CustomerList
    project: str
    by: str
    until: datetime


@dataclass(frozen=True, slots=True)
class DeletedCustomers:
    """Customers in the bin whose list is there."""

    list_id: int
    name: str
    project: str
    count: int
    first_until: datetime
    """When the first of them leaves the bin."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some deleted customers of a list, by id, and after which the next ones begin."""

    rows: list[Customer]
    total: int
    last_id: int
    next_after: int | None
    names: dict[int, str]
    """Who deleted them."""


def is_here(list_id: int | None = None) -> ColumnElement[bool]:
    """Condition on Customer: put into the bin by somebody."""
    hidden = select(Import.id).where(Import.state.in_(HIDDEN_IMPORT_STATES))
    here = (
        Customer.deleted_at.is_not(None)
        & Customer.deleted_by.is_not(None)
        & (Customer.import_id.is_(None) | Customer.import_id.not_in(hidden))
    )
    return here if list_id is None else here & (Customer.list_id == list_id)


def deleted_lists(session: Session, *, viewer: Viewer) -> list[DeletedList]:
    """Return the lists in the bin, the newest first. Raises NotAllowed."""
    _check(viewer, Right.BULK_WORK)
    rows = session.execute(
        select(CustomerList, Project.name, User.name)
        .join(Project, Project.id == CustomerList.project_id)
        .join(User, User.id == CustomerList.deleted_by)
        .where(_list_is_here())
        .order_by(CustomerList.deleted_at.desc(), CustomerList.id.desc())
    )
    return [
        DeletedList(folder, project, by, folder.deleted_at + KEPT)
        for folder, project, by in rows
        if folder.deleted_at is not None
    ]


def _list_is_here() -> ColumnElement[bool]:
    return (
        CustomerList.deleted_at.is_not(None)
        & CustomerList.deleted_by.is_not(None)
        & CustomerList.purged_at.is_(None)
    )


def deleted_customers(session: Session, *, viewer: Viewer) -> list[DeletedCustomers]:
    """Return the lists of which customers are in the bin, with their counts. Raises NotAllowed."""
    _check(viewer, Right.BULK_WORK)
    # counted by list before the lists come in: joined first, Postgres compared each customer in
    # the bin with every list
    found = (
        select(
            Customer.list_id,
            func.count().label("count"),
            func.min(Customer.deleted_at).label("oldest"),
        )
        .where(is_here())
        .group_by(Customer.list_id)
        .subquery()
    )
    rows = session.execute(
        select(CustomerList.id, CustomerList.name, Project.name, found.c.count, found.c.oldest)
        .join(found, found.c.list_id == CustomerList.id)
        .join(Project, Project.id == CustomerList.project_id)
        .where(CustomerList.deleted_at.is_(None))
        .order_by(CustomerList.id.desc())
    )
    return [
        DeletedCustomers(list_id, name, project, count, oldest + KEPT)
        for list_id, name, project, count, oldest in rows
        if oldest is not None
    ]


def page(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int,
    number: str = "",
    after: int = 0,
) -> Page:
    """Return deleted customers of a list, all or those with these digits. Raises NotFound."""
    _check(viewer, Right.BULK_WORK)
    scope.get_list(session, viewer=viewer, list_id=list_id)
    where = _where(list_id, number)
    total, newest = session.execute(select(func.count(), func.max(Customer.id)).where(*where)).one()
    query = select(Customer).where(*where, Customer.id > after).order_by(Customer.id)
    rows = list(session.scalars(query.limit(PAGE + 1)))
    by = {row.deleted_by for row in rows}
    names = session.execute(select(User.id, User.name).where(User.id.in_(by))).all()
    more = len(rows) > PAGE
    return Page(
        rows[:PAGE],
        total,
        newest or 0,
        rows[PAGE - 1].id if more else None,
        dict(iter(names)),
    )


def _where(list_id: int, number: str) -> list[ColumnElement[bool]]:
    where = [is_here(list_id)]
    if number:
        where.append(number_search.finds(Customer.number, number))
    return where


def restore_customers(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int,
    ids: tuple[int, ...] | None = None,
    number: str = "",
    now: datetime,
) -> BulkJob:
    """Bring these customers back, or with `ids` None all of the list that `number` finds.

    Raises NotAllowed, NotFound, Refused 'nobody_chosen'.
    """
    _check(viewer, Right.BULK_WORK)
    scope.get_list(session, viewer=viewer, list_id=list_id)
    where = _where(list_id, number)
    if ids is not None:
        where.append(Customer.id.in_(ids))
    count, newest = session.execute(select(func.count(), func.max(Customer.id)).where(*where)).one()
    if not count:
        raise Refused("nobody_chosen")
    choices: dict[str, Any] = {"list_id": list_id, "last_id": newest, "number": number}
    if ids is not None:
        choices["ids"] = list(ids)
    return bulk.begin(
        session,
        viewer=viewer,
        kind=BulkKind.CUSTOMER_RESTORE,
        choices=choices,
        count=count,
        said={"list_id": list_id},
        now=now,
    )


def conditions(
    session: Session, *, viewer: Viewer, choices: Mapping[str, Any]
) -> list[ColumnElement[bool]]:
    """Conditions on Customer for those that a job brings back. Raises NotFound."""
    list_id = choices["list_id"]
    scope.get_list(session, viewer=viewer, list_id=list_id)
    where = [*_where(list_id, choices["number"]), Customer.id <= choices["last_id"]]
    return [*where, Customer.id.in_(choices["ids"])] if "ids" in choices else where


def delete_list(
    session: Session, *, viewer: Viewer, list_id: int, typed: str, now: datetime
) -> CustomerList:
    """Put a list with all its customers into the bin; the count of them must have been typed.

    Who has one of them open may finish it, as when a list is disabled (R-LS-2). Raises NotAllowed,
    NotFound, Refused 'count_differs', 'import_list_busy'.
    """
    _check(viewer, Right.EDIT_MASTER_DATA)
    folder = _locked(session, list_id)
    if folder.deleted_at is not None:
        raise NotFound
    if folder.customers:
        bulk.check_typed(typed, folder.customers)
    if imports.at_work_in(session, list_ids=[list_id]):
        raise Refused("import_list_busy", list=folder.name)
    folder.deleted_at, folder.deleted_by = now, viewer.user_id
    lists.note(session, viewer, "list.deleted", folder, now, count=folder.customers)
    return folder


def restore_list(session: Session, *, viewer: Viewer, list_id: int, now: datetime) -> CustomerList:
    """Bring a list back, disabled; its grants are as they were.

    Raises NotAllowed, NotFound; Refused 'list_name_taken' while another has its name by now, or
    the clash of a column's name with what was named since (R-ST-3).
    """
    _check(viewer, Right.EDIT_MASTER_DATA)
    folder = _locked(session, list_id)
    if folder.deleted_at is None or folder.deleted_by is None or folder.purged_at is not None:
        raise NotFound
    lists.free_name(session, project_id=folder.project_id, name=folder.name)
    project = session.get_one(Project, folder.project_id)
    lists.check_columns(session, project=project, columns=folder.columns)
    folder.deleted_at = folder.deleted_by = None
    folder.enabled = False
    lists.note(session, viewer, "list.restored", folder, now, count=folder.customers)
    return folder


def purge(session: Session, *, before: datetime, after: int, most: int, now: datetime) -> int:
    """Let go of the next `most` customers that came into the bin before that moment.

    Those of whom the ledger knows nothing are removed, the others emptied; records stay. Returns
    the id after which to go on, 0 at the end. For the night.
    """
    of_lists = select(CustomerList.id).where(
        or_(
            CustomerList.purged_at.is_not(None),
            and_(_list_is_here(), CustomerList.deleted_at < before),
        )
    )
    due = or_(Customer.deleted_at < before, Customer.list_id.in_(of_lists))
    query = select(Customer.id).where(due, Customer.number != "", Customer.id > after)
    ids = list(session.scalars(query.order_by(Customer.id).limit(most)))
    still_due = session.scalars(
        select(Customer.id)
        .where(Customer.id.in_([row.id for row in erasing.lock(session, ids)]), due)
        .order_by(Customer.id)
    ).all()
    counted = select(Customer).where(Customer.id.in_(still_due), visible())
    figures.leave(session, customers=list(session.scalars(counted)))  # of a list in the bin
    gone = set(erasing.remove_unnamed(session, still_due))
    left = [row for row in erasing.lock(session, still_due) if row.id not in gone]
    erasing.empty(session, customers=left, user_id=None, now=now)
    return ids[-1] if ids else 0


def purge_lists(session: Session, *, before: datetime, now: datetime) -> int:
    """Let go of lists that came into the bin before that moment; returns how many. First of all.

    Their names stay for the records; the customers are `purge`'s.
    """
    due = session.scalars(
        select(CustomerList)
        .where(_list_is_here(), CustomerList.deleted_at < before)
        .with_for_update()
    ).all()
    for folder in due:
        folder.purged_at = now
    return len(due)


def _locked(session: Session, list_id: int) -> CustomerList:
    folder = session.scalar(
        select(CustomerList).where(CustomerList.id == list_id).with_for_update()
    )
    if folder is None:
        raise NotFound(f"list {list_id}")
    return folder


def _check(viewer: Viewer, right: Right) -> None:
    if not viewer.may(right):
        raise NotAllowed(right)
