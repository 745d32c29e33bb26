"""Who takes a customer who answered: the operator longest idle, kept by compare-and-set (R-DL-3).

Everything here is called by the leader alone, inside its own write transactions.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import (
    Attempt,
    CallState,
    Campaign,
    Operator,
    OperatorState,
)
from calltree.services import campaign_team, holds, operators, records
from calltree.services.operators import Move


class Waiting(NamedTuple):
    """A customer who answered and is not joined yet."""

    attempt_id: int
    campaign_id: int
    node: str
    answered_at: datetime
    answered_wait_s: int
    user_id: int | None
    """Who is kept for them; the join has not been heard of yet."""


def waiting(session: Session) -> list[Waiting]:
    """Return the customers who wait to be joined, of all campaigns, the first to answer first."""
    rows = session.execute(
        select(
            Attempt.id,
            Attempt.campaign_id,
            Attempt.node,
            Attempt.answered_at,
            Campaign.answered_wait_s,
            Attempt.user_id,
        )
        .join(Campaign, Campaign.id == Attempt.campaign_id)
        .where(
            Attempt.ended_at.is_(None),
            Attempt.state == CallState.ANSWERED,
            Attempt.joined_at.is_(None),
            Attempt.apology_at.is_(None),
        )
        .order_by(Attempt.answered_at)
    ).all()
    return [
        Waiting(row.id, row.campaign_id, row.node, row.answered_at, *row[4:])
        for row in rows
        if row.answered_at is not None and row.campaign_id is not None
    ]


def any_call(session: Session) -> bool:
    """Whether any campaign has a call under way."""
    live = select(Attempt.id).where(Attempt.campaign_id.is_not(None), Attempt.ended_at.is_(None))
    return session.scalar(live.limit(1)) is not None


def assign(session: Session, *, attempt: Attempt, now: datetime) -> int | None:
    """Keep an operator for a customer who answered: the one reserved for it, else the longest idle.

    Gives the user's id; None while nobody is free, or when the customer is not to be joined.
    """
    if attempt.user_id is not None:
        return attempt.user_id
    if attempt.state is not CallState.ANSWERED or attempt.joined_at or attempt.apology_at:
        return None
    if attempt.campaign_id is None:
        return None
    who = _reserved(session, attempt) or _longest_idle(session, attempt, now)
    if who is None:
        return None
    attempt.user_id = who
    session.flush()
    announce(session, "call", attempt_id=attempt.id, user_id=who)
    announce(session, "campaign", campaign_id=attempt.campaign_id)
    return who


def _reserved(session: Session, attempt: Attempt) -> int | None:
    """The operator kept for it before the dial, if they still are and can hear."""
    if attempt.reserved_user_id is None:
        return None
    return session.scalar(
        select(Operator.user_id).where(
            Operator.user_id == attempt.reserved_user_id,
            Operator.attempt_id == attempt.id,
            Operator.leg_state.in_(operators.LIVE_LEGS),
            Operator.leg_node == attempt.node,
        )
    )


def _longest_idle(session: Session, attempt: Attempt, now: datetime) -> int | None:
    ready = session.scalars(
        select(Operator.user_id)
        .where(
            campaign_team.ready(attempt.campaign_id or 0),
            Operator.leg_node == attempt.node,
        )
        .order_by(Operator.since, Operator.user_id)
    ).all()
    for user_id in ready:
        if operators.lock(session, user_id=user_id, attempt_id=attempt.id, now=now, by=Move.OFFER):
            return user_id
    return None


def unassign(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """The join failed: the operator, who cannot be reached, goes to 離席; the customer waits on.

    The next free operator is tried at once by whoever looks after those who wait.
    """
    user_id = attempt.user_id
    if user_id is None or attempt.joined_at is not None:
        return
    operators.unlock(session, user_id=user_id, attempt_id=attempt.id, now=now, by=Move.WITHDRAW)
    operators.move(session, user_id=user_id, by=Move.GO_AWAY, now=now)
    attempt.user_id = None
    session.flush()


def found_with(session: Session, *, attempt: Attempt, leg: str, now: datetime) -> None:
    """The switch has joined the customer with this leg: its operator is the one.

    A join that was given up may have come about after all.
    """
    operator = session.scalar(select(Operator).where(Operator.leg_uuid == leg))
    if operator is None or operator.user_id == attempt.user_id:
        return
    if operator.attempt_id != attempt.id and not operators.lock(
        session, user_id=operator.user_id, attempt_id=attempt.id, now=now, by=Move.OFFER
    ):
        return
    if attempt.user_id is not None:
        operators.unlock(
            session, user_id=attempt.user_id, attempt_id=attempt.id, now=now, by=Move.WITHDRAW
        )
    attempt.user_id = operator.user_id
    session.flush()


def connected(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """The customer and the operator hear each other: the customer's page opens (R-DL-2)."""
    user_id = attempt.user_id
    if user_id is None or attempt.campaign_id is None:
        return
    records.give_to(session, attempt=attempt, user_id=user_id, now=now)
    operator = session.get_one(Operator, user_id, populate_existing=True)
    if attempt.customer_id is not None:
        holds.take_for_call(
            session,
            customer_id=attempt.customer_id,
            user_id=user_id,
            page_id=operator.page_id,
            now=now,
        )
        session.execute(
            update(Operator)
            .where(Operator.user_id == user_id)
            .values(
                customer_id=attempt.customer_id,
                queue_id=None,
                dial_at=None,
                chosen_number="",
                chosen_caller_id=None,
            )
        )
        announce(session, "customer", customer_id=attempt.customer_id)
    announce(session, "operator", user_id=user_id)
    announce(session, "campaign", campaign_id=attempt.campaign_id)
    campaign_team.stopped(session, campaign_id=attempt.campaign_id, now=now)


def let_go(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """A campaign's call is over: who was kept for a customer who never came waits again.

    Who talked with them goes to 後処理.
    """
    joined = attempt.joined_at is not None
    for user_id in {attempt.user_id, attempt.reserved_user_id} - {None}:
        talked = joined and user_id == attempt.user_id
        operators.unlock(
            session,
            user_id=user_id or 0,
            attempt_id=attempt.id,
            now=now,
            by=Move.END_CALL if talked else Move.WITHDRAW,
        )
    if not joined and attempt.user_id is not None:
        attempt.user_id = None  # nobody talked: the call is 自動発信's
    announce(session, "campaign", campaign_id=attempt.campaign_id)
    if attempt.campaign_id is not None:
        campaign_team.stopped(session, campaign_id=attempt.campaign_id, now=now)


def ready_count(session: Session, *, campaign_id: int) -> dict[str, int]:
    """Count who is 待機 in a campaign, by the switch that their telephone is on."""
    counts: dict[str, int] = {}
    for node in session.scalars(select(Operator.leg_node).where(campaign_team.ready(campaign_id))):
        counts[node] = counts.get(node, 0) + 1
    return counts


def signed_in(session: Session, *, campaign_id: int) -> int:
    """Count who works in a campaign now: 待機, in a call, in 後処理."""
    return len(
        session.scalars(
            select(Operator.user_id).where(
                Operator.campaign_id == campaign_id,
                Operator.state.in_(campaign_team.WORKING),
                Operator.state != OperatorState.SIGNED_OUT,
            )
        ).all()
    )
