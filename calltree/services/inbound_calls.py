"""Calls that came in, from the side of who answers them: what rings, answering, declining, parking.

The attempt's row is the one lock on a call: whoever changes it locks that row first. The operator
is locked as for every call, by compare-and-set; of two who press at once one gets the caller and
the other is told who did. What follows by time is `inbound_walk`, the leader's alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    LIVE_STATES,
    Attempt,
    CallerNumber,
    CommandKind,
    Customer,
    CustomerHold,
    CustomerList,
    GroupMember,
    InboundAction,
    InboundCall,
    InboundOutcome,
    LegState,
    Operator,
    User,
)
from calltree.services import (
    figures,
    holds,
    inbound_matches,
    inbound_team,
    operators,
    records,
    switch_commands,
    turns,
)
from calltree.services.inbound_rules import RINGS, Step
from calltree.services.operators import Move
from calltree.services.rights import Right, Viewer

NOT_WRITTEN = 0
"""Id of a call that the ledger does not have yet."""
PARK_S = 60
"""So long a parked caller waits until it rings again."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """A call that this operator may answer now."""

    attempt_id: int
    """`NOT_WRITTEN` while the call is shown ahead of the ledger."""
    caller: str
    """Normal form; empty: 非通知."""
    number: str
    """Ours, that was called."""
    label: str
    since: datetime
    """When it came in."""
    waited_s: int
    ends_at: datetime | None
    """When it stops ringing here."""
    parked: bool
    parked_by: str
    """Name of who parked it; empty when it rings."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A caller whom nobody has answered yet, for who watches."""

    attempt_id: int
    caller: str
    number: str
    label: str
    since: datetime
    action: InboundAction
    offered_user_id: int | None
    parked: bool


# Built once, for a caller waits until they are answered.
_RINGING = (
    select(InboundCall, Attempt, CallerNumber.number, CallerNumber.label, User.name)
    .join(Attempt, Attempt.id == InboundCall.attempt_id)
    .join(CallerNumber, CallerNumber.id == Attempt.caller_number_id)
    .outerjoin(User, User.id == InboundCall.parked_by_id)
    .where(
        InboundCall.outcome == InboundOutcome.OPEN,
        Attempt.ended_at.is_(None),
        Attempt.user_id.is_(None),
    )
    .order_by(Attempt.id)
)
_WHO = (
    select(Operator, User)
    .join(User, User.id == Operator.user_id)
    .where(Operator.user_id == bindparam("user"))
)


def ringing_for(session: Session, *, user_id: int, now: datetime) -> list[Ringing]:
    """Return what rings for this operator, the longest waiting first.

    RING_ALL rings for everybody 待機 of the number's group who did not decline, RING_IDLE for the
    one whose turn it is; a parked call is shown to everybody who may answer it.
    """
    rows = session.execute(_RINGING).all()
    if not rows:  # nearly always, and every page of an operator asks
        return []
    found = session.execute(_WHO, {"user": user_id}).one_or_none()
    if found is None or not Viewer.of(found.User).may(Right.ANSWER_INBOUND):
        return []
    operator: Operator = found.Operator
    if operator.leg_state is not LegState.PARKED:
        return []
    in_groups = any(call.group_id is not None for call, *_rest in rows)
    groups: set[int] = _groups_of(session, user_id) if in_groups else set()
    return [
        Ringing(
            call.attempt_id,
            attempt.number,
            number,
            label,
            attempt.created_at,
            int((now - attempt.created_at).total_seconds()),
            call.offered_until or call.step_ends_at,
            call.parked_at is not None,
            parked_by or "",
        )
        for call, attempt, number, label, parked_by in rows
        if attempt.node == operator.leg_node and _rings_for(call, operator, groups)
    ]


def _groups_of(session: Session, user_id: int) -> set[int]:
    return set(session.scalars(select(GroupMember.group_id).where(GroupMember.user_id == user_id)))


def _rings_for(call: InboundCall, operator: Operator, groups: set[int]) -> bool:
    if call.offered_user_id is not None:
        return call.offered_user_id == operator.user_id
    if operator.attempt_id is not None or call.group_id not in {None, *groups}:
        return False
    if call.parked_at is not None:
        return operator.state in inbound_team.MAY_TAKE_PARKED
    return (
        call.action is InboundAction.RING_ALL
        and operator.state in inbound_team.RUNG
        and operator.user_id not in call.passed_over
    )


def waiting(session: Session) -> list[Waiting]:
    """Return all callers whom nobody has answered yet, the longest waiting first."""
    rows = session.execute(
        select(InboundCall, Attempt, CallerNumber.number, CallerNumber.label)
        .join(Attempt, Attempt.id == InboundCall.attempt_id)
        .outerjoin(CallerNumber, CallerNumber.id == Attempt.caller_number_id)
        .where(
            InboundCall.outcome == InboundOutcome.OPEN,
            Attempt.ended_at.is_(None),
            Attempt.user_id.is_(None),
        )
        .order_by(Attempt.id)
    )
    return [
        Waiting(
            call.attempt_id,
            attempt.number,
            number or "",
            label or "",
            attempt.created_at,
            call.action,
            call.offered_user_id,
            call.parked_at is not None,
        )
        for call, attempt, number, label in rows
    ]


