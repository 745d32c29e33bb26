"""Customers who answered and wait: the first operator to become free, or an apology in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from calltree.models import Attempt, CallState
from calltree.services.campaign_answers import Waiting
from calltree.telephony import joins
from calltree.telephony.acts import Act, Apologise
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)

UNDER_WAY = timedelta(milliseconds=50)
"""A leg answered this moment is still leaving its originate: its first application joins it."""


def serve(
    session: Session,
    *,
    waiting: list[Waiting],
    timings: Timings,
    clock: Callable[[], datetime],
) -> list[Act]:
    """Join each with an operator who is free, or apologise to whom has waited long enough."""
    acts: list[Act] = []
    for one in waiting:
        now = clock()
        if now - one.answered_at < UNDER_WAY:
            continue
        attempt = session.get_one(Attempt, one.attempt_id, populate_existing=True)
        if attempt.state is not CallState.ANSWERED or attempt.apology_at or attempt.joined_at:
            continue
        acts += joins.answered_joins(session, attempt, now)
        patience = timedelta(seconds=one.answered_wait_s * timings.second_s)
        if attempt.user_id is None and now - one.answered_at >= patience:
            attempt.apology_at = now
            log.warning("nobody free for who answered", attempt=attempt.id)
            acts.append(Apologise(attempt.node, attempt.uuid))
    return acts
