"""リスト管理: the lists, who may see them, and what is written in their heads (R-LS-1, 2, 8).

Figures are read from the list's own row, so that looking at them costs the same whatever the lists
hold; `services.figures` keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, select, union_all
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    CustomerList,
    Group,
    GroupMember,
    ListGrant,
    ListGroupGrant,
    Project,
    ProjectState,
    Role,
    User,
)
from calltree.services import audit, audit_changes, names, projects, scope
from calltree.services.rights import Right, Viewer
from calltree.text.folding import fold, fold_name, words

MAX_COLUMNS = 200
MAX_CUSTOMERS = 200_000
MAX_NAME = 128

NOT_ENABLED = "not_enabled"
NOT_GRANTED = "not_granted"
PROJECT_STOPPED = "project_stopped"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of リスト一覧."""

    folder: CustomerList
    project: str
    users: tuple[str, ...]
    """Names of those to whom it is granted, members of granted groups included."""
    closed: tuple[str, ...]
    """Why nobody sees it (未公開): NOT_ENABLED, NOT_GRANTED, PROJECT_STOPPED; empty: open."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A project in the boxes of a search, with its lists (id, name)."""

    id: int
    name: str
    prospect_levels: list[str]
    lists: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Grants:
    """To whom a list is granted."""

    user_ids: frozenset[int]
    group_ids: frozenset[int]


def offered(session: Session, *, viewer: Viewer) -> list[Offered]:
    """Return the projects to search by, 運営 first, with the lists that the viewer sees.

    Those without one are a manager's alone.
    """
    seen = and_(CustomerList.project_id == Project.id, scope.lists_seen(viewer))
    rows = session.execute(
        select(
            Project.id, Project.name, Project.prospect_levels,
            CustomerList.id.label("list_id"), CustomerList.name.label("list_name"),
        )
        .outerjoin(CustomerList, seen)
        .order_by(Project.state, Project.name, CustomerList.id)
    )  # fmt: skip
    found: dict[int, Offered] = {}
    for row in rows:
        if row.list_id is not None or viewer.manages:
            one = found.setdefault(row.id, Offered(row.id, row.name, row.prospect_levels, []))
            if row.list_id is not None:
                one.lists.append((row.list_id, row.list_name))
    return list(found.values())


def under(offer: Iterable[Offered], project_id: int | None) -> list[tuple[int, str]]:
    """Return the lists of one project of these, or of all, in their own order."""
    return sorted(
        one for project in offer if project_id in (None, project.id) for one in project.lists
    )


def overview(
    session: Session, *, viewer: Viewer, project_id: int | None = None, text: str = ""
) -> list[Row]:
    """Return the lists the viewer may see, newest first; `text` is a number or part of a name."""
    query = (
        select(CustomerList, Project)
        .join(Project, Project.id == CustomerList.project_id)
        .where(scope.lists_seen(viewer))
        .order_by(CustomerList.id.desc())
    )
    if project_id is not None:
        query = query.where(CustomerList.project_id == project_id)
    granted = _granted_names(session)
    return [
        Row(
            folder,
            project.name,
            granted.get(folder.id, ()),
            _why_closed(folder, project, granted.get(folder.id, ())),
        )
        for folder, project in session.execute(query)
        if _answers(folder, text)
    ]


def _answers(folder: CustomerList, text: str) -> bool:
    wanted = words(text)
    if len(wanted) == 1 and wanted[0] == str(folder.id):
        return True
    name = fold(folder.name)
    return all(word in name for word in wanted)


def _why_closed(folder: CustomerList, project: Project, users: Sequence[str]) -> tuple[str, ...]:
    reasons = []
    if not folder.enabled:
        reasons.append(NOT_ENABLED)
    if not users:
        reasons.append(NOT_GRANTED)
    if project.state is ProjectState.STOPPED:
        reasons.append(PROJECT_STOPPED)
    return tuple(reasons)


def why_closed(
    session: Session, *, folder: CustomerList, project: Project | None = None
) -> tuple[str, ...]:
    """Say why no operator sees this list; empty when somebody does (R-LS-2)."""
    users = _granted_names(session, folder.id).get(folder.id, ())
    return _why_closed(folder, project or projects.get(session, folder.project_id), users)


