"""What was heard, written down: one event changes call, operator, record and recording in one
transaction, and says what is to be done about it afterwards.

An event may come twice (its id is kept), late or out of order (the state table and the sequence of
joins decide): what does not fit is logged and ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from calltree.models.calls import (
    LIVE_STATES,
    Attempt,
    AttemptEvent,
    CallState,
    LegState,
    Operator,
    Origin,
)
from calltree.models.campaigns import Campaign
from calltree.models.projects import Project
from calltree.services import (
    campaign_answers,
    monitoring,
    operators,
    records,
    transfer_facts,
)
from calltree.services.outcomes import NO_CHANNEL_CAUSES
from calltree.telephony import endings, events, joins, transferring
from calltree.telephony.acts import (
    Act,
    CancelTimers,
    HangUp,
    LimitEarly,
    Look,
    PlayRingback,
    SetMute,
    StopPlaying,
)
from calltree.telephony.calls import Heard
from calltree.telephony.inbound import callers

log = structlog.get_logger(__name__)

DEFAULT_RING_S = 30
FIRST_OF_ANSWERED = "sleep"
"""The application with which the dialplan takes who answered a campaign's dial."""
AGENTS_CONTEXT = "agents"
"""Where the dialplan takes what an operator's page calls."""

# Built once: every event asks these two.
_BY_UUID = select(Attempt).where(Attempt.uuid == bindparam("of"))
_BY_LEG = select(Operator).where(Operator.leg_uuid == bindparam("of"))
_NOTED = {
    # RETURNING, not a count of rows: psycopg's is -1 after an INSERT, which is true as well.
    "sqlite": sqlite_insert(AttemptEvent).on_conflict_do_nothing().returning(AttemptEvent.event_id),
    "postgresql": postgres_insert(AttemptEvent)
    .on_conflict_do_nothing()
    .returning(AttemptEvent.event_id),
}


@dataclass(frozen=True, slots=True)
class _Case:
    """One event of a customer's leg being written down."""

    session: Session
    attempt: Attempt
    event: Any
    now: datetime


def hear(
    session: Session, event: events.SwitchEvent, *, node: str, epoch: int, now: datetime
) -> list[Act]:
    """Write one event down; give what is to be done after the commit.

    Events of legs that are neither a customer's nor an operator's of ours give nothing.
    """
    if isinstance(event, events.JobDone):
        return _job_done(session, event, node, now)
    handler = _CUSTOMER.get(type(event))
    if handler is None or not isinstance(event, events.ChannelEvent):
        return []
    attempt = _attempt(session, event)
    if attempt is None and event.transfer_id is not None:
        return transferring.hear(session, event, now=now)
    if attempt is None and callers.is_arrival(event):
        return callers.arrived(
            session,
            channel=event.unique_id,
            number=event.destination_number,
            caller=event.caller_number,
            node=node,
            epoch=epoch,
            now=now,
        )
    if attempt is None:
        return _operator_leg(session, event, node, now)
    if isinstance(event, events.Destroyed) and attempt.state not in LIVE_STATES:
        return []  # nearly always: its HANGUP_COMPLETE told everything
    if not _first_time(session, event, attempt):
        return []
    attempt.epoch = epoch
    if attempt.state is CallState.DIALLING and not isinstance(event, events.HungUp):
        records.open_for_attempt(session, attempt=attempt, now=now)
    acts = handler(_Case(session, attempt, event, now))
    wanted_over = attempt.state in LIVE_STATES and attempt.ended_by == "operator"
    if wanted_over and isinstance(event, _COMING_UP):
        # 切断 was pressed, and what should have ended the leg came too early for it.
        return [HangUp(attempt.node, attempt.uuid, answered=attempt.answered_at is not None)]
    return acts


def is_news(event: events.SwitchEvent) -> bool:
    """Answer whether `hear` has any use for it; what has none need not wait for the database."""
    if isinstance(event, events.JobDone):
        return not event.ok  # +OK of an originate does not even mean ringing
    if isinstance(event, events.Executed):
        return event.application == FIRST_OF_ANSWERED
    return type(event) in _CUSTOMER


def can_wait(event: events.SwitchEvent) -> bool:
    """Answer whether nobody stands in silence until this is written down."""
    return isinstance(event, _PATIENT) and not callers.is_arrival(event)


