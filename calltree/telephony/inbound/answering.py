"""A press that answers a call: what is sent for it."""

from __future__ import annotations

from calltree.models.calls import LIVE_STATES
from calltree.services import inbound_calls, recordings
from calltree.telephony import commands, safe_parts
from calltree.telephony.inbound import chains
from calltree.telephony.orders import Ask, Order, Plan, Refusal


def answer(order: Order) -> Plan:
    """Answer the caller, record from the first second and join them with who took the call."""
    attempt = order.attempt
    order.session.refresh(attempt)
    if attempt.state not in LIVE_STATES or attempt.joined_at is not None:
        return Refusal("ended")
    if attempt.user_id is None or attempt.user_id != order.command.user_id:
        return Refusal("not_wanted")  # it took too long, and the next one was asked
    operator = inbound_calls.operator_of(order.session, attempt)
    if operator is None:
        return Refusal("no_leg")
    asked = chains.joining(
        caller=attempt.uuid,
        operator=operator.leg_uuid,
        attempt_id=attempt.id,
        recording=safe_parts.switch_path(
            order.recordings_root, *recordings.raw_name(attempt).split("/")
        ),
    )
    return [Ask(command) for command in asked]


def call_in(order: Order) -> Plan:
    """Practice: order a caller."""
    if not order.around.site.practice:
        return Refusal("practice_only")
    args = order.command.args
    return [Ask(commands.practice_call_in(str(args["caller"]), str(args["number"])))]
