"""What a dialler must never do, looked for in the ledger: alarms for people, not repairs."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from calltree.models import Attempt, CallState, Campaign
from calltree.models.calls import LIVE_STATES
from calltree.services import campaign_facts, trunk_health
from calltree.services.campaign_facts import Why
from calltree.text.days import day_begins

LEAKED_AFTER = timedelta(seconds=180)
"""Longer than any ring time with the guidance and the apology behind it."""
UNJOINED = tuple(state for state in LIVE_STATES if state not in (CallState.TALKING, CallState.HELD))


def wrongs(session: Session, *, campaign: Campaign, now: datetime) -> list[Why]:
    """Return the alarms of one campaign that the ledger can tell."""
    found = [
        ("alarm_leaked", _leaked(session, campaign.id, now)),
        ("alarm_duplicate", _duplicates(session, campaign.id, now)),
        (
            "alarm_improper",
            campaign_facts.day_of(session, campaign_id=campaign.id, now=now).improper,
        ),
    ]
    alarms = [Why(code, {"name": campaign.name, "count": count}) for code, count in found if count]
    return alarms + [
        Why("alarm_trunk", {"trunk": fault.name or fault.gateway, "cause": fault.cause})
        for fault in trunk_health.faults(session)
    ]


def _leaked(session: Session, campaign_id: int, now: datetime) -> int:
    return (
        session.scalar(
            select(func.count()).where(
                Attempt.campaign_id == campaign_id,
                Attempt.ended_at.is_(None),
                Attempt.state.in_(UNJOINED),
                Attempt.created_at < now - LEAKED_AFTER,
            )
        )
        or 0
    )


def _duplicates(session: Session, campaign_id: int, now: datetime) -> int:
    """Dials of today that left while another of the same number was not over yet."""
    other = aliased(Attempt)
    return (
        session.scalar(
            select(func.count())
            .select_from(Attempt)
            .join(
                other,
                and_(
                    other.number == Attempt.number,
                    other.id != Attempt.id,
                    other.dialled_at <= Attempt.dialled_at,
                    other.ended_at > Attempt.dialled_at,
                ),
            )
            .where(
                Attempt.campaign_id == campaign_id,
                Attempt.dialled_at >= max(day_begins(now), now - timedelta(hours=1)),
                other.dialled_at >= day_begins(now),
            )
        )
        or 0
    )