def leg_lost(session: Session, operator: Operator, *, now: datetime) -> None:
    """Note that an operator's leg is gone; their customer is kept for another one."""
    monitoring.leg_left(session, leg_uuid=operator.leg_uuid, now=now)
    operators.leg_moved(
        session, user_id=operator.user_id, uuid=operator.leg_uuid, to=LegState.LOST, now=now
    )
    if transferring.leg_lost(session, operator, now=now):
        return
    attempt = session.get(Attempt, operator.attempt_id) if operator.attempt_id else None
    if attempt is not None and attempt.state is CallState.TALKING:
        joins.step(session, attempt, Heard.LEG_LOST, "leg lost")
    elif attempt is not None and attempt.campaign_id is not None:
        campaign_answers.unassign(session, attempt=attempt, now=now)


def leg_parked(session: Session, operator: Operator, *, now: datetime) -> list[Act]:
    """Note that an operator's leg is alive and unjoined; a customer who waits for it is joined.

    PARK of this leg means no more than that: it parks during hold and at a call's end too.
    """
    monitoring.leg_left(session, leg_uuid=operator.leg_uuid, now=now)
    operators.leg_moved(
        session, user_id=operator.user_id, uuid=operator.leg_uuid, to=LegState.PARKED, now=now
    )
    attempt = session.get(Attempt, operator.attempt_id) if operator.attempt_id else None
    if attempt is None:
        return []
    session.refresh(operator)
    waits = attempt.state is CallState.ANSWERED or (
        attempt.state is CallState.EARLY and attempt.joined_at is None
    )
    # Muted before a reload is muted after it: this leg is another one and knows nothing of it.
    muted: list[Act] = (
        [SetMute(operator.leg_node, operator.leg_uuid, muted=True)] if operator.muted else []
    )
    return [*muted, *joins.customer_joins(session, attempt)] if waits else []


def leg_begun(session: Session, *, user_id: int, uuid: str, node: str, now: datetime) -> list[Act]:
    """Take a leg that a page made for its operator's own; a leg nobody may have is ended.

    The operator's leg of before, if any, is ended: a second page or a reload has come instead.
    The customer whom it was joined with is kept until the new one parks.
    """
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is None or not operators.may_bring_leg(operator):
        log.warning("leg of nobody who works", user=user_id, channel=uuid)
        return [HangUp(node, uuid, answered=True)]
    acts: list[Act] = []
    if operator.leg_state not in (LegState.NONE, LegState.LOST):
        acts.append(HangUp(operator.leg_node, operator.leg_uuid, answered=True))
        leg_lost(session, operator, now=now)
    operators.connect_leg(session, user_id=user_id, uuid=uuid, node=node, now=now)
    return acts


def mute_ends(session: Session, attempt: Attempt) -> list[Act]:
    """End a mute with its call.

    The switch mutes the leg, not the call: the next customer would hear nothing.
    """
    operator = session.get(Operator, attempt.user_id) if attempt.user_id else None
    if operator is None or not operator.muted:
        return []
    operators.set_muted(session, user_id=operator.user_id, muted=False)
    return [SetMute(attempt.node, operator.leg_uuid, muted=False)] if operator.leg_uuid else []


def ring_time_s(session: Session, attempt: Attempt) -> int:
    """Give how long this call may ring: as its project says, a campaign's no shorter than that."""
    project = session.get(Project, attempt.project_id) if attempt.project_id else None
    campaign = session.get(Campaign, attempt.campaign_id) if attempt.campaign_id else None
    least = campaign.minimum_ring_s if campaign else 0
    return max(least, project.ring_time_s if project else DEFAULT_RING_S)


# --- the customer's leg


def _created(_case: _Case) -> list[Act]:
    return []  # the dial has left: it has its record now


def _rings(case: _Case) -> list[Act]:
    case.attempt.ringing_at = case.attempt.ringing_at or case.event.at
    if not joins.step(case.session, case.attempt, Heard.RINGS, "CHANNEL_PROGRESS"):
        return []
    operator = case.session.get(Operator, case.attempt.user_id) if case.attempt.user_id else None
    if operator is None or operator.leg_state not in operators.LIVE_LEGS:
        return []
    return [PlayRingback(case.attempt.node, operator.leg_uuid)]


