"""Who calls: the customers with a caller's number, before the call is answered (R-IN-2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, func, select, union
from sqlalchemy.orm import Session, aliased

from calltree.glance import Glance, Kept
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    CallRecord,
    Customer,
    CustomerList,
    ExtraNumber,
    MemoEntry,
    RecordKind,
    ResultStatus,
    Role,
    User,
)
from calltree.services import do_not_call, scope
from calltree.services.rights import Right, Viewer

MOST = 8
"""Customers to choose from; a number in more lists than that tells nothing."""
LAST = 3
"""Records and memos of each that are shown before answering."""


# Made once, as all that `find` asks: making them costs more than running them, and who calls is
# waited for.
_FOLDER = aliased(CustomerList)
"""Whom one sees asks the lists on its own account."""
_MAIN = aliased(Customer)
_WITH = union(
    select(_MAIN.id).where(_MAIN.number == bindparam("caller")),
    select(ExtraNumber.customer_id).where(ExtraNumber.number == bindparam("caller")),
)
"""Ids by main and by extra number, as one set: of an OR Postgres would read all customers."""
_NUMBER = Kept(
    select(
        select(func.count(Customer.id))
        .where(Customer.id.in_(_WITH), scope.is_present())
        .scalar_subquery()
        .label("everybody"),
        do_not_call.banned(bindparam("caller"), None, bindparam("now")).label("banned"),
    )
)
_RECORDS = Kept(
    select(
        CallRecord.started_at,
        CallRecord.kind,
        CallRecord.system,
        ResultStatus.name.label("status"),
        User.name.label("user"),
    )
    .outerjoin(ResultStatus, ResultStatus.id == CallRecord.status_id)
    .outerjoin(User, User.id == CallRecord.user_id)
    .where(CallRecord.customer_id == bindparam("customer"), CallRecord.kind != RecordKind.MANUAL)
    .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
    .limit(LAST)
)
"""Who sees a customer sees their records."""
_MEMOS = Kept(
    select(MemoEntry.text)
    .where(MemoEntry.customer_id == bindparam("customer"))
    .order_by(MemoEntry.id.desc())
    .limit(LAST)
)


class Past(NamedTuple):
    """A call record, as far as it is shown before answering."""

    started_at: datetime
    kind: RecordKind
    result: str
    user: str


class Named(NamedTuple):
    """A customer, as far as they are shown before answering."""

    id: int
    number: str
    cells: list[str]
    prospect_level: str
    short_note: str


@dataclass(frozen=True, slots=True)
class Match:
    """A customer whom the viewer may see, with what was last."""

    customer: Named
    list_name: str
    records: list[Past]
    memos: list[str]
    """The newest first."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of a number."""

    number: str
    matches: list[Match]
    hidden: int
    """Customers in lists that the viewer may not see: 「他に1件（権限なし）」."""
    banned: bool
    """On do-not-call: they may call in, and are shown red (R-DN-5)."""


@dataclass(slots=True)
class Known:
    """Who has a number, as a line of a table names them."""

    customers: list[tuple[Customer, str]] = field(default_factory=list)
    """With the names of their lists; only those whom the viewer may see."""
    hidden: int = 0


def find(session: Session, *, viewer: Viewer, number: str, now: datetime) -> Caller:
    """Look a caller up in every list; an empty number (非通知) matches nobody."""
    return look_up(Glance.over(session), viewer=viewer, number=number, now=now)


def look_up(look: Glance, *, viewer: Viewer, number: str, now: datetime) -> Caller:
    """As `find`, asked by quick reads."""
    if not number:
        return Caller("", [], 0, banned=False)
    asked = {"caller": number, "viewer": viewer.user_id, "now": now}
    rows, ((everybody, banned),) = look.several((_seen_by(viewer.role), asked), (_NUMBER, asked))
    shown = len(rows)
    if shown == MOST:  # there may be more that they may see, and those are not without permission
        shown = look.first(_seen_in_all(viewer.role), **asked).seen
    matches = _matches(look, rows, with_records=viewer.may(Right.SEE_RECORDS))
    return Caller(number, matches, max(everybody - shown, 0), banned=bool(banned))


def _matches(look: Glance, rows: list[Any], *, with_records: bool) -> list[Match]:
    """All that is shown of these customers, asked at once."""
    if not rows:
        return []
    lasts = (_MEMOS, _RECORDS) if with_records else (_MEMOS,)
    found = look.several(*((last, {"customer": row.id}) for row in rows for last in lasts))
    each = [found[at : at + len(lasts)] for at in range(0, len(found), len(lasts))]
    return [
        Match(
            Named(*row[:-1]),
            row.list_name,
            [_past(record) for records in past for record in records],
            [memo.text for memo in memos],
        )
        for row, (memos, *past) in zip(rows, each, strict=True)
    ]


def _past(record: Any) -> Past:
    return Past(
        record.started_at,
        record.kind,
        record.status or SYSTEM_RESULT_NAMES.get(record.system, ""),
        record.user or "",
    )


@cache
def _seen_in_all(role: Role) -> Kept:
    """Counts what `_seen_by` gives the first of."""
    return Kept(
        select(func.count(Customer.id).label("seen"))
        .join(_FOLDER, _FOLDER.id == Customer.list_id)
        .where(Customer.id.in_(_WITH), scope.customers_in_lists(role, bindparam("viewer")))
    )


@cache
def _seen_by(role: Role) -> Kept:
    """Binds `caller` and `viewer`; the columns of `Named`, then the list's name."""
    return Kept(
        select(
            Customer.id,
            Customer.number,
            Customer.cells,
            Customer.prospect_level,
            Customer.short_note,
            _FOLDER.name.label("list_name"),
        )
        .join(_FOLDER, _FOLDER.id == Customer.list_id)
        .where(Customer.id.in_(_WITH), scope.customers_in_lists(role, bindparam("viewer")))
        .order_by(Customer.last_dialled_at.desc().nulls_last(), Customer.id)
        .limit(MOST)
    )


def only_one(session: Session, *, viewer: Viewer, number: str) -> int | None:
    """Return the id of the customer with this number, if the viewer may see exactly one."""
    if not number:
        return None
    mine = scope.customers_seen(session, viewer=viewer)
    found = session.scalars(
        select(Customer.id).where(Customer.id.in_(_WITH), mine).limit(2), {"caller": number}
    ).all()
    return found[0] if len(found) == 1 else None


def known(session: Session, *, viewer: Viewer, numbers: Collection[str]) -> Mapping[str, Known]:
    """Name the customers of several numbers, asked for at once; nobody for any other number."""
    found: defaultdict[str, Known] = defaultdict(Known)
    if not numbers:
        return found
    main = select(Customer.number.label("number"), Customer.id.label("id")).where(
        Customer.number.in_(numbers)
    )
    extra = select(ExtraNumber.number, ExtraNumber.customer_id).where(
        ExtraNumber.number.in_(numbers)
    )
    owners = union(main, extra).subquery()
    seen = scope.customers_seen(session, viewer=viewer)
    rows = session.execute(
        select(owners.c.number, Customer, _FOLDER.name, case((seen, 1), else_=0))
        .join(Customer, Customer.id == owners.c.id)
        .join(_FOLDER, _FOLDER.id == Customer.list_id)
        .where(scope.is_present())
        .order_by(Customer.last_dialled_at.desc().nulls_last(), Customer.id)
    )
    for number, customer, name, may_see in rows:
        if may_see:
            found[number].customers.append((customer, name))
        else:
            found[number].hidden += 1
    return found
