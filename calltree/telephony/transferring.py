"""What was heard of a transfer's legs, written down (R-CL-4): the ledger asks here."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from calltree.models.calls import LIVE_STATES, Attempt, Operator
from calltree.models.transfers import (
    Transfer,
    TransferKind,
    TransferOutcome,
    TransferState,
    TransferWish,
)
from calltree.services import monitoring, transfer_facts, transfer_moves, transfers
from calltree.telephony import events
from calltree.telephony.acts import (
    Act,
    Barge,
    Bridge,
    CancelTimers,
    HangUp,
    LimitEarly,
    PlayRingback,
    SetMute,
    StopPlaying,
)
from calltree.telephony.hand_on import LONGEST_RING_S, live_leg, mute_ended

log = structlog.get_logger(__name__)

_OUTCOMES = {
    "USER_BUSY": TransferOutcome.BUSY,
    "NO_ANSWER": TransferOutcome.NO_ANSWER,
    "NO_USER_RESPONSE": TransferOutcome.NO_ANSWER,
    "CALL_REJECTED": TransferOutcome.REFUSED,
    "UNALLOCATED_NUMBER": TransferOutcome.NOT_IN_USE,
    "NUMBER_CHANGED": TransferOutcome.NOT_IN_USE,
    "INVALID_NUMBER_FORMAT": TransferOutcome.NOT_IN_USE,
}


def hear(session: Session, event: events.ChannelEvent, *, now: datetime) -> list[Act]:
    """Write down one event of an outside target's leg."""
    transfer = transfer_facts.of_leg(session, leg_uuid=event.unique_id)
    if transfer is None or transfer.to_user_id is not None:
        return []
    match event:
        case events.Progress():
            return _rings(session, transfer)
        case events.Parked():
            if event.answered:
                transfer_moves.answered(session, transfer, at=event.at)
            return target_there(session, transfer, early=not event.answered)
        case events.Answered():
            early = transfer.consulted_at is not None
            transfer_moves.answered(session, transfer, at=event.at)
            return [CancelTimers(transfer.node, transfer.uuid)] if early else []
        case events.Bridged(peer_id=peer):
            return leg_joined(session, transfer, peer, now=now)
        case events.HungUp():
            return _hung_up(session, transfer, event, now)
        case events.Destroyed():
            return gone(session, transfer, now=now)
    return []


def leg_joined(session: Session, transfer: Transfer, peer: str, *, now: datetime) -> list[Act]:
    """The target's leg was joined with another operator's: the first one's, or nobody's."""
    if transfer.settled_at is None and peer == live_leg(session, transfer.from_user_id):
        transfer_moves.consulted(session, transfer, now=now)
    return []


def job_failed(session: Session, leg_uuid: str, *, now: datetime) -> list[Act]:
    """No leg could be made for a target."""
    transfer = transfer_facts.of_leg(session, leg_uuid=leg_uuid)
    return [] if transfer is None else gone(session, transfer, now=now)


def gone(session: Session, transfer: Transfer, *, now: datetime) -> list[Act]:
    """A target's leg is not there, and never said how it ended."""
    talked = transfer.answered_at is not None
    outcome = TransferOutcome.TARGET_LEFT if talked else TransferOutcome.FAILED
    transfer_moves.target_gone(session, transfer, outcome, now=now)
    return []


def target_there(session: Session, transfer: Transfer, *, early: bool) -> list[Act]:
    """An outside target can be heard: join them with the first operator, or with the customer."""
    attempt = session.get_one(Attempt, transfer.attempt_id)
    if transfer.settled_at is not None or attempt.state not in LIVE_STATES:
        return [HangUp(transfer.node, transfer.uuid, answered=not early)]
    first = live_leg(session, transfer.from_user_id)
    if transfer.kind is TransferKind.ATTENDED and first:
        join: list[Act] = [Bridge(transfer.node, transfer.uuid, first)]
        limit = LimitEarly(transfer.node, transfer.uuid, LONGEST_RING_S)
        return [*join, limit] if early else join
    if early:
        return []
    return [Bridge(transfer.node, attempt.uuid, transfer.uuid, leaves=True)]


def customer_joined(session: Session, attempt: Attempt, leg: str, *, now: datetime) -> list[Act]:
    """The customer was joined with `leg`: is it a target's, who has them from now on?"""
    transfer = transfer_facts.under_way(session, attempt_id=attempt.id)
    if transfer is None or transfer.uuid != leg:
        return []
    first = live_leg(session, transfer.from_user_id)
    if transfer.wish is TransferWish.THREE_WAY:
        transfer_moves.three_talk(session, transfer, now=now)
        return [Barge(transfer.node, first, transfer.uuid)] if first else []
    if transfer.answered_at is None:
        transfer.answered_at = now
    monitoring.call_ended(session, attempt=attempt, now=now)
    muted = mute_ended(session, transfer.from_user_id)
    transfer_moves.hand_over(session, transfer, attempt, now=now)
    return [SetMute(transfer.node, first, muted=False)] if muted and first else []


def leg_lost(session: Session, operator: Operator, *, now: datetime) -> bool:
    """An operator's leg is gone. True: a transfer decides what becomes of their customer."""
    if operator.attempt_id is None:
        return False
    transfer = transfer_facts.under_way(session, attempt_id=operator.attempt_id)
    if transfer is None:
        return False
    if transfer.to_user_id == operator.user_id:
        transfer_moves.target_gone(session, transfer, TransferOutcome.TARGET_LEFT, now=now)
    elif transfer.state is TransferState.THREE_WAY or (
        transfer.state is TransferState.CONSULTING and transfer.to_user_id is not None
    ):
        # The colleague knows what it is about, and is there.
        transfers.complete(session, user_id=operator.user_id, now=now)
    return True


def listens(session: Session, operator: Operator) -> Transfer | None:
    """Give the three-way call that this operator's leg has to be in."""
    if operator.attempt_id is None:
        return None
    transfer = transfer_facts.under_way(session, attempt_id=operator.attempt_id)
    if transfer is None or transfer.from_user_id != operator.user_id:
        return None
    return transfer if transfer.state is TransferState.THREE_WAY else None


def _rings(session: Session, transfer: Transfer) -> list[Act]:
    """The carrier sends no tone: the first operator hears ours while they wait to talk."""
    first = live_leg(session, transfer.from_user_id)
    if transfer.kind is TransferKind.BLIND or not first or transfer.settled_at is not None:
        return []
    return [PlayRingback(transfer.node, first)]


def _hung_up(
    session: Session, transfer: Transfer, event: events.HungUp, now: datetime
) -> list[Act]:
    transfer.hangup_cause, transfer.sip_status = event.cause, event.sip_status
    transfer.talk_ms = event.bill_ms
    rang = transfer.answered_at is None and event.answered_at is None
    outcome = TransferOutcome.TARGET_LEFT
    if rang:
        outcome = _OUTCOMES.get(event.cause, TransferOutcome.FAILED)
    waits = transfer.settled_at is None and transfer.kind is TransferKind.ATTENDED
    transfer_moves.target_gone(session, transfer, outcome, now=now)
    first = live_leg(session, transfer.from_user_id)
    return [StopPlaying(transfer.node, first)] if rang and waits and first else []
