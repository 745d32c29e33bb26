"""練習の着信: a call that comes in on order, so that answering can be practised (R-AR-5)."""

from __future__ import annotations

import random
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import Customer
from calltree.services import inbound_facts, inbound_routes, practice_callers, scope
from calltree.services.inbound_rules import Plan
from calltree.services.rights import Viewer

UNKNOWN = "0699990000"
"""Stands in no list of the practice site."""
_AMONG = 20


class Who(StrEnum):
    """Who is to call."""

    CUSTOMER = "customer"
    """Somebody of the viewer's lists."""
    UNKNOWN = "unknown"
    WITHHELD = "withheld"


def call_in(session: Session, *, viewer: Viewer, who: Who, now: datetime) -> Plan:
    """Let somebody call the first number that takes calls; gives what becomes of it.

    Raises Refused 'practice_only', 'no_inbound_number', 'no_practice_customer'.
    """
    numbers = inbound_routes.numbers(session)
    if not numbers:
        raise Refused("no_inbound_number")
    caller, number = _caller(session, viewer, who), numbers[0].number
    practice_callers.call_in(session, caller=caller, number=number, now=now)
    return inbound_facts.plan(session, number=number, caller=caller, now=now)


def _caller(session: Session, viewer: Viewer, who: Who) -> str:
    if who is not Who.CUSTOMER:
        return UNKNOWN if who is Who.UNKNOWN else ""
    seen = scope.customers_seen(session, viewer=viewer)
    known = session.scalars(
        select(Customer.number).where(seen).order_by(Customer.id).limit(_AMONG)
    ).all()
    if not known:
        raise Refused("no_practice_customer")
    return random.choice(known)
