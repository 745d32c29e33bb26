"""Operators' legs on desk phones: asked for once, made again when lost, dropped at the end."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from calltree.models.calls import CommandKind, LegState, Operator, OperatorState, SwitchCommand
from calltree.models.people import LegKind
from calltree.services import operators, switch_commands


def connect(session: Session, *, user_id: int, node: str, now: datetime) -> SwitchCommand | None:
    """Have the operator's telephone called and its leg kept; None while one lives or is made."""
    operator = session.get(Operator, user_id)
    if operator is not None and operator.leg_state not in (LegState.NONE, LegState.LOST):
        return None  # nearly always
    leg = str(uuid.uuid4())
    if not operators.connect_leg(session, user_id=user_id, uuid=leg, node=node, now=now):
        return None
    return switch_commands.ask(
        session,
        kind=CommandKind.CONNECT_LEG,
        node=node,
        user_id=user_id,
        args={"uuid": leg},
        now=now,
    )


def drop(session: Session, *, user_id: int, now: datetime) -> SwitchCommand | None:
    """Hang up the operator's own leg, as at sign-out; None when there is none."""
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is None or operator.leg_state in (LegState.NONE, LegState.LOST):
        return None
    return switch_commands.ask(
        session,
        kind=CommandKind.DROP_LEG,
        node=operator.leg_node,
        user_id=user_id,
        args={"uuid": operator.leg_uuid},
        now=now,
    )


def any_lost(session: Session, *, node: str) -> bool:
    """Answer whether `remake_lost` may have something to do here."""
    return (
        session.scalar(
            select(Operator.user_id)
            .where(*_mine(node), Operator.leg_state.in_((LegState.LOST, LegState.CONNECTING)))
            .limit(1)
        )
        is not None
    )


def remake_lost(
    session: Session, *, node: str, lost_before: datetime, ringing_before: datetime, now: datetime
) -> int:
    """Call again every telephone whose leg was lost in the shift; give how many.

    A leg that has been ringing since `ringing_before` counts as lost too. Browsers make their own
    legs again, and someone who signed out needs none.
    """
    mine = _mine(node)
    for operator in session.scalars(
        select(Operator).where(
            *mine,
            Operator.leg_state == LegState.CONNECTING,
            Operator.leg_since < ringing_before,
        )
    ).all():
        operators.leg_moved(
            session, user_id=operator.user_id, uuid=operator.leg_uuid, to=LegState.LOST, now=now
        )
    lost = session.scalars(
        select(Operator.user_id).where(
            *mine, Operator.leg_state == LegState.LOST, Operator.leg_since <= lost_before
        )
    ).all()
    return sum(
        connect(session, user_id=user_id, node=node, now=now) is not None for user_id in lost
    )


def _mine(node: str) -> tuple[ColumnElement[bool], ...]:
    return (
        Operator.leg_node == node,
        Operator.leg_kind == LegKind.DEVICE,
        Operator.state != OperatorState.SIGNED_OUT,
    )
