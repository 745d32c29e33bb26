"""On which switch an operator's telephone is where a site has several, and going to another one.

Who begins a shift gets the emptiest switch that is heard and stays there. When it is lost its
operators are told, and one press moves each to another: nothing moves by itself, because a switch
whose link alone is cut still carries the talk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, func, select, update
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import Attempt, LegKind, LegState, Operator, OperatorState
from calltree.models.calls import CommandKind
from calltree.services import leases, legs, operators, switch_commands


@dataclass(frozen=True, slots=True)
class Lost:
    """What the operator of a switch that is not heard is told."""

    can_move: bool
    """Whether another switch is heard."""
    in_call: bool
    """Whether moving ends a call."""


def home(session: Session, *, operator: Operator, nodes: Sequence[str]) -> str:
    """Give the switch of this operator's telephone, one of `nodes` (at least one)."""
    if len(nodes) == 1:
        return nodes[0]
    if operator.leg_node in nodes and operator.state is not OperatorState.SIGNED_OUT:
        return operator.leg_node
    heard = _heard(session, nodes)
    chosen = _emptiest(session, heard or nodes)
    session.execute(
        update(Operator)
        .where(
            Operator.user_id == operator.user_id,
            Operator.leg_state.in_((LegState.NONE, LegState.LOST)),
        )
        .values(leg_node=chosen)
    )
    return chosen


def lost(session: Session, *, user_id: int, nodes: Sequence[str]) -> Lost | None:
    """Tell whether the operator's switch is not heard; None while it is, and for who is away."""
    leg_node, attempt_id, note = session.execute(select(*at_work(session, user_id))).one()
    return lost_of(leg_node, attempt_id, note, nodes)


def at_work(session: Session, user_id: int) -> tuple[ScalarSelect[Any], ...]:
    """Give what `lost_of` judges, to be asked together with other things: every page asks."""
    signed_in = (Operator.user_id == user_id, Operator.state != OperatorState.SIGNED_OUT)
    note = leases.noted(session.get_bind().dialect.name).params(lease=leases.SWITCH)
    return (
        select(Operator.leg_node).where(*signed_in).scalar_subquery(),
        select(Operator.attempt_id).where(*signed_in).scalar_subquery(),
        note.scalar_subquery(),
    )


def lost_of(
    leg_node: str | None, attempt_id: int | None, note: dict[str, Any] | None, nodes: Sequence[str]
) -> Lost | None:
    """Answer `lost` of what was read: no node at all for who is not at work, "" before a leg."""
    if leg_node is None:
        return None
    mine = leg_node or (nodes[0] if len(nodes) == 1 else "")
    heard = [node for node in nodes if leases.hears(note or {}, node)]
    if not mine or mine in heard:
        return None
    return Lost(can_move=bool(heard), in_call=attempt_id is not None)


def move(session: Session, *, user_id: int, nodes: Sequence[str], now: datetime) -> str:
    """Take the operator to the emptiest switch that is heard, off one that is not; its name.

    A call that they had there is closed with what is known. What may still live on the lost switch,
    their leg and the customer's, is ended when it is heard again. A desk phone is called from the
    other switch; a page makes its own leg there. Raises Refused 'switch_works', 'no_other_switch'.
    """
    operator = session.get(Operator, user_id, populate_existing=True)
    heard = _heard(session, nodes)
    if operator is None or not operator.leg_node or operator.leg_node in heard:
        raise Refused("switch_works")
    if not heard:
        raise Refused("no_other_switch")
    target = _emptiest(session, heard)
    if operator.leg_state is not LegState.NONE:
        _end_there(session, operator.leg_node, operator.leg_uuid, now)
    if operator.attempt_id is not None:
        attempt = session.get_one(Attempt, operator.attempt_id)
        _end_there(session, attempt.node, attempt.uuid, now)
        # Asked of the other switch's worker: it cannot hang up there, and closes the row.
        switch_commands.ask(
            session,
            kind=CommandKind.HANG_UP,
            node=target,
            attempt_id=attempt.id,
            user_id=user_id,
            now=now,
        )
    operators.leave_leg(session, operator=operator, node=target, now=now)
    if operator.leg_kind is LegKind.DEVICE:
        legs.connect(session, user_id=user_id, node=target, now=now)
    return target


def _end_there(session: Session, node: str, leg: str, now: datetime) -> None:
    switch_commands.ask(session, kind=CommandKind.DROP_LEG, node=node, args={"uuid": leg}, now=now)


def _heard(session: Session, nodes: Sequence[str]) -> list[str]:
    note = leases.note(session)
    return [node for node in nodes if leases.hears(note, node)]


def _emptiest(session: Session, nodes: Sequence[str]) -> str:
    """Give the switch with the fewest operators at work, the first of several."""
    counted = session.execute(
        select(Operator.leg_node, func.count())
        .where(Operator.leg_node.in_(nodes), Operator.state != OperatorState.SIGNED_OUT)
        .group_by(Operator.leg_node)
    ).all()
    at_work = {row[0]: int(row[1]) for row in counted}
    return min(nodes, key=lambda node: at_work.get(node, 0))
