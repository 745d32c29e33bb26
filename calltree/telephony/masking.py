"""Silence in a recording while card data is spoken, and sound again (R-RC-3)."""

from __future__ import annotations

from calltree.models.calls import LIVE_STATES, CommandKind
from calltree.telephony import commands, safe_parts
from calltree.telephony.orders import Ask, Order, Plan, Refusal


def plan(order: Order) -> Plan:
    """Give what masks the file, or unmasks it."""
    attempt = order.attempt
    if attempt.state not in LIVE_STATES:
        return Refusal("ended")
    file = str(order.command.args["file"])
    path = safe_parts.switch_path(order.recordings_root, *file.split("/"))
    pauses = order.command.kind is CommandKind.RECORD_PAUSE
    verb = commands.record_mask if pauses else commands.record_unmask
    return [Ask(verb(attempt.uuid, path))]
