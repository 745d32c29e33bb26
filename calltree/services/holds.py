"""Who has which customer's page open (R-CL-2): never two operators at once.

The primary key keeps a customer's hold to one row, and each statement that takes it says whom it
may be taken from, so two who open a customer in the same moment are told apart by the database.
What follows from losing a hold (空白, the draft) is `services.desk`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import Refused
from calltree.models import Attempt, CustomerHold, User

KEPT_S = 60
"""Without renewal a hold lives this long; an open page renews every 10 s."""
UNTOUCHED_S = 15 * 60
WARNING_S = 60
"""The page warns this long before an untouched customer is released."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What an open page learns when it renews."""

    held: bool
    released_in_s: int | None = None
    """Seconds until the untouched customer is released, in the last minute only."""


def in_live_call() -> ColumnElement[bool]:
    """Condition on CustomerHold: its holder is in a call with this customer."""
    live = exists().where(
        Attempt.customer_id == CustomerHold.customer_id,
        Attempt.user_id == CustomerHold.user_id,
        Attempt.ended_at.is_(None),
    )
    return live.correlate(CustomerHold)


def is_over(now: datetime) -> ColumnElement[bool]:
    """Condition on CustomerHold: it keeps nobody out any more."""
    unrenewed = CustomerHold.renewed_at < now - timedelta(seconds=KEPT_S)
    untouched = CustomerHold.touched_at < now - timedelta(seconds=UNTOUCHED_S)
    return and_(or_(unrenewed, untouched), ~in_live_call())


def holder(session: Session, *, customer_id: int, now: datetime) -> User | None:
    """Return who has this customer open, or None."""
    return session.scalar(
        select(User)
        .join(CustomerHold, CustomerHold.user_id == User.id)
        .where(CustomerHold.customer_id == customer_id, ~is_over(now))
    )


def held_by_other(customer_id: object, user_id: int | None, now: datetime) -> ColumnElement[bool]:
    """Whether somebody else has the customer open; `customer_id` may be a column."""
    held = and_(CustomerHold.customer_id == customer_id, ~is_over(now))
    return exists().where(held if user_id is None else and_(held, CustomerHold.user_id != user_id))


def take(
    session: Session, *, customer_id: int, user_id: int, page_id: str | None, now: datetime
) -> None:
    """Hold the customer for this user, or renew the hold they have.

    `page_id` None keeps the page that holds it. Raises Refused 'customer_held' with the `name` of
    the one who has it.
    """
    # Not one ON CONFLICT DO UPDATE: on Postgres it keeps the row of a customer it could not have
    # locked, and operators walking the same queue dead-locked on such rows.
    for _ in range(3):  # the holder may give it back between the two statements
        if _insert(session, customer_id, user_id, page_id or "", now):
            return
        if _take_from(session, customer_id, user_id, page_id, now):
            return
        who = holder(session, customer_id=customer_id, now=now)
        if who is not None:
            raise Refused("customer_held", name=who.name)
    raise Refused("customer_held", name="")


def _take_from(
    session: Session, customer_id: int, user_id: int, page_id: str | None, now: datetime
) -> bool:
    """Take the hold that is there, if it is the user's own or over."""
    mine = CustomerHold.user_id == user_id
    kept_page = case((mine, CustomerHold.page_id), else_="")
    taken = session.scalar(
        update(CustomerHold)
        .where(CustomerHold.customer_id == customer_id, or_(mine, is_over(now)))
        .values(
            user_id=user_id,
            page_id=kept_page if page_id is None else page_id,
            taken_at=case((mine, CustomerHold.taken_at), else_=now),
            renewed_at=now,
            touched_at=now,
        )
        .returning(CustomerHold.customer_id)
        .execution_options(synchronize_session=False)
    )
    session.get(CustomerHold, customer_id, populate_existing=True)  # what was loaded is old now
    return taken is not None


def _insert(session: Session, customer_id: int, user_id: int, page_id: str, now: datetime) -> bool:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    inserted = session.scalar(
        insert(CustomerHold)
        .values(
            customer_id=customer_id,
            user_id=user_id,
            page_id=page_id,
            taken_at=now,
            renewed_at=now,
            touched_at=now,
        )
        .on_conflict_do_nothing(index_elements=[CustomerHold.customer_id])
        .returning(CustomerHold.customer_id)
    )
    return inserted is not None


def renew(
    session: Session, *, customer_id: int, user_id: int, page_id: str, now: datetime
) -> Renewal:
    """Keep the hold of an open page. `held` False: it was freed, or is another page's by now."""
    touched = session.scalar(
        update(CustomerHold)
        .where(
            CustomerHold.customer_id == customer_id,
            CustomerHold.user_id == user_id,
            CustomerHold.page_id == page_id,
        )
        .values(renewed_at=now)
        .returning(CustomerHold.touched_at)
    )
    if touched is None:
        return Renewal(held=False)
    left = int((touched + timedelta(seconds=UNTOUCHED_S) - now).total_seconds())
    calling = session.scalar(select(in_live_call()).where(CustomerHold.customer_id == customer_id))
    return Renewal(
        held=True, released_in_s=max(left, 0) if left <= WARNING_S and not calling else None
    )


def touch(session: Session, *, customer_id: int, user_id: int, now: datetime) -> None:
    """Note that the operator did something here: typed, saved, pressed."""
    session.execute(
        update(CustomerHold)
        .where(CustomerHold.customer_id == customer_id, CustomerHold.user_id == user_id)
        .values(touched_at=now, renewed_at=now)
    )


def release(session: Session, *, customer_id: int, user_id: int) -> bool:
    """Give the customer back; True if this user had it."""
    hold = session.scalar(
        select(CustomerHold).where(
            CustomerHold.customer_id == customer_id, CustomerHold.user_id == user_id
        )
    )
    if hold is None:
        return False
    session.delete(hold)
    session.flush()
    announce(session, "operator", user_id=user_id)
    return True


def any_over(session: Session, *, now: datetime) -> bool:
    """Whether there is something for `desk.sweep` to do; locks nothing."""
    return session.scalar(select(CustomerHold.customer_id).where(is_over(now)).limit(1)) is not None


def over(session: Session, *, now: datetime) -> Sequence[CustomerHold]:
    """Return the holds to be swept: unrenewed or untouched for too long, and in no live call."""
    return session.scalars(select(CustomerHold).where(is_over(now)).with_for_update()).all()
