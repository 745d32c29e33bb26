"""Handing a call on: 転送, 相談転送, 三者通話 (R-CL-4).

A row of `transfers` stands for the target's leg. A press writes what is wished and one command;
how far it is, the switch's events tell (`telephony.transferring`). Until the target has the
customer the first operator keeps the call: whatever comes to nothing brings it back to them.

Who has the customer saves the result: with a colleague the call's one record goes along, after an
outside transfer it stays with who transferred.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    CallState,
    CommandKind,
    CustomerHold,
    LegState,
    Operator,
    OperatorState,
    Transfer,
    TransferKind,
    TransferOutcome,
    TransferWish,
    User,
)
from calltree.services import (
    drafts,
    gate,
    holds,
    operators,
    outside_legs,
    records,
    switch_commands,
    transfer_colleagues,
)
from calltree.services.manual_calls import normal
from calltree.services.operators import Move
from calltree.services.rights import Right, Viewer
from calltree.services.transfer_facts import (
    OF_CALL,
    TALKS_TO,
    S,
    asked_of,
    is_outside,
    may_be_asked,
    overdue,
    under_way,
)

HANDED_ON = "転送"
"""Stands where a result does, before what the first operator had typed."""


# --- presses


def to_operator(
    session: Session,
    *,
    viewer: Viewer,
    user_id: int,
    kind: TransferKind,
    press_id: str | None,
    now: datetime,
) -> Transfer:
    """Ask a colleague to take the customer over; they are locked, the customer hears music.

    The same `press_id` gives the same row. Raises NotAllowed; Refused 'no_call', 'not_talking',
    'transfer_under_way', 'transfer_to_oneself', 'transfer_colleague_busy'.
    """
    known = _pressed_before(session, press_id)
    if known is not None:
        return known
    attempt = _mine(session, viewer)
    if user_id == viewer.user_id:
        raise Refused("transfer_to_oneself")
    target = session.get(Operator, user_id, populate_existing=True)
    user = session.get(User, user_id)
    if target is None or user is None or not may_be_asked(session, user=user, attempt=attempt):
        raise Refused("transfer_colleague_busy", name=user.name if user else "")
    if target.leg_state is not LegState.PARKED or target.leg_node != attempt.node:
        raise Refused("transfer_colleague_busy", name=user.name)
    was = target.state
    if not operators.lock(session, user_id=user_id, attempt_id=attempt.id, now=now, by=Move.OFFER):
        raise Refused("transfer_colleague_busy", name=user.name)
    return _begin(
        session, attempt, kind, press_id, now, to_user_id=user_id, was=was, uuid=target.leg_uuid
    )


def to_number(
    session: Session,
    *,
    viewer: Viewer,
    number: str,
    kind: TransferKind,
    press_id: str | None,
    now: datetime,
) -> Transfer:
    """Dial a number that is to take the customer over; it has a line of its own (R-CL-8).

    Raises NotAllowed; Refused 'no_call', 'not_talking', 'transfer_under_way', 'number_empty', and
    the gate's codes as `outside_legs.take` does.
    """
    if not viewer.may(Right.DIAL_MANUALLY):
        raise NotAllowed(Right.DIAL_MANUALLY)
    wanted = normal(number)
    if not wanted:
        raise Refused("number_empty", field="number")
    gate.take_turn(session)  # before the call is locked: the gate locks in this order
    known = _pressed_before(session, press_id)
    if known is not None:
        return known
    attempt = _mine(session, viewer)
    leg = str(uuid.uuid4())
    caller = outside_legs.take(session, attempt=attempt, number=wanted, leg_uuid=leg, now=now)
    return _begin(
        session, attempt, kind, press_id, now,
        number=wanted, uuid=leg, caller_number_id=caller.id,
    )  # fmt: skip


def to_anybody(
    session: Session, *, viewer: Viewer, press_id: str | None, now: datetime
) -> Transfer:
    """保留して残す: the customer hears music until somebody takes them, else they come back.

    Raises NotAllowed; Refused 'no_call', 'not_talking', 'transfer_under_way'.
    """
    known = _pressed_before(session, press_id)
    if known is not None:
        return known
    attempt = _mine(session, viewer)
    return _begin(session, attempt, TransferKind.PARKED, press_id, now, uuid="")


def take(session: Session, *, user_id: int, transfer_id: int, now: datetime) -> Transfer:
    """Take a parked customer; of two who press at once one has them.

    Raises NotFound; Refused 'transfer_gone'.
    """
    transfer, user = session.get(Transfer, transfer_id), session.get(User, user_id)
    attempt = session.get(Attempt, transfer.attempt_id) if transfer else None
    if not (transfer and user and attempt and may_be_asked(session, user=user, attempt=attempt)):
        raise NotFound(f"transfer {transfer_id}")
    if not transfer_colleagues.may_take(session, transfer=transfer, user_id=user_id):
        raise Refused("transfer_gone")
    target = session.get_one(Operator, user_id, populate_existing=True)
    was, leg = target.state, target.leg_uuid
    if not operators.lock(
        session, user_id=user_id, attempt_id=transfer.attempt_id, now=now, by=Move.OFFER
    ):
        raise Refused("transfer_gone")
    taken = session.scalar(
        update(Transfer)
        .where(
            Transfer.id == transfer_id,
            Transfer.kind == TransferKind.PARKED,
            Transfer.to_user_id.is_(None),
            Transfer.settled_at.is_(None),
        )
        .values(to_user_id=user_id, uuid=leg, was=was, state=S.ANSWERED, answered_at=now,
                wished_at=now)
        .returning(Transfer.id)
    )  # fmt: skip
    if taken is None:
        raise Refused("transfer_gone")
    return _goes_there(session, transfer, user_id, now)


def _pressed_before(session: Session, press_id: str | None) -> Transfer | None:
    if press_id is None:
        return None
    return session.scalar(select(Transfer).where(Transfer.press_id == press_id))


def _mine(session: Session, viewer: Viewer) -> Attempt:
    """The call that the viewer talks in and may hand on."""
    if not viewer.may(Right.DIAL):
        raise NotAllowed(Right.DIAL)
    attempt = session.scalar(
        select(Attempt)
        .where(Attempt.user_id == viewer.user_id, Attempt.ended_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if attempt is None:
        raise Refused("no_call")
    if attempt.state not in (CallState.TALKING, CallState.HELD):
        raise Refused("not_talking")
    if under_way(session, attempt_id=attempt.id) is not None:
        raise Refused("transfer_under_way")
    return attempt


def _begin(
    session: Session,
    attempt: Attempt,
    kind: TransferKind,
    press_id: str | None,
    now: datetime,
    **given: Any,
) -> Transfer:
    transfer = Transfer(
        attempt_id=attempt.id,
        press_id=press_id,
        kind=kind,
        from_user_id=attempt.user_id,
        node=attempt.node,
        began_at=now,
        **given,
    )
    session.add(transfer)
    session.flush()
    ask(session, transfer, "begin", now)
    tell(session, transfer)
    return transfer


def answer(session: Session, *, user_id: int, now: datetime) -> Transfer:
    """受ける: the colleague takes what they are asked for; their own customer is left.

    Raises Refused 'transfer_gone' when nobody asks any more.
    """
    transfer = _asked(session, user_id)
    taken = session.scalar(
        update(Transfer)
        .where(Transfer.id == transfer.id, Transfer.state == S.RINGING)
        .values(state=S.ANSWERED, answered_at=now, wish=TransferWish.NONE, wished_at=now)
        .returning(Transfer.id)
    )
    if taken is None:
        raise Refused("transfer_gone")
    return _goes_there(session, transfer, user_id, now)


def _goes_there(session: Session, transfer: Transfer, user_id: int, now: datetime) -> Transfer:
    """The colleague leaves their own customer for the call's, and is to be joined."""
    session.refresh(transfer)
    attempt = session.get_one(Attempt, transfer.attempt_id)
    _leave_own_customer(session, user_id, now)
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id)
        .values(customer_id=attempt.customer_id, queue_id=None, dial_at=None, chosen_number="",
                chosen_caller_id=None)
    )  # fmt: skip
    ask(session, transfer, "join", now)
    tell(session, transfer)
    return transfer


