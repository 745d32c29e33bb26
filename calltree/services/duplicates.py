"""Duplicates: one number in several rows of a list, a project or the site (R-LS-6, R-LS-10).

By the main number alone: an extra number may well be another customer's. One row of each number is
kept, by a rule that is chosen; the others go to the bin.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import BulkJob, BulkKind, Customer, CustomerList
from calltree.services import bulk, customer_run, figures, scope
from calltree.services.bulk_writing import Claim, Failed
from calltree.services.rights import Right, Viewer
from calltree.services.search_conditions import visible

SHOWN = 20
AT_ONCE = 50
"""Numbers of one transaction."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Keep(StrEnum):
    """Which row of a number stays; of equal ones the oldest."""

    CALLED = "called"
    """The one called last."""
    FULLEST = "fullest"
    """The one with the most filled columns."""
    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Within:
    """Where rows are compared: in a list, a project, or with both None on the whole site."""

    list_id: int | None = None
    project_id: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one number, the one that stays first."""

    number: str
    rows: list[tuple[Customer, str]]
    """With the names of their lists."""


@dataclass(frozen=True, slots=True)
class Found:
    """How many numbers have several rows, how many rows would go, and the first groups."""

    numbers: int
    surplus: int
    groups: list[Group]


def find(session: Session, *, viewer: Viewer, within: Within, keep: Keep) -> Found:
    """Look for duplicates among what the viewer sees. Raises NotAllowed, NotFound."""
    where = _where(session, viewer, within)
    several = _several(where).add_columns(func.count().label("rows")).subquery()
    numbers, rows = session.execute(
        select(func.count(), func.coalesce(func.sum(several.c.rows), 0)).select_from(several)
    ).one()
    shown = session.scalars(_several(where).order_by(Customer.number).limit(SHOWN)).all()
    found = session.execute(
        select(Customer, CustomerList.name)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(*where, Customer.number.in_(shown))
    )
    names: dict[int, str] = {}
    by_number = defaultdict(list)
    for customer, name in found:
        names[customer.list_id] = name
        by_number[customer.number].append(customer)
    groups = [
        Group(number, [(row, names[row.list_id]) for row in _ranked(by_number[number], keep)])
        for number in shown
    ]
    return Found(numbers, int(rows) - numbers, groups)


def _where(session: Session, viewer: Viewer, within: Within) -> list[ColumnElement[bool]]:
    if not viewer.may(Right.BULK_WORK):
        raise NotAllowed(Right.BULK_WORK)
    if within.list_id is not None:
        scope.get_list(session, viewer=viewer, list_id=within.list_id)
        return [visible(), Customer.list_id == within.list_id]
    lists = select(CustomerList.id).where(scope.lists_seen(viewer))
    if within.project_id is not None:
        lists = lists.where(CustomerList.project_id == within.project_id)
    return [visible(), Customer.list_id.in_(lists)]


def _several(where: list[ColumnElement[bool]]) -> Any:
    return select(Customer.number).where(*where).group_by(Customer.number).having(func.count() > 1)


def _ranked(rows: Sequence[Customer], keep: Keep) -> list[Customer]:
    """Put the row that stays first."""

    def rank(row: Customer) -> tuple[float, int]:
        match keep:
            case Keep.CALLED:
                return (-(row.last_dialled_at or _NEVER).timestamp(), row.id)
            case Keep.FULLEST:
                return (-sum(bool(cell.strip()) for cell in row.cells), row.id)
            case Keep.NEWEST:
                return (0, -row.id)
        return (0, row.id)

    return sorted(rows, key=rank)


def start(
    session: Session,
    *,
    viewer: Viewer,
    within: Within,
    keep: Keep,
    typed: str,
    now: datetime,
) -> BulkJob:
    """Let the worker put all but one row of each number into the bin.

    Raises NotAllowed, NotFound, Refused 'no_duplicates', 'count_differs'.
    """
    found = find(session, viewer=viewer, within=within, keep=keep)
    if not found.surplus:
        raise Refused("no_duplicates")
    bulk.check_typed(typed, found.surplus)
    where = {"list_id": within.list_id, "project_id": within.project_id}
    said = {name: value for name, value in where.items() if value is not None}
    return bulk.begin(
        session,
        viewer=viewer,
        kind=BulkKind.CUSTOMER_DEDUPE,
        choices={**said, "keep": keep.value},
        count=found.surplus,
        said={**said, "keep": keep.value},
        now=now,
    )


def within_of(choices: Mapping[str, Any]) -> Within:
    """Read where a job compares."""
    return Within(choices.get("list_id"), choices.get("project_id"))


def run(claim: Claim, *, job: BulkJob, viewer: Viewer) -> None:
    """Do it, number by number in their order, from where an earlier worker left it."""
    after = str(job.findings.get("last_number", ""))
    keep, within = Keep(job.choices["keep"]), within_of(job.choices)
    while True:
        with claim.store.read() as session:
            try:
                where = _where(session, viewer, within)
            except NotFound as error:
                raise Failed("list_gone") from error
            next_ones = _several(where).where(Customer.number > after)
            numbers = list(session.scalars(next_ones.order_by(Customer.number).limit(AT_ONCE)))
        if not numbers:
            return
        with claim.write() as session:
            done = _delete(session, numbers, where, keep, job.user_id, claim.clock())
            given = session.get_one(BulkJob, job.id)
            after = numbers[-1]
            given.findings = {**given.findings, "last_number": after}
            given.rows_done += sum(done.values())
            claim.count(session, done)


def _delete(
    session: Session,
    numbers: Sequence[str],
    where: list[ColumnElement[bool]],
    keep: Keep,
    user_id: int,
    now: datetime,
) -> Counter[str]:
    """All rows of the numbers are locked, so that nobody deletes the one that stays meanwhile."""
    rows = session.scalars(
        select(Customer)
        .where(*where, Customer.number.in_(numbers))
        .order_by(Customer.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    by_number = defaultdict(list)
    for row in rows:
        by_number[row.number].append(row)
    surplus = [row for group in by_number.values() for row in _ranked(group, keep)[1:]]
    free, left = customer_run.whom_nobody_has(session, surplus, now)
    figures.leave(session, customers=free)
    for row in free:
        row.deleted_at, row.deleted_by = now, user_id
    return Counter(deleted=len(free)) + left
