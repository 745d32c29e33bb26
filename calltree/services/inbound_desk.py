"""A call that came in, at an operator's desk: who calls is chosen, saved, or left open (R-IN-2).

Until a customer is chosen the call has the operator's desk to itself; from then on it is a call
like any other, on the call screen.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, Refused
from calltree.models import Attempt, CallRecord, Customer, Operator, Origin, SystemResult
from calltree.services import (
    customers,
    desk,
    drafts,
    holds,
    inbound_calls,
    operators,
    records,
    scope,
    turns,
)
from calltree.services.rights import Right, Viewer

MAX_MEMO = 4000


class AtDesk(NamedTuple):
    """The call that an operator takes, talks in, or has not finished yet."""

    attempt: Attempt
    record: CallRecord | None
    """None until the caller was joined."""

    @property
    def is_live(self) -> bool:
        """Whether it goes on."""
        return self.attempt.ended_at is None


def current(session: Session, *, user_id: int) -> AtDesk | None:
    """Return the inbound call at this user's desk."""
    row = session.execute(
        select(Attempt, CallRecord)
        .select_from(Operator)
        .outerjoin(CallRecord, CallRecord.id == Operator.record_id)
        .join(Attempt, or_(Attempt.id == Operator.attempt_id, Attempt.id == CallRecord.attempt_id))
        .where(Operator.user_id == user_id, Attempt.origin == Origin.INBOUND)
        .order_by(Attempt.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    attempt, record = row
    return AtDesk(attempt, record if record and record.attempt_id == attempt.id else None)


def choose(session: Session, *, viewer: Viewer, customer_id: int, now: datetime) -> Customer:
    """Say which customer calls; their page opens with this call, as after a dial of one's own.

    Another one can be chosen until a result is saved. What was typed goes along as the draft.
    Raises NotFound; Refused 'no_inbound_call', 'result_saved'.
    """
    customer = scope.get_customer(session, viewer=viewer, customer_id=customer_id)
    turns.take(session, user_id=viewer.user_id)
    at = current(session, user_id=viewer.user_id)
    if at is None:
        raise Refused("no_inbound_call")
    if at.record is not None and at.record.status_id is not None:
        raise Refused("result_saved")
    if at.record is not None and at.record.customer_id is None:
        _take_memo_along(session, at.record, viewer.user_id, customer_id, now)
    inbound_calls.attach_customer(
        session,
        user_id=viewer.user_id,
        attempt_id=at.attempt.id,
        customer_id=customer_id,
        now=now,
    )
    return customer


def clear(session: Session, *, user_id: int, now: datetime) -> None:
    """Leave the customer who is open, for a caller who was taken: the call has the desk to itself.

    For whoever took a parked caller; nobody else has a customer open then.
    """
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is None or operator.customer_id is None:
        return
    holds.release(session, customer_id=operator.customer_id, user_id=user_id)
    records.close_record(session, user_id=user_id, now=now)
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id)
        .values(
            customer_id=None, queue_id=None, dial_at=None, chosen_number="", chosen_caller_id=None
        )
    )
    announce(session, "operator", user_id=user_id)


def _take_memo_along(
    session: Session, record: CallRecord, user_id: int, customer_id: int, now: datetime
) -> None:
    if not record.memo:
        return
    draft = drafts.find(session, user_id=user_id, customer_id=customer_id)
    text = "\n".join(part for part in (draft.memo if draft else "", record.memo) if part)
    drafts.keep(session, user_id=user_id, customer_id=customer_id, memo=text, now=now)
    record.memo = ""


def save_to_list(
    session: Session, *, viewer: Viewer, list_id: int, number: str, name: str, now: datetime
) -> Customer:
    """リストに保存: make the caller a customer of a list, and open them.

    `name` goes into the list's first column. A caller who withholds the number is saved with the
    one that they say. Raises NotFound; Refused as `choose` and `customers.add_caller` do.
    """
    at = current(session, user_id=viewer.user_id)
    if at is None:
        raise Refused("no_inbound_call")
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    cells = {folder.columns[0]: name} if folder.columns and name.strip() else {}
    customer = customers.add_caller(
        session,
        viewer=viewer,
        list_id=list_id,
        number=at.attempt.number or number,
        form=customers.CustomerForm(cells=cells),
        now=now,
    )
    choose(session, viewer=viewer, customer_id=customer.id, now=now)
    return customer


def keep_memo(session: Session, *, viewer: Viewer, memo: str) -> None:
    """Keep what is typed while no customer is chosen."""
    at = current(session, user_id=viewer.user_id)
    if at is not None and at.record is not None and at.record.customer_id is None:
        at.record.memo = memo[:MAX_MEMO]


def finish(session: Session, *, viewer: Viewer, memo: str, stands_by: bool, now: datetime) -> None:
    """Finish a call whose caller stays unknown: it asks for no result, the memo is kept.

    Then 待機, or 離席. Raises NotAllowed; Refused 'in_a_call' during the call, and what
    `desk.stand_by` refuses.
    """
    if not viewer.may(Right.ANSWER_INBOUND):
        raise NotAllowed(Right.ANSWER_INBOUND)
    turns.take(session, user_id=viewer.user_id)
    at = current(session, user_id=viewer.user_id)
    if at is not None and at.is_live:
        raise Refused("in_a_call")
    if at is not None and at.record is not None and at.record.customer_id is None:
        at.record.memo = memo.strip()[:MAX_MEMO]
        at.record.saved_at = at.record.saved_at or now
        if at.record.system is SystemResult.BLANK:
            at.record.system = SystemResult.NONE
        operators.result_saved(session, user_id=viewer.user_id, now=now)
        session.flush()
    if stands_by:
        desk.stand_by(session, user_id=viewer.user_id, now=now)
    else:
        records.leave(session, user_id=viewer.user_id, now=now)
        desk.go_away(session, user_id=viewer.user_id, reason="", now=now)
