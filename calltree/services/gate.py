"""The one gate: every path that can dial asks here, and the answer is a row (design §3).

`ask` decides in one transaction that has the database's writer (SQLite) or the site's row and then
the caller number's locked (Postgres): under READ COMMITTED alone, racing presses passed every
limit. The verdict stays with the attempt, so "why was this number (not) called" has an answer.

The verdicts and their order stand in `services.gate_checks`.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, or_, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    CallerNumber,
    CallState,
    CommandKind,
    Customer,
    CustomerList,
    ExtraNumber,
    Line,
    NumberDirection,
    Operator,
    Origin,
    Project,
    ProjectNumber,
    Site,
    User,
)
from calltree.services import (
    gate_facts,
    holds,
    leases,
    operators,
    projects,
    scope,
    switch_commands,
)
from calltree.services.gate_checks import (
    ALLOWED,
    AUTOMATIC,
    CHECKS,
    WITHOUT_LIST,
    Case,
    DialRequest,
    LinesInUse,
    Verdict,
    count_lines,
    node_of,
)
from calltree.services.rights import Right, Viewer

__all__ = [
    "ALLOWED",
    "AUTOMATIC",
    "WITHOUT_LIST",
    "DialRequest",
    "LinesInUse",
    "Verdict",
    "ask",
    "caller_numbers",
    "can_dial",
    "lines_in_use",
]


_TAKE_LINE = insert(Line)
_WHO_AND_WHOM = (
    select(Site, Attempt, User, Operator, Customer, CustomerList, Project)
    .select_from(Site)
    .outerjoin(Attempt, Attempt.press_id == bindparam("press_id"))
    .outerjoin(User, User.id == bindparam("user_id"))
    .outerjoin(Operator, Operator.user_id == User.id)
    .outerjoin(Customer, Customer.id == bindparam("customer_id"))
    .outerjoin(CustomerList, CustomerList.id == Customer.list_id)
    .outerjoin(Project, Project.id == CustomerList.project_id)
    .where(Site.id == 1)
)


class Found(NamedTuple):
    """Whom a press concerns; None for what it does not, or is not there."""

    site: Site
    earlier: Attempt | None
    user: User | None
    operator: Operator | None
    customer: Customer | None
    folder: CustomerList | None
    project: Project | None


def ask(session: Session, *, request: DialRequest, now: datetime) -> Attempt:
    """Decide, and write the one row of this press or pacing decision.

    Allowed: the attempt is `queued` with its line taken, the operator locked and the DIAL command
    written. Refused: the attempt is `refused`, with the verdict and what it says. The same
    `press_id` gets the same row, however often it is sent. Raises NotFound for a customer or
    number of others, NotAllowed for a user who may not dial at all, LeaseLost for a leader that was
    replaced (design §1); these write nothing.
    """
    if request.epoch:
        leases.require(session, name=leases.SWITCH, epoch=request.epoch)
    take_turn(session)
    found = _look_up(session, request)
    if found.earlier is not None:
        return found.earlier
    case = _load(session, found, request)
    verdict = _judge(session, case, now)
    if verdict.allowed:
        verdict = _take_customer(session, case, now)
    attempt = _write(session, case, verdict, now)
    if verdict.allowed and _take_operator(session, attempt, now):
        _let_go(session, case, attempt, now)
    elif request.user_id is not None:
        announce(session, "operator", user_id=request.user_id)
    return attempt


def take_turn(session: Session) -> None:
    """Lock the site's row, as `ask` does; before anything else, by whoever writes before asking.

    One who has locked an operator and then waits here is waited for by whoever dials for them.
    On SQLite whoever writes has had the turn since the transaction began.
    """
    if _stale(session):
        session.execute(select(Site.id).where(Site.id == 1).with_for_update())


def can_dial(session: Session, *, request: DialRequest, now: datetime) -> Verdict:
    """Give the verdict that `ask` would give now, for drawing CALL; writes and locks nothing."""
    return _judge(session, _load(session, _look_up(session, request), request), now)


def lines_in_use(session: Session) -> LinesInUse:
    """Count the open outside legs (R-CL-8). Derived from rows, kept nowhere else."""
    return count_lines(session, session.get_one(Site, 1))


def caller_numbers(session: Session, *, project: Project) -> list[CallerNumber]:
    """Return the numbers a project may show to those it calls, メイン first (R-PJ-4)."""
    numbers = projects.numbers_of(session, project)
    return [number for number in numbers if number.direction is not NumberDirection.INBOUND]


def _load(session: Session, found: Found, request: DialRequest) -> Case:
    case = Case(request, found.site, operator=found.operator)
    if request.user_id is not None:
        if found.user is None:
            raise NotFound
        case.viewer = Viewer.of(found.user)
        _require_right(case.viewer, request.origin)
    if request.customer_id is None:
        case.project = _project_without_list(session, case)
    else:
        case.customer = _with_number(session, found.customer, request.number)
        case.folder, case.project = found.folder, found.project
    case.caller = _choose_caller(session, case)
    return case


def _look_up(session: Session, request: DialRequest) -> Found:
    """Load in one statement whom a press concerns, and what it led to if it was here before."""
    row = session.execute(
        _WHO_AND_WHOM,
        {
            "press_id": request.press_id,
            "user_id": request.user_id,
            "customer_id": request.customer_id,
        },
        execution_options={"populate_existing": _stale(session)},
    ).one()
    return Found(*row)


def _stale(session: Session) -> bool:
    """Whether what this session loaded before may have been changed by another since then.

    Postgres shows each statement what is committed by then; on SQLite a session sees one moment,
    and one that writes keeps all others from writing.
    """
    return session.get_bind().dialect.name != "sqlite"


def _require_right(viewer: Viewer, origin: Origin) -> None:
    right = Right.DIAL_MANUALLY if origin in WITHOUT_LIST else Right.DIAL
    if not viewer.may(right):
        raise NotAllowed


def _with_number(session: Session, customer: Customer | None, number: str) -> Customer:
    """Give the customer back if the number is theirs; raises NotFound."""
    if customer is None:
        raise NotFound
    if number != customer.number:
        extra = session.scalar(
            select(ExtraNumber.id).where(
                ExtraNumber.customer_id == customer.id, ExtraNumber.number == number
            )
        )
        if extra is None:
            raise NotFound
    return customer


def _project_without_list(session: Session, case: Case) -> Project | None:
    """Find whose number is shown by a hand-dialled call: a project one has lists in (R-CL-13)."""
    request, query = case.request, select(Project).order_by(Project.id).limit(1)
    if request.project_id is not None:
        query = query.where(Project.id == request.project_id)
    if request.caller_number_id is not None:
        further = select(ProjectNumber.project_id).where(
            ProjectNumber.caller_number_id == request.caller_number_id
        )
        query = query.where(
            or_(Project.main_number_id == request.caller_number_id, Project.id.in_(further))
        )
    if case.viewer is not None and not case.viewer.manages:
        mine = select(CustomerList.project_id).where(scope.lists_seen(case.viewer))
        query = query.where(Project.id.in_(mine))
    return session.scalar(query)


def _choose_caller(session: Session, case: Case) -> CallerNumber | None:
    if case.project is None:
        return None
    offered = caller_numbers(session, project=case.project)
    by_id = {caller.id: caller for caller in offered}
    if case.request.caller_number_id is not None:
        return by_id.get(case.request.caller_number_id)
    last = case.customer.caller_number_id if case.customer else None
    return by_id.get(last or 0) or (offered[0] if offered else None)


def _judge(session: Session, case: Case, now: datetime) -> Verdict:
    case.facts = _facts(session, case, now)
    for check in CHECKS:
        verdict = check(session, case, now)
        if verdict is not None:
            return verdict
    if case.asked and not case.request.confirmed:
        questions = [{"code": question.code} | question.detail for question in case.asked]
        return Verdict(case.asked[0].code, case.asked[0].detail | {"asks": questions})
    return Verdict(ALLOWED, {})


def _facts(session: Session, case: Case, now: datetime) -> gate_facts.Facts:
    session.flush()  # it is asked by column, and sees only what was written
    return gate_facts.gather(
        session,
        number=case.request.number,
        user_id=case.request.user_id,
        role=case.viewer.role if case.viewer else None,
        customer_id=case.request.customer_id,
        list_id=case.folder.id if case.folder else None,
        project_id=case.project.id if case.project else None,
        caller_number_id=case.caller.id if case.caller else None,
        now=now,
    )


def _take_customer(session: Session, case: Case, now: datetime) -> Verdict:
    """Renew or take the hold, so that nobody can open the customer between yes and dial."""
    if case.customer is not None and case.request.user_id is not None:
        try:
            holds.take(
                session,
                customer_id=case.customer.id,
                user_id=case.request.user_id,
                page_id=None,
                now=now,
            )
        except Refused as refused:
            return Verdict(refused.code, refused.values)
    if case.caller is not None and _stale(session):
        session.execute(
            select(CallerNumber.id).where(CallerNumber.id == case.caller.id).with_for_update()
        )
    return Verdict(ALLOWED, {})


def _write(session: Session, case: Case, verdict: Verdict, now: datetime) -> Attempt:
    request = case.request
    attempt = Attempt(
        uuid=str(uuid.uuid4()),
        press_id=request.press_id,
        origin=request.origin,
        user_id=request.user_id,
        customer_id=request.customer_id,
        list_id=case.folder.id if case.folder else None,
        project_id=case.project.id if case.project else None,
        campaign_id=request.campaign_id,
        reserved_user_id=request.reserved_user_id,
        number=request.number[:16],
        caller_number_id=case.caller.id if case.caller else None,
        node=node_of(case),
        verdict=verdict.code,
        verdict_detail=verdict.detail,
        state=CallState.QUEUED if verdict.allowed else CallState.REFUSED,
        epoch=request.epoch,
        created_at=now,
        ended_at=None if verdict.allowed else now,
    )
    session.add(attempt)
    session.flush()
    return attempt


def _take_operator(session: Session, attempt: Attempt, now: datetime) -> bool:
    """Lock the operator; one whom an inbound call or a transfer took meanwhile turns it to a no."""
    if attempt.user_id is not None:
        who, by = attempt.user_id, operators.Move.DIAL
    elif attempt.reserved_user_id is not None:
        who, by = attempt.reserved_user_id, operators.Move.OFFER
    else:
        return True
    if operators.lock(session, user_id=who, attempt_id=attempt.id, now=now, by=by):
        return True
    attempt.state, attempt.verdict, attempt.ended_at = CallState.REFUSED, "in_a_call", now
    session.flush()
    return False


def _let_go(session: Session, case: Case, attempt: Attempt, now: datetime) -> None:
    request = case.request
    predictive = request.origin is Origin.PREDICTIVE
    session.connection().execute(
        _TAKE_LINE,
        {
            "attempt_id": attempt.id,
            "uuid": attempt.uuid,
            "kind": "predictive" if predictive else "outbound",
            "caller_number_id": attempt.caller_number_id,
            "taken_at": now,
        },
    )
    if case.customer is not None:
        case.customer.caller_number_id = attempt.caller_number_id
    switch_commands.write(
        session,
        kind=CommandKind.DIAL,
        node=attempt.node,
        attempt_id=attempt.id,
        user_id=request.user_id,
        args=_dial_args(case, attempt),
        now=now,
    )
    announce(session, "lines")


def _dial_args(case: Case, attempt: Attempt) -> dict[str, Any]:
    """Digits, ids and numbers only: none of it is free text (design §4)."""
    return {
        "uuid": attempt.uuid,
        "number": attempt.number,
        "caller": case.caller.number if case.caller else "",
        "trunk_id": case.caller.trunk_id if case.caller else None,
        "ring_time_s": max(
            case.request.least_ring_s, case.project.ring_time_s if case.project else 30
        ),
        "leg_uuid": case.operator.leg_uuid if case.operator else "",
    }
