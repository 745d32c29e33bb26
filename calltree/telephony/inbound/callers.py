"""What is to be carried out for who calls in: decided inside the leader's transactions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import (
    Attempt,
    CallerNumber,
    CallState,
    InboundAction,
    InboundCall,
    Site,
)
from calltree.services import (
    guidance_files,
    inbound_calls,
    inbound_queue,
    inbound_walk,
    recordings,
    trunks,
)
from calltree.services.inbound_rules import VOICEMAIL_S
from calltree.telephony import events
from calltree.telephony.acts import Act, Join
from calltree.telephony.commands import OutsideCall

log = structlog.get_logger(__name__)

PUBLIC_CONTEXT = "public"
"""Where the dialplan takes calls from outside."""
ONCE = (InboundAction.FORWARD, InboundAction.VOICEMAIL, InboundAction.GUIDANCE)
"""What a new leader does not begin again: it would dial twice, cut a message, repeat itself."""
_SITE_KEY = select(Site.site_key).where(Site.id == 1)


@dataclass(frozen=True, slots=True)
class Carry(Act):
    """Let a caller hear what their step says."""

    attempt_id: int
    serial: int
    caller: str
    site_id: str
    action: InboundAction
    answered: bool
    seconds: int
    parked: bool
    guidance_id: int | None
    guidance: str
    """Relative name; '' for none."""
    place: int
    """In the queue, to be told now; 0: nothing is told."""
    place_guidance_id: int | None
    place_guidance: str
    """Relative name of what says the place; '' for tones."""
    message: str
    """Relative name of where a voicemail or a forwarded call is recorded; '' else."""
    forward: OutsideCall | None


def is_arrival(event: events.SwitchEvent) -> TypeGuard[events.ChannelCreated]:
    """Whether somebody calls one of our numbers."""
    return (
        isinstance(event, events.ChannelCreated)
        and event.direction == "inbound"
        and event.context == PUBLIC_CONTEXT
    )


def arrived(
    session: Session,
    *,
    channel: str,
    number: str,
    caller: str,
    node: str,
    epoch: int,
    now: datetime,
    answered: bool = False,
) -> list[Act]:
    """Write down who calls, and give what they hear first. The gate's turn is taken before."""
    written = inbound_walk.arrive(
        session,
        channel=channel,
        number=number,
        caller=caller,
        answered=answered,
        node=node,
        epoch=epoch,
        now=now,
    )
    return [] if written is None else _carry(session, *written, epoch, now)


def walk(session: Session, *, attempt_id: int, epoch: int, now: datetime) -> list[Act]:
    """Do what is due with one caller. The gate's turn is taken before."""
    call = inbound_walk.walk(session, attempt_id=attempt_id, now=now)
    if call is None:
        return []
    taken = inbound_walk.take_next(session, attempt_id=attempt_id, now=now)
    if taken is not None:
        return join(session, taken)
    return _carry(session, session.get_one(Attempt, attempt_id), call, epoch, now)


def join(session: Session, attempt: Attempt) -> list[Act]:
    """Give the act that joins an answered caller with who is kept for them."""
    operator = inbound_calls.operator_of(session, attempt)
    if operator is None:
        return []
    name = recordings.raw_name(attempt)
    return [Join(attempt.node, attempt.id, attempt.uuid, operator.leg_uuid, name)]


def still_wanted(session: Session, act: Carry) -> bool:
    """Whether the caller still waits for it: whoever was answered meanwhile is not taken away."""
    attempt = session.get(Attempt, act.attempt_id)
    if attempt is None or attempt.state is CallState.REFUSED:
        return attempt is not None
    call = session.get(InboundCall, act.attempt_id)
    return attempt.user_id is None and call is not None and call.serial == act.serial


def not_carried(session: Session, act: Carry) -> None:
    """The switch could not be asked: the clock carries it out once there is a link again."""
    call = session.get(InboundCall, act.attempt_id, with_for_update=True)
    if call is not None and call.carried_serial == act.serial:
        call.carried_serial = 0


def _carry(
    session: Session, attempt: Attempt, call: InboundCall, epoch: int, now: datetime
) -> list[Act]:
    if (call.carried_serial, call.carried_epoch) == (call.serial, epoch):
        return []
    again = call.carried_serial == call.serial
    call.carried_serial, call.carried_epoch = call.serial, epoch
    if attempt.user_id is not None or (again and call.action in ONCE):
        return []
    step = inbound_calls.step_of(call)
    # not once more with each operator's turn, nor when another leader takes over
    begins = call.action in ONCE or call.step_started_at == now
    guidance_id = step.guidance_id if step and begins else None
    recorded = call.action in (InboundAction.VOICEMAIL, InboundAction.FORWARD)
    place = call.told_place if call.told_at == now else 0
    place_guidance_id = inbound_queue.sound_of(session, place) if place else None
    forward = _forward(session, attempt, call) if not call.parked_at else None
    return [
        Carry(
            node=attempt.node,
            attempt_id=attempt.id,
            serial=call.serial,
            caller=attempt.uuid,
            site_id=session.connection().execute(_SITE_KEY).scalar_one(),
            action=call.action,
            answered=attempt.answered_at is not None,
            seconds=_seconds(call, now),
            parked=call.parked_at is not None,
            guidance_id=guidance_id,
            guidance=_name_of(session, guidance_id),
            place=place,
            place_guidance_id=place_guidance_id,
            place_guidance=_name_of(session, place_guidance_id),
            message=recordings.raw_name(attempt) if recorded else "",
            forward=forward,
        )
    ]


def _name_of(session: Session, guidance_id: int | None) -> str:
    return guidance_files.name_of(session, guidance_id) if guidance_id else ""


def _seconds(call: InboundCall, now: datetime) -> int:
    ends_at = call.offered_until or call.step_ends_at
    if call.action is InboundAction.VOICEMAIL:
        step = inbound_calls.step_of(call)
        return step.seconds if step and step.seconds else VOICEMAIL_S
    return max(int((ends_at - now).total_seconds()), 1) if ends_at else 1


def _forward(session: Session, attempt: Attempt, call: InboundCall) -> OutsideCall | None:
    leg = inbound_walk.forward_leg(call)
    step = inbound_calls.step_of(call)
    if not leg or step is None:
        return None
    line = inbound_walk.line_of(session, leg)
    ours = session.get(CallerNumber, line.caller_number_id) if line else None
    if ours is None:
        return None
    route: trunks.Route | str = trunks.DEFAULT_ROUTE
    site = session.get_one(Site, 1)
    if not site.practice:
        route = trunks.route(session, number=step.forward_to, trunk_id=ours.trunk_id)
    if isinstance(route, str):
        log.warning("no trunk to forward by", attempt=attempt.id, why=route)
        return None
    return OutsideCall(
        uuid=leg,
        number=step.forward_to,
        caller_number=ours.number,
        gateway=route.gateway,
        attempt_id=attempt.id,
        site_id=site.site_key,
        ring_s=max(step.seconds, 1),
        number_form=route.number_form,
        caller_id_form=route.caller_id_form,
    )


def joined(session: Session, attempt: Attempt, *, now: datetime) -> None:
    """The caller is joined, with an operator or with who they were forwarded to."""
    inbound_walk.joined(session, attempt=attempt, now=now)


def leg_ended(session: Session, event: events.ChannelEvent, *, now: datetime) -> None:
    """A leg ended that is nobody's own: if a caller was to be forwarded by it, that is over."""
    if isinstance(event, events.HungUp | events.Destroyed):
        inbound_walk.forward_ended(session, leg=event.unique_id, now=now)
