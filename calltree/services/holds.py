"""Who has which customer's page open (R-CL-2): never two operators at once.

The primary key keeps a customer's hold to one row, and each statement that takes it says whom it
may be taken from, so two who open a customer in the same moment are told apart by the database.
What follows from losing a hold (空白, the draft) is `services.desk`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

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
    return _is_over(now - timedelta(seconds=KEPT_S), now - timedelta(seconds=UNTOUCHED_S))


def _is_over(renewed_by: object, touched_by: object) -> ColumnElement[bool]:
    unrenewed = CustomerHold.renewed_at < renewed_by
    untouched = CustomerHold.touched_at < touched_by
    return and_(or_(unrenewed, untouched), ~in_live_call())


# Built once: every press asks it.
_IN_FORCE = and_(
    CustomerHold.customer_id == bindparam("customer"),
    ~_is_over(bindparam("renewed_by"), bindparam("touched_by")),
)
_HOLDER = select(User).join(CustomerHold, CustomerHold.user_id == User.id).where(_IN_FORCE)


_RENEW_MINE = (
    update(CustomerHold)
    .where(
        CustomerHold.customer_id == bindparam("customer"), CustomerHold.user_id == bindparam("of")
    )
    .values(
        page_id=func.coalesce(bindparam("page", type_=String), CustomerHold.page_id),
        renewed_at=bindparam("now"),
        touched_at=bindparam("now"),
    )
)
_INSERT = {
    # RETURNING, not a count of rows: psycopg's is -1 after an INSERT, which is true as well.
    dialect: insert(CustomerHold)
    .on_conflict_do_nothing(index_elements=["customer_id"])
    .returning(CustomerHold.customer_id)
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


def holder(session: Session, *, customer_id: int, now: datetime) -> User | None:
    """Return who has this customer open, or None."""
    return session.scalar(_HOLDER, {"customer": customer_id, **over_by(now)})


def holder_id() -> Select[int]:
    """Give the statement for who has the customer open; binds `customer` and `over_by`."""
    return select(CustomerHold.user_id).where(_IN_FORCE)


def over_by(now: datetime) -> dict[str, datetime]:
    """Give the moments at which a hold not renewed, or not touched, since then is over."""
    return {
        "renewed_by": now - timedelta(seconds=KEPT_S),
        "touched_by": now - timedelta(seconds=UNTOUCHED_S),
    }


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
    if _renew_mine(session, customer_id, user_id, page_id, now):
        return  # nearly always: the page has been open for a while
    for _ in range(3):  # the holder may give it back between the two statements
        if _insert(session, customer_id, user_id, page_id or "", now):
            return
        if _take_from(session, customer_id, user_id, page_id, now):
            return
        who = holder(session, customer_id=customer_id, now=now)
        if who is not None:
            raise Refused("customer_held", name=who.name)
    raise Refused("customer_held", name="")


def take_for_call(
    session: Session, *, customer_id: int, user_id: int, page_id: str, now: datetime
) -> None:
    """Hold the customer for whoever talks with them; who had looked them up meanwhile loses."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    mine = {"user_id": user_id, "page_id": page_id}
    mine |= dict.fromkeys(("taken_at", "renewed_at", "touched_at"), now)
    session.execute(
        insert(CustomerHold)
        .values(customer_id=customer_id, **mine)
        .on_conflict_do_update(index_elements=["customer_id"], set_=mine)
    )


def _renew_mine(
    session: Session, customer_id: int, user_id: int, page_id: str | None, now: datetime
) -> bool:
    given = {"customer": customer_id, "of": user_id, "page": page_id, "now": now}
    renewed = session.connection().execute(_RENEW_MINE, given)
    if not renewed.rowcount:
        return False
    _reload(session, customer_id)
    return True


def _reload(session: Session, customer_id: int) -> None:
    """What was loaded of this hold is old now."""
    loaded = session.identity_map.get(identity_key(CustomerHold, customer_id))
    if loaded is not None:
        session.refresh(loaded)


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
    _reload(session, customer_id)
    return taken is not None


def _insert(session: Session, customer_id: int, user_id: int, page_id: str, now: datetime) -> bool:
    connection = session.connection()
    row = {"customer_id": customer_id, "user_id": user_id, "page_id": page_id}
    moments = dict.fromkeys(("taken_at", "renewed_at", "touched_at"), now)
    return connection.scalar(_INSERT[connection.dialect.name], row | moments) is not None


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
    given_back = session.scalar(
        delete(CustomerHold)
        .where(CustomerHold.customer_id == customer_id, CustomerHold.user_id == user_id)
        .returning(CustomerHold.customer_id)
    )
    if given_back is None:
        return False
    announce(session, "operator", user_id=user_id)
    return True


def any_over(session: Session, *, now: datetime) -> bool:
    """Whether there is something for `desk.sweep` to do; locks nothing."""
    return session.scalar(select(CustomerHold.customer_id).where(is_over(now)).limit(1)) is not None


def over(session: Session, *, now: datetime) -> Sequence[CustomerHold]:
    """Return the holds to be swept: unrenewed or untouched for too long, and in no live call."""
    return session.scalars(select(CustomerHold).where(is_over(now))).all()


def lock_over(session: Session, *, customer_id: int, now: datetime) -> bool:
    """Lock a hold that is to be swept; False when it was renewed, or is gone."""
    mine = select(CustomerHold.customer_id).where(
        CustomerHold.customer_id == customer_id, is_over(now)
    )
    return session.scalar(mine.with_for_update()) is not None
