"""A dial that another program asks for: an operator's telephone, an operator's rights, the one
gate, and the operator's screen (R-AR-3, R-CL-9).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import Attempt, Operator, OperatorState, Origin, User
from calltree.services import customers, desk, gate, operators, scope
from calltree.services.rights import Right, Viewer
from calltree.text.folding import fold_name

NO_PAGE = "api"
"""Holds the customer when the operator has no page open; theirs takes it over."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who is to call whom."""

    customer_id: int
    operator: str = ""
    """Login id; empty: the viewer."""
    number: str = ""
    """Any spelling of one of the customer's numbers; empty: the main one."""
    confirmed: bool = False
    press_id: str | None = None


def dial(session: Session, *, viewer: Viewer, wish: Wish, now: datetime) -> Attempt:
    """Have an operator call a customer, whose screen opens before the gate is asked.

    The gate judges as if the operator had pressed CALL: their grants, the hours, do-not-call. A
    refusal is an attempt with its verdict and leaves the screen as it was. Raises NotAllowed for
    another operator's telephone unless the viewer manages, NotFound; Refused 'operator_unknown',
    'operator_signed_out', 'operator_away', 'operator_busy', 'number_<reason>', 'request_id_used'.
    """
    earlier = wish.press_id and session.scalar(
        select(Attempt).where(Attempt.press_id == wish.press_id)
    )
    if earlier:
        if earlier.customer_id != wish.customer_id:
            raise Refused("request_id_used", field="request_id")
        return earlier
    customer = scope.get_customer(session, viewer=viewer, customer_id=wish.customer_id)
    who = _operator(session, viewer, wish.operator)
    gate.take_turn(session)  # before the operator and the hold: CALL locks them in this order
    number = customer.number
    if wish.number:
        number = customers.read_number(session, wish.number, field="number").number
    operator = _ready(session, who, customer.id, now)
    asked = gate.DialRequest(
        origin=Origin.API,
        number=number,
        user_id=who.user_id,
        customer_id=customer.id,
        press_id=wish.press_id,
        confirmed=wish.confirmed,
    )
    if gate.can_dial(session, request=asked, now=now).allowed:
        desk.open_customer(
            session,
            viewer=who,
            customer_id=customer.id,
            page_id=operator.page_id or NO_PAGE,
            now=now,
        )
    return gate.ask(session, request=asked, now=now)


def _operator(session: Session, viewer: Viewer, login_id: str) -> Viewer:
    if not login_id:
        return viewer
    found = session.scalar(
        select(User).where(User.login_key == fold_name(login_id), User.deleted_at.is_(None))
    )
    if found is not None and found.id == viewer.user_id:
        return viewer
    if not viewer.manages:
        raise NotAllowed
    if found is None or not Viewer.of(found).may(Right.DIAL):
        raise Refused("operator_unknown", field="operator", name=login_id)
    return Viewer.of(found)


def _ready(session: Session, who: Viewer, customer_id: int, now: datetime) -> Operator:
    """Nothing is pushed upon somebody who is away or has another customer before them."""
    operator = operators.ensure(session, user_id=who.user_id, now=now)
    session.refresh(operator)
    if operator.state is OperatorState.SIGNED_OUT:
        raise Refused("operator_signed_out", name=who.name)
    if operator.state is OperatorState.AWAY and operator.reason:
        raise Refused("operator_away", name=who.name)
    if operator.customer_id not in (None, customer_id):
        raise Refused("operator_busy", name=who.name)
    return operator


def under_way(session: Session, *, user_id: int) -> bool:
    """Whether a call that a program began for this operator goes on: their page is to say so."""
    begun = select(Attempt.id).where(
        Attempt.user_id == user_id, Attempt.origin == Origin.API, Attempt.ended_at.is_(None)
    )
    return session.scalar(begun) is not None


def get(session: Session, *, viewer: Viewer, attempt_id: int) -> Attempt:
    """Return an attempt: a manager's token any, else one's own. Raises NotFound."""
    found = session.get(Attempt, attempt_id)
    if found is None or not (viewer.manages or found.user_id == viewer.user_id):
        raise NotFound(f"attempt {attempt_id}")
    return found
