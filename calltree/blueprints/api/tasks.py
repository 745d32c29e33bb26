"""Tasks (対応タスク)."""

from __future__ import annotations

from calltree.blueprints.api.operations import operation
from calltree.blueprints.api.shapes import Page, TaskItem, TasksQuery
from calltree.db import utcnow
from calltree.extensions import reading
from calltree.services import keyed_pages
from calltree.services.api_tokens import Caller, Scope
from calltree.services.tasks import Tab


@operation(
    "GET", "/tasks", tag="tasks", scope=Scope.TASKS_READ, query=TasksQuery, answer=Page[TaskItem]
)
def list_tasks(caller: Caller, query: TasksQuery) -> Page[TaskItem]:
    """Return open tasks that the token's user may see, the oldest first."""
    part = keyed_pages.open_tasks(
        reading(),
        viewer=caller.viewer,
        tab=Tab(query.due) if query.due else None,
        after=query.cursor or "",
        size=query.limit,
        now=utcnow(),
    )
    items = [
        TaskItem(
            id=one.task.id,
            customer_id=one.task.customer_id,
            list_id=one.customer.list_id,
            list=one.list_name,
            number=one.customer.number,
            user_id=one.task.user_id,
            user=one.user_name,
            due_at=one.task.due_at,
            opened_at=one.task.opened_at,
        )
        for one in part.rows
    ]
    return Page[TaskItem](items=items, next_cursor=part.next_key or None)
