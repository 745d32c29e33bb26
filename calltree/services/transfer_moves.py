"""How far a transfer is: what the switch tells of it, and what it leaves behind (R-CL-4).

The presses are in `transfers`; whatever comes to nothing brings the customer back to who had them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import (
    Attempt,
    CommandKind,
    Operator,
    OperatorState,
    Transfer,
    TransferKind,
    TransferOutcome,
    TransferWish,
)
from calltree.services import (
    drafts,
    holds,
    operators,
    outside_legs,
    records,
    switch_commands,
    transfer_colleagues,
)
from calltree.services.operators import Move
from calltree.services.transfer_facts import OF_CALL, S, is_outside, overdue

HANDED_ON = "転送"
"""Stands where a result does, before what the first operator had typed."""


def answered(session: Session, transfer: Transfer, *, at: datetime) -> None:
    """The number that was dialled answered."""
    transfer.answered_at = transfer.answered_at or at
    if transfer.state is S.RINGING:
        heard = transfer.consulted_at is not None  # joined while it still rang
        transfer.state = S.CONSULTING if heard else S.ANSWERED
        transfer.wished_at = at
    tell(session, transfer)


def consulted(session: Session, transfer: Transfer, *, now: datetime) -> None:
    """The first operator and the target hear each other."""
    if transfer.state not in (S.RINGING, S.ANSWERED):
        return
    transfer.wished_at = None
    transfer.consulted_at = transfer.consulted_at or now
    if transfer.answered_at is None:
        tell(session, transfer)
        return  # the ringing, or an announcement
    transfer.state = S.CONSULTING
    if transfer.to_user_id is not None:
        operators.move(session, user_id=transfer.to_user_id, by=Move.JOIN, now=now)
    tell(session, transfer)


def three_talk(session: Session, transfer: Transfer, *, now: datetime) -> None:
    """The customer has joined the two."""
    transfer.state, transfer.wish = S.THREE_WAY, TransferWish.NONE
    transfer.three_way_at = transfer.three_way_at or now
    transfer.joined_at = transfer.joined_at or now
    tell(session, transfer)


def hand_over(session: Session, transfer: Transfer, attempt: Attempt, *, now: datetime) -> None:
    """The target has the customer: the first operator is let go of."""
    _end_earlier(session, transfer, now)
    transfer.state, transfer.wish = S.CONNECTED, TransferWish.NONE
    transfer.outcome = TransferOutcome.TRANSFERRED
    transfer.settled_at = now
    transfer.joined_at = transfer.joined_at or now
    first = transfer.from_user_id
    if transfer.to_user_id is None:
        attempt.user_id = None  # free to dial again while the two talk on
        session.flush()
        record = records.of_attempt(session, attempt_id=attempt.id)
        saves = record is not None and records.needs_result(record)
        by = Move.END_CALL if saves else Move.NO_CALL
        operators.unlock(session, user_id=first, attempt_id=attempt.id, now=now, by=by)
    else:
        _give_to_colleague(session, transfer, attempt, now)
    announce(session, "call", attempt_id=attempt.id, user_id=first)
    tell(session, transfer)


def _give_to_colleague(
    session: Session, transfer: Transfer, attempt: Attempt, now: datetime
) -> None:
    first, second = transfer.from_user_id, transfer.to_user_id or 0
    _hand_draft_on(session, attempt, first, now)
    session.execute(
        update(Operator)
        .where(Operator.user_id == first, Operator.attempt_id == attempt.id)
        .values(customer_id=None, record_id=None, queue_id=None)
    )
    operators.unlock(session, user_id=first, attempt_id=attempt.id, now=now, by=Move.NO_CALL)
    attempt.user_id = second
    session.flush()
    records.give_to(session, attempt=attempt, user_id=second, now=now)
    target = session.get_one(Operator, second, populate_existing=True)
    if attempt.customer_id is not None:
        holds.take_for_call(
            session, customer_id=attempt.customer_id, user_id=second, page_id=target.page_id,
            now=now,
        )  # fmt: skip
        announce(session, "customer", customer_id=attempt.customer_id)
    operators.move(session, user_id=second, by=Move.JOIN, now=now)
    announce(session, "call", attempt_id=attempt.id, user_id=second)


def _hand_draft_on(session: Session, attempt: Attempt, user_id: int, now: datetime) -> None:
    """What the first one typed becomes part of the customer's memo: the second one reads it."""
    record = records.of_attempt(session, attempt_id=attempt.id)
    if record is None or attempt.customer_id is None:
        return
    draft = drafts.find(session, user_id=user_id, customer_id=attempt.customer_id)
    if draft is None:
        return
    records.append_memo(
        session, record=record, text=draft.memo, result=HANDED_ON, user_id=user_id, now=now
    )
    drafts.discard(session, user_id=user_id, customer_id=attempt.customer_id)


