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
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import Customer, CustomerList, Task, User
from calltree.services import do_not_call, scope
from calltree.services.rights import Right, Viewer

MOST_SHOWN = 200
"""Rows of a tab; more are not worked off in one look."""
MOST_COUNTED = 1000
"""Of what is due; shown as 999+."""


class Tab(StrEnum):
    """過去 (due by now), 未来, フリー (no time)."""

    PAST = "past"
    FUTURE = "future"
    FREE = "free"


class Whose(StrEnum):
    """Of all that one may see: everything, or what is nobody's (担当なし)."""

    EVERYBODY = "all"
    NOBODY = "nobody"


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


def whose(who: Whose | int) -> ColumnElement[bool]:
    """Condition on Task: everybody's, 担当なし, or one user's (by id)."""
    if who is Whose.EVERYBODY:
        return true()
    return Task.user_id.is_(None) if who is Whose.NOBODY else Task.user_id == who


def page(
    session: Session,
    *,
    viewer: Viewer,
    tab: Tab,
    now: datetime,
    who: Whose | int = Whose.EVERYBODY,
    limit: int = MOST_SHOWN,
) -> list[Shown]:
    """Return a tab's tasks: the longest overdue, the next due, the oldest free ones first."""
    return shown(
        session,
        where=[seen(viewer, now), in_tab(tab, now), whose(who)],
        first=Task.opened_at if tab is Tab.FREE else Task.due_at,
        limit=limit,
    )


def shown(
    session: Session,
    *,
    where: Collection[ColumnElement[bool]],
    first: ColumnElement[Any] | InstrumentedAttribute[Any],
    limit: int,
) -> list[Shown]:
    """Return tasks with what their rows show; the conditions say which."""
    rows = session.execute(
        select(Task, Customer, CustomerList.name, User.name)
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .outerjoin(User, User.id == Task.user_id)
        .where(*where)
        .order_by(first, Task.id)
        .limit(limit)
    )
    return [Shown(task, customer, name, user or "") for task, customer, name, user in rows]


def counts(
    session: Session, *, viewer: Viewer, now: datetime, who: Whose | int = Whose.EVERYBODY
) -> dict[Tab, int]:
    """Count each tab; PAST is the badge."""
    return {tab: _count(session, viewer, tab, now, who) for tab in Tab}


def badge(session: Session, *, viewer: Viewer, now: datetime) -> int:
    """Count what is due by now, as `due` does."""
    return session.scalar(due(viewer, now)) or 0


def due(viewer: Viewer, now: datetime) -> Select[int]:
    """Give the statement that counts what is due by now, up to `MOST_COUNTED`.

    It is asked with every page: each task costs a look at its customer and the do-not-call list,
    and a year of forgotten promises shall not cost more than a day's.
    """
    found = _where_seen(select(Task.id), viewer, Tab.PAST, now, Whose.EVERYBODY)
    return select(func.count()).select_from(found.limit(MOST_COUNTED).subquery())


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

    Raises NotAllowed, Refused 'task_user_unknown', 'task_user_without_list'.
    """
    if not viewer.may(Right.ASSIGN_TASKS):
        raise NotAllowed
    if user_id is not None:
        user = session.get(User, user_id)
        if user is None or user.deleted_at or not Viewer.of(user).may(Right.SEE_TASKS):
            raise Refused("task_user_unknown", field="user_id")
    given = session.scalars(
        select(Task)
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(Task.id.in_(task_ids), seen(viewer, now))
    ).all()
    if user_id is not None and user is not None:
        lists = {task.list_id for task in given}
        if not all(may_be_given(session, user=user, list_id=one) for one in lists):
            raise Refused("task_user_without_list", field="user_id")
    for task in given:
        task.user_id = user_id
    announce(session, "tasks", user_id=None)
    return len(given)


def may_be_given(session: Session, *, user: User, list_id: int) -> bool:
    """Whether a task of this list would be shown to the user it is given to."""
    viewer = Viewer.of(user)
    if user.deleted_at is not None or not viewer.may(Right.SEE_TASKS):
        return False
    query = select(CustomerList.id).where(CustomerList.id == list_id, scope.lists_seen(viewer))
    return session.scalar(query) is not None


def reschedule(
    session: Session, *, viewer: Viewer, task_id: int, due_at: datetime | None, now: datetime
) -> None:
    """Promise the call for another time; None for フリー. MGR and SV any, others what they see.

    Raises NotAllowed, NotFound; Refused 'callback_past', 'task_done'.
    """
    if not viewer.may(Right.SEE_TASKS):
        raise NotAllowed
    if due_at is not None and due_at <= now:
        raise Refused("callback_past", field="due_at")
    task = session.scalar(
        select(Task)
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(Task.id == task_id, seen(viewer, now))
        .with_for_update(of=Task)
    )
    if task is None:
        if session.scalar(select(Task.id).where(Task.id == task_id, Task.done_at.is_not(None))):
            raise Refused("task_done")
        raise NotFound(f"task {task_id}")
    task.due_at = due_at
    announce(session, "tasks", user_id=None)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one person, or nobody (user_id None), has not called in time."""

    user_id: int | None
    name: str
    overdue: int
    oldest: datetime


def overdue(session: Session, *, viewer: Viewer, now: datetime) -> list[Backlog]:
    """Return who is how far behind, the most overdue first; MGR and SV. Raises NotAllowed."""
    if not viewer.may(Right.ASSIGN_TASKS):
        raise NotAllowed(Right.ASSIGN_TASKS)
    rows = session.execute(
        select(Task.user_id, User.name, func.count(Task.id), func.min(Task.due_at))
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .outerjoin(User, User.id == Task.user_id)
        .where(seen(viewer, now), in_tab(Tab.PAST, now))
        .group_by(Task.user_id, User.name)
        .order_by(func.min(Task.due_at))
    )
    return [
        Backlog(user_id, name or "", count, oldest)
        for user_id, name, count, oldest in rows
        if oldest is not None
    ]


def _count(
    session: Session,
    viewer: Viewer,
    tab: Tab,
    now: datetime,
    who: Whose | int = Whose.EVERYBODY,
) -> int:
    return session.scalar(_counting(viewer, tab, now, who)) or 0


def _counting(viewer: Viewer, tab: Tab, now: datetime, who: Whose | int) -> Select[int]:
    return _where_seen(select(func.count(Task.id)), viewer, tab, now, who)


def _where_seen(
    asked: Select[int], viewer: Viewer, tab: Tab, now: datetime, who: Whose | int
) -> Select[int]:
    return (
        asked.join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(seen(viewer, now), in_tab(tab, now), whose(who))
    )
