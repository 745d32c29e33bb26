"""An operator's desk: which customer is open, on which one page, and what leaving it does.

(R-CL-2, R-CL-5, R-CL-6, R-CL-17.) `records.leave` is the one way out of a customer: it closes the
record, gives the hold back and ends 後処理.

Rows are locked in one order, or two presses of one operator wait for each other on Postgres: the
site (`gate.take_turn`), the operator's turn, the customer's hold, the record, the customer, the
operator. What the switch tells takes no turn and no hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    Attempt,
    Customer,
    CustomerHold,
    LegKind,
    LegState,
    Operator,
    OperatorState,
)
from calltree.services import (
    audit,
    holds,
    legs,
    operators,
    records,
    scope,
    softphones,
    switch_nodes,
    turns,
    work_queue,
)
from calltree.services.rights import Right, Viewer
from calltree.services.work_queue import Taken

PAGE_LIVES_S = 30
"""A page that has not been heard of for this long is taken for closed."""
_PAGE_FRESH_S = 9
"""A page heard of just now need not be noted again; it tells of itself every 10 s."""
_PAGE_SURE_S = 20
"""Nor does a press note a page of which a word is overdue: it would wait for a commit
before its own."""


class Page(NamedTuple):
    """Where an operator works: the page, and the mark of the browser it is in."""

    page_id: str
    machine: str


def open_customer(
    session: Session,
    *,
    viewer: Viewer,
    customer_id: int,
    page_id: str,
    queue_id: int | None = None,
    now: datetime,
) -> Customer:
    """Open a customer's call screen, leaving the one that was open before.

    Opening the same one again (a reload, also in a call) keeps everything as it is. Raises
    NotFound, Refused 'customer_held' (`name`), 'in_a_call' during a call with somebody else.
    """
    operator = operators.ensure(session, user_id=viewer.user_id, now=now)
    turns.take(session, user_id=viewer.user_id)
    session.refresh(operator)
    if operator.customer_id == customer_id and _live_customer(session, viewer) == customer_id:
        # In the call nothing may take the page away, not even a list disabled meanwhile (R-LS-2).
        _hold(session, viewer, customer_id, page_id, now)
        return session.get_one(Customer, customer_id)
    customer = scope.get_customer(session, viewer=viewer, customer_id=customer_id)
    _hold(session, viewer, customer_id, page_id, now)
    elsewhere = operator.customer_id != customer_id
    if elsewhere:
        _leave_other(session, viewer, customer_id, now)
    # Signed in again with the same customer still open; a 離席 with a reason outlives a reload.
    if elsewhere or (operator.state is OperatorState.AWAY and not operator.reason):
        operators.open_customer(
            session, user_id=viewer.user_id, customer_id=customer_id, queue_id=queue_id, now=now
        )
    return customer


def next_customer(session: Session, *, viewer: Viewer, page_id: str, now: datetime) -> Taken:
    """Go on to the queue's next customer (次へ, SKIP, 保存して次へ); dials nothing.

    The customer that was open is left, with 空白 if it was dialled and not saved. Raises Refused
    'in_a_call', 'no_queue', 'list_unavailable'.
    """
    turns.take(session, user_id=viewer.user_id)
    if records.in_call(session, user_id=viewer.user_id):
        raise Refused("in_a_call")
    taken = work_queue.take_next(session, viewer=viewer, page_id=page_id, now=now)
    if taken.customer_id is not None:
        progress = work_queue.progress(session, user_id=viewer.user_id)
        open_customer(
            session,
            viewer=viewer,
            customer_id=taken.customer_id,
            page_id=page_id,
            queue_id=progress.queue_id if progress else None,
            now=now,
        )
    forget_countdown(session, user_id=viewer.user_id)
    return taken


def count_down(session: Session, *, user_id: int, seconds: int, now: datetime) -> None:
    """Have the page dial by itself after a wait in which 中止 can be pressed (R-CL-5)."""
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id)
        .values(dial_at=now + timedelta(seconds=seconds))
    )


def forget_countdown(session: Session, *, user_id: int) -> None:
    """Stop the wait and forget what was picked: a dial, or another customer."""
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id)
        .values(dial_at=None, chosen_number="", chosen_caller_id=None)
    )


def stop_countdown(session: Session, *, user_id: int) -> None:
    """中止: nothing is dialled, the choice of numbers stays."""
    session.execute(update(Operator).where(Operator.user_id == user_id).values(dial_at=None))


def choose(
    session: Session, *, user_id: int, number: str, caller_number_id: int | None = None
) -> None:
    """Keep which number of the open customer CALL dials, and which of ours it shows.

    `number` empty: the main one (R-LS-9). `caller_number_id` None: the customer's last (R-PJ-4).
    """
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id)
        .values(chosen_number=number, chosen_caller_id=caller_number_id)
    )


def enter(session: Session, *, viewer: Viewer, nodes: Sequence[str], now: datetime) -> None:
    """Sit down: sign in to the operator's screen and have the telephone connected.

    `nodes` are the names of the site's switches.
    """
    operator = operators.ensure(session, user_id=viewer.user_id, now=now)
    node = switch_nodes.home(session, operator=operator, nodes=nodes)
    if operator.state is OperatorState.SIGNED_OUT:
        operators.sign_in(session, user_id=viewer.user_id, now=now)
    if operator.leg_kind is LegKind.DEVICE:
        legs.connect(session, user_id=viewer.user_id, node=node, now=now)


def go_away(session: Session, *, user_id: int, reason: str, now: datetime) -> None:
    """離席 with a reason; the open customer stays. Raises Refused 'in_a_call', 'wrap_up_open'."""
    operators.ensure(session, user_id=user_id, now=now)
    forget_countdown(session, user_id=user_id)
    operators.go_away(session, user_id=user_id, reason=reason[:32], now=now)


def come_back(session: Session, *, user_id: int, now: datetime) -> None:
    """End 離席: back to the customer who is open, else to 待機.

    Raises Refused 'in_a_call', 'wrap_up_open', 'no_leg', 'mic_…'.
    """
    operator = operators.ensure(session, user_id=user_id, now=now)
    session.refresh(operator)
    if operator.customer_id is None:
        _become_ready(session, user_id, now)
        return
    operators.open_customer(
        session,
        user_id=user_id,
        customer_id=operator.customer_id,
        queue_id=operator.queue_id,
        now=now,
    )


def stand_by(session: Session, *, user_id: int, now: datetime) -> None:
    """待機: leave the open customer and be ready for pushed calls.

    Raises Refused 'in_a_call', 'wrap_up_open', 'no_leg', 'mic_…'; the caller rolls back then.
    """
    operators.ensure(session, user_id=user_id, now=now)
    turns.take(session, user_id=user_id)
    operators.require_free(session, user_id=user_id)
    records.leave(session, user_id=user_id, now=now)
    _become_ready(session, user_id, now)


def _become_ready(session: Session, user_id: int, now: datetime) -> None:
    """Nobody is given a customer whom they could not hear, or who could not hear them."""
    if operators.has_live_leg(session, user_id=user_id):  # else become_ready says so
        why_not = softphones.why_not_ready(session, user_id=user_id, now=now)
        if why_not:
            raise Refused(why_not)
    operators.become_ready(session, user_id=user_id, now=now)


def get_up(session: Session, *, user_id: int, now: datetime) -> None:
    """Leave for the day: the customer, the telephone, the page. Raises Refused 'in_a_call'."""
    operator = session.get(Operator, user_id)
    if operator is None or operator.state is OperatorState.SIGNED_OUT:
        return
    records.leave(session, user_id=user_id, now=now)
    softphones.revoke(session, user_id=user_id, now=now)
    operators.sign_out(session, user_id=user_id, now=now)
    operator.page_id, operator.page_machine, operator.page_seen_at = "", "", None


def sweep(session: Session, *, now: datetime) -> list[int]:
    """Give back customers whose page is gone (60 s) or was not touched (15 min).

    Never during a live call with them. Returns the users who lost theirs. Runs every few seconds.
    """
    lost = []
    for hold in holds.over(session, now=now):
        customer_id, user_id = hold.customer_id, hold.user_id
        # who acts just now is left alone: several operators' turns are nothing to wait for
        if not turns.take_if_free(session, user_id=user_id):
            continue
        if not holds.lock_over(session, customer_id=customer_id, now=now):
            continue
        open_here = session.scalar(select(Operator.customer_id).where(Operator.user_id == user_id))
        busy = records.in_call(session, user_id=user_id)
        if open_here == customer_id and not busy:
            records.leave(session, user_id=user_id, now=now)
        else:
            holds.release(session, customer_id=customer_id, user_id=user_id)
        lost.append(user_id)
    return lost


def free(session: Session, *, viewer: Viewer, customer_id: int, now: datetime) -> None:
    """Free a customer from its holder (MGR, SV); audited.

    Raises NotAllowed, Refused 'in_a_call'.
    """
    if not viewer.may(Right.FREE_HOLDS):
        raise NotAllowed
    hold = session.get(CustomerHold, customer_id, populate_existing=True)
    if hold is None:
        return
    user_id = hold.user_id
    turns.take(session, user_id=user_id)
    live = select(Attempt.id).where(
        Attempt.user_id == user_id,
        Attempt.customer_id == customer_id,
        Attempt.ended_at.is_(None),
    )
    if session.scalar(live) is not None:
        raise Refused("in_a_call")
    open_here = session.scalar(select(Operator.customer_id).where(Operator.user_id == user_id))
    if open_here == customer_id and not records.in_call(session, user_id=user_id):
        records.leave(session, user_id=user_id, now=now)
    holds.release(session, customer_id=customer_id, user_id=user_id)
    audit.note(
        session,
        viewer=viewer,
        action="hold.freed",
        kind="customer",
        object_id=customer_id,
        now=now,
        holder=user_id,
    )


def sits_here(
    session: Session, *, user_id: int, page: Page, nodes: Sequence[str], now: datetime
) -> bool:
    """Answer whether a press of this page has nothing to `enter` or to claim before its own."""
    operator = session.get(Operator, user_id)
    return operator is not None and is_seat_of(operator, page=page, nodes=nodes, now=now)


def is_seat_of(operator: Operator, *, page: Page, nodes: Sequence[str], now: datetime) -> bool:
    """Answer as `sits_here`, of an operator who is loaded."""
    if operator.state is OperatorState.SIGNED_OUT:
        return False
    if len(nodes) > 1 and operator.leg_node not in nodes:
        return False
    telephone = operator.leg_kind is LegKind.BROWSER or operator.leg_state not in (
        LegState.NONE,
        LegState.LOST,
    )
    return telephone and _is_heard(operator, page, now, within_s=_PAGE_SURE_S)


def require_page(session: Session, *, user_id: int, page: Page) -> Operator:
    """Give the operator whose page this is; raises Refused 'page_in_use'."""
    operator = session.get(Operator, user_id)
    if operator is None or (operator.page_id, operator.page_machine) != page:
        raise Refused("page_in_use")
    return operator


def _is_heard(operator: Operator, page: Page, now: datetime, *, within_s: int) -> bool:
    seen_at = operator.page_seen_at
    if seen_at is None or now - seen_at >= timedelta(seconds=within_s):
        return False
    return (operator.page_id, operator.page_machine) == page


def claim_page(
    session: Session, *, user_id: int, page_id: str, machine: str = "", now: datetime
) -> bool:
    """Make this the user's one operator page, or say that it still is (R-CL-17).

    `machine` marks the browser it is in: a call moves to another page of that one only. False:
    another page is in use (「別の画面で使用中」). Called on opening and every 10 s.
    """
    operator = operators.ensure(session, user_id=user_id, now=now)
    if _is_heard(operator, Page(page_id, machine), now, within_s=_PAGE_FRESH_S):
        return True
    gone = Operator.page_seen_at < now - timedelta(seconds=PAGE_LIVES_S)
    claimed = session.scalar(
        update(Operator)
        .where(
            Operator.user_id == user_id,
            or_(
                Operator.page_id.in_(("", page_id)),
                Operator.page_seen_at.is_(None),
                gone,
            ),
        )
        .values(page_id=page_id, page_machine=machine, page_seen_at=now)
        .returning(Operator.user_id)
    )
    return claimed is not None


def take_over_page(
    session: Session, *, user_id: int, page_id: str, machine: str, now: datetime
) -> None:
    """Use this page instead of the other (こちらで使う).

    Ends the other page's hold and browser leg; during a call on the same machine the call moves
    here with its hold. Raises Refused 'call_elsewhere' during a call on another machine.
    """
    operator = operators.ensure(session, user_id=user_id, now=now)
    turns.take(session, user_id=user_id)
    session.refresh(operator)
    if records.in_call(session, user_id=user_id):
        if operator.page_machine != machine:
            raise Refused("call_elsewhere")
        session.execute(
            update(CustomerHold)
            .where(CustomerHold.user_id == user_id)
            .values(page_id=page_id, renewed_at=now)
        )
    else:
        records.leave(session, user_id=user_id, now=now)
        if operator.leg_kind is LegKind.BROWSER:
            legs.drop(session, user_id=user_id, now=now)
    operator.page_id, operator.page_machine, operator.page_seen_at = page_id, machine, now
    session.flush()
    announce(session, "operator", user_id=user_id)


def release_page(session: Session, *, user_id: int, page_id: str) -> None:
    """Forget the page that says it is closing; another may be used at once."""
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id, Operator.page_id == page_id)
        .values(page_id="", page_seen_at=None)
    )


def _hold(session: Session, viewer: Viewer, customer_id: int, page_id: str, now: datetime) -> None:
    holds.take(session, customer_id=customer_id, user_id=viewer.user_id, page_id=page_id, now=now)


def _live_customer(session: Session, viewer: Viewer) -> int | None:
    return session.scalar(
        select(Attempt.customer_id).where(
            Attempt.user_id == viewer.user_id, Attempt.ended_at.is_(None)
        )
    )


def _leave_other(session: Session, viewer: Viewer, customer_id: int, now: datetime) -> None:
    """Leave what was open before, keeping the hold just taken."""
    if records.in_call(session, user_id=viewer.user_id):
        raise Refused("in_a_call")
    records.leave(session, user_id=viewer.user_id, keep_hold_on=customer_id, now=now)