def _sound(case: _Case) -> list[Act]:
    case.attempt.ringing_at = case.attempt.ringing_at or case.event.at
    joins.step(case.session, case.attempt, Heard.SOUND, "CHANNEL_PROGRESS_MEDIA")
    return []


def _parked(case: _Case) -> list[Act]:
    if case.attempt.state not in LIVE_STATES or case.attempt.joined_at is not None:
        return []  # only a call that was never joined is joined by its PARK
    acts: list[Act] = []
    if case.event.answered:
        joins.note_answer(case.session, case.attempt, case.event.at, case.now)
    else:
        joins.step(case.session, case.attempt, Heard.SOUND, "CHANNEL_PARK")
        acts.append(
            LimitEarly(
                case.attempt.node, case.attempt.uuid, ring_time_s(case.session, case.attempt)
            )
        )
    return [*joins.customer_joins(case.session, case.attempt), *acts]


def _answered(case: _Case) -> list[Act]:
    was_early = case.attempt.state is CallState.EARLY
    joins.note_answer(case.session, case.attempt, case.event.at, case.now)
    if case.attempt.campaign_id is not None:
        campaign_answers.assign(case.session, attempt=case.attempt, now=case.now)
    return [CancelTimers(case.attempt.node, case.attempt.uuid)] if was_early else []


def _executed(case: _Case) -> list[Act]:
    """The leg has left its originate: from now on it can be joined without losing it."""
    if case.attempt.campaign_id is None or case.attempt.joined_at is not None:
        return []
    if case.event.answered:
        joins.note_answer(case.session, case.attempt, case.event.at, case.now)
    return joins.answered_joins(case.session, case.attempt, case.now)


def _bridged(case: _Case) -> list[Act]:
    if not _newest_join(case.attempt, case.event):
        return []
    # The orphanage's end is a timer of the leg, and a bridge does not end it: it would take the
    # customer out of the call again. A caller has the time-out of the step they were in.
    taken_back = case.attempt.joined_at is not None and case.attempt.answered_at is not None
    taken_back = taken_back or case.attempt.origin is Origin.INBOUND
    acts: list[Act] = []
    if case.attempt.held_since is not None:  # whom a transfer joins heard music before
        acts += transferring.customer_joined(
            case.session, case.attempt, case.event.peer_id, now=case.now
        )
    joins.joined(
        case.session,
        case.attempt,
        leg=case.event.peer_id,
        answered=case.event.answered,
        at=case.event.at,
        now=case.now,
    )
    if taken_back:
        acts.append(CancelTimers(case.attempt.node, case.attempt.uuid))
    return acts


def _unbridged(case: _Case) -> list[Act]:
    # A hang-up unbridges too, a moment before its HANGUP_COMPLETE: only our own 保留 counts here.
    if _newest_join(case.attempt, case.event) and case.attempt.held_since is not None:
        joins.step(case.session, case.attempt, Heard.HELD, "CHANNEL_UNBRIDGE")
    return []


def _newest_join(attempt: Attempt, event: events.ChannelEvent) -> bool:
    """Joins and partings are alike and repeat, so only their order tells which one holds."""
    if event.sequence <= attempt.seen_sequence:
        log.info("event ignored", attempt=attempt.id, state=attempt.state, why="late")
        return False
    attempt.seen_sequence = event.sequence
    return True


def _recording_started(case: _Case) -> list[Act]:
    endings.recording_begun(case.session, case.attempt, case.event.at)
    return []


def _recording_stopped(case: _Case) -> list[Act]:
    recording = endings.recording_begun(case.session, case.attempt, case.event.at)
    endings.recording_stopped(
        case.session, recording, length_ms=case.event.record_ms or 0, now=case.now
    )
    return []


def _hung_up(case: _Case) -> list[Act]:
    was_ringing = case.attempt.joined_at is None and case.attempt.ringing_at is not None
    if case.attempt.state not in LIVE_STATES:
        # The call was closed by inference; what the switch knows better is kept.
        case.attempt.hangup_cause = case.event.cause
        case.attempt.talk_ms = case.event.bill_ms or case.attempt.talk_ms
        return []
    endings.hung_up(case.session, case.attempt, case.event, now=case.now)
    operator = case.session.get(Operator, case.attempt.user_id) if case.attempt.user_id else None
    if operator is None or not operator.leg_uuid:
        return []
    acts = mute_ends(case.session, case.attempt)
    if was_ringing:
        acts.append(StopPlaying(case.attempt.node, operator.leg_uuid))
    return acts


