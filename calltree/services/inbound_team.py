"""Whom a call that comes in may ring: 待機, with an ear, of the number's group, not restricted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, or_, select
from sqlalchemy.orm import Session

from calltree.models import (
    GroupMember,
    InboundCall,
    LegState,
    Monitor,
    Operator,
    OperatorState,
    Role,
    User,
)
from calltree.services import operators

RUNG = (OperatorState.READY,)
MAY_TAKE_PARKED = (OperatorState.READY, OperatorState.BROWSING)
"""Whoever has a customer open is not rung, but may take a parked caller."""


def ready(session: Session, *, call: InboundCall, node: str) -> list[int]:
    """Return the ids of those whom the call may ring now, the longest 待機 first."""
    query = _free(RUNG, in_group=call.group_id is not None)
    found = session.scalars(query, {"of_node": node, "of_group": call.group_id})
    return [who for who in found if who not in call.passed_over]


def sees(session: Session, *, call: InboundCall, node: str) -> list[int]:
    """Return everybody whose page shows the call or should stop to.

    What the session has not written yet about the call is not looked at, and not written for it.
    """
    query = _free(MAY_TAKE_PARKED, in_group=call.group_id is not None)
    asked = {"of_node": node, "of_group": call.group_id}
    return list(session.connection().scalars(query, asked))


def take_one(
    session: Session, *, call: InboundCall, node: str, now: datetime, without: Collection[int] = ()
) -> int | None:
    """Lock the operator longest 待機 for the call, by compare-and-set; None while nobody is."""
    for who in ready(session, call=call, node=node):
        if who not in without and operators.lock(
            session, user_id=who, attempt_id=call.attempt_id, now=now, by=operators.Move.OFFER
        ):
            return who
    return None


@cache
def _free(states: tuple[OperatorState, ...], *, in_group: bool) -> Select[int]:
    """Built once: every caller asks. Binds `of_node` and `of_group`; the longest 待機 first."""
    query = (
        select(Operator.user_id)
        .join(User, User.id == Operator.user_id)
        .where(can_take(states), Operator.leg_node == bindparam("of_node"))
        .order_by(Operator.since, Operator.user_id)
    )
    if not in_group:
        return query
    return query.where(
        exists().where(
            GroupMember.group_id == bindparam("of_group"), GroupMember.user_id == Operator.user_id
        )
    )


def can_take(states: Collection[OperatorState]) -> ColumnElement[bool]:
    """Condition on Operator and User: may be given a caller now."""
    return and_(
        Operator.state.in_(states),
        Operator.leg_state == LegState.PARKED,
        Operator.attempt_id.is_(None),
        ~exists().where(Monitor.user_id == Operator.user_id),
        User.deleted_at.is_(None),
        or_(User.role != Role.OPERATOR, User.may_answer_inbound),
    )
