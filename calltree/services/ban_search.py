"""Searching do-not-call entries, page by page (架電禁止検索).

Newest first by id: a page at any depth begins where the index does. A search lives in its address,
as that of コール履歴 does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from calltree.models import DncSource, DoNotCall, DoNotCallProject
from calltree.services import number_search
from calltree.services.do_not_call import in_force
from calltree.services.history_criteria import day_of, whole
from calltree.text.days import TOKYO

PAGE = 50
MAX_TEXT = 64


class BanState(StrEnum):
    """Whether an entry stops dials."""

    IN_FORCE = ""
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class BanCriteria:
    """Conditions that must all hold."""

    state: BanState = BanState.IN_FORCE
    number: str = ""
    project_id: int | None = None
    """Entries that hold in this project: its own and those of 全案件."""
    source: DncSource | None = None
    user_id: int | None = None
    job_id: int | None = None
    """Entries that came with one file."""
    entered_from: date | None = None
    entered_to: date | None = None
    """Both days included; days of the site."""

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str]]) -> BanCriteria:
        """Read a query's (key, value) pairs; unknown keys and bad values are passed over."""
        one: dict[str, str] = {}
        for key, value in pairs:
            if given := value.replace("\x00", "").strip()[:MAX_TEXT]:
                one.setdefault(key, given)
        state, source = BanState.IN_FORCE, None
        with contextlib.suppress(ValueError):
            state = BanState(one.get("state", ""))
        with contextlib.suppress(ValueError):
            source = DncSource(one.get("source", ""))
        return cls(
            state=state,
            number=one.get("number", ""),
            project_id=whole(one.get("project")),
            source=source,
            user_id=whole(one.get("user")),
            job_id=whole(one.get("job")),
            entered_from=day_of(one.get("from")),
            entered_to=day_of(one.get("to")),
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Write the query's pairs; `parse` of them gives the same criteria."""
        single: list[tuple[str, object]] = [
            ("state", self.state.value),
            ("number", self.number),
            ("project", self.project_id),
            ("source", self.source.value if self.source else None),
            ("user", self.user_id),
            ("job", self.job_id),
            ("from", self.entered_from),
            ("to", self.entered_to),
        ]
        return [(key, str(value)) for key, value in single if value not in (None, "")]

    @property
    def is_empty(self) -> bool:
        """Whether it is all that is in force."""
        return not self.pairs()


def conditions(criteria: BanCriteria, now: datetime) -> list[ColumnElement[bool]]:
    """Conditions on DoNotCall that a search stands for."""
    found = [_state(criteria.state, now)]
    if criteria.number:
        found.append(number_search.finds(DoNotCall.number, criteria.number))
    if criteria.project_id is not None:
        narrow = select(DoNotCallProject.entry_id).where(
            DoNotCallProject.project_id == criteria.project_id
        )
        found.append(or_(DoNotCall.all_projects, DoNotCall.id.in_(narrow)))
    if criteria.source is not None:
        found.append(DoNotCall.source == criteria.source)
    if criteria.user_id is not None:
        found.append(DoNotCall.user_id == criteria.user_id)
    if criteria.job_id is not None:
        found.append(DoNotCall.job_id == criteria.job_id)
    if criteria.entered_from is not None:
        found.append(DoNotCall.created_at >= _start(criteria.entered_from))
    if criteria.entered_to is not None:
        found.append(DoNotCall.created_at < _start(criteria.entered_to + timedelta(days=1)))
    return found


def page(
    session: Session,
    *,
    criteria: BanCriteria,
    now: datetime,
    before_id: int | None = None,
    size: int = PAGE,
) -> list[DoNotCall]:
    """Return up to `size` entries, newest first, older than `before_id`."""
    query = select(DoNotCall).where(*conditions(criteria, now)).order_by(DoNotCall.id.desc())
    if before_id is not None:
        query = query.where(DoNotCall.id < before_id)
    return list(session.scalars(query.limit(size)))


def count(session: Session, *, criteria: BanCriteria, now: datetime) -> tuple[int, int]:
    """Count what a search finds; with the newest id, so that later entries can be left alone."""
    number, newest = session.execute(
        select(func.count(), func.max(DoNotCall.id)).where(*conditions(criteria, now))
    ).one()
    return number, newest or 0


def _state(state: BanState, now: datetime) -> ColumnElement[bool]:
    if state is BanState.RELEASED:
        return DoNotCall.released_at.is_not(None)
    if state is BanState.EXPIRED:
        return and_(DoNotCall.released_at.is_(None), DoNotCall.expires_at <= now)
    return in_force(now)


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, TOKYO)
