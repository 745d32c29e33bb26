"""Bulk work on the customers of a list: which they are, and what a press asks (R-LS-10, R-LS-11).

The worker's part is `services.customer_run`. A press names customers by their ids, or by a search:
then all who meet it at the time of the press, over all pages, and nobody who came later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, union
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, Refused
from calltree.models import (
    BulkJob,
    BulkKind,
    Customer,
    CustomerList,
    GroupMember,
    ListGrant,
    ListGroupGrant,
    Project,
    Role,
    User,
)
from calltree.services import audit, bulk, imports, lists, scope
from calltree.services.criteria import Criteria
from calltree.services.rights import Right, Viewer
from calltree.services.search_conditions import Conditions, visible
from calltree.text.folding import fold_name

SHOWN = 10
"""Customers that the question shows of those it is about."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Customers of a list: those of these ids, or with `ids` None all that the search finds."""

    ids: tuple[int, ...] | None = None
    criteria: Criteria = field(default_factory=Criteria)


@dataclass(frozen=True, slots=True)
class Found:
    """How many were chosen, the first of them, and the newest id among them."""

    count: int
    rows: list[Customer]
    last_id: int


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of the columns when customers move to another list."""

    target: CustomerList
    missing: tuple[str, ...]
    """Columns of the source that the target lacks."""


def find(session: Session, *, viewer: Viewer, list_id: int, chosen: Chosen, now: datetime) -> Found:
    """Return how many customers a press would be about, and the first of them. Raises NotFound."""
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    where = _conditions(session, viewer, folder, chosen, now)
    count, newest = session.execute(select(func.count(), func.max(Customer.id)).where(*where)).one()
    rows = session.scalars(select(Customer).where(*where).order_by(Customer.id).limit(SHOWN))
    return Found(count, list(rows), newest or 0)


def _conditions(
    session: Session, viewer: Viewer, folder: CustomerList, chosen: Chosen, now: datetime
) -> list[ColumnElement[bool]]:
    if chosen.ids is not None:
        return [visible(), Customer.list_id == folder.id, Customer.id.in_(chosen.ids)]
    asked = Conditions(session, folder=folder, criteria=chosen.criteria, viewer=viewer, now=now)
    return asked.all()


def stored(chosen: Chosen, *, list_id: int, last_id: int, now: datetime) -> dict[str, Any]:
    """Give the form in which a job keeps whom it is about."""
    kept: dict[str, Any] = {"list_id": list_id, "last_id": last_id, "at": now.isoformat()}
    if chosen.ids is not None:
        return kept | {"ids": list(chosen.ids)}
    return kept | {"criteria": chosen.criteria.stored()}


def conditions(
    session: Session, *, viewer: Viewer, choices: Mapping[str, Any]
) -> list[ColumnElement[bool]]:
    """Conditions on Customer for those a job is about, as they are now. Raises NotFound."""
    folder = scope.get_list(session, viewer=viewer, list_id=choices["list_id"])
    if "ids" in choices:
        chosen = Chosen(ids=tuple(choices["ids"]))
    else:
        chosen = Chosen(criteria=Criteria.restored(choices["criteria"]))
    asked_at = datetime.fromisoformat(choices["at"])
    where = _conditions(session, viewer, folder, chosen, asked_at)
    return [*where, Customer.id <= choices["last_id"]]


def receivers(session: Session, *, folder: CustomerList) -> list[User]:
    """Return to whom customers of a list can be given: who dials and sees it, by name."""
    to_users = select(ListGrant.user_id).where(ListGrant.list_id == folder.id)
    to_groups = (
        select(GroupMember.user_id)
        .join(ListGroupGrant, ListGroupGrant.group_id == GroupMember.group_id)
        .where(ListGroupGrant.list_id == folder.id)
    )
    managing = User.role.in_((Role.MANAGER, Role.SUPERVISOR))
    granted = User.id.in_(union(to_users, to_groups))
    may = or_(managing, and_(User.role == Role.OPERATOR, granted))
    query = select(User).where(User.deleted_at.is_(None), may)
    # operators first: the others rarely dial
    return list(session.scalars(query.order_by(managing, User.name, User.id)))


def assign(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int,
    chosen: Chosen,
    user_ids: Sequence[int],
    each: int | None = None,
    typed: str,
    now: datetime,
) -> BulkJob:
    """割当: give customers to these users in turn, or `each` so many; no users: take them away.

    Only the one who is 担当 gets the customer from a queue. Raises NotAllowed, NotFound; Refused
    'assignee_unknown', 'assign_each_range', 'nobody_chosen', 'count_differs'.
    """
    _check(viewer, Right.GRANT_LISTS)
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    wanted = list(dict.fromkeys(user_ids))
    if set(wanted) - {user.id for user in receivers(session, folder=folder)}:
        raise Refused("assignee_unknown", field="users")
    if each is not None and each < 1:
        raise Refused("assign_each_range", field="each")
    choices = {"users": wanted, "each": each}
    said = {"users": wanted} if wanted else {}
    return _begin(
        session, viewer, BulkKind.CUSTOMER_ASSIGN, folder, chosen, choices, typed, said, now
    )


def targets(session: Session, *, viewer: Viewer, list_id: int) -> list[CustomerList]:
    """Return the lists that customers of this one can move to: the others of its project."""
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    query = select(CustomerList).where(
        scope.lists_seen(viewer),
        CustomerList.project_id == folder.project_id,
        CustomerList.id != list_id,
    )
    return list(session.scalars(query.order_by(CustomerList.id.desc())))


def plan_move(session: Session, *, viewer: Viewer, list_id: int, target_id: int) -> Move:
    """Say what a move to this list does with the columns. Raises NotFound, 'move_target'."""
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    found = {one.id: one for one in targets(session, viewer=viewer, list_id=list_id)}
    if target_id not in found:
        raise Refused("move_target", field="target")
    target = found[target_id]
    there = {fold_name(name) for name in target.columns}
    missing = tuple(name for name in folder.columns if fold_name(name) not in there)
    return Move(target, missing)


def move(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int,
    chosen: Chosen,
    target_id: int,
    add_columns: bool,
    typed: str,
    now: datetime,
) -> BulkJob:
    """Move customers to another list of the project, with their history and their counters.

    Columns that the target lacks are added there, or what stands in them is lost. Raises
    NotAllowed, NotFound; Refused 'move_target', 'import_list_busy', 'nobody_chosen',
    'count_differs', 'too_many_columns'.
    """
    _check(viewer, Right.BULK_WORK)
    # in the order of ids, as the worker locks them
    session.execute(
        select(CustomerList.id)
        .where(CustomerList.id.in_((list_id, target_id)))
        .order_by(CustomerList.id)
        .with_for_update()
    ).all()
    planned = plan_move(session, viewer=viewer, list_id=list_id, target_id=target_id)
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    for one in (folder, planned.target):
        if imports.at_work_in(session, list_ids=[one.id]):
            raise Refused("import_list_busy", list=one.name)
    job = _begin(
        session,
        viewer,
        BulkKind.CUSTOMER_MOVE,
        folder,
        chosen,
        {"target_id": target_id},
        typed,
        {"target_list": target_id},
        now,
    )
    if add_columns and planned.missing:
        project = session.get_one(Project, folder.project_id)
        wanted = [*planned.target.columns, *planned.missing]
        planned.target.columns = lists.check_columns(session, project=project, columns=wanted)
    return job


def start_again(
    session: Session, *, viewer: Viewer, list_id: int, chosen: Chosen, typed: str, now: datetime
) -> BulkJob:
    """リセット: a new 周回 for these customers. Raises as `delete` does."""
    return _plain(session, viewer, BulkKind.CUSTOMER_RESET, list_id, chosen, typed, now)


def delete(
    session: Session, *, viewer: Viewer, list_id: int, chosen: Chosen, typed: str, now: datetime
) -> BulkJob:
    """Put customers into the bin. Raises NotAllowed, NotFound, 'nobody_chosen', 'count_differs'."""
    return _plain(session, viewer, BulkKind.CUSTOMER_DELETE, list_id, chosen, typed, now)


def _plain(
    session: Session,
    viewer: Viewer,
    kind: BulkKind,
    list_id: int,
    chosen: Chosen,
    typed: str,
    now: datetime,
) -> BulkJob:
    _check(viewer, Right.BULK_WORK)
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    return _begin(session, viewer, kind, folder, chosen, {}, typed, {}, now)


def _check(viewer: Viewer, right: Right) -> None:
    if not viewer.may(right):
        raise NotAllowed(right)


def _begin(
    session: Session,
    viewer: Viewer,
    kind: BulkKind,
    folder: CustomerList,
    chosen: Chosen,
    choices: dict[str, Any],
    typed: str,
    said: dict[str, Any],
    now: datetime,
) -> BulkJob:
    found = find(session, viewer=viewer, list_id=folder.id, chosen=chosen, now=now)
    if not found.count:
        raise Refused("nobody_chosen")
    bulk.check_typed(typed, found.count)
    kept = stored(chosen, list_id=folder.id, last_id=found.last_id, now=now)
    return bulk.begin(
        session,
        viewer=viewer,
        kind=kind,
        choices=choices | kept,
        count=found.count,
        search="" if chosen.ids is not None else audit.conditions(chosen.criteria.pairs()),
        said={"list_id": folder.id, **said},
        now=now,
    )