def answer(
    session: Session,
    *,
    user_id: int,
    attempt_id: int,
    customer_id: int | None = None,
    now: datetime,
) -> Attempt:
    """Take a call that rings, or is parked; the switch then answers and joins it.

    `customer_id`: chosen of several with the caller's number; without one the only match opens
    when they talk. The same press twice is one. Raises NotAllowed, NotFound; Refused 'call_taken'
    with `name`, 'call_gone', 'in_a_call', 'wrap_up_open', 'no_leg', 'not_standing_by'.
    """
    _require_right(session, user_id)
    turns.take(session, user_id=user_id)
    attempt, call = _locked(session, attempt_id)
    if attempt.user_id == user_id and attempt.state in LIVE_STATES:
        return attempt
    _require_waiting(session, attempt, call)
    _take(session, attempt, call, user_id, now)
    call.taken_at = now
    call.parked_by_id = call.parked_at = call.offered_user_id = call.offered_until = None
    attempt.user_id = user_id
    if customer_id is not None:
        _attach(session, attempt, customer_id, now)
    session.flush()
    switch_commands.ask(
        session,
        kind=CommandKind.ANSWER,
        node=attempt.node,
        attempt_id=attempt.id,
        user_id=user_id,
        now=now,
    )
    announce(session, "call", attempt_id=attempt.id, user_id=user_id)
    tell(session, attempt, call)
    return attempt


def _take(
    session: Session, attempt: Attempt, call: InboundCall, user_id: int, now: datetime
) -> None:
    operator = operators.ensure(session, user_id=user_id, now=now)
    session.refresh(operator)
    if operator.leg_state is not LegState.PARKED or operator.leg_node != attempt.node:
        raise Refused("no_leg")
    if call.offered_user_id == user_id and operator.attempt_id == attempt.id:
        return  # locked when it became their turn
    operators.require_free(session, user_id=user_id)
    if call.group_id is not None and call.group_id not in _groups_of(session, user_id):
        raise NotFound(f"call {attempt.id}")
    if call.offered_user_id is not None:
        raise Refused("call_taken", name=session.get_one(User, call.offered_user_id).name)
    if not operators.lock(session, user_id=user_id, attempt_id=attempt.id, now=now, by=Move.OFFER):
        raise Refused("not_standing_by")


def decline(session: Session, *, user_id: int, attempt_id: int, now: datetime) -> None:
    """Not here: RING_IDLE goes to the next at once, RING_ALL rings here no more.

    Raises NotAllowed, NotFound. A call that rings here no more is declined without a word.
    """
    _require_right(session, user_id)
    turns.take(session, user_id=user_id)
    attempt, call = _locked(session, attempt_id)
    if call.outcome is not InboundOutcome.OPEN or attempt.user_id is not None:
        return
    if user_id in call.passed_over:
        return
    call.passed_over = [*call.passed_over, user_id]
    if call.offered_user_id == user_id:
        operators.unlock(session, user_id=user_id, attempt_id=attempt.id, now=now, by=Move.WITHDRAW)
        call.offered_user_id = call.offered_until = None
    session.flush()
    announce(session, "inbound", user_id=user_id)
    tell(session, attempt, call)


def park(session: Session, *, user_id: int, attempt_id: int, now: datetime) -> None:
    """Put a call that rings on music, for everybody who may answer; it rings again after PARK_S.

    Raises NotAllowed, NotFound; Refused 'call_taken', 'call_gone'.
    """
    _require_right(session, user_id)
    turns.take(session, user_id=user_id)
    attempt, call = _locked(session, attempt_id)
    _require_waiting(session, attempt, call)
    if call.parked_at is not None:
        return
    if call.offered_user_id is not None:
        operators.unlock(
            session,
            user_id=call.offered_user_id,
            attempt_id=attempt.id,
            now=now,
            by=Move.WITHDRAW,
        )
        call.offered_user_id = call.offered_until = None
    call.parked_by_id, call.parked_at = user_id, now
    call.step_ends_at = now + timedelta(seconds=PARK_S)
    call.passed_over = []
    call.serial += 1
    session.flush()
    tell(session, attempt, call)


def attach_customer(
    session: Session, *, user_id: int, attempt_id: int, customer_id: int, now: datetime
) -> None:
    """Make the call one with this customer, and open them for the operator who talks.

    For several matches, and for a caller who was saved to a list during the call; the caller of
    this has looked whether the operator may see the customer. Raises NotFound.
    """
    attempt, _call = _locked(session, attempt_id)
    if attempt.user_id != user_id:
        raise NotFound(f"call {attempt_id}")
    _attach(session, attempt, customer_id, now)
    _open(session, attempt, now)


