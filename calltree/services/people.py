"""Users and groups: creating, changing, deleting (R-US-2…5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    CallerNumber,
    Customer,
    Group,
    GroupMember,
    InboundCall,
    InboundRoute,
    ListGroupGrant,
    Notice,
    Operator,
    OperatorState,
    Role,
    Site,
    Task,
    User,
)
from calltree.services import audit, audit_changes
from calltree.services.rights import Right, Viewer
from calltree.text.folding import fold_name
from calltree.text.phones import format_national

PASSWORD_MIN = 8
RESTRICTIONS = (
    "may_monitor",
    "may_dial_manually",
    "may_answer_inbound",
    "may_edit_customers",
    "may_play_recordings",
    "may_search_others_prospects",
)
IN_CALL = (OperatorState.OFFERED, OperatorState.DIALLING, OperatorState.TALKING)


@dataclass(frozen=True, slots=True)
class UserDetails:
    """What a form says of a user; `password_hash` empty leaves the password as it is."""

    login_id: str
    name: str
    role: Role
    password_hash: str = ""
    note: str = ""
    restrictions: dict[str, bool] = field(default_factory=dict)


def hash_password(password: str) -> str:
    """Hash outside any transaction: it takes a tenth of a second on purpose.

    Raises Refused for a password that is too short.
    """
    if len(password) < PASSWORD_MIN:
        raise Refused("password_short", field="password", least=PASSWORD_MIN)
    return generate_password_hash(password)


def active(session: Session) -> list[User]:
    """Return the users who may sign in, by role and name."""
    order = {role: place for place, role in enumerate(Role)}
    users = session.scalars(select(User).where(User.deleted_at.is_(None)))
    return sorted(users, key=lambda user: (order[user.role], user.login_key))


def deleted(session: Session) -> list[User]:
    """Return 削除ユーザー, last deleted first."""
    query = select(User).where(User.deleted_at.is_not(None)).order_by(User.deleted_at.desc())
    return list(session.scalars(query))


def get(session: Session, user_id: int) -> User:
    """Return one user who is not deleted. Raises NotFound."""
    user = session.get(User, user_id)
    if user is None or user.deleted_at is not None:
        raise NotFound(f"user {user_id}")
    return user


def create(session: Session, *, viewer: Viewer, details: UserDetails, now: datetime) -> User:
    """Create a user. A supervisor creates operators only.

    Raises NotAllowed; Refused 'login_id_taken' (deleted users' ids stay taken), 'no_seat'.
    """
    if not viewer.may(Right.EDIT_USERS) and details.role is not Role.OPERATOR:
        raise NotAllowed(Right.EDIT_USERS)
    _one_at_a_time(session)
    _check_names(session, details, user_id=None)
    _check_seat(session)
    user = User(
        login_id=details.login_id.strip(),
        login_key=fold_name(details.login_id),
        name=details.name.strip(),
        role=details.role,
        password_hash=details.password_hash,
        note=details.note,
        created_at=now,
        **details.restrictions,
    )
    session.add(user)
    session.flush()
    audit.note(
        session, viewer=viewer, action="user.created", kind="user", object_id=user.id, now=now,
        login_id=user.login_id, role=user.role,
    )  # fmt: skip
    return user


def change(
    session: Session, *, viewer: Viewer, user_id: int, details: UserDetails, now: datetime
) -> User:
    """Change a user. The last manager keeps the role; history follows the new name by itself."""
    _one_at_a_time(session)
    user = get(session, user_id)
    if user.role is Role.MANAGER and details.role is not Role.MANAGER:
        _require_another_manager(session, user_id)
    _check_names(session, details, user_id=user_id)
    before = audit_changes.state_of(user)
    user.login_id = details.login_id.strip()
    user.login_key = fold_name(details.login_id)
    user.name = details.name.strip()
    if user.role is not details.role:
        user.role = details.role
        end_sessions(session, user, now)  # the old screens hold the old rights
    user.note = details.note
    for name in RESTRICTIONS:
        setattr(user, name, details.restrictions.get(name, getattr(user, name)))
    if details.password_hash:
        user.password_hash = details.password_hash
        end_sessions(session, user, now)
    audit_changes.note(
        session, viewer=viewer, action="user.changed", kind="user", object_id=user_id,
        before=before, after=audit_changes.state_of(user), now=now,
    )  # fmt: skip
    return user


def set_password(
    session: Session, *, viewer: Viewer | None, user_id: int, password_hash: str, now: datetime
) -> None:
    """Give a user a new password; their other sessions end (R-US-2, R-US-6).

    A manager sets anybody's, a supervisor an operator's. `viewer` None is the command line.
    """
    user = get(session, user_id)
    own = viewer is not None and viewer.user_id == user_id
    if viewer and not own and not viewer.may(Right.EDIT_USERS) and user.role is not Role.OPERATOR:
        raise NotAllowed(Right.EDIT_USERS)
    user.password_hash = password_hash
    if own:
        user.session_version += 1  # their page goes on and asks for new credentials
    else:
        end_sessions(session, user, now)
    audit.note(
        session, viewer=viewer, action="user.password_set", kind="user", object_id=user_id, now=now
    )


def sign_out_everywhere(session: Session, *, viewer: Viewer, user_id: int, now: datetime) -> None:
    """End all sessions of a user, the telephone's too (R-US-6); their password stays.

    One's own, a manager anybody's, a supervisor an operator's. Raises NotAllowed; Refused
    'in_a_call' for somebody else who is in one.
    """
    user = get(session, user_id)
    own = viewer.user_id == user_id
    if not own and not viewer.may(Right.EDIT_USERS) and user.role is not Role.OPERATOR:
        raise NotAllowed(Right.EDIT_USERS)
    operator = session.get(Operator, user_id)
    if operator and not own and (operator.attempt_id is not None or operator.state in IN_CALL):
        raise Refused("in_a_call")
    if own:
        user.session_version += 1  # their page goes on and asks for new credentials
    else:
        end_sessions(session, user, now)
    audit.note(
        session, viewer=viewer, action="user.signed_out", kind="user", object_id=user_id, now=now
    )


def is_password_of(session: Session, *, user_id: int, password: str) -> bool:
    """Whether this is the user's present password."""
    return check_password_hash(get(session, user_id).password_hash, password)


def remove(session: Session, *, viewer: Viewer, user_id: int, now: datetime) -> None:
    """Delete a user (R-US-4): history keeps the name, the login id is never free again.

    Open tasks, 担当 and calls to be returned pass to 担当なし; drafts become 空白 records, also
    of customers whom nobody dialled; grants to groups stay.
    Raises Refused 'user_in_call' or 'last_manager'.
    """
    user = get(session, user_id)
    if user.role is Role.MANAGER:
        _require_another_manager(session, user_id)
    operator = session.get(Operator, user_id)
    if operator and (operator.attempt_id is not None or operator.state in IN_CALL):
        raise Refused("user_in_call", name=user.name)
    _leave_work(session, user_id, now)
    user.deleted_at = now
    end_sessions(session, user, now)
    session.execute(delete(GroupMember).where(GroupMember.user_id == user_id))
    audit.note(
        session, viewer=viewer, action="user.deleted", kind="user", object_id=user_id, now=now,
        login_id=user.login_id,
    )  # fmt: skip
    announce(session, "tasks", user_id=None)
    announce(session, "missed")


def _leave_work(session: Session, user_id: int, now: datetime) -> None:
    # Imported here: calling rules know users, not the other way round.
    from calltree.services import operators, records

    if session.get(Operator, user_id) is not None:
        records.leave(session, user_id=user_id, now=now)
        operators.sign_out(session, user_id=user_id, now=now)
    session.execute(
        update(Task).where(Task.user_id == user_id, Task.done_at.is_(None)).values(user_id=None)
    )
    session.execute(
        update(InboundCall)
        .where(InboundCall.assigned_user_id == user_id, InboundCall.done_at.is_(None))
        .values(assigned_user_id=None)
    )
    session.execute(
        update(Customer).where(Customer.assigned_user_id == user_id).values(assigned_user_id=None)
    )
    records.keep_drafts(session, user_id=user_id, now=now)


def end_sessions(session: Session, user: User, now: datetime) -> None:
    """End every session of a user, the telephone's too."""
    # Imported here: calling rules know users, not the other way round.
    from calltree.services import softphones

    user.session_version += 1
    softphones.revoke(session, user_id=user.id, now=now)


def _one_at_a_time(session: Session) -> None:
    # Two who take the last seat, or the same login id, in one moment must not both find it free.
    session.execute(select(Site.id).where(Site.id == 1).with_for_update())


def _check_names(session: Session, details: UserDetails, *, user_id: int | None) -> None:
    if not details.login_id.strip():
        raise Refused("login_id_missing", field="login_id")
    if not details.name.strip():
        raise Refused("name_missing", field="name")
    taken = session.scalar(select(User).where(User.login_key == fold_name(details.login_id)))
    if taken is not None and taken.id != user_id:
        raise Refused("login_id_taken", field="login_id", login_id=details.login_id.strip())


def _check_seat(session: Session) -> None:
    site = session.get(Site, 1)
    if site is None or site.seats is None:
        return
    seated = session.scalar(select(func.count(User.id)).where(User.deleted_at.is_(None))) or 0
    if seated >= site.seats:
        raise Refused("no_seat", seats=site.seats)


def _require_another_manager(session: Session, user_id: int) -> None:
    # Locked: two managers who demote each other in one moment must not both succeed.
    managers = session.scalars(
        select(User.id)
        .where(User.role == Role.MANAGER, User.deleted_at.is_(None))
        .with_for_update()
    ).all()
    if set(managers) <= {user_id}:
        raise Refused("last_manager")


def groups(session: Session) -> list[tuple[Group, list[User]]]:
    """Return every group with its members."""
    members: dict[int, list[User]] = {}
    pairs = session.execute(
        select(GroupMember.group_id, User)
        .join(User, User.id == GroupMember.user_id)
        .where(User.deleted_at.is_(None))
        .order_by(User.login_key)
    )
    for group_id, user in pairs:
        members.setdefault(group_id, []).append(user)
    found = session.scalars(select(Group).order_by(Group.name))
    return [(group, members.get(group.id, [])) for group in found]


def group_names(session: Session) -> list[tuple[int, str]]:
    """Return every group's id and name, by name, for choosing among them."""
    rows = session.execute(select(Group.id, Group.name).order_by(Group.name))
    return [(key, name) for key, name in rows]


def save_group(
    session: Session,
    *,
    viewer: Viewer,
    group_id: int | None,
    name: str,
    user_ids: set[int],
    now: datetime,
) -> Group:
    """Create a group, or rename it and replace its members."""
    name = name.strip()
    if not name:
        raise Refused("name_missing", field="name")
    twin = session.scalar(select(Group).where(Group.name == name))
    if twin is not None and twin.id != group_id:
        raise Refused("group_name_taken", field="name", name=name)
    group = session.get(Group, group_id) if group_id else Group(name=name)
    if group is None:
        raise NotFound(f"group {group_id}")
    before = _group_state(session, group) if group_id else None
    group.name = name
    session.add(group)
    session.flush()
    known = set(session.scalars(select(User.id).where(User.deleted_at.is_(None))))
    session.execute(delete(GroupMember).where(GroupMember.group_id == group.id))
    session.add_all(GroupMember(group_id=group.id, user_id=user_id) for user_id in user_ids & known)
    audit_changes.note(
        session, viewer=viewer, action="group.saved", kind="group", object_id=group.id,
        before=before, after=_group_state(session, group), now=now, name=name,
        users=sorted(user_ids & known),
    )  # fmt: skip
    return group


def remove_group(session: Session, *, viewer: Viewer, group_id: int, now: datetime) -> str:
    """Delete a group with its grants of lists (R-US-5); return its name.

    Its members stay, its notices stay with them, its calls stay with everybody. Raises NotFound,
    or Refused 'group_is_rung' while an incoming number rings it: nobody would hear that number.
    """
    group = session.get(Group, group_id)
    if group is None:
        raise NotFound(f"group {group_id}")
    rung = session.scalar(
        select(CallerNumber.number)
        .join(InboundRoute, InboundRoute.caller_number_id == CallerNumber.id)
        .where(InboundRoute.group_id == group_id)
        .order_by(CallerNumber.id)
        .limit(1)
    )
    if rung is not None:
        raise Refused("group_is_rung", name=group.name, number=format_national(rung))
    session.execute(delete(GroupMember).where(GroupMember.group_id == group_id))
    session.execute(delete(ListGroupGrant).where(ListGroupGrant.group_id == group_id))
    session.execute(
        update(InboundCall).where(InboundCall.group_id == group_id).values(group_id=None)
    )
    session.execute(update(Notice).where(Notice.group_id == group_id).values(group_id=None))
    audit.note(
        session, viewer=viewer, action="group.deleted", kind="group", object_id=group_id, now=now,
        name=group.name,
    )  # fmt: skip
    session.delete(group)
    announce(session, "missed")
    return group.name


def _group_state(session: Session, group: Group) -> audit_changes.State:
    query = select(GroupMember.user_id).where(GroupMember.group_id == group.id)
    return audit_changes.state_of(group, users=set(session.scalars(query)))
