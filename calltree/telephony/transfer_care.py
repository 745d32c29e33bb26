"""Transfers in reconcile: what the ledger believes of them against what the switch has."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models.calls import LIVE_STATES, TERMINAL_STATES, Attempt, Line, Operator
from calltree.models.transfers import Transfer, TransferKind, TransferOutcome, TransferState
from calltree.services import outside_legs, transfer_facts, transfer_moves
from calltree.telephony import joins, transferring
from calltree.telephony.acts import Act, Barge, CancelTimers, HangUp
from calltree.telephony.hand_on import live_leg

log = structlog.get_logger(__name__)

_JOINED = ("CS_EXCHANGE_MEDIA", "CS_SOFT_EXECUTE")


def open_targets(session: Session, *, node: str) -> list[str]:
    """Name the legs of outside targets that should be there."""
    query = select(Transfer.uuid).where(
        Transfer.node == node,
        Transfer.to_user_id.is_(None),
        Transfer.kind != TransferKind.PARKED,
        Transfer.ended_at.is_(None),
    )
    return list(session.scalars(query))


def mend(
    session: Session,
    uuid: str,
    dump: dict[str, str] | None,
    *,
    settle: timedelta,
    now: datetime,
) -> list[Act]:
    """Bring an outside target's row up to what its leg says."""
    transfer = transfer_facts.of_leg(session, leg_uuid=uuid)
    if transfer is None:
        return []
    attempt = session.get_one(Attempt, transfer.attempt_id)
    if dump is None:
        young = transfer.answered_at is None and now - transfer.began_at < settle
        return [] if young else transferring.gone(session, transfer, now=now)
    over = attempt.state not in LIVE_STATES
    given_up = transfer.settled_at and transfer.outcome is not TransferOutcome.TRANSFERRED
    if over or given_up:
        return [HangUp(transfer.node, uuid, answered=transfer.answered_at is not None)]
    if dump.get("Answer-State") == "answered":
        transfer_moves.answered(session, transfer, at=transfer.answered_at or now)
    if dump.get("Channel-State") in _JOINED:
        peer = dump.get("variable_signal_bond") or dump.get("variable_bridge_uuid") or ""
        return transferring.leg_joined(session, transfer, peer, now=now)
    if transfer.state is not TransferState.ANSWERED:
        return []
    return transferring.target_there(session, transfer, early=False)


def mend_customer(session: Session, attempt: Attempt, peer: str, *, now: datetime) -> list[Act]:
    """A customer who was on hold is joined with somebody: with a target of theirs?"""
    acts = transferring.customer_joined(session, attempt, peer, now=now)
    transfer = session.scalar(
        select(Transfer).where(
            Transfer.attempt_id == attempt.id, Transfer.uuid == peer, Transfer.ended_at.is_(None)
        )
    )
    if transfer is None:
        return []
    joins.joined(session, attempt, leg=peer, answered=True, at=now, now=now)
    return [*acts, CancelTimers(attempt.node, attempt.uuid)]


def is_one_of_three(session: Session, operator: Operator) -> bool:
    """Whether this operator's leg has to be in a three-way call."""
    return transferring.listens(session, operator) is not None


def mend_three(session: Session, operator: Operator) -> list[Act]:
    """A leg that should be in a three-way call and is not."""
    transfer = transferring.listens(session, operator)
    first = live_leg(session, operator.user_id)
    if transfer is None or not first:
        return []
    return [Barge(transfer.node, first, transfer.uuid)]


def tidy(session: Session, *, node: str, now: datetime) -> None:
    """Let go of what transfers that are over still hold; it should never find anything."""
    lost = (
        select(Line)
        .join(Transfer, Transfer.uuid == Line.uuid)
        .where(
            Line.kind == outside_legs.KIND,
            Line.released_at.is_(None),
            Transfer.ended_at.is_not(None),
            Transfer.node == node,
        )
    )
    for line in session.scalars(lost):
        log.error("line of a transfer that is over", attempt=line.attempt_id)
        line.released_at = now
    for attempt in session.scalars(
        select(Attempt)
        .join(Transfer, Transfer.attempt_id == Attempt.id)
        .where(
            Transfer.settled_at.is_(None),
            Transfer.node == node,
            Attempt.state.in_(TERMINAL_STATES),
        )
    ).all():
        log.error("transfer of a call that is over", attempt=attempt.id)
        transfer_moves.call_ended(session, attempt=attempt, now=now)
