"""Which lists, customers, records, tasks and recordings a viewer may see: conditions, in one place.

`services.rights` says whether a role may do a thing at all; this says to which rows (spec §2).
The `…_seen` functions give a condition to put into any query over that table; the `get_…`
functions raise NotFound for rows that do not exist and for rows of others alike, so that nobody
learns from the answer which of the two it was (R-US-1).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, and_, exists, false, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from calltree.errors import NotFound
from calltree.models import (
    HIDDEN_IMPORT_STATES,
    Attempt,
    CallRecord,
    Customer,
    CustomerHold,
    CustomerList,
    GroupMember,
    Import,
    InboundCall,
    InboundOutcome,
    ListGrant,
    ListGroupGrant,
    Project,
    ProjectRecipient,
    ProjectState,
    Recording,
    RecordKind,
    Role,
    User,
)
from calltree.services.history_criteria import NO_GROUP
from calltree.services.rights import Right, Viewer


def granted(
    user_id: int | BindParameter[int] | InstrumentedAttribute[int],
) -> ColumnElement[bool]:
    """Lists granted to the user or to one of the user's groups."""
    to_user = exists().where(ListGrant.list_id == CustomerList.id, ListGrant.user_id == user_id)
    to_group = exists().where(
        ListGroupGrant.list_id == CustomerList.id,
        ListGroupGrant.group_id == GroupMember.group_id,
        GroupMember.user_id == user_id,
    )
    return or_(to_user, to_group)


def lists_seen(viewer: Viewer) -> ColumnElement[bool]:
    """Condition on CustomerList: OP granted and 有効, BY granted, MGR and SV all, BIZ none."""
    return lists_of(viewer.role, viewer.user_id)