def open_match(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """The operator and the caller talk: the chosen customer opens, or the only one who matches."""
    if attempt.customer_id is None and attempt.user_id is not None:
        viewer = Viewer.of(session.get_one(User, attempt.user_id))
        only = inbound_matches.only_one(session, viewer=viewer, number=attempt.number)
        if only is not None:
            _attach(session, attempt, only, now)
    _open(session, attempt, now)


def _attach(session: Session, attempt: Attempt, customer_id: int, now: datetime) -> None:
    customer = session.get(Customer, customer_id)
    folder = session.get(CustomerList, customer.list_id) if customer else None
    if customer is None or folder is None:
        raise NotFound(f"customer {customer_id}")
    attempt.customer_id, attempt.list_id = customer.id, folder.id
    attempt.project_id = folder.project_id
    record = records.of_attempt(session, attempt_id=attempt.id)
    if record is not None and record.customer_id != customer.id:
        if record.customer_id is not None:  # another one was chosen first: nobody's call there
            figures.forget(session, record=record, now=now)
        record.customer_id, record.list_id = customer.id, folder.id
        record.project_id, record.cycle = folder.project_id, folder.cycle
        session.flush()
        figures.settle(session, record=record, now=now)
    session.flush()


def _open(session: Session, attempt: Attempt, now: datetime) -> None:
    """Whoever talks with a customer has them open; somebody who had looked them up loses."""
    user_id, customer_id = attempt.user_id, attempt.customer_id
    if user_id is None or customer_id is None:
        return
    for held in session.scalars(
        select(CustomerHold.customer_id).where(
            CustomerHold.user_id == user_id, CustomerHold.customer_id != customer_id
        )
    ).all():
        holds.release(session, customer_id=held, user_id=user_id)
    page_id = session.scalar(select(Operator.page_id).where(Operator.user_id == user_id)) or ""
    holds.take_for_call(session, customer_id=customer_id, user_id=user_id, page_id=page_id, now=now)
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id)
        .values(
            customer_id=customer_id,
            queue_id=None,
            dial_at=None,
            chosen_number="",
            chosen_caller_id=None,
        )
    )
    announce(session, "customer", customer_id=customer_id)
    announce(session, "operator", user_id=user_id)


def of_attempt(session: Session, *, attempt_id: int) -> InboundCall | None:
    """Return the row of a call that came in; None for any other call."""
    return session.get(InboundCall, attempt_id)


def operator_of(session: Session, attempt: Attempt) -> Operator | None:
    """Return who is kept for the caller and can be joined with them; None otherwise."""
    operator = session.get(Operator, attempt.user_id) if attempt.user_id else None
    if operator is None or operator.attempt_id != attempt.id:
        return None
    hears = operator.leg_state in operators.LIVE_LEGS and operator.leg_node == attempt.node
    return operator if hears else None


def step_of(call: InboundCall) -> Step | None:
    """Return the step that the call is at; None when all came to nothing."""
    if call.step >= len(call.steps):
        return None
    kept = call.steps[call.step]
    return Step(
        InboundAction(kept["action"]),
        kept["guidance_id"],
        kept["forward_to"],
        kept["seconds"],
        kept["tells_position"],
    )


def is_ringing(call: InboundCall) -> bool:
    """Whether operators are asked to answer it now."""
    return call.parked_at is not None or call.action in RINGS


def tell(session: Session, attempt: Attempt, call: InboundCall) -> None:
    """Announce a change to the pages of all whom the call may ring, and to who watches."""
    announce(session, "inbound", attempt_id=attempt.id)
    for user_id in inbound_team.sees(session, call=call, node=attempt.node):
        announce(session, "inbound", user_id=user_id)
    if call.offered_user_id is not None:
        announce(session, "inbound", user_id=call.offered_user_id)


def _require_right(session: Session, user_id: int) -> None:
    user = session.get(User, user_id)
    if user is None or not Viewer.of(user).may(Right.ANSWER_INBOUND):
        raise NotAllowed(Right.ANSWER_INBOUND)


def _locked(session: Session, attempt_id: int) -> tuple[Attempt, InboundCall]:
    """Lock the call's attempt, then read its row. Raises NotFound."""
    attempt = session.get(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    call = session.get(InboundCall, attempt_id, populate_existing=True)
    if attempt is None or call is None:
        raise NotFound(f"call {attempt_id}")
    return attempt, call


def _require_waiting(session: Session, attempt: Attempt, call: InboundCall) -> None:
    if attempt.user_id is not None:
        raise Refused("call_taken", name=session.get_one(User, attempt.user_id).name)
    gone = attempt.state not in LIVE_STATES or call.outcome is not InboundOutcome.OPEN
    if gone or not is_ringing(call):
        raise Refused("call_gone")
