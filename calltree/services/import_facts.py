"""What the database knows about a file's numbers, asked in short slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from calltree.models import Customer, CustomerList, DoNotCall, DoNotCallProject, ExtraNumber
from calltree.services import do_not_call, scope
from calltree.services.import_check import Facts

_SLICE = 900  # below SQLite's oldest limit of bound values


def load(
    session: Session,
    *,
    numbers: Sequence[str],
    project_id: int,
    list_id: int | None,
    now: datetime,
) -> Facts:
    """Look the numbers up in the list, in the project's other lists and in do-not-call."""
    in_list: dict[str, int] = {}
    in_project: dict[str, int] = {}
    banned: set[str] = set()
    for part in _slices(numbers):
        for number, customer_id, found_list in _customers(session, part, project_id):
            here = in_list if found_list == list_id else in_project
            here[number] = min(customer_id, here.get(number, customer_id))
        banned.update(_banned(session, part, project_id, now))
    return Facts(in_list, in_project, frozenset(banned))


def _slices(numbers: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(numbers), _SLICE):
        yield numbers[start : start + _SLICE]


def _customers(
    session: Session, numbers: Sequence[str], project_id: int
) -> list[tuple[str, int, int]]:
    here = (
        CustomerList.id == Customer.list_id,
        CustomerList.project_id == project_id,
        CustomerList.deleted_at.is_(None),
        scope.is_present(),
    )
    main = select(Customer.number, Customer.id, Customer.list_id).where(
        Customer.number.in_(numbers), *here
    )
    extra = select(ExtraNumber.number, Customer.id, Customer.list_id).where(
        ExtraNumber.number.in_(numbers), Customer.id == ExtraNumber.customer_id, *here
    )
    return [
        (number, customer_id, list_id)
        for query in (main, extra)
        for number, customer_id, list_id in session.execute(query)
    ]


def _banned(
    session: Session, numbers: Sequence[str], project_id: int, now: datetime
) -> Sequence[str]:
    here = select(DoNotCallProject.entry_id).where(DoNotCallProject.project_id == project_id)
    return session.scalars(
        select(DoNotCall.number).where(
            DoNotCall.number.in_(numbers),
            do_not_call.in_force(now),
            or_(DoNotCall.all_projects, DoNotCall.id.in_(here)),
        )
    ).all()