def _end_earlier(session: Session, transfer: Transfer, now: datetime) -> None:
    """Who hands on what was handed to them has had their share of the call."""
    session.execute(
        update(Transfer)
        .where(
            Transfer.attempt_id == transfer.attempt_id,
            Transfer.id != transfer.id,
            Transfer.ended_at.is_(None),
        )
        .values(ended_at=now, state=S.ENDED)
    )


def settle_back(
    session: Session, transfer: Transfer, outcome: TransferOutcome, now: datetime
) -> bool:
    """It came to nothing: the customer goes back to the first operator. False: it was over."""
    if not _settle(session, transfer, outcome, now):
        return False
    transfer.wish, transfer.wished_at = TransferWish.BACK, now
    ask(session, transfer, "back", now)
    return True


def target_gone(
    session: Session, transfer: Transfer, outcome: TransferOutcome, *, now: datetime
) -> None:
    """The target's leg is over, by itself."""
    if transfer.settled_at is None:
        settle_back(session, transfer, outcome, now)
    _end_leg(session, transfer, now)


def call_ended(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """The customer's leg is over: whoever was asked or consulted is let go of."""
    for transfer in session.scalars(OF_CALL, {"of": attempt.id}).all():
        if transfer.settled_at is None and _settle(
            session, transfer, TransferOutcome.CUSTOMER_LEFT, now
        ):
            ask(session, transfer, "end", now)
        elif transfer.to_user_id is not None:
            _end_leg(session, transfer, now)
        elif transfer.state is S.CONNECTED:
            ask(session, transfer, "end", now)  # should it not have ended with the customer's


def _settle(session: Session, transfer: Transfer, outcome: TransferOutcome, now: datetime) -> bool:
    """Note the outcome once, and let go of a colleague who was kept."""
    session.flush()
    settled = session.scalar(
        update(Transfer)
        .where(Transfer.id == transfer.id, Transfer.settled_at.is_(None))
        .values(settled_at=now, outcome=outcome, wish=TransferWish.NONE)
        .returning(Transfer.id)
    )
    session.refresh(transfer)
    if settled is None:
        return False
    if transfer.to_user_id is not None:
        _release_colleague(session, transfer, now)
    if not is_outside(transfer):
        _end_leg(session, transfer, now)
    tell(session, transfer)
    return True


def _release_colleague(session: Session, transfer: Transfer, now: datetime) -> None:
    user_id = transfer.to_user_id or 0
    if transfer.answered_at is not None:
        session.execute(
            update(Operator)
            .where(Operator.user_id == user_id, Operator.attempt_id == transfer.attempt_id)
            .values(customer_id=None)
        )
    back = Move.WITHDRAW if transfer.was is OperatorState.READY else Move.NO_CALL
    operators.unlock(session, user_id=user_id, attempt_id=transfer.attempt_id, now=now, by=back)
    if not operators.has_live_leg(session, user_id=user_id):
        operators.move(session, user_id=user_id, by=Move.GO_AWAY, now=now)


def _end_leg(session: Session, transfer: Transfer, now: datetime) -> None:
    transfer.state = S.ENDED
    transfer.ended_at = transfer.ended_at or now
    session.flush()
    if is_outside(transfer):
        outside_legs.release(session, leg_uuid=transfer.uuid, now=now)
    tell(session, transfer)


def sweep(session: Session, *, ring: timedelta, settle: timedelta, now: datetime) -> None:
    """Bring back every customer whose transfer leads nowhere."""
    for transfer in overdue(session, ring=ring, settle=settle, now=now):
        rang = transfer.state is S.RINGING
        outcome = TransferOutcome.NO_ANSWER if rang else TransferOutcome.FAILED
        settle_back(session, transfer, outcome, now)


def ask(session: Session, transfer: Transfer, step: str, now: datetime) -> None:
    """Write the command for one step."""
    switch_commands.ask(
        session,
        kind=CommandKind.TRANSFER,
        node=transfer.node,
        attempt_id=transfer.attempt_id,
        user_id=transfer.from_user_id,
        args={"transfer": transfer.id, "step": step},
        now=now,
    )


def tell(session: Session, transfer: Transfer) -> None:
    """Have the pages of both sides drawn anew."""
    announce(session, "call", attempt_id=transfer.attempt_id, user_id=transfer.from_user_id)
    announce(session, "operator", user_id=transfer.from_user_id)
    if transfer.to_user_id is not None:
        announce(session, "operator", user_id=transfer.to_user_id)
    if transfer.kind is TransferKind.PARKED:
        attempt = session.get_one(Attempt, transfer.attempt_id)
        for one in transfer_colleagues.of(session, attempt=attempt, user_id=transfer.from_user_id):
            announce(session, "operator", user_id=one.user_id)
