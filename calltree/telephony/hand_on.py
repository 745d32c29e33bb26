"""Steps of a transfer as commands (R-CL-4): what is to be sent for what was pressed.

Until the target is joined the customer hears music, which needs nobody; a timer of the switch's
own ends that with a word.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from calltree.models.calls import LIVE_STATES, Attempt, CallState, Operator
from calltree.models.projects import CallerNumber, Project
from calltree.models.recordings import PauseEnd
from calltree.models.transfers import Transfer, TransferKind, TransferOutcome, TransferState
from calltree.services import (
    monitoring,
    operators,
    recording_pauses,
    transfer_moves,
    trunk_health,
    trunks,
)
from calltree.telephony import commands
from calltree.telephony.commands import ApiCommand, Cause
from calltree.telephony.orders import Ask, Order, Plan, Refusal

LONGEST_RING_S = 30


def plan(order: Order) -> Plan:
    """Give what is to be sent for one step of a transfer, or why nothing is."""
    transfer = order.session.get_one(Transfer, int(order.command.args["transfer"]))
    return _STEPS[str(order.command.args["step"])](order, transfer)


def joining(first: str, second: str, *, leaves: bool) -> list[ApiCommand]:
    """Give the commands that join a customer with a target.

    `leaves`: with an outside number. The customer's call ends with it then, instead of music for
    somebody whom nobody waits for any more.
    """
    clear = [commands.clear_transfer_after_bridge(first)] if leaves else []
    return [*clear, commands.cancel_timers(first), commands.bridge(first, second)]


def live_leg(session: Session, user_id: int) -> str:
    """Give an operator's leg; '' when nobody would hear there."""
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is None or operator.leg_state not in operators.LIVE_LEGS:
        return ""
    return operator.leg_uuid


def mute_ended(session: Session, user_id: int) -> bool:
    """End the first operator's mute with their part of the call; False when there was none.

    The switch mutes the leg, not the call: the next customer would hear nothing.
    """
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is None or not operator.muted:
        return False
    operators.set_muted(session, user_id=user_id, muted=False)
    return True


def _begin(order: Order, transfer: Transfer) -> Plan:
    """Music for the customer, and the target is rung."""
    attempt = order.attempt
    if transfer.settled_at is not None:
        return Refusal("transfer_over")
    if attempt.state not in (CallState.TALKING, CallState.HELD):
        transfer_moves.settle_back(order.session, transfer, TransferOutcome.FAILED, order.now)
        return Refusal("not_talking")
    rung: list[Ask] = []
    if transfer.to_user_id is not None:
        rung = [Ask(commands.play_ringback(transfer.uuid))]
    elif transfer.kind is not TransferKind.PARKED:
        dialled = _dial(order, transfer, attempt)
        if isinstance(dialled, str):
            transfer_moves.target_gone(
                order.session, transfer, TransferOutcome.FAILED, now=order.now
            )
            return Refusal(dialled)
        rung = [dialled]
    return [*_music(order, attempt), *rung]


def _music(order: Order, attempt: Attempt) -> list[Ask]:
    if attempt.held_since is not None:
        return []  # they hear it already
    order.session.execute(
        update(Attempt).where(Attempt.id == attempt.id).values(held_since=order.now)
    )
    recording_pauses.end(order.session, attempt=attempt, by=PauseEnd.HOLD, now=order.now)
    seconds = max(int(order.timings.hold_s), 1)
    return [
        Ask(commands.hold(attempt.uuid)),
        Ask(commands.orphan_in(seconds, attempt.uuid)),
    ]


def _dial(order: Order, transfer: Transfer, attempt: Attempt) -> Ask | str:
    caller = order.session.get_one(CallerNumber, transfer.caller_number_id)
    route = _route(order, transfer, caller)
    if isinstance(route, str):
        return route
    transfer.trunk_id = route.trunk_id
    call = commands.OutsideCall(
        uuid=transfer.uuid,
        number=transfer.number,
        caller_number=caller.number,
        gateway=route.gateway,
        attempt_id=attempt.id,
        site_id=order.around.site.site_key,
        ring_s=_ring_s(order.session, attempt),
        number_form=route.number_form,
        caller_id_form=route.caller_id_form,
    )
    heard = transfer.kind is TransferKind.ATTENDED
    originate = commands.originate_transfer(call, transfer_id=transfer.id, heard_ringing=heard)
    return Ask(originate, job_uuid=transfer.uuid)


def _route(order: Order, transfer: Transfer, caller: CallerNumber) -> trunks.Route | str:
    if order.around.site.practice:
        return trunks.DEFAULT_ROUTE
    return trunks.route(
        order.session,
        number=transfer.number,
        trunk_id=caller.trunk_id,
        without={*trunk_health.shut_among(order.around.ailing, order.now)},
    )


