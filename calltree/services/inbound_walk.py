"""How a call that came in goes through its plan: its arrival, each step's end, its own end.

Everything here is called by the leader alone, inside its own write transactions. What the caller
should hear is said by the row; whoever carries it out compares `serial` with what was carried.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime, timedelta

import structlog
from sqlalchemy import and_, bindparam, exists, func, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import Refused
from calltree.models import (
    LIVE_STATES,
    Attempt,
    CallerNumber,
    CallState,
    InboundAction,
    InboundCall,
    InboundOutcome,
    InboundRoute,
    Line,
    Origin,
    Project,
    ProjectNumber,
    ProjectState,
    Site,
)
from calltree.services import (
    gate,
    inbound_calls,
    inbound_facts,
    inbound_queue,
    inbound_team,
    inbound_words,
    operators,
    outside_legs,
    records,
)
from calltree.services.inbound_rules import Plan, Step
from calltree.services.operators import Move

log = structlog.get_logger(__name__)

FORWARD_GRACE_S = 5
"""So much longer than it may ring, the switch has time to say that nobody answered."""
JOIN_S = 4
"""So long after the press the caller and the operator hear each other, or the next one is asked.

Who joins them may die between the answer and the bridge, and then the caller hears nothing at all.
"""
ENDS_BY_ITSELF = (InboundAction.GUIDANCE, InboundAction.VOICEMAIL, InboundAction.REFUSE)

# Built once: every caller waits for it.
_NEWEST = (
    select(func.max(Project.id))
    .where(Project.state == ProjectState.RUNNING)
    .correlate(CallerNumber)
)
_PROJECT = func.coalesce(
    _NEWEST.join(ProjectNumber, ProjectNumber.project_id == Project.id)
    .where(
        ProjectNumber.caller_number_id == CallerNumber.id,
        Project.main_number_id != CallerNumber.id,
    )
    .scalar_subquery(),
    _NEWEST.where(Project.main_number_id == CallerNumber.id).scalar_subquery(),
)
"""The project whose number was called. No ORDER BY: SQLite finds no outer column in one."""
_AROUND = (
    select(
        exists().where(Attempt.uuid == bindparam("channel")).label("known"),
        CallerNumber.id.label("number_id"),
        InboundRoute.group_id,
        _PROJECT.label("project_id"),
    )
    .select_from(Site)
    .outerjoin(
        CallerNumber,
        and_(CallerNumber.number == bindparam("number"), CallerNumber.retired_at.is_(None)),
    )
    .outerjoin(InboundRoute, InboundRoute.caller_number_id == CallerNumber.id)
    .where(Site.id == 1)
    .limit(1)
)
"""What a call is written with besides its plan: one row, of a number that is not ours too."""


def arrive(
    session: Session,
    *,
    channel: str,
    number: str,
    caller: str,
    node: str,
    epoch: int,
    now: datetime,
    answered: bool = False,
) -> tuple[Attempt, InboundCall] | None:
    """Write down a call that has just come in, with its plan; None when it is known.

    `answered`: the switch has begun to serve it by itself, while nobody of ours listened.

    The caller of this has `gate.take_turn`, before anything else was locked: lines are counted.
    A refused call is an attempt with its verdict, and neither line nor record.
    """
    ours, shown = inbound_facts.normal_form(number), inbound_facts.normal_form(caller)
    around = session.connection().execute(_AROUND, {"channel": channel, "number": ours}).one()
    if around.known:
        return None
    plan = inbound_facts.plan(session, number=ours, caller=shown, now=now)
    attempt = Attempt(
        uuid=channel,
        origin=Origin.INBOUND,
        number=shown,
        caller_number_id=around.number_id,
        project_id=around.project_id,
        node=node,
        verdict=gate.ALLOWED if plan.answers else plan.reason,
        state=CallState.RINGING if plan.answers else CallState.REFUSED,
        epoch=epoch,
        created_at=now,
        ringing_at=now,
        ended_at=None if plan.answers else now,
    )
    session.add(attempt)
    session.flush()
    call = _row(attempt, plan, around.group_id, now)
    session.add(call)  # written with its line and its record
    if plan.answers:
        session.add(
            Line(
                attempt_id=attempt.id,
                uuid=channel,
                kind="inbound",
                caller_number_id=attempt.caller_number_id,
                taken_at=now,
            )
        )
        records.open_for_caller(session, attempt=attempt, now=now)
        announce(session, "lines")
        _enter(session, attempt, call, now)
        if answered:
            attempt.state, attempt.answered_at = CallState.ANSWERED, now
    log.info("call came in", attempt=attempt.id, reason=plan.reason, action=call.action)
    inbound_calls.tell(session, attempt, call)
    return attempt, call


def _row(attempt: Attempt, plan: Plan, group_id: int | None, now: datetime) -> InboundCall:
    return InboundCall(
        attempt_id=attempt.id,
        group_id=group_id,
        reason=plan.reason,
        reason_name=plan.name,
        steps=[asdict(step) for step in plan.steps],
        step=0,
        action=plan.steps[0].action,
        step_started_at=now,
        passed_over=[],
        serial=1,
        carried_serial=0,
        outcome=InboundOutcome.OPEN if plan.answers else InboundOutcome.REFUSED,
    )


def due(session: Session, *, nodes: Collection[str], epoch: int, now: datetime) -> list[int]:
    """Return the ids of the calls that something is to be done with, the longest waiting first.

    Asked in a read session, several times a second; of the switches that can be asked now.
    """
    rows = session.execute(
        select(InboundCall, Attempt)
        .join(Attempt, Attempt.id == InboundCall.attempt_id)
        .where(
            InboundCall.outcome == InboundOutcome.OPEN,
            Attempt.ended_at.is_(None),
            Attempt.joined_at.is_(None),
            Attempt.node.in_(nodes),
        )
        .order_by(InboundCall.attempt_id)
    ).all()
    waiting = [(call, attempt) for call, attempt in rows]
    places = inbound_queue.places(waiting)
    return [
        call.attempt_id
        for call, attempt in waiting
        if _is_due(session, call, attempt, epoch, now)
        or inbound_queue.is_due(session, call=call, place=places.get(call.attempt_id, 0), now=now)
    ]


def _is_due(
    session: Session, call: InboundCall, attempt: Attempt, epoch: int, now: datetime
) -> bool:
    if attempt.user_id is not None:
        return call.taken_at is None or now - call.taken_at >= timedelta(seconds=JOIN_S)
    if (call.carried_serial, call.carried_epoch) != (call.serial, epoch) or _is_over(call, now):
        return True
    if call.parked_at is not None:
        return False
    if call.action is InboundAction.RING_IDLE:
        return call.offered_until is None or call.offered_until <= now
    if call.action is InboundAction.QUEUE:
        return bool(inbound_team.ready(session, call=call, node=attempt.node))
    return _all_declined(session, attempt, call)


def walk(session: Session, *, attempt_id: int, now: datetime) -> InboundCall | None:
    """Do what is due with a call; None when nothing is, any more.

    The caller of this has `gate.take_turn`: the next step may take a line.
    """
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    call = session.get_one(InboundCall, attempt_id, populate_existing=True)
    if attempt.state not in LIVE_STATES or call.outcome is not InboundOutcome.OPEN:
        return None
    if attempt.joined_at is not None:
        return None
    if attempt.user_id is not None:
        _not_joined(session, attempt, call, now)
    elif call.parked_at is not None:
        _unpark(session, attempt, call, now)
    elif call.action is InboundAction.RING_IDLE:
        _next_turn(session, attempt, call, now)
    elif _is_over(call, now) or _all_declined(session, attempt, call):
        advance(session, attempt, call, now)
    elif inbound_queue.is_due(
        session,
        call=call,
        place=inbound_queue.place_of(session, call=call, attempt=attempt),
        now=now,
    ):
        inbound_queue.tell(session, call=call, attempt=attempt, now=now)
        call.serial += 1
    session.flush()
    return call


def advance(session: Session, attempt: Attempt, call: InboundCall, now: datetime) -> None:
    """Go on to the next step: this one came to nothing."""
    call.step += 1
    call.passed_over = []
    _let_go_offer(session, attempt, call, now)
    _enter(session, attempt, call, now)
    inbound_calls.tell(session, attempt, call)


def _enter(session: Session, attempt: Attempt, call: InboundCall, now: datetime) -> None:
    step = inbound_calls.step_of(call)
    call.action = step.action if step else InboundAction.REFUSE
    call.step_started_at = now
    call.serial += 1
    seconds = step.seconds if step else 0
    lasts = call.action not in ENDS_BY_ITSELF and seconds > 0
    call.step_ends_at = now + timedelta(seconds=seconds) if lasts else None
    if call.action is InboundAction.RING_IDLE:
        call.step_ends_at = None  # the seconds are each operator's
        _next_turn(session, attempt, call, now)
    elif call.action is InboundAction.FORWARD and step is not None:
        _take_leg(session, attempt, call, step, now)
    elif call.action is InboundAction.QUEUE:
        inbound_queue.tell(session, call=call, attempt=attempt, now=now)


def _take_leg(
    session: Session, attempt: Attempt, call: InboundCall, step: Step, now: datetime
) -> None:
    """A line of its own for who is forwarded; without one this step comes to nothing (R-CL-8)."""
    leg = str(uuid.uuid4())
    try:
        outside_legs.take(session, attempt=attempt, number=step.forward_to, leg_uuid=leg, now=now)
    except Refused as refused:
        log.warning("caller not forwarded", attempt=attempt.id, why=refused.code)
        advance(session, attempt, call, now)
        return
    kept = {**call.steps[call.step], "leg": leg}
    call.steps = [*call.steps[: call.step], kept, *call.steps[call.step + 1 :]]
    call.step_ends_at = now + timedelta(seconds=step.seconds + FORWARD_GRACE_S)


def forward_leg(call: InboundCall) -> str:
    """Return the leg by which the caller is forwarded in the present step; empty for none."""
    if call.action is not InboundAction.FORWARD or call.step >= len(call.steps):
        return ""
    return str(call.steps[call.step].get("leg", ""))


def line_of(session: Session, leg: str) -> Line | None:
    """Return the line of a leg."""
    return session.scalar(select(Line).where(Line.uuid == leg))


def forward_ended(session: Session, *, leg: str, now: datetime) -> None:
    """The leg by which a caller was to be forwarded is gone: what follows is due."""
    line = line_of(session, leg)
    call = session.get(InboundCall, line.attempt_id, populate_existing=True) if line else None
    if call is None or forward_leg(call) != leg:
        return
    outside_legs.release(session, leg_uuid=leg, now=now)
    if call.outcome is InboundOutcome.OPEN:
        call.step_ends_at = now


def _is_over(call: InboundCall, now: datetime) -> bool:
    return call.step_ends_at is not None and call.step_ends_at <= now


def _all_declined(session: Session, attempt: Attempt, call: InboundCall) -> bool:
    """RING_ALL: nobody is left whom it could ring."""
    if call.action is not InboundAction.RING_ALL or not call.passed_over:
        return False
    return not inbound_team.ready(session, call=call, node=attempt.node)


def _next_turn(session: Session, attempt: Attempt, call: InboundCall, now: datetime) -> None:
    """RING_IDLE: whoever did not answer is passed over, and the next longest 待機 is asked."""
    if call.offered_until is not None and now < call.offered_until:
        return
    if call.offered_user_id is not None:
        call.passed_over = [*call.passed_over, call.offered_user_id]
    _let_go_offer(session, attempt, call, now)
    who = inbound_team.take_one(session, call=call, node=attempt.node, now=now)
    if who is None:
        advance(session, attempt, call, now)
        return
    step = inbound_calls.step_of(call)
    call.offered_user_id = who
    call.offered_until = now + timedelta(seconds=step.seconds if step else 0)
    call.serial += 1  # the switch's own time-out begins anew
    session.flush()
    inbound_calls.tell(session, attempt, call)


def _let_go_offer(session: Session, attempt: Attempt, call: InboundCall, now: datetime) -> None:
    who, call.offered_user_id, call.offered_until = call.offered_user_id, None, None
    if who is not None:
        operators.unlock(session, user_id=who, attempt_id=attempt.id, now=now, by=Move.WITHDRAW)
        announce(session, "inbound", user_id=who)


def _unpark(session: Session, attempt: Attempt, call: InboundCall, now: datetime) -> None:
    if call.step_ends_at is None or now < call.step_ends_at:
        return
    call.parked_by_id = call.parked_at = None
    _enter(session, attempt, call, now)
    inbound_calls.tell(session, attempt, call)


def _not_joined(session: Session, attempt: Attempt, call: InboundCall, now: datetime) -> None:
    """Whoever took the call cannot hear it: they go to 離席, and it rings on for the others."""
    if call.taken_at is not None and now - call.taken_at < timedelta(seconds=JOIN_S):
        return
    user_id = attempt.user_id
    if user_id is None:
        return
    log.warning("caller not joined", attempt=attempt.id, user=user_id)
    operators.unlock(session, user_id=user_id, attempt_id=attempt.id, now=now, by=Move.WITHDRAW)
    operators.move(session, user_id=user_id, by=Move.GO_AWAY, now=now)
    attempt.user_id = call.taken_at = None
    call.passed_over = [*call.passed_over, user_id]
    call.serial += 1
    if call.step_ends_at is not None:
        call.step_ends_at = max(call.step_ends_at, now + timedelta(seconds=JOIN_S))
    session.flush()
    inbound_calls.tell(session, attempt, call)


def take_next(session: Session, *, attempt_id: int, now: datetime) -> Attempt | None:
    """QUEUE: keep the operator longest 待機 for a caller who waits; None while nobody is free.

    To be asked for the longest waiting caller first.
    """
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    call = session.get_one(InboundCall, attempt_id, populate_existing=True)
    in_queue = call.action is InboundAction.QUEUE and call.parked_at is None
    if attempt.state is not CallState.ANSWERED or attempt.user_id is not None or not in_queue:
        return None
    who = inbound_team.take_one(session, call=call, node=attempt.node, now=now)
    if who is None:
        return None
    attempt.user_id, call.taken_at = who, now
    session.flush()
    announce(session, "call", attempt_id=attempt.id, user_id=who)
    inbound_calls.tell(session, attempt, call)
    return attempt


def joined(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """The caller and whoever took the call hear each other."""
    call = session.get(InboundCall, attempt.id)
    if call is None:
        return
    if attempt.user_id is None:
        call.outcome = InboundOutcome.FORWARDED
        return
    call.outcome = InboundOutcome.JOINED
    _let_go_offer(session, attempt, call, now)
    records.give_to(session, attempt=attempt, user_id=attempt.user_id, now=now)
    inbound_calls.open_match(session, attempt=attempt, now=now)
    inbound_calls.tell(session, attempt, call)


def call_ended(session: Session, *, attempt: Attempt, message_ms: int, now: datetime) -> None:
    """Note what became of a call, in the transaction that ends it. `message_ms`: of what was said.

    Whoever was asked to answer is free again.
    """
    call = session.get(InboundCall, attempt.id)
    if call is None:
        return
    _let_go_offer(session, attempt, call, now)
    if leg := forward_leg(call):
        outside_legs.release(session, leg_uuid=leg, now=now)  # it ends with the caller
    if call.outcome is InboundOutcome.OPEN:
        call.outcome = _outcome(call, message_ms)
    session.flush()
    inbound_calls.tell(session, attempt, call)
    announce(session, "missed")


def _outcome(call: InboundCall, message_ms: int) -> InboundOutcome:
    if call.action is InboundAction.VOICEMAIL and message_ms >= LEAST_MESSAGE_MS:
        return InboundOutcome.VOICEMAIL
    if call.action is InboundAction.GUIDANCE and call.step == 0:
        if call.reason == "withheld":
            return InboundOutcome.REFUSED  # nobody could call them back
        if call.reason in inbound_words.CLOSED:
            return InboundOutcome.GUIDANCE
    return InboundOutcome.MISSED


LEAST_MESSAGE_MS = 1_000
"""A shorter one is the tone and a click: a missed call."""
