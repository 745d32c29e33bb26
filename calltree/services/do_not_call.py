"""Do-not-call (架電禁止): numbers that must never be dialled (R-DN-1, 2, 4, 5).

An entry is in force from its commit: the gate reads this table in its own transaction, so there is
nothing to refresh. Nothing is ever removed; a release is a mark on the entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
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

SLICE = 900
"""Numbers asked for at once: below SQLite's oldest limit of bound values."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be entered for each of several numbers."""

    source: DncSource
    user_id: int
    project_ids: frozenset[int] = frozenset()
    """Empty: 全案件."""
    expires_at: datetime | None = None
    note: str = ""
    record_id: int | None = None
    job_id: int | None = None


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


def banned(number: Any, project_id: Any, now: Any) -> ColumnElement[bool]:
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


def first_in_force() -> Select[int]:
    """Give the statement for the id of the oldest entry in force on a number, for the gate.

    It binds `number`, `project` and `now`.
    """
    everywhere_or_here = or_(
        DoNotCall.all_projects, DoNotCallProject.project_id == bindparam("project")
    )
    return (
        select(DoNotCall.id)
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
        raise Refused("ban_expiry_past", field="expires_on")
    good, invalid = _read(numbers, extra_prefixes)
    wish = Wish(source, viewer.user_id, frozenset(project_ids), expires_at, note)
    added = enter(session, numbers=good, wish=wish, now=now)
    if added:
        audit.note(
            session,
            viewer=viewer,
            action="do_not_call.added",
            now=now,
            count=added,
            projects=sorted(project_ids),
        )
    return Counted(added, len(good) - added, invalid)


def ban_for_record(session: Session, *, record: CallRecord, user_id: int, now: datetime) -> int:
    """Ban the dialled number and every other number of the customer, in all projects (R-DN-2).

    Returns how many entries this record made now; a number banned already needs none.
    """
    wish = Wish(DncSource.STATUS, user_id, record_id=record.id)
    return enter(session, numbers=_numbers_of(session, record), wish=wish, now=now)


def enter(session: Session, *, numbers: Sequence[str], wish: Wish, now: datetime) -> int:
    """Enter numbers in their normal form, each once; those that need no entry get none.

    Returns how many were entered. In force from the commit.
    """
    known = covered(session, numbers=numbers, wish=wish, now=now)
    fresh = [number for number in numbers if number not in known]
    rows = [
        {
            "number": number,
            "all_projects": not wish.project_ids,
            "source": wish.source,
            "note": wish.note[:256],
            "user_id": wish.user_id,
            "record_id": wish.record_id,
            "job_id": wish.job_id,
            "created_at": now,
            "expires_at": wish.expires_at,
        }
        for number in fresh
    ]
    if not rows:
        return 0
    ids = session.scalars(insert(DoNotCall).returning(DoNotCall.id), rows).all()
    scopes = [{"entry_id": i, "project_id": p} for i in ids for p in sorted(wish.project_ids)]
    if scopes:
        session.execute(insert(DoNotCallProject), scopes)
    _tell(session)
    return len(rows)


def covered(session: Session, *, numbers: Sequence[str], wish: Wish, now: datetime) -> set[str]:
    """Return those of the numbers that entries in force ban as widely and as long already."""
    as_long: ColumnElement[bool] = DoNotCall.expires_at.is_(None)
    if wish.expires_at is not None:
        as_long = or_(as_long, DoNotCall.expires_at >= wish.expires_at)
    found: set[str] = set()
    for part in slices(numbers):
        here = and_(DoNotCall.number.in_(part), in_force(now), as_long)
        found.update(session.scalars(select(DoNotCall.number).where(here, DoNotCall.all_projects)))
        if not wish.project_ids:
            continue
        held: dict[str, set[int]] = {}
        narrow = (
            select(DoNotCall.number, DoNotCallProject.project_id)
            .join(DoNotCallProject, DoNotCallProject.entry_id == DoNotCall.id)
            .where(here)
        )
        for number, project_id in session.execute(narrow):
            held.setdefault(number, set()).add(project_id)
        found.update(number for number, ids in held.items() if wish.project_ids <= ids)
    return found


def slices(numbers: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut numbers into parts of one statement."""
    for start in range(0, len(numbers), SLICE):
        yield numbers[start : start + SLICE]


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
    reason = reason.strip()[:256]
    released = release_entries(
        session, entry_ids=entry_ids, user_id=viewer.user_id, reason=reason, now=now
    )
    for entry_id in released:
        audit.note(
            session,
            viewer=viewer,
            action="do_not_call.released",
            kind="do_not_call",
            object_id=entry_id,
            now=now,
            reason=reason,
        )
    return len(released)


def release_entries(
    session: Session, *, entry_ids: Collection[int], user_id: int, reason: str, now: datetime
) -> list[int]:
    """Mark entries as released, without a line each in the audit log. Returns those that were."""
    released = session.scalars(
        update(DoNotCall)
        .where(DoNotCall.id.in_(entry_ids), DoNotCall.released_at.is_(None))
        .values(released_at=now, released_by=user_id, release_reason=reason)
        .returning(DoNotCall.id)
        .execution_options(synchronize_session=False)
    ).all()
    if released:
        _tell(session)
    return sorted(released)


def get(session: Session, *, viewer: Viewer, entry_id: int) -> DoNotCall:
    """Return an entry, released or not. Raises NotAllowed, NotFound."""
    if not viewer.may(Right.SEE_BANS):
        raise NotAllowed
    found = session.get(DoNotCall, entry_id)
    if found is None:
        raise NotFound
    return found


def change(
    session: Session,
    *,
    viewer: Viewer,
    entry_id: int,
    project_ids: Collection[int],
    expires_at: datetime | None,
    note: str,
    reason: str,
    now: datetime,
) -> int:
    """Give a number another scope or expiry: its entry is released and a new one takes its place.

    Both in one transaction, so the number is banned throughout; what was said before stays to be
    read. As a release it is the MGR's alone and has a reason (R-DN-4). Returns the new entry's id.

    Raises NotAllowed, NotFound; Refused 'reason_required', 'ban_expiry_past', 'ban_over'.
    """
    if not viewer.may(Right.RELEASE_BANS):
        raise NotAllowed
    old = get(session, viewer=viewer, entry_id=entry_id)
    if expires_at is not None and expires_at <= now:
        raise Refused("ban_expiry_past", field="expires_on")
    if not reason.strip():
        raise Refused("reason_required", field="reason")
    if not is_in_force(old, now) or not release(
        session, viewer=viewer, entry_ids=[entry_id], reason=reason, now=now
    ):
        raise Refused("ban_over")
    new = DoNotCall(
        number=old.number,
        all_projects=not project_ids,
        source=old.source,
        note=note[:256],
        user_id=viewer.user_id,
        record_id=old.record_id,
        job_id=old.job_id,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(new)
    session.flush()
    session.add_all(DoNotCallProject(entry_id=new.id, project_id=p) for p in sorted(project_ids))
    audit.note(
        session,
        viewer=viewer,
        action="do_not_call.changed",
        kind="do_not_call",
        object_id=new.id,
        now=now,
        before=entry_id,
        projects=sorted(project_ids),
    )
    return new.id


def is_in_force(entry: DoNotCall, now: datetime) -> bool:
    """Whether this entry stops dials now."""
    return entry.released_at is None and (entry.expires_at is None or entry.expires_at > now)


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
