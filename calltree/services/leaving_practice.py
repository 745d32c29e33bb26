"""From practice to a real switch: what was only tried out never enters real figures (R-AR-5)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from calltree.db import Base
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    AttemptEvent,
    AuditEntry,
    BulkJob,
    CallerNumber,
    CallRecord,
    Customer,
    CustomerHold,
    CustomerList,
    DncSource,
    DoNotCall,
    DoNotCallProject,
    Draft,
    Import,
    Lease,
    Line,
    MemoEntry,
    Operator,
    OperatorInterval,
    Project,
    ProjectNumber,
    ProjectState,
    RecordCorrection,
    Recording,
    Site,
    SwitchCommand,
    Task,
    TaskReminder,
    TrunkHealth,
    User,
    WebhookDelivery,
    WorkQueue,
)
from calltree.services import audit, practice_site, setup
from calltree.text.folding import fold_name

CALLS = (
    WebhookDelivery,
    TaskReminder,
    Task,
    Recording,
    RecordCorrection,
    MemoEntry,
    CallRecord,
    Line,
    SwitchCommand,
    AttemptEvent,
    Operator,
    OperatorInterval,
    TrunkHealth,
    Attempt,
    CustomerHold,
    WorkQueue,
    Draft,
    Lease,
)
"""What calls leave behind, children before parents."""
KEPT_ALWAYS = (AuditEntry.__tablename__, User.__tablename__)
"""The audit log cannot be deleted, and its lines point to users."""


@dataclass(frozen=True, slots=True)
class Leavings:
    """Files that belong to what was removed; to be deleted after the commit."""

    recordings: tuple[str, ...]
    """Relative to the recordings directory."""
    uploads: tuple[str, ...]
    """Relative to the uploads directory."""


def mismatch(session: Session, *, practice: bool) -> str:
    """Say why this database must not be worked on with these settings; empty: it may.

    `practice` is `Settings.practice`. 'practice_records': a practice database and a real switch.
    'real_records': a real database and none. A database without a site suits both.
    """
    site = session.get(Site, 1)
    if site is None or site.practice == practice:
        return ""
    return "practice_records" if site.practice else "real_records"


def leave(session: Session, *, keep_lists: bool, now: datetime) -> Leavings:
    """Make a practice database a real one; nothing may run on it meanwhile.

    Calls, records, recordings, tasks, memos and bans made by a result go. `keep_lists` keeps
    projects, lists, settings, other users and do-not-call numbers that were typed or loaded; what
    the practice site was born with goes, and every list is disabled until somebody looks at it.
    Without it everything goes but the audit log. Raises Refused 'not_practice', 'still_running'.
    """
    site = session.get(Site, 1)
    if site is None or not site.practice:
        raise Refused("not_practice")
    if session.scalar(select(Lease.name).where(Lease.until > now).limit(1)):
        raise Refused("still_running")
    leavings = _leavings(session, keep_lists=keep_lists)
    if keep_lists:
        _forget_calls(session)
        _drop_the_born(session, now)
        # another key: nothing that still rings or waits from practice is ours any more
        site.practice, site.site_key = False, secrets.token_hex(4)
    else:
        _forget_everything(session)
        setup.found(session, practice=False, now=now)
    _retire_accounts(session, everybody=not keep_lists, now=now)
    kept = "lists" if keep_lists else "nothing"
    audit.note(session, viewer=None, action="site.practice_left", kind="site", now=now, kept=kept)
    session.flush()
    session.expire_all()
    return leavings


def _leavings(session: Session, *, keep_lists: bool) -> Leavings:
    sounds = session.execute(select(Recording.raw_name, Recording.stored_name))
    files = [
        *session.execute(select(Import.stored_name, Import.rejects_name)),
        *session.execute(select(BulkJob.stored_name)),
    ]
    uploads = () if keep_lists else tuple(name for names in files for name in names if name)
    return Leavings(tuple(name for names in sounds for name in names if name), uploads)


def _forget_calls(session: Session) -> None:
    for model in CALLS:
        session.execute(delete(model))
    by_result = select(DoNotCall.id).where(DoNotCall.source == DncSource.STATUS)
    session.execute(delete(DoNotCallProject).where(DoNotCallProject.entry_id.in_(by_result)))
    session.execute(delete(DoNotCall).where(DoNotCall.source == DncSource.STATUS))
    session.execute(
        update(Customer).values(
            cycle=0,
            dials=0,
            connects=0,
            last_record_id=None,
            last_status_id=None,
            last_system="",
            last_user_id=None,
            last_dialled_at=None,
            prospect_level="",
            caller_number_id=None,
        )
    )
    session.execute(update(CustomerList).values(enabled=False, worked=0, dials=0, connects=0))


def _drop_the_born(session: Session, now: datetime) -> None:
    """Take away the practice list, project and number: their numbers may be somebody's."""
    made_up = [number for number, _given in practice_site.numbers()]
    session.execute(
        update(Customer)
        .where(Customer.number.in_(made_up), Customer.deleted_at.is_(None))
        .values(deleted_at=now)
    )
    left = (
        select(func.count(Customer.id))
        .where(Customer.list_id == CustomerList.id, Customer.deleted_at.is_(None))
        .correlate(CustomerList)
        .scalar_subquery()
    )
    session.execute(update(CustomerList).values(customers=left))
    session.execute(
        update(CustomerList)
        .where(CustomerList.name == practice_site.LIST, CustomerList.customers == 0)
        .values(deleted_at=now)
    )
    alive = select(CustomerList.project_id).where(CustomerList.deleted_at.is_(None))
    session.execute(
        update(Project)
        .where(Project.name == practice_site.PROJECT, Project.id.not_in(alive))
        .values(state=ProjectState.STOPPED)
    )
    session.execute(
        update(CallerNumber)
        .where(CallerNumber.number == practice_site.CALLER)
        .values(retired_at=now)
    )
    caller = select(CallerNumber.id).where(CallerNumber.number == practice_site.CALLER)
    session.execute(delete(ProjectNumber).where(ProjectNumber.caller_number_id.in_(caller)))
    session.execute(
        update(Project).where(Project.main_number_id.in_(caller)).values(main_number_id=None)
    )


def _forget_everything(session: Session) -> None:
    for table in reversed(Base.metadata.sorted_tables):
        if table.name not in KEPT_ALWAYS:
            session.execute(table.delete())
    session.expire_all()


def _retire_accounts(session: Session, *, everybody: bool, now: datetime) -> None:
    """Delete the practice accounts (or all); their login ids are free for the real people."""
    for user in _accounts(session, everybody):
        user.login_id = f"{user.login_id[:40]} (practice {user.id})"
        user.login_key = fold_name(user.login_id)
        user.password_hash = "!"  # noqa: S105 - of nothing that can be typed
        user.session_version += 1
        user.deleted_at = user.deleted_at or now


def _accounts(session: Session, everybody: bool) -> Iterator[User]:
    keys = {fold_name(login_id) for login_id, *_ in practice_site.ACCOUNTS}
    for user in session.scalars(select(User)):
        if everybody or user.login_key in keys:
            yield user
