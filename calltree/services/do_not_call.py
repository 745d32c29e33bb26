"""Do-not-call (架電禁止): numbers that must never be dialled (R-DN-1, 2, 4, 5).

An entry is in force from its commit: the gate reads this table in its own transaction, so there is
nothing to refresh. Nothing is ever removed; a release is a mark on the entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, bindparam, exists, or_, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    CallRecord,
    Customer,
    DncSource,
    DoNotCall,
    DoNotCallProject,
    ExtraNumber,
)
from calltree.services import audit
from calltree.services.rights import Right, Viewer
from calltree.text.phones import Phone, normalise


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of a form or file of numbers (R-DN-3)."""

    added: int = 0
    existing: int = 0
    invalid: list[str] = field(default_factory=list)
    """As given, in their order."""


def in_force(now: Any) -> ColumnElement[bool]:
    """Condition on DoNotCall: neither released nor expired."""
    return and_(
        DoNotCall.released_at.is_(None),
        or_(DoNotCall.expires_at.is_(None), DoNotCall.expires_at > now),
    )


def banned(number: Any, project_id: Any, now: datetime) -> ColumnElement[bool]:
    """Whether `number` may not be dialled for `project_id`; columns or values.

    A call of no project (`project_id` None) heeds entries of all projects only.
    """
    # A join and not an EXISTS in the EXISTS: SQLAlchemy correlates one level up only, and a column
    # given as `project_id` would be read from all lists.
    return (
        exists()
        .select_from(_with_projects())
        .where(
            DoNotCall.number == number,
            in_force(now),
            or_(DoNotCall.all_projects, DoNotCallProject.project_id == project_id),
        )
    )


def _with_projects() -> FromClause:
    return DoNotCall.__table__.outerjoin(
        DoNotCallProject.__table__, DoNotCallProject.entry_id == DoNotCall.id
    )


def is_banned(session: Session, *, number: str, project_id: int | None, now: datetime) -> bool:
    """Answer whether this number may not be dialled now."""
    return bool(session.scalar(select(banned(number, project_id, now))))


def entry_for(
    session: Session, *, number: str, project_id: int | None, now: datetime
) -> DoNotCall | None:
    """Return the oldest entry in force on this number, to say since when and by whom."""
    given = {"number": number, "project": project_id, "now": now}
    return session.scalar(_entry_in_force(), given)


@cache
def _entry_in_force() -> Select[DoNotCall]:
    """Built once: every press asks it."""
    everywhere_or_here = or_(
        DoNotCall.all_projects, DoNotCallProject.project_id == bindparam("project")
    )
    return (
        select(DoNotCall)
        .select_from(_with_projects())
        .where(
            DoNotCall.number == bindparam("number"), in_force(bindparam("now")), everywhere_or_here
        )
        .order_by(DoNotCall.id)
        .limit(1)
    )


def add(
    session: Session,
    *,
    viewer: Viewer,
    numbers: Iterable[str],
    source: DncSource = DncSource.FORM,
    project_ids: Collection[int] = (),
    note: str = "",
    expires_at: datetime | None = None,
    extra_prefixes: Collection[str] = (),
    now: datetime,
) -> Counted:
    """Enter numbers as people write them; `project_ids` empty means 全案件 (R-DN-1, R-DN-3).

    Raises NotAllowed, or Refused 'ban_expiry_past'. A number already banned as widely and as long
    is counted as existing and not entered twice.
    """
    if not viewer.may(Right.ADD_BANS):
        raise NotAllowed
    if expires_at is not None and expires_at <= now:
        raise Refused("ban_expiry_past", field="expires_at")
    good, invalid = _read(numbers, extra_prefixes)
    added = 0
    for number in good:
        entry = _new_entry(number, source, viewer.user_id, note, expires_at, now)
        added += _enter(session, entry, frozenset(project_ids), now)
    if added:
        audit.note(session, viewer=viewer, action="do_not_call.added", now=now, count=added)
        _tell(session)
    return Counted(added, len(good) - added, invalid)


def ban_for_record(session: Session, *, record: CallRecord, user_id: int, now: datetime) -> int:
    """Ban the dialled number and every other number of the customer, in all projects (R-DN-2).

    Returns how many entries this record made now; a number banned already needs none.
    """
    added = 0
    for number in _numbers_of(session, record):
        entry = _new_entry(number, DncSource.STATUS, user_id, "", None, now)
        entry.record_id = record.id
        added += _enter(session, entry, frozenset(), now)
    if added:
        _tell(session)
    return added


def withdraw_for_record(session: Session, *, record_id: int, user_id: int, now: datetime) -> int:
    """Withdraw the entries that this record made (R-ST-5); those of others stay."""
    entries = made_by(session, record_id=record_id, now=now)
    for entry in entries:
        entry.released_at, entry.released_by = now, user_id
        entry.release_reason = "status_changed"
    if entries:
        _tell(session)
    return len(entries)


