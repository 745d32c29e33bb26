"""Whom a call that comes in will ring, asked before it is written down (decision 22).

Read outside the ledger's transaction and true for a moment only: it lets a page show who calls
while the call is being written. Nothing is decided by it.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, exists, or_, select

from calltree.glance import Glance, Kept
from calltree.models import (
    Attempt,
    CallerNumber,
    GroupMember,
    InboundAction,
    InboundRoute,
    Operator,
    User,
)
from calltree.services import inbound_facts, inbound_team
from calltree.services.inbound_facts import Reading
from calltree.services.inbound_rules import RINGS, route

PURPOSE = "caller"
"""What a caller's number is sealed for: Redis carries no number that could be read."""

# Built once: every caller waits for it.
_WHOM = Kept(
    select(Operator.user_id, CallerNumber.label)
    .select_from(Operator)
    .join(User, User.id == Operator.user_id)
    .join(CallerNumber, CallerNumber.number == bindparam("of_number"))
    .outerjoin(InboundRoute, InboundRoute.caller_number_id == CallerNumber.id)
    .where(
        inbound_team.can_take(inbound_team.RUNG),
        Operator.leg_node == bindparam("of_node"),
        CallerNumber.retired_at.is_(None),
        or_(
            InboundRoute.group_id.is_(None),
            exists().where(
                GroupMember.group_id == InboundRoute.group_id,
                GroupMember.user_id == Operator.user_id,
            ),
        ),
        ~exists().where(Attempt.uuid == bindparam("of_channel")),
    )
    .order_by(Operator.since, Operator.user_id)
)
"""Nobody for a call that is written already; the longest 待機 first."""


class Rung(NamedTuple):
    """A call on its way into the ledger, and whose pages may show it."""

    user_ids: list[int]
    caller: str
    number: str
    """Ours."""
    label: str


def rung(
    read: Reading,
    look: Glance,
    *,
    channel: str,
    number: str,
    caller: str,
    node: str,
    now: datetime,
) -> Rung | None:
    """Tell whom this call rings; None when it rings nobody, or nothing is shown of the caller.

    Asked by `look`; `read` gives a session for a route that this process has not read yet.
    """
    ours, shown = inbound_facts.normal_form(number), inbound_facts.normal_form(caller)
    if not shown:
        return None
    asked = {"of_number": ours, "of_node": node, "of_channel": channel}
    facts, (found,) = inbound_facts.facts_and(
        read, look, (_WHOM, asked), number=ours, caller=shown, now=now
    )
    action = route(ours, now, facts).steps[0].action
    if action not in RINGS or not found:
        return None
    asked_first = found[:1] if action is InboundAction.RING_IDLE else found
    return Rung([row.user_id for row in asked_first], shown, ours, found[0].label)
