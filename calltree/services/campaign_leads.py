"""Whom a campaign dials next: callbacks first, then its lists in their order (R-DL-5, R-DL-6).

What is given here is a proposal; the gate decides about each in its own transaction. Main numbers
only: extra numbers are for people who press CALL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from calltree.models import (
    Campaign,
    CampaignList,
    Customer,
    CustomerHold,
    CustomerList,
    Operator,
    OperatorState,
    Task,
)
from calltree.services import hurry, scope


@dataclass(frozen=True, slots=True)
class Lead:
    """A customer who may be dialled now."""

    customer_id: int
    number: str
    user_id: int | None = None
    """The callback was promised by this operator, who is to be kept free for it."""
    needs_operator: bool = False
    """Abandoned before: only with an operator kept free (R-DL-4)."""


@dataclass(slots=True)
class Places:
    """How far a campaign's lists were read, by the loop that reads them; begun anew at times."""

    after: dict[int, int] = field(default_factory=dict)
    """List → the last position given of those never dialled."""


def in_use(campaign_id: int | InstrumentedAttribute[int]) -> Select[int]:
    """Select the ids of the lists that the campaign dials: those that are on, in it and at all.

    A list that is disabled or in the bin is dialled by nobody and asks for no grant.
    """
    return (
        select(CampaignList.list_id)
        .join(CustomerList, CustomerList.id == CampaignList.list_id)
        .where(
            CampaignList.campaign_id == campaign_id,
            CampaignList.enabled,
            CustomerList.enabled,
            CustomerList.deleted_at.is_(None),
        )
    )


def lists_in_use(session: Session, *, campaign_id: int) -> list[int]:
    """Return the ids of the lists that can be dialled, in their order."""
    return list(session.scalars(in_use(campaign_id).order_by(CampaignList.position)))


def next_leads(
    session: Session,
    *,
    campaign: Campaign,
    lists: Sequence[int],
    places: Places,
    most: int,
    now: datetime,
) -> list[Lead]:
    """Return up to `most` different customers; `places` is moved on over those given."""
    found: dict[int, Lead] = {}
    if campaign.callbacks_first:
        _add(found, _callbacks(session, campaign, lists, now, most))
    for list_id in lists:
        if len(found) >= most:
            break
        _add(found, _due(session, campaign, list_id, now, most))
        _add(found, _again(session, campaign, list_id, now, most))
        if len(found) < most:
            _add(found, _fresh(session, list_id, places, most - len(found)))
    return list(found.values())[:most]


def count_left(session: Session, *, campaign: Campaign, lists: Sequence[int]) -> int:
    """Count who may still be dialled, now or later. Reads whole lists: for once in a while."""
    waits = and_(Customer.next_try_at.is_not(None), Customer.dials < campaign.max_tries)
    return (
        session.scalar(
            select(func.count())
            .select_from(Customer)
            .join(CustomerList, CustomerList.id == Customer.list_id)
            .where(
                Customer.list_id.in_(lists),
                scope.is_present(),
                ~Customer.preview_only,
                or_(_never_dialled(), waits),
            )
        )
        or 0
    )


def next_due(
    session: Session, *, campaign: Campaign, lists: Sequence[int], now: datetime
) -> datetime | None:
    """Return when the first of those who wait for their next try is due; None: nobody waits."""
    return session.scalar(
        select(func.min(Customer.next_try_at)).where(
            Customer.list_id.in_(lists),
            Customer.next_try_at > now,
            Customer.deleted_at.is_(None),
            Customer.dials < campaign.max_tries,
        )
    )


def _add(found: dict[int, Lead], leads: Sequence[Lead]) -> None:
    for lead in leads:
        found.setdefault(lead.customer_id, lead)


def _never_dialled() -> ColumnElement[bool]:
    """Condition on Customer joined with its list: not dialled in this 周回."""
    return or_(Customer.cycle != CustomerList.cycle, Customer.dials == 0)


def _customers() -> Select[int, str, int]:
    """Nobody whom a person has open is proposed; the gate would only refuse them."""
    held = exists().where(CustomerHold.customer_id == Customer.id)
    return (
        select(Customer.id, Customer.number, Customer.abandons)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(scope.is_present(), ~Customer.preview_only, ~held)
    )


def _leads(rows: Any) -> list[Lead]:
    return [
        Lead(customer_id, number, needs_operator=abandons > 0)
        for customer_id, number, abandons in rows
    ]


def _callbacks(
    session: Session, campaign: Campaign, lists: Sequence[int], now: datetime, most: int
) -> list[Lead]:
    """Promised by now: 担当なし, or of an operator who is 待機 in this campaign."""
    waits = exists().where(
        Operator.user_id == Task.user_id,
        Operator.campaign_id == campaign.id,
        Operator.state == OperatorState.READY,
        Operator.attempt_id.is_(None),
    )
    rows = session.execute(
        _customers()
        .add_columns(Task.user_id)
        .join(Task, Task.customer_id == Customer.id)
        .where(
            Task.done_at.is_(None),
            Task.due_at <= now,
            Task.list_id.in_(lists),
            Customer.list_id.in_(lists),
            or_(Task.user_id.is_(None), waits),
            # Tried since then and not reached: only when its next try is due, if there is one.
            or_(
                Customer.next_try_at <= now,
                and_(
                    Customer.next_try_at.is_(None),
                    or_(
                        Customer.last_dialled_at.is_(None),
                        Customer.last_dialled_at < Task.due_at,
                    ),
                ),
            ),
        )
        .order_by(Task.due_at)
        .limit(most)
    ).all()
    return [
        Lead(customer_id, number, user_id=user_id, needs_operator=abandons > 0)
        for customer_id, number, abandons, user_id in rows
    ]


def _due(
    session: Session, campaign: Campaign, list_id: int, now: datetime, most: int
) -> list[Lead]:
    """Tried before, and their time has come."""
    return _leads(
        session.execute(
            _customers()
            .where(
                Customer.list_id == list_id,
                Customer.next_try_at <= now,
                Customer.dials < campaign.max_tries,
            )
            .order_by(Customer.next_try_at)
            .limit(most)
        )
    )


def _again(
    session: Session, campaign: Campaign, list_id: int, now: datetime, most: int
) -> list[Lead]:
    """Called with a result after which the manager has customers called again."""
    if not campaign.again_status_ids:
        return []
    return _leads(
        session.execute(
            _customers()
            .where(
                Customer.list_id == list_id,
                Customer.last_status_id.in_(campaign.again_status_ids),
                Customer.last_dialled_at
                <= now - timedelta(minutes=campaign.again_min) / hurry.rate(session),
                Customer.cycle == CustomerList.cycle,
                Customer.dials < campaign.max_tries,
                Customer.next_try_at.is_(None),
            )
            .order_by(Customer.last_dialled_at)
            .limit(most)
        )
    )


def _fresh(session: Session, list_id: int, places: Places, most: int) -> list[Lead]:
    """Never dialled in this 周回, in file order, from where the loop left off."""
    rows = session.execute(
        _customers()
        .add_columns(Customer.position)
        .where(
            Customer.list_id == list_id,
            Customer.position > places.after.get(list_id, 0),
            _never_dialled(),
            Customer.next_try_at.is_(None),
        )
        .order_by(Customer.position)
        .limit(most)
    ).all()
    if rows:
        places.after[list_id] = rows[-1].position
    return _leads(row[:3] for row in rows)
