"""Whom an operator may hand a call on to, and what they are doing (R-CL-4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from calltree.models import Attempt, LegState, Monitor, Operator, OperatorState, Transfer, User
from calltree.services import operators, transfer_facts

_OFFERED = operators.MOVES[operators.Move.OFFER]


@dataclass(frozen=True, slots=True)
class Colleague:
    """One line of the list."""

    user_id: int
    name: str
    state: OperatorState
    since: datetime
    free: bool
    """They can be asked now."""


def may_take(session: Session, *, transfer: Transfer, user_id: int) -> bool:
    """Whether this operator could take a parked customer now."""
    attempt = session.get_one(Attempt, transfer.attempt_id)
    return any(
        colleague.user_id == user_id and colleague.free
        for colleague in of(session, attempt=attempt, user_id=transfer.from_user_id)
    )


def of(session: Session, *, attempt: Attempt, user_id: int) -> list[Colleague]:
    """Return who is signed in and may see the call's customer: the free ones first, by name."""
    listens = exists().where(Monitor.user_id == Operator.user_id)
    rows = session.execute(
        select(User, Operator, listens)
        .join(Operator, Operator.user_id == User.id)
        .where(Operator.state != OperatorState.SIGNED_OUT, User.id != user_id)
        .order_by(User.name, User.id)
    ).all()
    found = [
        Colleague(
            user.id,
            user.name,
            operator.state,
            operator.since,
            free=not is_listening
            and operator.attempt_id is None
            and operator.state in _OFFERED
            and operator.leg_state is LegState.PARKED
            and operator.leg_node == attempt.node,
        )
        for user, operator, is_listening in rows
        if transfer_facts.may_be_asked(session, user=user, attempt=attempt)
    ]
    return sorted(found, key=lambda colleague: not colleague.free)
