"""When a customer is dialled by itself again: written at every end and at every refusal (R-DL-5).

`Customer.next_try_at` is the whole of it. Whoever is dialled or refused is given another moment in
the same transaction, so that nobody is picked again and again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from calltree.models import Attempt, Campaign, Customer, Operator, OperatorState, Site
from calltree.models.calls import LIVE_STATES
from calltree.services import hurry, operators, outcomes
from calltree.services.outcomes import Outcome
from calltree.text.dayparts import another_part

ABANDONED_GAP = timedelta(hours=24)
MOST_ABANDONS = 2
"""From here on the customer is left to preview."""
IN_HAND = timedelta(minutes=10)
"""Whoever is being dialled is not picked; the end of the call says what is so afterwards."""
OUR_FAULT = timedelta(minutes=5)
NOT_SENT = timedelta(minutes=1)
FREE_FOR = timedelta(seconds=1)
"""An operator free for so long while a customer waited was free enough."""

_REFUSED: dict[str, timedelta] = {
    "number_not_allowed": timedelta(days=30),
    "customer_gone": timedelta(days=1),
    "number_banned": timedelta(hours=6),
    "customer_held": timedelta(minutes=15),
    "number_in_call": timedelta(minutes=10),
    "preview_only": timedelta(days=30),
    "needs_operator": timedelta(minutes=1),
    "in_a_call": timedelta(minutes=1),  # who was to be kept free for them was taken meanwhile
    "no_lines_number": timedelta(minutes=1),  # their caller number's; others may have lines
}
OF_CAMPAIGN = frozenset(
    {
        *("list_unavailable", "project_stopped", "no_caller_number", "outside_site_hours"),
        *("outside_hours", "switch_down", "trunk_down", "no_lines", "no_lines_predictive"),
    }
)
"""Verdicts that say nothing of this customer: the next one would be refused just so."""


def taken(session: Session, customer: Customer, *, now: datetime) -> None:
    """The gate said yes: nobody picks this customer while the call lasts."""
    customer.next_try_at = hurry.later(session, now, IN_HAND)


def refused(
    session: Session, customer: Customer, *, code: str, detail: dict[str, Any], now: datetime
) -> None:
    """The gate said no to this customer: come back when it may say yes."""
    customer.last_outcome = code
    if code == "abandoned_lately":
        customer.next_try_at = datetime.fromisoformat(detail["until"])
    else:
        customer.next_try_at = hurry.later(session, now, _after_refusal(code, detail))


def _after_refusal(code: str, detail: dict[str, Any]) -> timedelta:
    if code == "too_soon":
        return timedelta(minutes=max(1, detail["gap"] - detail["minutes"]))
    if code in OF_CAMPAIGN:
        return NOT_SENT
    return _REFUSED.get(code, timedelta(minutes=30))


def call_ended(session: Session, *, attempt: Attempt, outcome: Outcome, now: datetime) -> None:
    """Say when the customer of a call that ended is tried again; a call by hand ends the waiting.

    Called once for each call, in the transaction that ends it.
    """
    if attempt.customer_id is None:
        return
    customer = session.get_one(Customer, attempt.customer_id)
    if attempt.campaign_id is None:
        if outcome is outcomes.TALKED:
            customer.next_try_at, customer.abandons = None, 0
        return
    customer.last_outcome = outcome.sentence
    customer.next_try_at = _next(session, customer, attempt, outcome, now)
    if outcome.abandoned:
        _abandoned(session, customer, attempt, now)


def _next(
    session: Session, customer: Customer, attempt: Attempt, outcome: Outcome, now: datetime
) -> datetime | None:
    campaign = session.get_one(Campaign, attempt.campaign_id)
    if outcome is outcomes.TALKED:
        customer.abandons = 0
        return None
    if outcome.abandoned:
        return hurry.later(session, now, ABANDONED_GAP)
    if outcome.line_error:
        return hurry.later(session, now, NOT_SENT if attempt.dialled_at is None else OUR_FAULT)
    if outcome is outcomes.NOT_IN_USE or customer.dials >= campaign.max_tries:
        return None
    if outcome is outcomes.BUSY:
        return hurry.later(session, now, timedelta(minutes=campaign.busy_min))
    after = timedelta(minutes=campaign.no_answer_min)
    tried = attempt.dialled_at or now
    if campaign.other_part:
        return another_part(tried, after / hurry.rate(session))
    return hurry.later(session, tried, after)


def _abandoned(session: Session, customer: Customer, attempt: Attempt, now: datetime) -> None:
    customer.abandons += 1
    customer.abandoned_at = now
    if customer.abandons >= MOST_ABANDONS:
        customer.preview_only, customer.next_try_at = True, None
    answered = attempt.answered_at or now
    waited = hurry.passed(session, answered, now) >= FREE_FOR
    free = exists().where(
        Operator.campaign_id == attempt.campaign_id,
        Operator.state == OperatorState.READY,
        Operator.attempt_id.is_(None),
        Operator.leg_state.in_(operators.LIVE_LEGS),
        Operator.leg_node == attempt.node,
        Operator.since <= answered,
    )
    somebody = attempt.user_id is not None or bool(session.scalar(select(free)))
    attempt.improper = waited and somebody


def abandons_of(session: Session, *, number: str) -> tuple[int, datetime | None]:
    """Return how often the number was abandoned since it was last talked with, and when last."""
    rows = session.execute(
        select(Attempt.state, Attempt.joined_at, Attempt.ended_at)
        .where(
            Attempt.number == number,
            Attempt.dialled_at.is_not(None),
            Attempt.answered_at.is_not(None),
            Attempt.state.not_in(LIVE_STATES),
        )
        .order_by(Attempt.dialled_at.desc())
        .limit(MOST_ABANDONS + 8)
    ).all()
    count, last = 0, None
    for state, joined_at, ended_at in rows:
        if joined_at is not None:
            break
        if state == "abandoned":
            count, last = count + 1, last or ended_at
    return count, last


def minimum_gap(session: Session, *, site: Site, campaign_id: int | None, number: str) -> timedelta:
    """Return how long after its last dial a number may be dialled by itself again (R-CL-15, 5).

    The site's gap; but a number whose last dial met the busy tone never rang, and has the
    campaign's own wait after busy where that is shorter.
    """
    gap = timedelta(minutes=site.min_gap_min)
    campaign = session.get(Campaign, campaign_id) if campaign_id is not None else None
    if campaign is None:
        return gap
    cause, rang = session.execute(
        select(Attempt.hangup_cause, Attempt.ringing_at)
        .where(Attempt.number == number, Attempt.dialled_at.is_not(None))
        .order_by(Attempt.dialled_at.desc())
        .limit(1)
    ).one_or_none() or ("", None)
    busy = cause == "USER_BUSY" and rang is None
    return min(gap, timedelta(minutes=campaign.busy_min)) if busy else gap
