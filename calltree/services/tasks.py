"""対応タスク: customers promised a callback (R-CL-12).

A task opens and is answered by results (`services.effects`). Here is who sees which, and by whom it
is done. A task is never hidden by a mark of its own: it goes and returns with its customer, list
and grant, and is not shown while its number is banned.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, Refused
from calltree.models import Customer, CustomerList, Task, User
from calltree.services import do_not_call, scope
from calltree.services.rights import Right, Viewer


class Tab(StrEnum):
    """過去 (due by now), 未来, フリー (no time)."""

    PAST = "past"
    FUTURE = "future"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Shown:
    """A task with what its row shows."""

    task: Task
    customer: Customer
    list_name: str
    user_name: str
    """Empty: 担当なし."""


def in_tab(tab: Tab, now: datetime) -> ColumnElement[bool]:
    """Condition on Task for one tab."""
    if tab is Tab.FREE:
        return Task.due_at.is_(None)
    return Task.due_at <= now if tab is Tab.PAST else Task.due_at > now


def seen(viewer: Viewer, now: datetime) -> ColumnElement[bool]:
    """Condition on Task joined with Customer and CustomerList: open ones this viewer may see.

    MGR and SV all; OP and BY their own and 担当なし, in lists granted to them.
    """
    if not viewer.may(Right.SEE_TASKS):
        return Task.id.is_(None)
    here = and_(
        Task.done_at.is_(None),
        scope.is_present(),
        scope.lists_seen(viewer),
        ~do_not_call.banned(Customer.number, CustomerList.project_id, now),
    )
    if viewer.manages:
        return here
    return and_(here, or_(Task.user_id == viewer.user_id, Task.user_id.is_(None)))


def page(
    session: Session, *, viewer: Viewer, tab: Tab, now: datetime, limit: int = 200
) -> list[Shown]:
    """Return a tab's tasks: the longest overdue, the next due, the oldest free ones first."""
    rows = session.execute(
        select(Task, Customer, CustomerList.name, User.name)
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .outerjoin(User, User.id == Task.user_id)
        .where(seen(viewer, now), in_tab(tab, now))
        .order_by(Task.opened_at if tab is Tab.FREE else Task.due_at, Task.id)
        .limit(limit)
    )
    return [Shown(task, customer, name, user or "") for task, customer, name, user in rows]


def counts(session: Session, *, viewer: Viewer, now: datetime) -> dict[Tab, int]:
    """Count each tab; PAST is the badge."""
    return {tab: _count(session, viewer, tab, now) for tab in Tab}


def badge(session: Session, *, viewer: Viewer, now: datetime) -> int:
    """Count what is due by now."""
    return _count(session, viewer, Tab.PAST, now)


def done_among(session: Session, *, task_ids: Collection[int]) -> set[int]:
    """Of the tasks on an open page, which are done by now: they read 作業済み until reload."""
    return set(
        session.scalars(select(Task.id).where(Task.id.in_(task_ids), Task.done_at.is_not(None)))
    )


def of_customer(session: Session, *, customer_id: int) -> Task | None:
    """Return the customer's open task, if any."""
    return session.scalar(
        select(Task).where(Task.customer_id == customer_id, Task.done_at.is_(None))
    )


def assign(
    session: Session,
    *,
    viewer: Viewer,
    task_ids: Collection[int],
    user_id: int | None,
    now: datetime,
) -> int:
    """Give open tasks to a user, or to 担当なし (None); MGR and SV. Returns how many changed.

    Raises NotAllowed, Refused 'task_user_unknown'.
    """
    if not viewer.may(Right.ASSIGN_TASKS):
        raise NotAllowed
    if user_id is not None:
        user = session.get(User, user_id)
        if user is None or user.deleted_at or not Viewer.of(user).may(Right.SEE_TASKS):
            raise Refused("task_user_unknown", field="user_id")
    tasks = session.scalars(
        select(Task)
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(Task.id.in_(task_ids), seen(viewer, now))
    ).all()
    for task in tasks:
        task.user_id = user_id
    announce(session, "tasks", user_id=None)
    return len(tasks)


def _count(session: Session, viewer: Viewer, tab: Tab, now: datetime) -> int:
    return (
        session.scalar(
            select(func.count(Task.id))
            .join(Customer, Customer.id == Task.customer_id)
            .join(CustomerList, CustomerList.id == Customer.list_id)
            .where(seen(viewer, now), in_tab(tab, now))
        )
        or 0
    )
