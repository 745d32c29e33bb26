"""Searching the audit log: who, what, which thing and when (R-US-7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from calltree.models import AuditEntry, User
from calltree.services.audit import PAGE
from calltree.services.export_sheets import Reader
from calltree.services.history_criteria import day_of, whole
from calltree.text.days import TOKYO

MAX_TEXT = 64
SCAN = 2000
"""Lines of one read session on their way into a file."""


@dataclass(frozen=True, slots=True)
class AuditCriteria:
    """Conditions that must all hold; empty ones ask nothing."""

    first: date | None = None
    last: date | None = None
    """Both included; days of the site."""
    user_id: int | None = None
    action: str = ""
    """A code such as user.created, or its beginning."""
    thing: str = ""
    """The kind of thing it was done to."""
    number: str = ""
    """That thing's number."""

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str]]) -> AuditCriteria:
        """Read a query's pairs; what cannot be understood is left out."""
        one = {key: value.strip()[:MAX_TEXT] for key, value in pairs}
        return cls(
            first=day_of(one.get("from")),
            last=day_of(one.get("to")),
            user_id=whole(one.get("user")),
            action=one.get("action", ""),
            thing=one.get("thing", ""),
            number=one.get("number", ""),
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Write the query's pairs; `parse` of them gives the same criteria."""
        given = [
            ("from", self.first),
            ("to", self.last),
            ("user", self.user_id),
            ("action", self.action),
            ("thing", self.thing),
            ("number", self.number),
        ]
        return [(key, str(value)) for key, value in given if value not in (None, "")]


def page(
    session: Session,
    *,
    criteria: AuditCriteria,
    before_id: int | None = None,
    size: int = PAGE,
) -> list[AuditEntry]:
    """Return up to `size` entries that meet the conditions, newest first, before `before_id`."""
    query = select(AuditEntry).where(*_where(criteria)).order_by(AuditEntry.id.desc()).limit(size)
    if before_id is not None:
        query = query.where(AuditEntry.id < before_id)
    return list(session.scalars(query))


def everything(read: Reader, *, criteria: AuditCriteria) -> Iterator[AuditEntry]:
    """Give all entries that meet the conditions, newest first, in short read sessions."""
    before: int | None = None
    while True:
        with read() as session:
            found = page(session, criteria=criteria, before_id=before, size=SCAN)
        yield from found
        if len(found) < SCAN:
            return
        before = found[-1].id


def people(session: Session) -> list[tuple[int, str]]:
    """Return everybody who may stand in the log, deleted users too, by name."""
    rows = session.execute(select(User.id, User.name).order_by(User.name, User.id))
    return [(user_id, name) for user_id, name in rows]


def _where(asked: AuditCriteria) -> Iterable[ColumnElement[bool]]:
    if asked.first is not None:
        yield AuditEntry.at >= _start(asked.first)
    if asked.last is not None:
        yield AuditEntry.at < _start(asked.last + timedelta(days=1))
    if asked.user_id is not None:
        yield AuditEntry.user_id == asked.user_id
    if asked.action:
        yield AuditEntry.action.startswith(asked.action, autoescape=True)
    if asked.thing:
        yield AuditEntry.object_kind == asked.thing
    if asked.number:
        yield AuditEntry.object_id == asked.number


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, TOKYO)
