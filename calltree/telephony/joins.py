"""A call moves by the state table, customer and operator are joined: written down, and asked."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models.calls import LIVE_STATES, Attempt, CallState, LegState, Operator, Origin
from calltree.services import campaign_answers, effects, operators, recordings
from calltree.telephony.acts import Act, Join
from calltree.telephony.calls import Heard, next_state
from calltree.telephony.inbound import callers

log = structlog.get_logger(__name__)


def customer_joins(session: Session, attempt: Attempt) -> list[Act]:
    """Give the act that joins an unjoined customer with their operator, or nothing."""
    automatic = attempt.campaign_id is not None or attempt.origin is Origin.INBOUND
    if attempt.user_id is None and automatic:
        return []  # they wait for whoever becomes free first
    operator = session.get(Operator, attempt.user_id) if attempt.user_id else None
    if operator is None or operator.attempt_id != attempt.id:
        log.warning("customer without an operator", attempt=attempt.id, state=attempt.state)
        return []
    if operator.leg_state not in operators.LIVE_LEGS or operator.leg_node != attempt.node:
        log.warning("customer waits for the operator's leg", attempt=attempt.id)
        return []
    running = effects.recording_of(session, attempt_id=attempt.id)
    name = "" if running else recordings.raw_name(attempt)
    return [Join(attempt.node, attempt.id, attempt.uuid, operator.leg_uuid, name)]


def step(session: Session, attempt: Attempt, heard: Heard, event_name: str) -> bool:
    """Move the call by the table; what does not fit is logged and changes nothing."""
    target = next_state(attempt.state, heard)
    if target is None:
        log.info(
            "event ignored", attempt=attempt.id, state=attempt.state, heard=heard, name=event_name
        )
        return False
    attempt.state = target
    announce(session, "call", attempt_id=attempt.id, user_id=attempt.user_id)
    return True


def joined(
    session: Session, attempt: Attempt, *, leg: str, answered: bool, at: datetime, now: datetime
) -> None:
    """Note that the customer is joined with the operator's leg `leg`."""
    if attempt.state not in LIVE_STATES:
        return
    answered = answered or attempt.answered_at is not None
    first = attempt.joined_at is None
    inbound = attempt.origin is Origin.INBOUND
    if first and (inbound or attempt.campaign_id is not None):
        campaign_answers.found_with(session, attempt=attempt, leg=leg, now=now)
    attempt.joined_at = attempt.joined_at or at
    attempt.held_since = None
    if answered:
        attempt.answered_at = attempt.answered_at or at
    step(session, attempt, Heard.JOINED if answered else Heard.JOINED_EARLY, "CHANNEL_BRIDGE")
    if attempt.user_id is not None:
        operators.leg_moved(session, user_id=attempt.user_id, uuid=leg, to=LegState.JOINED, now=now)
    _operator_talks(session, attempt, now)
    if first and inbound:
        callers.joined(session, attempt, now=now)
    elif first and attempt.campaign_id is not None:
        campaign_answers.connected(session, attempt=attempt, now=now)


def note_answer(session: Session, attempt: Attempt, at: datetime, now: datetime) -> None:
    """Note that the customer answered at `at`, unless it is known already."""
    if attempt.state not in LIVE_STATES:
        return
    attempt.answered_at = attempt.answered_at or at
    if attempt.state in (CallState.DIALLING, CallState.RINGING, CallState.EARLY):
        is_joined = attempt.joined_at is not None
        step(
            session,
            attempt,
            Heard.ANSWERED_JOINED if is_joined else Heard.ANSWERED,
            "CHANNEL_ANSWER",
        )
        _operator_talks(session, attempt, now)


def answered_joins(session: Session, attempt: Attempt, now: datetime) -> list[Act]:
    """Join who answered a campaign's dial with the operator longest idle, if anybody is free."""
    if campaign_answers.assign(session, attempt=attempt, now=now) is None:
        return []
    return customer_joins(session, attempt)


def _operator_talks(session: Session, attempt: Attempt, now: datetime) -> None:
    if attempt.state is CallState.TALKING and attempt.user_id is not None:
        operators.move(session, user_id=attempt.user_id, by=operators.Move.JOIN, now=now)
