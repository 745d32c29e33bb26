"""How a call ends in the ledger: one function for every path that ends one."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import bindparam, case, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models.calls import LIVE_STATES, Attempt, CallState, Line, Origin
from calltree.models.recordings import PauseEnd, Recording, RecordingState
from calltree.services import (
    campaign_answers,
    effects,
    inbound_walk,
    monitoring,
    operators,
    outbox,
    outcomes,
    recording_pauses,
    recordings,
    records,
    redialling,
    transfer_moves,
    trunk_health,
)
from calltree.services.outcomes import Outcome
from calltree.telephony import failover
from calltree.telephony.calls import Heard, next_state
from calltree.telephony.events import HungUp

log = structlog.get_logger(__name__)

_AUTOMATIC = (Origin.PREDICTIVE, Origin.PROGRESSIVE)
_WITHOUT_RESULT = (Origin.MANUAL, Origin.TEST)
_ENDED_BY = {"recv_bye": "customer", "recv_refuse": "carrier", "recv_cancel": "customer"}

# Built once: every call ends.
_CLAIM = (
    update(Attempt)
    .where(Attempt.id == bindparam("of"), Attempt.state.in_(LIVE_STATES))
    .values(
        state=bindparam("to"),
        ended_at=bindparam("at"),
        held_since=None,
        ended_by=case((Attempt.ended_by == "", bindparam("by")), else_=Attempt.ended_by),
    )
    .returning(Attempt)
    .execution_options(synchronize_session=False, populate_existing=True)
)
_FREE_LINE = (
    update(Line)
    .where(Line.uuid == bindparam("leg"), Line.released_at.is_(None))
    .values(released_at=bindparam("at"))
)


def hung_up(session: Session, attempt: Attempt, event: HungUp, *, now: datetime) -> bool:
    """End a call by what its CHANNEL_HANGUP_COMPLETE told."""
    attempt.hangup_cause = event.cause
    attempt.sip_status = event.sip_status
    attempt.q850 = event.q850
    attempt.disposition = event.disposition
    attempt.talk_ms = event.bill_ms
    if event.answered_at and attempt.answered_at is None:
        attempt.answered_at = event.answered_at
    if failover.next_trunk(session, attempt, outcome_of(attempt), now=now):
        return False
    by = _ENDED_BY.get(event.disposition, "system" if event.disposition else "carrier")
    return end(session, attempt, at=event.at, by=by, now=now)


def no_channel(session: Session, attempt: Attempt, *, cause: str, at: datetime) -> bool:
    """End a call for which the switch could make no leg, unless another trunk takes it."""
    attempt.hangup_cause = cause
    if failover.next_trunk(session, attempt, outcome_of(attempt), now=at):
        return False
    return end(session, attempt, at=at, by="carrier", now=at)


def lost(session: Session, attempt: Attempt, *, now: datetime, cause: str = "") -> bool:
    """End a call whose channel is gone without having told how; close it with what is known.

    The talk is counted up to now at most: a moment too long is the smaller lie, and the log says
    that it was guessed.
    """
    if cause:
        attempt.hangup_cause = cause
    if attempt.answered_at is not None and attempt.talk_ms == 0:
        attempt.talk_ms = max(int((now - attempt.answered_at).total_seconds() * 1000), 0)
    log.warning("call closed with what is known", attempt=attempt.id, state=attempt.state)
    return end(session, attempt, at=now, by="system", now=now)


def not_sent(session: Session, attempt: Attempt, *, reason: str, now: datetime) -> bool:
    """End a call that never left for the network: its line is free, no record is made.

    False, and nothing changed, when it left in this moment: `attempt` may have been read before.
    """
    session.flush()
    session.refresh(attempt, with_for_update=True)
    if attempt.state is not CallState.QUEUED:
        return False
    attempt.hangup_cause = reason
    return end(session, attempt, at=now, by="system", now=now, outcome=outcomes.NOT_SENT)


def expire_queued(session: Session, *, older_than: datetime, now: datetime) -> list[int]:
    """End every call that waited too long to be dialled; give their ids."""
    stale = session.scalars(
        select(Attempt).where(
            Attempt.state == CallState.QUEUED,
            Attempt.ended_at.is_(None),
            Attempt.created_at < older_than,
        )
    ).all()
    return [a.id for a in stale if not_sent(session, a, reason="QUEUED_TOO_LONG", now=now)]


def outcome_of(attempt: Attempt) -> Outcome:
    """Judge a call by what its row knows."""
    if attempt.origin is Origin.INBOUND:
        return outcomes.MISSED if attempt.joined_at is None else outcomes.TALKED
    joined = attempt.joined_at is not None or attempt.origin not in _AUTOMATIC
    return outcomes.judge(
        cause=attempt.hangup_cause,
        sip_status=attempt.sip_status,
        answered=attempt.answered_at is not None or attempt.talk_ms > 0,
        ours_joined=joined,
        q850=attempt.q850,
        rang=attempt.ringing_at is not None,
    )


def end(
    session: Session,
    attempt: Attempt,
    *,
    at: datetime,
    by: str,
    now: datetime,
    outcome: Outcome | None = None,
) -> bool:
    """Move to the terminal state and let go of everything the call held.

    The state is set by compare-and-set: of two who end a call at once, one does it. False, and
    nothing changed, when it had ended before. Line, operator, record and recording follow in the
    same transaction; 後処理 opens whatever ended the call, except where no result is needed.
    """
    outcome = outcome or outcome_of(attempt)
    target = next_state(attempt.state, _heard(outcome))
    if target is None:
        return False
    session.flush()
    # The row as it is by now, whoever changed it meanwhile.
    if session.scalar(_CLAIM, {"of": attempt.id, "to": target, "at": at, "by": by}) is None:
        session.refresh(attempt)
        return False
    _release_line(session, attempt, now)
    recordings.call_ended(session, attempt=attempt, now=now)
    trunk_health.call_ended(session, attempt=attempt, outcome=outcome, now=now)
    if attempt.dialled_at is not None or attempt.origin is Origin.INBOUND:
        records.call_ended(session, attempt=attempt, outcome=outcome, now=now)
    redialling.call_ended(session, attempt=attempt, outcome=outcome, now=now)
    if attempt.campaign_id is not None:
        campaign_answers.let_go(session, attempt=attempt, now=now)
    elif attempt.origin is Origin.INBOUND:
        _inbound_ended(session, attempt, now)
    elif attempt.user_id is not None:
        needs_result = (
            attempt.dialled_at is not None
            and not outcome.line_error
            and attempt.origin not in _WITHOUT_RESULT
        )
        move = operators.Move.END_CALL if needs_result else operators.Move.NO_CALL
        operators.unlock(session, user_id=attempt.user_id, attempt_id=attempt.id, now=now, by=move)
    monitoring.call_ended(session, attempt=attempt, now=now)
    transfer_moves.call_ended(session, attempt=attempt, now=now)
    recording_pauses.end(session, attempt=attempt, by=PauseEnd.CALL, now=now)
    outbox.call_ended(session, attempt=attempt, now=now)
    announce(session, "call", attempt_id=attempt.id, user_id=attempt.user_id)
    log.info(
        "call ended",
        attempt=attempt.id,
        state=attempt.state,
        cause=attempt.hangup_cause,
        by=attempt.ended_by,
        talk_ms=attempt.talk_ms,
    )
    return True


def _inbound_ended(session: Session, attempt: Attempt, now: datetime) -> None:
    """Whoever talked with the caller goes to 後処理; who was to answer waits again."""
    said = effects.recording_of(session, attempt_id=attempt.id)
    inbound_walk.call_ended(
        session, attempt=attempt, message_ms=said.length_ms if said else 0, now=now
    )
    if attempt.user_id is not None:
        joined = attempt.joined_at is not None
        move = operators.Move.END_CALL if joined else operators.Move.WITHDRAW
        operators.unlock(session, user_id=attempt.user_id, attempt_id=attempt.id, now=now, by=move)


def _heard(outcome: Outcome) -> Heard:
    if outcome.abandoned:
        return Heard.ABANDONED
    return Heard.FAILED if outcome.line_error else Heard.ENDED


def _release_line(session: Session, attempt: Attempt, now: datetime) -> None:
    session.connection().execute(_FREE_LINE, {"leg": attempt.uuid, "at": now})
    announce(session, "lines")


def recording_begun(session: Session, attempt: Attempt, at: datetime) -> Recording:
    """Give the row of what is recorded of a call, made when there is none."""
    found = effects.recording_of(session, attempt_id=attempt.id)
    if found is None:
        record = records.of_attempt(session, attempt_id=attempt.id)
        found = Recording(
            attempt_id=attempt.id,
            record_id=record.id if record else None,
            node=attempt.node,
            raw_name=recordings.raw_name(attempt),
            started_at=at,
        )
        session.add(found)
        session.flush()
    return found


def recording_stopped(
    session: Session, recording: Recording, *, length_ms: int, now: datetime
) -> None:
    """Note that the file is complete; once its call is over it is checked and encoded."""
    if recording.state is RecordingState.RECORDING:
        recording.state = RecordingState.STOPPED
        recording.stopped_at = now
        session.flush()
        # RECORD_STOP comes a moment before the end, whose talk time the check needs.
        if session.get_one(Attempt, recording.attempt_id).ended_at is not None:
            recordings.ring_finish(session, recording.id)
    recording.length_ms = length_ms or recording.length_ms
    announce(session, "recording", recording_id=recording.id, attempt_id=recording.attempt_id)
