"""Rows of calls that are handed on, as they stand; `services.transfers` changes them (R-CL-4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session, aliased

from calltree.models import (
    Attempt,
    CustomerList,
    Origin,
    Transfer,
    TransferKind,
    TransferState,
    TransferWish,
    User,
)
from calltree.services import scope
from calltree.services.rights import Right, Viewer

S = TransferState
UNDER_WAY = (S.RINGING, S.ANSWERED, S.CONSULTING, S.THREE_WAY)
TALKS_TO = (S.CONSULTING, S.THREE_WAY)
# Built once: every event of a leg that is nobody's asks the first, every end of a call the second.
_OF_LEG = select(Transfer).where(Transfer.uuid == bindparam("leg"), Transfer.ended_at.is_(None))
OF_CALL = select(Transfer).where(
    Transfer.attempt_id == bindparam("of"), Transfer.ended_at.is_(None)
)


def under_way(session: Session, *, attempt_id: int) -> Transfer | None:
    """Return the transfer of a call that is neither carried out nor given up."""
    return session.scalar(
        select(Transfer).where(Transfer.attempt_id == attempt_id, Transfer.settled_at.is_(None))
    )


def of_leg(session: Session, *, leg_uuid: str) -> Transfer | None:
    """Return the transfer whose target's leg this is, while its part goes on."""
    return session.scalar(_OF_LEG, {"leg": leg_uuid}) if leg_uuid else None


def asked_of(session: Session, *, user_id: int) -> Transfer | None:
    """Return what this operator is asked to take, or is consulted about."""
    return session.scalar(
        select(Transfer).where(Transfer.to_user_id == user_id, Transfer.settled_at.is_(None))
    )


def offered_to(session: Session, *, user_id: int) -> Transfer | None:
    """Return what this operator is asked to take, else a customer whom anybody may take."""
    return session.scalar(
        select(Transfer)
        .where(
            Transfer.settled_at.is_(None),
            Transfer.state == S.RINGING,
            or_(
                Transfer.to_user_id == user_id,
                (Transfer.kind == TransferKind.PARKED) & (Transfer.from_user_id != user_id),
            ),
        )
        .order_by(Transfer.kind == TransferKind.PARKED, Transfer.id)
        .limit(1)
    )


def is_outside(transfer: Transfer) -> bool:
    """Whether the target is a number, with a leg and a line of its own."""
    return transfer.to_user_id is None and transfer.kind is not TransferKind.PARKED


def sees_customer(session: Session, *, user_id: int, customer_id: int) -> bool:
    """Whether this operator has the customer's page open as one who is consulted."""
    transfer = asked_of(session, user_id=user_id)
    if transfer is None or transfer.answered_at is None:
        return False
    return session.get_one(Attempt, transfer.attempt_id).customer_id == customer_id


def just_over(session: Session, *, user_id: int, now: datetime) -> Transfer | None:
    """Return the transfer that took a customer off this operator's page in the last minute."""
    return session.scalar(
        select(Transfer)
        .where(
            Transfer.settled_at > now - timedelta(minutes=1),
            or_(
                Transfer.from_user_id == user_id,
                (Transfer.to_user_id == user_id) & Transfer.answered_at.is_not(None),
            ),
        )
        .order_by(Transfer.settled_at.desc())
        .limit(1)
    )


def chain(session: Session, *, attempt_id: int) -> list[tuple[Transfer, str, str]]:
    """Return every transfer of a call, the first one first, with who gave and which user took.

    The latter is empty where nobody of ours was asked.
    """
    giver, taker = aliased(User), aliased(User)
    rows = session.execute(
        select(Transfer, giver.name, taker.name)
        .join(giver, giver.id == Transfer.from_user_id)
        .outerjoin(taker, taker.id == Transfer.to_user_id)
        .where(Transfer.attempt_id == attempt_id)
        .order_by(Transfer.id)
    )
    return [(transfer, given, taken or "") for transfer, given, taken in rows]


def may_be_asked(session: Session, *, user: User, attempt: Attempt) -> bool:
    """Whether this colleague may work on calls and may see the call's customer.

    A call without one has its page where such calls are made or taken: it takes that right.
    """
    viewer = Viewer.of(user)
    if user.deleted_at is not None or not viewer.may(Right.DIAL):
        return False
    if attempt.list_id is None:
        came_in = attempt.origin is Origin.INBOUND
        return viewer.may(Right.ANSWER_INBOUND if came_in else Right.DIAL_MANUALLY)
    seen = select(CustomerList.id).where(
        CustomerList.id == attempt.list_id, scope.lists_seen(viewer)
    )
    return session.scalar(seen) is not None


def overdue(
    session: Session, *, ring: timedelta, settle: timedelta, now: datetime
) -> list[Transfer]:
    """Return what nobody answered in time, and what the switch did not do.

    A number is rung by the switch's own time; three times `ring` is for one that it forgot.
    """
    return list(
        session.scalars(
            select(Transfer).where(
                Transfer.settled_at.is_(None),
                or_(
                    (Transfer.state == S.RINGING)
                    & Transfer.to_user_id.is_not(None)
                    & (Transfer.began_at < now - ring),
                    (Transfer.state == S.RINGING) & (Transfer.began_at < now - 3 * ring),
                    (Transfer.state == S.ANSWERED) & (Transfer.wished_at < now - settle),
                    (Transfer.wish != TransferWish.NONE) & (Transfer.wished_at < now - settle),
                ),
            )
        )
    )