def _ring_s(session: Session, attempt: Attempt) -> int:
    project = session.get(Project, attempt.project_id) if attempt.project_id else None
    return min(project.ring_time_s if project else LONGEST_RING_S, LONGEST_RING_S)


def _join(order: Order, transfer: Transfer) -> Plan:
    """The colleague said yes: join them with the first operator, or with the customer."""
    attempt = order.attempt
    if transfer.state is not TransferState.ANSWERED or attempt.state not in LIVE_STATES:
        return Refusal("transfer_over")
    first = live_leg(order.session, transfer.from_user_id)
    if transfer.kind is TransferKind.ATTENDED and first:
        return [Ask(commands.bridge(transfer.uuid, first))]
    return [Ask(command) for command in joining(attempt.uuid, transfer.uuid, leaves=False)]


def _complete(order: Order, transfer: Transfer) -> Plan:
    attempt = order.attempt
    if transfer.settled_at is not None or attempt.state not in LIVE_STATES:
        return Refusal("transfer_over")
    leaves = transfer.to_user_id is None
    if transfer.state is not TransferState.THREE_WAY:
        return [Ask(command) for command in joining(attempt.uuid, transfer.uuid, leaves=leaves)]
    first = live_leg(order.session, transfer.from_user_id)
    muted = mute_ended(order.session, transfer.from_user_id)
    monitoring.call_ended(order.session, attempt=attempt, now=order.now)
    transfer_moves.hand_over(order.session, transfer, attempt, now=order.now)
    asks = [Ask(commands.clear_transfer_after_bridge(attempt.uuid))] if leaves else []
    if first:
        asks += [Ask(commands.unmute(first))] if muted else []
        asks.append(Ask(commands.park(first)))
    return asks or Refusal("no_leg")


def _three_way(order: Order, transfer: Transfer) -> Plan:
    """The customer is joined with the target; the first operator follows once that is heard of."""
    attempt = order.attempt
    if transfer.state is not TransferState.CONSULTING or attempt.state not in LIVE_STATES:
        return Refusal("transfer_over")
    return [Ask(command) for command in joining(attempt.uuid, transfer.uuid, leaves=False)]


def _back(order: Order, transfer: Transfer) -> Plan:
    """Let go of the target, and give the customer back to whom they were with."""
    attempt = order.attempt
    dropped = _drop(transfer)
    if attempt.state not in LIVE_STATES or attempt.user_id != transfer.from_user_id:
        return dropped or Refusal("transfer_over")
    first = live_leg(order.session, transfer.from_user_id)
    ours = Ask(commands.set_transfer_after_bridge(attempt.uuid))
    if not first:
        # Music and an apology by the switch itself, until the operator's next leg parks.
        attempt.state, attempt.held_since = CallState.ANSWERED, None
        return [ours, Ask(commands.send_to_orphanage(attempt.uuid)), *dropped]
    # Out of the three before it is joined: a bridge would wait a second for it.
    out = [Ask(commands.park(first))] if transfer.three_way_at is not None else []
    back = [Ask(command) for command in joining(attempt.uuid, first, leaves=False)]
    return [ours, *out, *back, *dropped]


def _drop(transfer: Transfer) -> list[Ask]:
    if not transfer.uuid:
        return []  # nobody took a parked customer
    if transfer.to_user_id is None:
        if transfer.ended_at is not None:
            return []
        cause = Cause.NORMAL_CLEARING if transfer.answered_at else Cause.ORIGINATOR_CANCEL
        return [Ask(commands.kill(transfer.uuid, cause))]
    if transfer.answered_at is None:
        return [Ask(commands.stop_playing(transfer.uuid))]
    return []  # it parks by itself when its partner is joined with somebody else


def _end(_order: Order, transfer: Transfer) -> Plan:
    """The customer has gone: nobody is left with anybody."""
    if transfer.to_user_id is not None and transfer.answered_at is not None:
        return [Ask(commands.park(transfer.uuid))]
    return _drop(transfer) or Refusal("transfer_over")


_STEPS: dict[str, Callable[[Order, Transfer], Plan]] = {
    "begin": _begin,
    "join": _join,
    "complete": _complete,
    "three_way": _three_way,
    "back": _back,
    "end": _end,
}


def undo(session: Session, args: dict[str, object], now: datetime) -> None:
    """A step that the switch refused: the customer goes back at once."""
    transfer = session.get(Transfer, int(str(args["transfer"])))
    if transfer is not None and args["step"] in ("begin", "join"):
        transfer_moves.settle_back(session, transfer, TransferOutcome.FAILED, now)
