"""What the database says of one wish to dial, asked in one statement.

Every press waits for the database's one writer, so the gate may not chat with it: eleven questions
of one row each cost a millisecond in statements alone. Each is a sub-query by its own index.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select
from sqlalchemy.orm import Session, aliased

from calltree.models import (
    Attempt,
    ClosedDay,
    Customer,
    CustomerList,
    DoNotCall,
    Line,
    Role,
    Site,
    TrunkHealth,
    User,
)
from calltree.services import do_not_call, holds, leases, scope
from calltree.services.breaker import BreakerState
from calltree.text.days import site_day


@dataclass(frozen=True, slots=True)
class LastDial:
    """The last attempt on a number, in any list, that left for the network."""

    at: datetime
    user_id: int | None
    customer_id: int | None
    name: str
    """Of who dialled; empty when nobody did."""


@dataclass(frozen=True, slots=True)
class Facts:
    """How things stand at the moment of the decision."""

    customer_present: bool
    list_available: bool
    ban: tuple[int, datetime] | None
    """The oldest entry in force: its id and since when."""
    holder: tuple[int, str] | None
    """Who has the customer open: user id and name."""
    closed_today: bool
    user_in_call: bool
    leader_note: dict[str, Any]
    trunks_ailing: bool
    in_call_with: str | None
    """Who is in a call with this number; empty when nobody is joined to it yet."""
    lines: int
    lines_inbound: int
    lines_predictive: int
    lines_of_caller: int
    last: LastDial | None


def gather(
    session: Session,
    *,
    number: str,
    user_id: int | None,
    role: Role | None,
    customer_id: int | None,
    list_id: int | None,
    project_id: int | None,
    caller_number_id: int | None,
    now: datetime,
) -> Facts:
    """Ask all of it. `role` is the user's; None where nobody presses, as in プレディコール."""
    connection = session.connection()
    given = {
        "number": number,
        "user": user_id,
        "customer": customer_id,
        "list": list_id,
        "project": project_id,
        "caller": caller_number_id,
        "now": now,
        "today": site_day(now),
        "lease": leases.SWITCH,
        **holds.over_by(now),
    }
    row = connection.execute(_statement(connection.dialect.name, role), given).one()
    return Facts(
        customer_present=bool(row.present),
        list_available=bool(row.available),
        ban=(row.ban_id, row.ban_since) if row.ban_id is not None else None,
        holder=(row.holder_id, row.holder_name) if row.holder_id is not None else None,
        closed_today=bool(row.closed_today),
        user_in_call=bool(row.user_in_call),
        leader_note=dict(row.leader_note or {}),
        trunks_ailing=bool(row.trunks_ailing),
        in_call_with=row.in_call_with,
        lines=row.lines,
        lines_inbound=row.lines_inbound,
        lines_predictive=row.lines_predictive,
        lines_of_caller=row.lines_of_caller,
        last=LastDial(row.last_at, row.last_user_id, row.last_customer_id, row.last_name or "")
        if row.last_at is not None
        else None,
    )


@cache
def _statement(dialect: str, role: Role | None) -> Select[Any]:
    """Built once for each role: building it costs more than running it."""
    ban, holder, last, last_user = (
        aliased(DoNotCall),
        aliased(User),
        aliased(Attempt),
        aliased(User),
    )
    seen = CustomerList.enabled if role is None else scope.lists_of(role, bindparam("user"))
    lines = _open_lines()
    return (
        select(
            exists()
            .where(Customer.id == bindparam("customer"), scope.is_present())
            .label("present"),
            exists()
            .where(CustomerList.id == bindparam("list"), CustomerList.deleted_at.is_(None), seen)
            .label("available"),
            ban.id.label("ban_id"),
            ban.created_at.label("ban_since"),
            holder.id.label("holder_id"),
            holder.name.label("holder_name"),
            exists().where(ClosedDay.day == bindparam("today")).label("closed_today"),
            exists()
            .where(Attempt.user_id == bindparam("user"), Attempt.ended_at.is_(None))
            .label("user_in_call"),
            leases.noted(dialect).scalar_subquery().label("leader_note"),
            exists().where(TrunkHealth.state != BreakerState.CLOSED.value).label("trunks_ailing"),
            _in_call_with().label("in_call_with"),
            *lines.c,
            last.dialled_at.label("last_at"),
            last.user_id.label("last_user_id"),
            last.customer_id.label("last_customer_id"),
            last_user.name.label("last_name"),
        )
        .select_from(Site)
        .join(lines, Site.id == 1)
        .outerjoin(ban, ban.id == do_not_call.first_in_force().scalar_subquery())
        .outerjoin(holder, holder.id == holds.holder_id().scalar_subquery())
        .outerjoin(last, last.id == _last_dial())
        .outerjoin(last_user, last_user.id == last.user_id)
        .where(Site.id == 1)
    )


def _open_lines() -> Any:
    of_kind = {
        name: func.count().filter(Line.kind == kind).label(name)
        for name, kind in (("lines_inbound", "inbound"), ("lines_predictive", "predictive"))
    }
    of_caller = func.count().filter(Line.caller_number_id == bindparam("caller"))
    return (
        select(func.count().label("lines"), *of_kind.values(), of_caller.label("lines_of_caller"))
        .where(Line.released_at.is_(None))
        .subquery()
    )


def _in_call_with() -> ColumnElement[str]:
    return (
        select(func.coalesce(User.name, ""))
        .select_from(Attempt)
        .outerjoin(User, User.id == Attempt.user_id)
        .where(Attempt.number == bindparam("number"), Attempt.ended_at.is_(None))
        .limit(1)
        .scalar_subquery()
    )


def _last_dial() -> ColumnElement[int]:
    return (
        select(Attempt.id)
        .where(Attempt.number == bindparam("number"), Attempt.dialled_at.is_not(None))
        .order_by(Attempt.dialled_at.desc())
        .limit(1)
        .scalar_subquery()
    )
