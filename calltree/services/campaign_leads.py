"""Whom a campaign dials next: callbacks first, then its lists in their order (R-DL-5, R-DL-6).

What is given here is a proposal; the gate decides about each in its own transaction. Main numbers
only: extra numbers are for people who press CALL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from calltree.models import (
    BuiltIn,
    Campaign,
    CampaignList,
    Customer,
    CustomerHold,
    CustomerList,
    Operator,
    OperatorState,
    ResultStatus,
    Task,
)
from calltree.services import hurry, scope
from calltree.text.dayparts import another_part, tried_until


@dataclass(frozen=True, slots=True)
class Lead:
    """A customer who may be dialled now."""

    customer_id: int
    number: str
    user_id: int | None = None
    """The callback was promised by this operator, who is to be kept free for it."""
    needs_operator: bool = False
    """Abandoned before: only with an operator kept free (R-DL-4)."""


@dataclass(frozen=True, slots=True)
class _CalledAgain:
    """Results after which customers are called again, and after how long."""

    result: ColumnElement[bool]
    """Condition on Customer."""
    wait: timedelta
    other_part: bool = False
    """In another part of the day only."""

    def until(self, now: datetime) -> datetime:
        """Who was dialled by then may be dialled now."""
        return tried_until(now, self.wait) if self.other_part else now - self.wait

    def due(self, tried: datetime) -> datetime:
        return another_part(tried, self.wait) if self.other_part else tried + self.wait


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


def count_left(session: Session, *, campaign: Campaign, lists: Sequence[int]) -> dict[int, int]:
    """Count who may still be dialled, now or later, by the tries they have left.

    Reads whole lists: for once in a while.
    """
    again = or_(*(again.result for again in _called_again(session, campaign)))
    waits = and_(Customer.next_try_at.is_not(None), Customer.dials < campaign.max_tries)
    tries = case((_never_dialled(), campaign.max_tries), else_=campaign.max_tries - Customer.dials)
    rows = session.execute(
        select(tries, func.count())
        .select_from(Customer)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(
            Customer.list_id.in_(lists),
            scope.is_present(),
            ~Customer.preview_only,
            or_(_never_dialled(), waits, and_(again, *_another_try(campaign))),
        )
        .group_by(tries)
    ).all()
    return {int(left): int(count) for left, count in rows}


def next_due(
    session: Session, *, campaign: Campaign, lists: Sequence[int], now: datetime
) -> datetime | None:
    """Return when the first of those who wait for their next try is due; None: nobody waits."""
    due = [
        session.scalar(
            select(func.min(Customer.next_try_at)).where(
                Customer.list_id.in_(lists),
                Customer.next_try_at > now,
                Customer.deleted_at.is_(None),
                Customer.dials < campaign.max_tries,
            )
        )
    ]
    for again in _called_again(session, campaign):
        tried = session.scalar(
            select(func.min(Customer.last_dialled_at))
            .join(CustomerList, CustomerList.id == Customer.list_id)
            .where(
                Customer.list_id.in_(lists),
                again.result,
                Customer.last_dialled_at > again.until(now),
                scope.is_present(),
                ~Customer.preview_only,
                *_another_try(campaign),
            )
        )
        due.append(None if tried is None else again.due(tried))
    return min((at for at in due if at is not None), default=None)


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
    """Whose last result has them called again, and its wait is over."""
    found: list[Lead] = []
    for again in _called_again(session, campaign):
        found += _leads(
            session.execute(
                _customers()
                .where(
                    Customer.list_id == list_id,
                    again.result,
                    Customer.last_dialled_at <= again.until(now),
                    *_another_try(campaign),
                )
                .order_by(Customer.last_dialled_at)
                .limit(most)
            )
        )
    return found


def _called_again(session: Session, campaign: Campaign) -> list[_CalledAgain]:
    """不通, and what the manager chose: each asked about alone, as the index serves one."""
    wait = timedelta(minutes=campaign.no_answer_min) / hurry.rate(session)
    found = [_CalledAgain(_not_reached(), wait, campaign.other_part)]
    if campaign.again_status_ids:
        chosen = Customer.last_status_id.in_(campaign.again_status_ids)
        wait = timedelta(minutes=campaign.again_min) / hurry.rate(session)
        found.append(_CalledAgain(chosen, wait))
    return found


def _not_reached() -> ColumnElement[bool]:
    """Condition on Customer: a person saved 不通. Who dialled by hand left no next try."""
    built_in = select(ResultStatus.id).where(ResultStatus.built_in == BuiltIn.NO_ANSWER)
    return Customer.last_status_id == built_in.scalar_subquery()


def _another_try(campaign: Campaign) -> tuple[ColumnElement[bool], ...]:
    """Conditions on Customer joined with its list: dialled in this 周回, less often than allowed.

    Who has a next try waits for that instead.
    """
    return (
        Customer.cycle == CustomerList.cycle,
        Customer.dials.between(1, campaign.max_tries - 1),
        Customer.next_try_at.is_(None),
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
