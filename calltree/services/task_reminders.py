"""Reminders of 対応タスク: a task that is due is shown to whoever may call, until they close it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed
from calltree.models import Customer, CustomerList, Task, TaskReminder
from calltree.services import tasks
from calltree.services.rights import Right, Viewer

MOST = 2
"""Shown at once, the longest due first: a banner is no list."""
REMINDED_FOR = timedelta(hours=8)
"""What has been due for longer is in the tab 過去, and reminds nobody any more."""


def due(session: Session, *, viewer: Viewer, now: datetime, most: int = MOST) -> list[tasks.Shown]:
    """Return what the viewer is to be reminded of: their own tasks and 担当なし."""
    if not viewer.may(Right.SEE_TASKS):
        return []
    closed = exists().where(
        TaskReminder.task_id == Task.id,
        TaskReminder.user_id == viewer.user_id,
        TaskReminder.due_at == Task.due_at,
    )
    return tasks.shown(
        session,
        where=[
            tasks.seen(viewer, now),
            Task.due_at <= now,
            Task.due_at > now - REMINDED_FOR,
            or_(Task.user_id == viewer.user_id, Task.user_id.is_(None)),
            ~closed,
        ],
        first=Task.due_at,
        limit=most,
    )


def close(session: Session, *, viewer: Viewer, task_ids: Collection[int], now: datetime) -> None:
    """Remind the viewer of these no more, unless they get another time. Raises NotAllowed."""
    if not viewer.may(Right.SEE_TASKS):
        raise NotAllowed(Right.SEE_TASKS)
    found = session.execute(
        select(Task.id, Task.due_at)
        .join(Customer, Customer.id == Task.customer_id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(Task.id.in_(task_ids), tasks.seen(viewer, now), Task.due_at.is_not(None))
        .with_for_update(of=Task)  # two pages of one person close it in turn
    ).all()
    ids = [task_id for task_id, _due_at in found]
    session.execute(
        delete(TaskReminder).where(
            TaskReminder.task_id.in_(ids), TaskReminder.user_id == viewer.user_id
        )
    )
    session.add_all(
        TaskReminder(task_id=task_id, user_id=viewer.user_id, due_at=due_at)
        for task_id, due_at in found
        if due_at is not None
    )
