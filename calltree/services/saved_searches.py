"""Searches of customers kept under a name, for their author alone or for all (R-LS-10).

Kept for a project: its lists mostly have the same columns, and one that a list lacks finds nobody.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import SavedSearch
from calltree.services import audit, scope
from calltree.services.criteria import Criteria
from calltree.services.rights import Right, Viewer

MAX_NAME = 64
MOST = 100
"""Of one author in one project."""


def seen(session: Session, *, viewer: Viewer, project_id: int) -> list[SavedSearch]:
    """Return the viewer's own searches of a project and those shared by others, by name."""
    query = select(SavedSearch).where(
        SavedSearch.project_id == project_id,
        or_(SavedSearch.user_id == viewer.user_id, SavedSearch.shared),
    )
    return list(session.scalars(query.order_by(SavedSearch.name, SavedSearch.id)))


def save(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int,
    name: str,
    criteria: Criteria,
    shared: bool,
    now: datetime,
) -> SavedSearch:
    """Keep a search; one's own of the same name is replaced.

    Raises NotAllowed, NotFound; Refused 'search_name_missing', 'search_asks_nothing',
    'searches_full'.
    """
    if not viewer.may(Right.SEE_LISTS):
        raise NotAllowed(Right.SEE_LISTS)
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    kept = name.strip()[:MAX_NAME]
    if not kept:
        raise Refused("search_name_missing", field="name")
    if not criteria.pairs():
        raise Refused("search_asks_nothing")
    mine = (SavedSearch.project_id == folder.project_id, SavedSearch.user_id == viewer.user_id)
    found = session.scalar(select(SavedSearch).where(*mine, SavedSearch.name == kept).limit(1))
    if found is None:
        if (session.scalar(select(func.count()).where(*mine)) or 0) >= MOST:
            raise Refused("searches_full", most=MOST)
        found = SavedSearch(
            project_id=folder.project_id, user_id=viewer.user_id, name=kept, created_at=now
        )
        session.add(found)
    found.criteria, found.shared = criteria.stored(), shared
    session.flush()
    _note(session, viewer, "search.saved", found, now)
    return found


def remove(session: Session, *, viewer: Viewer, search_id: int, now: datetime) -> None:
    """Forget a search: one's own, a shared one of others as a manager. Raises NotFound."""
    found = session.get(SavedSearch, search_id)
    if found is None or not may_remove(viewer, found):
        raise NotFound
    _note(session, viewer, "search.removed", found, now)
    session.delete(found)


def may_remove(viewer: Viewer, search: SavedSearch) -> bool:
    """Whether the viewer may remove this search."""
    own = search.user_id == viewer.user_id
    return own or (search.shared and viewer.may(Right.EDIT_MASTER_DATA))


def _note(
    session: Session, viewer: Viewer, action: str, search: SavedSearch, now: datetime
) -> None:
    audit.note(
        session,
        viewer=viewer,
        action=action,
        kind="search",
        object_id=search.id,
        now=now,
        name=search.name,
        shared=search.shared,
        project_id=search.project_id,
    )