def made_by(session: Session, *, record_id: int, now: datetime) -> Sequence[DoNotCall]:
    """Return the entries in force that this record made."""
    return session.scalars(
        select(DoNotCall).where(DoNotCall.record_id == record_id, in_force(now))
    ).all()


def release(
    session: Session, *, viewer: Viewer, entry_ids: Collection[int], reason: str, now: datetime
) -> int:
    """Release entries (R-DN-4): MGR only, with a reason, audited. Returns how many there were.

    Raises NotAllowed, or Refused 'reason_required'.
    """
    if not viewer.may(Right.RELEASE_BANS):
        raise NotAllowed
    if not reason.strip():
        raise Refused("reason_required", field="reason")
    entries = session.scalars(
        select(DoNotCall)
        .where(DoNotCall.id.in_(entry_ids), DoNotCall.released_at.is_(None))
        .with_for_update()
    ).all()
    for entry in entries:
        entry.released_at, entry.released_by = now, viewer.user_id
        entry.release_reason = reason.strip()[:256]
        audit.note(
            session,
            viewer=viewer,
            action="do_not_call.released",
            kind="do_not_call",
            object_id=entry.id,
            now=now,
            reason=entry.release_reason,
        )
    if entries:
        _tell(session)
    return len(entries)


def _read(numbers: Iterable[str], extra_prefixes: Collection[str]) -> tuple[list[str], list[str]]:
    good: dict[str, None] = {}
    invalid = []
    for given in numbers:
        if not given.strip():
            continue
        read = normalise(given, extra_prefixes)
        if isinstance(read, Phone):
            good[read.number] = None
        else:
            invalid.append(given)
    return list(good), invalid


def _new_entry(
    number: str,
    source: DncSource,
    user_id: int,
    note: str,
    expires_at: datetime | None,
    now: datetime,
) -> DoNotCall:
    return DoNotCall(
        number=number,
        source=source,
        note=note[:256],
        user_id=user_id,
        created_at=now,
        expires_at=expires_at,
    )


def _enter(session: Session, entry: DoNotCall, projects: frozenset[int], now: datetime) -> bool:
    """Add the entry unless one in force says as much for as long."""
    as_long = (
        DoNotCall.expires_at.is_(None)
        if entry.expires_at is None
        else or_(DoNotCall.expires_at.is_(None), DoNotCall.expires_at >= entry.expires_at)
    )
    others = session.execute(
        select(DoNotCall.id, DoNotCall.all_projects).where(
            DoNotCall.number == entry.number, in_force(now), as_long
        )
    ).all()
    if any(other.all_projects for other in others):
        return False
    if projects:
        held = session.scalars(
            select(DoNotCallProject.project_id).where(
                DoNotCallProject.entry_id.in_([other.id for other in others])
            )
        )
        if projects <= set(held):
            return False
    entry.all_projects = not projects
    session.add(entry)
    session.flush()
    session.add_all(DoNotCallProject(entry_id=entry.id, project_id=p) for p in sorted(projects))
    return True


def _numbers_of(session: Session, record: CallRecord) -> list[str]:
    numbers = {record.number: None}
    if record.customer_id is not None:
        main = session.scalar(select(Customer.number).where(Customer.id == record.customer_id))
        extra = session.scalars(
            select(ExtraNumber.number)
            .where(ExtraNumber.customer_id == record.customer_id)
            .order_by(ExtraNumber.position, ExtraNumber.id)
        )
        numbers |= dict.fromkeys([main or record.number, *extra])
    return list(numbers)


def _tell(session: Session) -> None:
    announce(session, "site")
    announce(session, "tasks", user_id=None)


PAGE = 50


def page(
    session: Session, *, digits: str = "", before_id: int | None = None, now: datetime
) -> list[DoNotCall]:
    """Return up to 50 entries in force, newest first; `digits` is a part of the number."""
    query = select(DoNotCall).where(in_force(now)).order_by(DoNotCall.id.desc()).limit(PAGE)
    if digits:
        query = query.where(DoNotCall.number.contains(digits, autoescape=True))
    if before_id is not None:
        query = query.where(DoNotCall.id < before_id)
    return list(session.scalars(query))


def projects_of(session: Session, entry_ids: Collection[int]) -> dict[int, list[int]]:
    """Return the project ids of the entries that do not hold everywhere."""
    found: dict[int, list[int]] = {}
    rows = session.execute(
        select(DoNotCallProject.entry_id, DoNotCallProject.project_id).where(
            DoNotCallProject.entry_id.in_(entry_ids)
        )
    )
    for entry_id, project_id in rows:
        found.setdefault(entry_id, []).append(project_id)
    return found
