"""The names of the things whose ids stand in the audit log's lines, asked for at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import String, cast, literal, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from calltree.models import (
    AttributeItem,
    AuditEntry,
    CallerNumber,
    Campaign,
    CustomerList,
    Group,
    Guidance,
    Project,
    ResultPattern,
    ResultStatus,
    SavedSearch,
    Trunk,
    User,
)
from calltree.services.audit_fields import REFERENCES
from calltree.text.phones import format_national

Names = dict[tuple[str, int], str]
"""(kind, id) → name; what is gone is not in it."""

NAMED: dict[str, tuple[InstrumentedAttribute[int], InstrumentedAttribute[str]]] = {
    "caller_number": (CallerNumber.id, CallerNumber.number),
    "campaign": (Campaign.id, Campaign.name),
    "group": (Group.id, Group.name),
    "guidance": (Guidance.id, Guidance.name),
    "item": (AttributeItem.id, AttributeItem.name),
    "list": (CustomerList.id, CustomerList.name),
    "pattern": (ResultPattern.id, ResultPattern.name),
    "project": (Project.id, Project.name),
    "search": (SavedSearch.id, SavedSearch.name),
    "status": (ResultStatus.id, ResultStatus.name),
    "trunk": (Trunk.id, Trunk.name),
    "user": (User.id, User.name),
}
"""Kinds that have a name; a customer's is a person's data and is not shown."""


def of(session: Session, entries: Iterable[AuditEntry]) -> Names:
    """Return the names of everything that these lines point to, in one statement."""
    wanted: dict[str, set[int]] = {}
    for entry in entries:
        for kind, thing_id in _pointed_to(entry):
            wanted.setdefault(kind, set()).add(thing_id)
    asked = [
        select(literal(kind).label("kind"), ids.label("id"), cast(names, String).label("name"))
        .where(ids.in_(wanted[kind]))
        for kind, (ids, names) in NAMED.items()
        if kind in wanted
    ]  # fmt: skip
    if not asked:
        return {}
    rows = session.execute(union_all(*asked)).all()
    return {
        (row.kind, row.id): format_national(row.name) if row.kind == "caller_number" else row.name
        for row in rows
    }


def _pointed_to(entry: AuditEntry) -> Iterator[tuple[str, int]]:
    for thing_id in _ids(entry.object_id):
        yield entry.object_kind, thing_id
    yield from _in(entry.detail)
    changed = entry.detail.get("changed")
    if isinstance(changed, dict):
        yield from _in(changed)
    yield from _in(dict(conditions(str(entry.detail.get("search", "")))))


def _in(values: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in values.items():
        if kind := REFERENCES.get(name):
            yield from ((kind, thing_id) for thing_id in _ids(value))


def _ids(value: Any) -> Iterator[int]:
    if isinstance(value, list):
        for one in value:
            yield from _ids(one)
    elif str(value).isdecimal() and len(str(value)) < 10:
        yield int(value)


def conditions(search: str) -> list[tuple[str, str]]:
    """Read back what `audit.conditions` wrote."""
    pairs = (one.partition("=") for one in search.split("&") if one)
    return [(key, value) for key, _is, value in pairs]
