"""How things stand when a call comes in, asked in one statement; `inbound_rules` decides on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import Session

from calltree.glance import Glance, Kept, Question
from calltree.models import (
    CallerNumber,
    ClosedDay,
    GroupMember,
    InboundClosedDay,
    InboundRefusal,
    InboundRoute,
    InboundStep,
    LegState,
    Line,
    NumberDirection,
    Operator,
    OperatorState,
    Role,
    Site,
    User,
)
from calltree.services.inbound_rules import Facts, Plan, Rules, Step, route
from calltree.text.days import site_day
from calltree.text.opening import read_opening
from calltree.text.phones import Phone, normalise

Reading = Callable[[], AbstractContextManager[Session]]


def plan(session: Session, *, number: str, caller: str, now: datetime) -> Plan:
    """Decide one call that arrives now. `caller` is in normal form; empty for 非通知."""
    return route(number, now, facts(session, number=number, caller=caller, now=now))


def plan_if(session: Session, *, number: str, caller: str, ready: bool, now: datetime) -> Plan:
    """Tell what a call at another moment would meet, were somebody, or nobody, 待機 then."""
    known = facts(session, number=number, caller=caller, now=now)
    return route(number, now, replace(known, ready=ready, lines_free=True))


def normal_form(text: str) -> str:
    """A number in normal form; of one from abroad its digits; empty for none (anonymous)."""
    read = normalise(text)
    if isinstance(read, Phone):
        return read.number
    return "".join(letter for letter in text if letter in "0123456789")[:16]


def facts(session: Session, *, number: str, caller: str, now: datetime) -> Facts:
    """Ask everything that the decision looks at.

    One statement; a route that was saved since this process last read it costs two more.
    """
    look = Glance.over(session)
    return facts_and(lambda: nullcontext(session), look, number=number, caller=caller, now=now)[0]


def facts_and(
    read: Reading,
    look: Glance,
    *more: Question,
    number: str,
    caller: str,
    now: datetime,
) -> tuple[Facts, list[list[Any]]]:
    """Ask the facts by `look`, and more in the same breath; a route is read in a session."""
    today = site_day(now)
    asked = (_FACTS, {"number": number, "caller": caller, "today": today})
    rows, *others = look.several(asked, *more)
    return _facts_of(read, look, rows[0] if rows else None, caller), others


def _facts_of(read: Reading, look: Glance, found: Any, caller: str) -> Facts:
    if found is None:
        return Facts(None, caller)
    lines_free = found.lines > found.lines_taken
    if found.line_cap is not None:
        lines_free = lines_free and found.line_cap > look.first(_TAKEN_OF, number=found.id).taken
    return Facts(
        _rules(read, found.id, found.version),
        caller,
        refused=found.refused,
        site_closed=found.site_closed,
        own_closed=found.own_closed,
        ready=found.ready,
        lines_free=lines_free,
        extra_prefixes=tuple(found.extra_prefixes),
    )


_UNSET = Rules()
_READ: dict[int, tuple[str, Rules]] = {}
"""What was read of each number's route, and which version of it that was."""


def _rules(read: Reading, number_id: int, version: str | None) -> Rules:
    if version is None:
        return _UNSET
    kept = _READ.get(number_id)
    if kept is None or kept[0] != version:
        with read() as session:
            _READ[number_id] = kept = (version, rules_of(session, number_id=number_id))
    return kept[1]


def rules_of(session: Session, *, number_id: int) -> Rules:
    """Read a number's settings as they are saved; the usual ones where there are none."""
    saved = session.execute(
        select(InboundRoute.hours, InboundRoute.holidays, InboundRoute.observes_closed_days).where(
            InboundRoute.caller_number_id == number_id
        )
    ).one_or_none()
    if saved is None:
        return _UNSET
    rows = session.scalars(select(InboundStep).where(InboundStep.caller_number_id == number_id))
    return Rules(
        tuple(read_opening(text) for text in saved.hours),
        saved.holidays,
        saved.observes_closed_days,
        {row.situation: step_of(row) for row in rows},
    )


def step_of(row: InboundStep) -> Step:
    """Take a step from its row."""
    return Step(row.action, row.guidance_id, row.forward_to, row.seconds, row.tells_position)


_TAKEN = select(func.count().label("taken")).select_from(Line).where(Line.released_at.is_(None))
_TAKEN_OF = Kept(_TAKEN.where(Line.caller_number_id == bindparam("number")))


def _facts() -> Select[Any]:
    today: Any = bindparam("today")
    return (
        select(
            CallerNumber.id,
            CallerNumber.line_cap,
            InboundRoute.version,
            Site.lines,
            Site.extra_prefixes,
            _TAKEN.scalar_subquery().label("lines_taken"),
            ClosedDay.name.label("site_closed"),
            InboundClosedDay.name.label("own_closed"),
            exists().where(InboundRefusal.number == bindparam("caller")).label("refused"),
            _somebody_ready().label("ready"),
        )
        .select_from(CallerNumber)
        .join(Site, Site.id == literal_column("1"))
        .outerjoin(InboundRoute, InboundRoute.caller_number_id == CallerNumber.id)
        .outerjoin(ClosedDay, ClosedDay.day == today)
        .outerjoin(
            InboundClosedDay,
            and_(
                InboundClosedDay.caller_number_id == CallerNumber.id, InboundClosedDay.day == today
            ),
        )
        .where(
            CallerNumber.number == bindparam("number"),
            CallerNumber.retired_at.is_(None),
            CallerNumber.direction != _plain(NumberDirection.OUTBOUND),
        )
    )


def _plain(value: StrEnum) -> ColumnElement[Any]:
    """A code of ours inside the statement: handing it over with each call costs as much again."""
    return literal_column(f"'{value}'")


def _somebody_ready() -> Any:
    """Whether anybody is 待機 whom a call to the number may ring.

    The restriction (R-US-5) holds an operator back alone; other roles than callers are never 待機.
    """
    in_group = (
        exists()
        .where(
            GroupMember.group_id == InboundRoute.group_id, GroupMember.user_id == Operator.user_id
        )
        .correlate(InboundRoute, Operator)
    )
    return (
        exists()
        .where(
            Operator.state == _plain(OperatorState.READY),
            Operator.leg_state == _plain(LegState.PARKED),
            Operator.attempt_id.is_(None),
            User.id == Operator.user_id,
            or_(User.role != _plain(Role.OPERATOR), User.may_answer_inbound),
            or_(InboundRoute.group_id.is_(None), in_group),
        )
        .correlate(InboundRoute)
    )


_FACTS = Kept(_facts())
