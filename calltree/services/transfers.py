"""Handing a call on: 転送, 相談転送, 三者通話 (R-CL-4).

A row of `transfers` stands for the target's leg. A press writes what is wished and one command;
how far it is, the switch's events tell (`transfer_moves`). Until the target has the customer the
first operator keeps the call: whatever comes to nothing brings it back to them.

Who has the customer saves the result: with a colleague the call's one record goes along, after an
outside transfer it stays with who transferred.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    CallState,
    CustomerHold,
    LegState,
    Operator,
    Transfer,
    TransferKind,
    TransferOutcome,
    TransferWish,
    User,
)
from calltree.services import (
    gate,
    holds,
    operators,
    outside_legs,
    records,
    transfer_colleagues,
)
from calltree.services.manual_calls import normal
from calltree.services.operators import Move
from calltree.services.rights import Right, Viewer
from calltree.services.transfer_facts import (
    TALKS_TO,
    S,
    asked_of,
    may_be_asked,
    under_way,
)
from calltree.services.transfer_moves import ask, settle_back, tell


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


def _leave_own_customer(session: Session, user_id: int, now: datetime) -> None:
    """Leave whom the colleague had open: what they typed stays a draft."""
    held = session.scalars(
        select(CustomerHold.customer_id).where(CustomerHold.user_id == user_id)
    ).all()
    for customer_id in held:
        holds.release(session, customer_id=customer_id, user_id=user_id)
    records.close_record(session, user_id=user_id, now=now)


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
