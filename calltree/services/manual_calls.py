"""手動発信: calls to numbers that stand in no list, and their history (R-CL-13).

They have the one gate, lines, ban and recording of every call, ask for no result, and are shown
on their own page only: an operator's to that operator, all of them to MGR and SV.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from calltree.errors import NotFound, Refused
from calltree.models import (
    Attempt,
    CallerNumber,
    CallRecord,
    CustomerList,
    NumberDirection,
    Operator,
    Origin,
    Project,
    ProjectNumber,
)
from calltree.services import (
    gate,
    history,
    inbound_matches,
    number_search,
    records,
    results,
    scope,
)
from calltree.services.inbound_matches import Known
from calltree.services.rights import Viewer
from calltree.text.phones import Phone, normalise

PAGE = 50
_LOOKED_THROUGH = 2_000


@dataclass(frozen=True, slots=True)
class Shown:
    """One call as its line shows it."""

    record: CallRecord
    row: history.Row
    caller: CallerNumber | None
    own: bool
    """The viewer's own: the memo is theirs to write, and a manager's."""
    known: Known
    """The customers with this number."""


def callers(session: Session, *, viewer: Viewer) -> list[CallerNumber]:
    """Return the numbers that may be shown: of 運営 projects in which the viewer has lists."""
    mine = select(CustomerList.project_id).where(scope.lists_dialled(viewer))
    main = select(Project.main_number_id).where(Project.id.in_(mine))
    further = select(ProjectNumber.caller_number_id).where(ProjectNumber.project_id.in_(mine))
    query = (
        select(CallerNumber)
        .where(
            CallerNumber.retired_at.is_(None),
            CallerNumber.direction != NumberDirection.INBOUND,
            or_(CallerNumber.id.in_(main), CallerNumber.id.in_(further)),
        )
        .order_by(CallerNumber.label, CallerNumber.number)
    )
    return list(session.scalars(query))


def dial(
    session: Session,
    *,
    viewer: Viewer,
    number: str,
    caller_number_id: int | None,
    press_id: str | None,
    confirmed: bool,
    now: datetime,
) -> Attempt:
    """Ask the gate for a number as it was typed; a yes leaves the open customer.

    Raises Refused 'number_empty', 'wrap_up_open'; all else is the gate's verdict.
    """
    typed = normal(number)
    if not typed:
        raise Refused("number_empty", field="number")
    request = gate.DialRequest(
        origin=Origin.MANUAL,
        number=typed,
        user_id=viewer.user_id,
        caller_number_id=caller_number_id,
        press_id=press_id,
        confirmed=confirmed,
    )
    gate.take_turn(session)  # before the operator and the hold: CALL locks them in this order
    if gate.can_dial(session, request=request, now=now).allowed:
        leave_customer(session, viewer=viewer, now=now)
    return gate.ask(session, request=request, now=now)


def leave_customer(session: Session, *, viewer: Viewer, now: datetime) -> None:
    """Leave the customer who is open. Raises Refused 'wrap_up_open', 'in_a_call'."""
    if records.leaves_blank(session, user_id=viewer.user_id):
        raise Refused("wrap_up_open")
    records.leave(session, user_id=viewer.user_id, now=now)


def normal(typed: str) -> str:
    """Return a number in normal form; its bare digits where it is none, for the gate to refuse."""
    read = normalise(typed)
    if isinstance(read, Phone):
        return read.number
    return "".join(letter for letter in typed if letter.isascii() and letter.isdigit())[:16]


def whose(session: Session, *, viewer: Viewer, typed: str) -> Known:
    """Name the customers with the number that is typed; nobody while it is none yet."""
    read = normalise(typed)
    if not isinstance(read, Phone):
        return Known()
    return inbound_matches.known(session, viewer=viewer, numbers={read.number})[read.number]


def last_attempt(session: Session, *, user_id: int) -> Attempt | None:
    """Return the user's latest decision to dial by hand, allowed or refused.

    Looked for among the site's last thousands only: nobody waits for the answer to an older one.
    """
    newest = select(func.max(Attempt.id)).scalar_subquery()
    return session.scalar(
        select(Attempt)
        .where(
            Attempt.id > newest - _LOOKED_THROUGH,
            Attempt.user_id == user_id,
            Attempt.origin == Origin.MANUAL,
        )
        .order_by(Attempt.id.desc())
        .limit(1)
    )


def in_call(session: Session, *, user_id: int) -> bool:
    """Whether the call that the user is in was dialled by hand; a colleague's counts too."""
    consulted = (
        select(Operator.attempt_id)
        .where(Operator.user_id == user_id, Operator.attempt_id.is_not(None))
        .scalar_subquery()
    )
    query = select(Attempt.id).where(
        or_(Attempt.user_id == user_id, Attempt.id == consulted),
        Attempt.ended_at.is_(None),
        Attempt.origin == Origin.MANUAL,
    )
    return session.scalar(query.limit(1)) is not None


def page(
    session: Session, *, viewer: Viewer, number: str = "", before: int | None = None
) -> list[Shown]:
    """Return the newest calls, or those to one number; `before` is the last id of the page before.

    At most PAGE.
    """
    query = select(CallRecord).where(scope.dialled_by_hand(viewer))
    if number:
        query = query.where(number_search.finds(CallRecord.number, number))
    if before is not None:
        query = query.where(CallRecord.id < before)
    found = session.scalars(query.order_by(CallRecord.id.desc()).limit(PAGE)).all()
    rows = history.rows_of(session, viewer=viewer, records=found)
    ids = {record.caller_number_id for record in found}
    shown = {
        one.id: one for one in session.scalars(select(CallerNumber).where(CallerNumber.id.in_(ids)))
    }
    numbers = {record.number for record in found}
    known = inbound_matches.known(session, viewer=viewer, numbers=numbers)
    return [
        Shown(
            record,
            row,
            shown.get(record.caller_number_id or 0),
            scope.may_correct(viewer, record),
            known[record.number],
        )
        for record, row in zip(found, rows, strict=True)
    ]


def get(session: Session, *, viewer: Viewer, record_id: int) -> CallRecord:
    """Return a call by hand that the viewer may see. Raises NotFound."""
    found = session.scalar(
        select(CallRecord).where(CallRecord.id == record_id, scope.dialled_by_hand(viewer))
    )
    if found is None:
        raise NotFound(f"manual call {record_id}")
    return found


save_memo = results.save_manual_memo
