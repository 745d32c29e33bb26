"""What the database knows about a file's numbers, asked in short slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from calltree.models import (
    HIDDEN_IMPORT_STATES,
    Customer,
    CustomerList,
    DoNotCall,
    DoNotCallProject,
    ExtraNumber,
    Import,
)
from calltree.services import do_not_call
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
    seen = _Seen.of(session, project_id)
    for part in _slices(numbers):
        for number, customer_id, found_list in _customers(session, part, seen):
            here = in_list if found_list == list_id else in_project
            here[number] = min(customer_id, here.get(number, customer_id))
        banned.update(_banned(session, part, project_id, now))
    return Facts(in_list, in_project, frozenset(banned))


def _slices(numbers: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(numbers), _SLICE):
        yield numbers[start : start + _SLICE]


@dataclass(frozen=True, slots=True)
class _Seen:
    """Which customers count, by what a row of `customers` says itself.

    Compared here and not by a join: with a list in the condition a planner without statistics
    reads the whole list for each slice of numbers.
    """

    lists: frozenset[int]
    hidden_imports: frozenset[int]

    @classmethod
    def of(cls, session: Session, project_id: int) -> _Seen:
        lists = session.scalars(
            select(CustomerList.id).where(
                CustomerList.project_id == project_id, CustomerList.deleted_at.is_(None)
            )
        )
        hidden = session.scalars(select(Import.id).where(Import.state.in_(HIDDEN_IMPORT_STATES)))
        return cls(frozenset(lists), frozenset(hidden))

    def counts(self, list_id: int, import_id: int | None, deleted_at: datetime | None) -> bool:
        return deleted_at is None and list_id in self.lists and import_id not in self.hidden_imports


def _customers(
    session: Session, numbers: Sequence[str], seen: _Seen
) -> Iterator[tuple[str, int, int]]:
    head = (Customer.id, Customer.list_id, Customer.import_id, Customer.deleted_at)
    main = select(Customer.number, *head).where(Customer.number.in_(numbers))
    extra = (
        select(ExtraNumber.number, *head)
        .join(Customer, Customer.id == ExtraNumber.customer_id)
        .where(ExtraNumber.number.in_(numbers))
    )
    for query in (main, extra):
        for number, customer_id, list_id, import_id, deleted_at in session.execute(query):
            if seen.counts(list_id, import_id, deleted_at):
                yield number, customer_id, list_id


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