def _granted_names(session: Session, list_id: int | None = None) -> dict[int, tuple[str, ...]]:
    to_users = (
        select(ListGrant.list_id, User.id, User.name)
        .join(User, User.id == ListGrant.user_id)
        .where(User.deleted_at.is_(None))
    )
    to_groups = (
        select(ListGroupGrant.list_id, User.id, User.name)
        .join(GroupMember, GroupMember.group_id == ListGroupGrant.group_id)
        .join(User, User.id == GroupMember.user_id)
        .where(User.deleted_at.is_(None))
    )
    if list_id is not None:
        to_users = to_users.where(ListGrant.list_id == list_id)
        to_groups = to_groups.where(ListGroupGrant.list_id == list_id)
    found: dict[int, dict[int, str]] = {}
    for folder_id, user_id, name in session.execute(union_all(to_users, to_groups)):
        found.setdefault(folder_id, {})[user_id] = name
    return {folder_id: tuple(by_id.values()) for folder_id, by_id in found.items()}


def create(
    session: Session,
    *,
    viewer: Viewer,
    project_id: int,
    name: str,
    columns: Iterable[str],
    now: datetime,
) -> CustomerList:
    """Make an empty list (空リスト作成), disabled and granted to nobody.

    Raises NotAllowed; Refused 'list_name_missing', 'list_name_taken', 'project_not_ready' and what
    `check_columns` refuses.
    """
    if not viewer.may(Right.CREATE_LISTS):
        raise NotAllowed(Right.CREATE_LISTS)
    project = projects.get(session, project_id)
    if projects.missing_for_import(project):
        raise Refused("project_not_ready", field="project_id", project=project.name)
    kept = check_columns(session, project=project, columns=columns)
    folder = CustomerList(
        name=_name(session, project_id, name), project_id=project_id, columns=kept, created_at=now
    )
    session.add(folder)
    session.flush()
    note(session, viewer, "list.created", folder, now, columns=len(kept))
    return folder


def check_columns(session: Session, *, project: Project, columns: Iterable[str]) -> list[str]:
    """Return the columns trimmed, empty ones left out.

    Raises Refused 'column_twice', 'too_many_columns', or the clash of a name (R-ST-3).
    """
    kept = [column.strip() for column in columns if column.strip()]
    if len(kept) > MAX_COLUMNS:
        raise Refused("too_many_columns", field="columns", found=len(kept), most=MAX_COLUMNS)
    seen: set[str] = set()
    for column in kept:
        if fold_name(column) in seen:
            raise Refused("column_twice", field="columns", name=column)
        seen.add(fold_name(column))
    names.refuse_first(names.column_clashes(session, project=project, columns=kept))
    return kept


def rename(
    session: Session, *, viewer: Viewer, list_id: int, name: str, now: datetime
) -> CustomerList:
    """Give a list another name. Raises NotAllowed, NotFound, Refused 'list_name_…'."""
    folder = _to_edit(session, viewer, list_id, Right.EDIT_MASTER_DATA)
    before = audit_changes.state_of(folder)
    folder.name = _name(session, folder.project_id, name, besides=list_id)
    _note_changes(session, viewer, "list.renamed", folder, now, before)
    return folder


def set_enabled(
    session: Session, *, viewer: Viewer, list_id: int, enabled: bool, now: datetime
) -> CustomerList:
    """有効化 or 無効化; grants stay as they are (R-LS-2). Raises NotAllowed, NotFound."""
    folder = _to_edit(session, viewer, list_id, Right.GRANT_LISTS)
    before = audit_changes.state_of(folder)
    folder.enabled = enabled
    action = "list.enabled" if enabled else "list.disabled"
    _note_changes(session, viewer, action, folder, now, before)
    return folder


def grants(session: Session, *, list_id: int) -> Grants:
    """Return to whom a list is granted."""
    users = session.scalars(select(ListGrant.user_id).where(ListGrant.list_id == list_id))
    groups = session.scalars(
        select(ListGroupGrant.group_id).where(ListGroupGrant.list_id == list_id)
    )
    return Grants(frozenset(users), frozenset(groups))


def receivers(session: Session) -> list[User]:
    """Return the users to whom granting a list means something; MGR and SV see all anyway."""
    query = select(User).where(
        User.deleted_at.is_(None), User.role.in_((Role.OPERATOR, Role.BACKYARD))
    )
    return list(session.scalars(query.order_by(User.role.desc(), User.login_key)))


def set_grants(
    session: Session, *, viewer: Viewer, list_id: int, wanted: Grants, now: datetime
) -> None:
    """Grant a list to exactly these users and groups.

    Raises NotAllowed, NotFound; Refused 'user_gone' for a user or group that is no more.
    """
    folder = _to_edit(session, viewer, list_id, Right.GRANT_LISTS)
    _check_receivers(session, wanted)
    before = _granted(session, folder)
    session.execute(delete(ListGrant).where(ListGrant.list_id == list_id))
    session.execute(delete(ListGroupGrant).where(ListGroupGrant.list_id == list_id))
    session.add_all(ListGrant(list_id=list_id, user_id=i) for i in sorted(wanted.user_ids))
    session.add_all(ListGroupGrant(list_id=list_id, group_id=i) for i in sorted(wanted.group_ids))
    session.flush()
    after = _granted(session, folder)
    _note_changes(session, viewer, "list.granted", folder, now, before, after)


