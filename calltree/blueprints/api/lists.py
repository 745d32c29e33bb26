"""Lists (リスト)."""

from __future__ import annotations

from calltree.blueprints.api.operations import operation
from calltree.blueprints.api.shapes import ListItem, ListsQuery, Page
from calltree.extensions import reading
from calltree.models import CustomerList, Project
from calltree.services import keyed_pages, scope
from calltree.services.api_tokens import Caller, Scope


def _told(folder: CustomerList, project: str) -> ListItem:
    return ListItem(
        id=folder.id,
        name=folder.name,
        project_id=folder.project_id,
        project=project,
        enabled=folder.enabled,
        columns=folder.columns,
        customers=folder.customers,
        worked=folder.worked,
        calls=folder.dials,
        connects=folder.connects,
        created_at=folder.created_at,
    )


@operation(
    "GET", "/lists", tag="lists", scope=Scope.LISTS_READ, query=ListsQuery, answer=Page[ListItem]
)
def lists(caller: Caller, query: ListsQuery) -> Page[ListItem]:
    """Return the lists that the token's user may see, newest first."""
    part = keyed_pages.lists(
        reading(),
        viewer=caller.viewer,
        project_id=query.project_id,
        after=query.cursor or "",
        size=query.limit,
    )
    items = [_told(folder, project) for folder, project in part.rows]
    return Page[ListItem](items=items, next_cursor=part.next_key or None)


@operation("GET", "/lists/<int:list_id>", tag="lists", scope=Scope.LISTS_READ, answer=ListItem)
def one_list(caller: Caller, list_id: int) -> ListItem:
    """Return one list."""
    folder = scope.get_list(reading(), viewer=caller.viewer, list_id=list_id)
    return _told(folder, reading().get_one(Project, folder.project_id).name)