def refuse(session: Session, *, user_id: int, now: datetime) -> None:
    """断る: the customer goes back. Raises Refused 'transfer_gone'."""
    settle_back(session, _asked(session, user_id), TransferOutcome.REFUSED, now)


def _asked(session: Session, user_id: int) -> Transfer:
    transfer = asked_of(session, user_id=user_id)
    if transfer is None or transfer.state is not S.RINGING:
        raise Refused("transfer_gone")
    return transfer


def complete(session: Session, *, user_id: int, now: datetime) -> Transfer:
    """転送する, or 抜ける of three: the target has the customer from now on.

    Raises Refused 'transfer_gone', 'transfer_not_answered'.
    """
    transfer = _mine_under_way(session, user_id)
    if transfer.state not in TALKS_TO:
        raise Refused("transfer_not_answered")
    _wish(session, transfer, TransferWish.COMPLETE, "complete", now)
    return transfer


def three_way(session: Session, *, user_id: int, now: datetime) -> Transfer:
    """三者通話: the customer joins the two. Raises as `complete`."""
    transfer = _mine_under_way(session, user_id)
    if transfer.state is S.THREE_WAY:
        return transfer
    if transfer.state is not S.CONSULTING:
        raise Refused("transfer_not_answered")
    _wish(session, transfer, TransferWish.THREE_WAY, "three_way", now)
    return transfer


def take_back(session: Session, *, user_id: int, now: datetime) -> None:
    """戻る or 中止: the target is let go of, the customer comes back. Raises 'transfer_gone'."""
    settle_back(session, _mine_under_way(session, user_id), TransferOutcome.WITHDRAWN, now)


def leave(session: Session, *, user_id: int, now: datetime) -> None:
    """The colleague who was consulted goes again; the customer is the first operator's."""
    transfer = asked_of(session, user_id=user_id)
    if transfer is None:
        raise Refused("transfer_gone")
    settle_back(session, transfer, TransferOutcome.TARGET_LEFT, now)


def _mine_under_way(session: Session, user_id: int) -> Transfer:
    transfer = session.scalar(
        select(Transfer)
        .where(Transfer.from_user_id == user_id, Transfer.settled_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if transfer is None:
        raise Refused("transfer_gone")
    return transfer


def _wish(
    session: Session, transfer: Transfer, wish: TransferWish, step: str, now: datetime
) -> None:
    if transfer.wish is wish:
        return  # pressed twice
    transfer.wish, transfer.wished_at = wish, now
    ask(session, transfer, step, now)
    tell(session, transfer)


# --- what the ledger says of it


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


def _leave_own_customer(session: Session, user_id: int, now: datetime) -> None:
    """Leave whom the colleague had open: what they typed stays a draft."""
    held = session.scalars(
        select(CustomerHold.customer_id).where(CustomerHold.user_id == user_id)
    ).all()
    for customer_id in held:
        holds.release(session, customer_id=customer_id, user_id=user_id)
    records.close_record(session, user_id=user_id, now=now)


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