def lists_of(role: Role, user_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """As `lists_seen`, for a statement that is kept and asked of one user after another."""
    here = CustomerList.deleted_at.is_(None)
    match role:
        case Role.MANAGER | Role.SUPERVISOR:
            return here
        case Role.OPERATOR:
            return and_(here, CustomerList.enabled, granted(user_id))
        case Role.BACKYARD:
            return and_(here, granted(user_id))
        case _:
            return false()


def sees_list(list_id: int) -> ColumnElement[bool]:
    """Condition on User: `lists_of` asked the other way round, who sees this list."""
    this = select(CustomerList.id).where(
        CustomerList.id == list_id, CustomerList.deleted_at.is_(None)
    )
    direct = select(ListGrant.user_id).where(ListGrant.list_id == list_id)
    by_group = (
        select(GroupMember.user_id)
        .join(ListGroupGrant, ListGroupGrant.group_id == GroupMember.group_id)
        .where(ListGroupGrant.list_id == list_id)
    )
    to_them = or_(User.id.in_(direct), User.id.in_(by_group))
    return or_(
        User.role.in_((Role.MANAGER, Role.SUPERVISOR)) & this.exists(),
        (User.role == Role.OPERATOR) & this.where(CustomerList.enabled).exists() & to_them,
        (User.role == Role.BACKYARD) & this.exists() & to_them,
    )


def lists_dialled(viewer: Viewer) -> ColumnElement[bool]:
    """Condition on CustomerList: those the viewer may dial now; its project must be 運営."""
    if not viewer.may(Right.DIAL):
        return false()
    # Correlated by hand: a query may have the project in its own FROM.
    running = (
        exists()
        .where(Project.id == CustomerList.project_id, Project.state == ProjectState.RUNNING)
        .correlate(CustomerList)
    )
    return and_(lists_seen(viewer), running)


def is_present() -> ColumnElement[bool]:
    """Condition on Customer: not in the bin, and not of an import that nobody may see yet."""
    hidden = exists().where(Import.id == Customer.import_id, Import.state.in_(HIDDEN_IMPORT_STATES))
    return and_(Customer.deleted_at.is_(None), or_(Customer.import_id.is_(None), ~hidden))


def customers_seen(session: Session, *, viewer: Viewer) -> ColumnElement[bool]:
    """Condition on Customer; BIZ sees those with a record reported to them."""
    if viewer.role is Role.BUSINESS:
        reported = exists().where(
            CallRecord.customer_id == Customer.id, reported_to(session, viewer=viewer)
        )
        return and_(is_present(), reported)
    return customers_in_lists(viewer.role, viewer.user_id)


def customers_in_lists(role: Role, user_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """As `customers_seen`, for a statement that is kept; BIZ, who sees no list, sees nobody."""
    # IN over the few lists, not EXISTS per row: the ids come first and the list index follows.
    lists = select(CustomerList.id).where(lists_of(role, user_id))
    return and_(is_present(), Customer.list_id.in_(lists))


def reported_to(session: Session, *, viewer: Viewer) -> ColumnElement[bool]:
    """Condition on CallRecord: reported to this BIZ user by a project that names them (R-HS-5)."""
    projects = session.execute(
        select(Project.id, Project.reported_status_ids)
        .join(ProjectRecipient, ProjectRecipient.project_id == Project.id)
        .where(ProjectRecipient.user_id == viewer.user_id, Project.reporting)
    ).all()
    wanted = [
        and_(CallRecord.project_id == project.id, CallRecord.status_id.in_(status_ids))
        for project in projects
        if (status_ids := project.reported_status_ids)
    ]
    return or_(false(), *wanted)


def records_seen(session: Session, *, viewer: Viewer) -> ColumnElement[bool]:
    """Condition on CallRecord: all, own and those of customers one may see, or the reported."""
    if viewer.manages:
        return true()
    if viewer.role is Role.BUSINESS:
        return reported_to(session, viewer=viewer)
    customers = exists().where(
        Customer.id == CallRecord.customer_id, customers_seen(session, viewer=viewer)
    )
    return or_(CallRecord.user_id == viewer.user_id, customers)


def recordings_played(session: Session, *, viewer: Viewer) -> ColumnElement[bool]:
    """Condition on CallRecord: those whose sound the viewer may play.

    MGR and SV all; OP own, and messages of callers they may call back (R-IN-3); BY those of granted
    lists; BIZ reported, if the project lets them.
    A hand-dialled call (手動発信) is its operator's own and the managers'.
    """
    if not viewer.may(Right.PLAY_RECORDINGS):
        return false()
    if viewer.manages:
        return true()
    if viewer.role is Role.OPERATOR:
        return or_(CallRecord.user_id == viewer.user_id, _message(viewer))
    if viewer.role is Role.BACKYARD:
        lists = select(CustomerList.id).where(lists_seen(viewer))
        return and_(CallRecord.list_id.in_(lists), CallRecord.kind != RecordKind.MANUAL)
    shown = exists().where(Project.id == CallRecord.project_id, Project.reports_recordings)
    return and_(reported_to(session, viewer=viewer), shown)


def _message(viewer: Viewer) -> ColumnElement[bool]:
    """Condition on CallRecord: nobody's, with a message that this operator may listen to."""
    if not viewer.may(Right.ANSWER_INBOUND):
        return false()
    left = (
        select(InboundCall.attempt_id)
        .join(Attempt, Attempt.id == InboundCall.attempt_id)
        .where(
            InboundCall.attempt_id == CallRecord.attempt_id,
            InboundCall.outcome == InboundOutcome.VOICEMAIL,
            inbound_seen(viewer),
        )
        .correlate(CallRecord)
        .exists()
    )
    return and_(CallRecord.kind == RecordKind.INBOUND, CallRecord.user_id.is_(None), left)


def inbound_seen(viewer: Viewer) -> ColumnElement[bool]:
    """Condition on InboundCall joined with Attempt: those the viewer may take, or call back.

    MGR and SV all; OP those for everybody or their groups, those of customers they may see, and
    those that are theirs to call back.
    """
    if not viewer.may(Right.ANSWER_INBOUND):
        return false()
    if viewer.manages:
        return true()
    groups = select(GroupMember.group_id).where(GroupMember.user_id == viewer.user_id)
    caller = aliased(Customer)
    lists = select(CustomerList.id).where(lists_seen(viewer))
    own = (
        exists()
        .where(
            caller.number == Attempt.number,
            caller.deleted_at.is_(None),
            caller.list_id.in_(lists),
        )
        .correlate(Attempt)
    )
    return or_(
        InboundCall.group_id.is_(None),
        InboundCall.group_id.in_(groups),
        InboundCall.assigned_user_id == viewer.user_id,
        and_(Attempt.number != "", own),
    )


def dialled_by_hand(viewer: Viewer) -> ColumnElement[bool]:
    """Condition on CallRecord: the calls by hand (手動発信) that the viewer may see (R-CL-13)."""
    if not viewer.may(Right.DIAL_MANUALLY):
        return false()
    whose = true() if viewer.manages else CallRecord.user_id == viewer.user_id
    return and_(CallRecord.kind == RecordKind.MANUAL, whose)


def get_list(session: Session, *, viewer: Viewer, list_id: int) -> CustomerList:
    """Return a list the viewer may see. Raises NotFound."""
    found = session.scalar(
        select(CustomerList).where(CustomerList.id == list_id, lists_seen(viewer))
    )
    if found is None:
        raise NotFound
    return found


def get_list_and_project(
    session: Session, *, viewer: Viewer, list_id: int
) -> tuple[CustomerList, Project]:
    """Return a list the viewer may see, and its project. Raises NotFound."""
    found = session.execute(
        select(CustomerList, Project)
        .join(Project, Project.id == CustomerList.project_id)
        .where(CustomerList.id == list_id, lists_seen(viewer))
    ).one_or_none()
    if found is None:
        raise NotFound
    return found[0], found[1]


def get_customer(session: Session, *, viewer: Viewer, customer_id: int) -> Customer:
    """Return a customer the viewer may see. Raises NotFound."""
    seen = customers_seen(session, viewer=viewer)
    found = session.scalar(select(Customer).where(Customer.id == customer_id, seen))
    if found is None:
        raise NotFound
    return found


def get_customer_at_hand(session: Session, *, viewer: Viewer, customer_id: int) -> Customer:
    """Return a customer the viewer may see, or has open: a list that was taken away in mid-work
    does not keep its open customer from being finished (R-LS-2). Raises NotFound.
    """
    is_open = exists().where(
        CustomerHold.customer_id == Customer.id, CustomerHold.user_id == viewer.user_id
    )
    at_hand = or_(customers_seen(session, viewer=viewer), is_open)
    found = session.scalar(select(Customer).where(Customer.id == customer_id, at_hand))
    if found is None:
        raise NotFound
    return found


def get_customer_and_place(
    session: Session, *, viewer: Viewer, customer_id: int
) -> tuple[Customer, CustomerList, Project]:
    """Return a customer the viewer may see, the list they are in and its project.

    Raises NotFound.
    """
    folder = aliased(CustomerList)  # whom one sees asks the lists on its own account
    found = session.execute(
        select(Customer, folder, Project)
        .join(folder, folder.id == Customer.list_id)
        .join(Project, Project.id == folder.project_id)
        .where(Customer.id == customer_id, customers_seen(session, viewer=viewer))
    ).one_or_none()
    if found is None:
        raise NotFound
    return found[0], found[1], found[2]


def list_of(session: Session, customer: Customer) -> CustomerList:
    """Return the list a customer is in."""
    return session.get_one(CustomerList, customer.list_id)


def lists_by_id(session: Session, ids: Collection[int]) -> dict[int, CustomerList]:
    """Return these lists, whoever may see them."""
    found = session.scalars(select(CustomerList).where(CustomerList.id.in_(ids)))
    return {folder.id: folder for folder in found}


def get_record(session: Session, *, viewer: Viewer, record_id: int) -> CallRecord:
    """Return a record the viewer may see. Raises NotFound."""
    seen = records_seen(session, viewer=viewer)
    found = session.scalar(select(CallRecord).where(CallRecord.id == record_id, seen))
    if found is None:
        raise NotFound
    return found


def get_recording(session: Session, *, viewer: Viewer, recording_id: int) -> Recording:
    """Return a recording the viewer may play. Raises NotFound."""
    found = session.scalar(
        select(Recording)
        .join(CallRecord, CallRecord.id == Recording.record_id)
        .where(Recording.id == recording_id, recordings_played(session, viewer=viewer))
    )
    if found is None:
        raise NotFound
    return found


def may_correct(viewer: Viewer, record: CallRecord) -> bool:
    """Whether the viewer may correct this record: its author, or a manager (R-HS-3)."""
    own = record.user_id == viewer.user_id and viewer.may(Right.ADD_RECORDS)
    return own or viewer.may(Right.CORRECT_ANY_RECORD)


def in_group(user_id: InstrumentedAttribute[Any], group: str) -> ColumnElement[bool]:
    """Condition: the user of this column is in the group now, or with NO_GROUP in none."""
    members = select(GroupMember.user_id)
    if group == NO_GROUP:
        return or_(user_id.is_(None), user_id.not_in(members))
    return user_id.in_(members.where(GroupMember.group_id == int(group)))
