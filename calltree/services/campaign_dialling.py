"""One dial of a campaign: through the one gate, its customer moved on whatever the gate says."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import Attempt, Campaign, CampaignMode, Customer, Operator, Origin
from calltree.services import campaign_team, gate, redialling
from calltree.services.campaign_leads import Lead
from calltree.services.gate import DialRequest

PASSED_OVER = "passed_over"
"""Somebody else has dealt with this customer meanwhile; nothing was asked."""


def dial(
    session: Session, *, campaign: Campaign, lead: Lead, node: str, epoch: int, now: datetime
) -> tuple[str, Attempt | None]:
    """Ask the gate for this customer; give its verdict's code and the row, if it was asked.

    Allowed, refused or not asked: `Customer.next_try_at` is such that the same customer is not the
    next one again. Verdicts of `redialling.OF_CAMPAIGN` say that the next would be refused too.
    """
    customer = session.get(Customer, lead.customer_id, populate_existing=True)
    if customer is None or (customer.next_try_at is not None and customer.next_try_at > now):
        return PASSED_OVER, None
    reserved = lead.user_id
    if reserved is None and (lead.needs_operator or _was_abandoned(session, customer)):
        reserved = _longest_idle(session, campaign.id, node)
        if reserved is None:
            redialling.refused(session, customer, code="needs_operator", detail={}, now=now)
            return "needs_operator", None
    attempt = gate.ask(
        session,
        request=DialRequest(
            origin=_origin(campaign),
            number=customer.number,
            customer_id=customer.id,
            node=_node(session, reserved) or node,
            campaign_id=campaign.id,
            reserved_user_id=reserved,
            least_ring_s=campaign.minimum_ring_s,
            epoch=epoch,
        ),
        now=now,
    )
    if attempt.verdict == gate.ALLOWED:
        redialling.taken(session, customer, now=now)
    else:
        redialling.refused(
            session, customer, code=attempt.verdict, detail=attempt.verdict_detail, now=now
        )
    session.flush()
    return attempt.verdict, attempt


def _origin(campaign: Campaign) -> Origin:
    progressive = campaign.mode is CampaignMode.PROGRESSIVE
    return Origin.PROGRESSIVE if progressive else Origin.PREDICTIVE


def _was_abandoned(session: Session, customer: Customer) -> bool:
    """By the row, or by the number in whichever list it stands: the gate asks for the number."""
    return bool(customer.abandons or redialling.abandons_of(session, number=customer.number)[0])


def _longest_idle(session: Session, campaign_id: int, node: str) -> int | None:
    return session.scalar(
        select(Operator.user_id)
        .where(campaign_team.ready(campaign_id), Operator.leg_node == node)
        .order_by(Operator.since, Operator.user_id)
        .limit(1)
    )


def _node(session: Session, user_id: int | None) -> str:
    """A customer can be joined only with a leg on the same switch."""
    if user_id is None:
        return ""
    return session.scalar(select(Operator.leg_node).where(Operator.user_id == user_id)) or ""