def _granted(session: Session, folder: CustomerList) -> audit_changes.State:
    kept = grants(session, list_id=folder.id)
    return audit_changes.state_of(folder, users=kept.user_ids, groups=kept.group_ids)


def _check_receivers(session: Session, wanted: Grants) -> None:
    users = session.scalar(
        select(func.count()).where(User.id.in_(wanted.user_ids), User.deleted_at.is_(None))
    )
    groups = session.scalar(select(func.count()).where(Group.id.in_(wanted.group_ids)))
    if users != len(wanted.user_ids) or groups != len(wanted.group_ids):
        raise Refused("user_gone", field="users")


def set_shown(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int,
    hidden: Iterable[str],
    large: Iterable[str],
    order: Sequence[str],
    now: datetime,
) -> CustomerList:
    """Set 表示項目: the columns' order on the call screen, which are hidden and which large."""
    folder = _to_edit(session, viewer, list_id, Right.EDIT_MASTER_DATA)
    first = [column for column in order if column in folder.columns]
    rest = [column for column in folder.columns if column not in first]
    hide, enlarge = set(hidden), set(large)
    before = audit_changes.state_of(folder)
    folder.shown = [
        {"column": column, "hidden": column in hide, "large": column in enlarge}
        for column in dict.fromkeys([*first, *rest])
    ]
    _note_changes(session, viewer, "list.shown", folder, now, before)
    return folder


def shown(folder: CustomerList) -> list[tuple[str, int, bool, bool]]:
    """Return (column, its place in cells, hidden, large) in the order on screen.

    Columns added after 表示項目 was set come last.
    """
    places = {column: place for place, column in enumerate(folder.columns)}
    kept = [item for item in folder.shown if item["column"] in places]
    known = {item["column"] for item in kept}
    found = [
        (item["column"], places[item["column"]], bool(item["hidden"]), bool(item["large"]))
        for item in kept
    ]
    return found + [(c, place, False, False) for c, place in places.items() if c not in known]


def free_name(session: Session, *, project_id: int, name: str) -> str:
    """Return the name trimmed, if a new list may have it. Raises Refused 'list_name_…'."""
    return _name(session, project_id, name)


def _name(session: Session, project_id: int, name: str, *, besides: int | None = None) -> str:
    kept = name.strip()
    if not kept:
        raise Refused("list_name_missing", field="name")
    if len(kept) > MAX_NAME:
        raise Refused("list_name_long", field="name", most=MAX_NAME)
    others = session.scalars(
        select(CustomerList.name).where(
            CustomerList.project_id == project_id,
            CustomerList.deleted_at.is_(None),
            CustomerList.id != (besides or 0),
        )
    )
    if fold_name(kept) in {fold_name(other) for other in others}:
        raise Refused("list_name_taken", field="name", name=kept)
    return kept


def _to_edit(session: Session, viewer: Viewer, list_id: int, right: Right) -> CustomerList:
    if not viewer.may(right):
        raise NotAllowed(right)
    folder = session.scalar(
        select(CustomerList)
        .where(CustomerList.id == list_id, CustomerList.deleted_at.is_(None))
        .with_for_update()
    )
    if folder is None:
        raise NotFound(f"list {list_id}")
    return folder


def note(
    session: Session,
    viewer: Viewer,
    action: str,
    folder: CustomerList,
    now: datetime,
    **detail: Any,
) -> None:
    """Log what was done to a list, and tell the pages that show lists."""
    audit.note(
        session,
        viewer=viewer,
        action=action,
        kind="list",
        object_id=folder.id,
        now=now,
        name=folder.name,
        **detail,
    )
    announce(session, "lists", list_id=folder.id)


def _note_changes(
    session: Session,
    viewer: Viewer,
    action: str,
    folder: CustomerList,
    now: datetime,
    before: audit_changes.State,
    after: audit_changes.State | None = None,
) -> None:
    line = audit_changes.note(
        session, viewer=viewer, action=action, kind="list", object_id=folder.id, before=before,
        after=after or audit_changes.state_of(folder), now=now, name=folder.name,
    )  # fmt: skip
    if line is not None:
        announce(session, "lists", list_id=folder.id)