def _destroyed(case: _Case) -> list[Act]:
    # The leg of a dead gateway tells no more than this; its job does. Ask when neither came.
    return [Look(case.attempt.node, case.attempt.id)] if case.attempt.state in LIVE_STATES else []


_CUSTOMER: dict[type, Callable[[_Case], list[Act]]] = {
    events.ChannelCreated: _created,
    events.Progress: _rings,
    events.EarlyMedia: _sound,
    events.Parked: _parked,
    events.Answered: _answered,
    events.Executed: _executed,
    events.Bridged: _bridged,
    events.Unbridged: _unbridged,
    events.RecordStarted: _recording_started,
    events.RecordStopped: _recording_stopped,
    events.HungUp: _hung_up,
    events.Destroyed: _destroyed,
}


_PATIENT = (
    events.ChannelCreated,
    events.RecordStarted,
    events.RecordStopped,
    events.HungUp,
    events.Destroyed,
    events.JobDone,
)
_COMING_UP = (
    events.Progress,
    events.EarlyMedia,
    events.Parked,
    events.Answered,
    events.Bridged,
)


# --- the operator's leg and the jobs


def _operator_leg(
    session: Session, event: events.ChannelEvent, node: str, now: datetime
) -> list[Act]:
    if isinstance(event, events.Answered):
        # It is answered once and parks often: an old leg's PARK must not make it the new one.
        ours = event.context == AGENTS_CONTEXT and event.direction == "inbound"
        if not ours or event.user_id is None:
            return []
        return leg_begun(session, user_id=event.user_id, uuid=event.unique_id, node=node, now=now)
    if isinstance(event, events.Bridged):
        return _operators_joined(session, event, now)
    if not isinstance(event, events.Parked | events.HungUp | events.Destroyed):
        return []
    operator = session.scalar(_BY_LEG, {"of": event.unique_id})
    if operator is None:
        callers.leg_ended(session, event, now=now)
        return []
    if isinstance(event, events.Parked):
        return leg_parked(session, operator, now=now)
    leg_lost(session, operator, now=now)
    return []


def _operators_joined(session: Session, event: events.Bridged, now: datetime) -> list[Act]:
    """Two operators' legs: one consults the other about a customer who hears music."""
    transfer = transfer_facts.of_leg(session, leg_uuid=event.unique_id)
    if transfer is None:
        return []
    return transferring.leg_joined(session, transfer, event.peer_id, now=now)


def _job_done(session: Session, event: events.JobDone, node: str, now: datetime) -> list[Act]:
    """The result of an originate. We name each job after the leg it makes."""
    if event.ok:
        return []
    attempt = session.scalar(_BY_UUID, {"of": event.job_uuid})
    if attempt is None:
        operator = session.scalar(_BY_LEG, {"of": event.job_uuid})
        if operator is not None:
            leg_lost(session, operator, now=now)
            return []
        return transferring.job_failed(session, event.job_uuid, now=now)
    if attempt.state not in LIVE_STATES:
        return []
    if event.text in NO_CHANNEL_CAUSES:
        endings.no_channel(session, attempt, cause=event.text, at=event.at)
        return []
    return [Look(node, attempt.id)]  # its HANGUP_COMPLETE is on the way, or was lost


def _attempt(session: Session, event: events.ChannelEvent) -> Attempt | None:
    """The call whose customer's leg this is; the variable alone could be another leg's copy."""
    return session.scalar(_BY_UUID, {"of": event.unique_id})


def _first_time(session: Session, event: events.SwitchEvent, attempt: Attempt) -> bool:
    connection = session.connection()
    noted = connection.scalar(
        _NOTED[connection.dialect.name],
        {
            "event_id": event.event_id,
            "attempt_id": attempt.id,
            "name": type(event).__name__,
            "at": event.at,
        },
    )
    if noted is None:
        log.info("event ignored", attempt=attempt.id, why="repeated")
    return noted is not None
