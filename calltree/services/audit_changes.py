"""What a setting was before it was changed and what it is now, for the audit log (R-US-7)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from enum import Enum
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from calltree.db import Base
from calltree.models import AuditEntry
from calltree.services import audit
from calltree.services.rights import Viewer

State = dict[str, Any]

UNSAID = frozenset({"password", "password_hash", "device_hash", "totp_sealed", "note"})
"""Secrets and free words: of these only that they changed is written down."""
DERIVED = frozenset({"id", "name_key", "login_key", "session_version"})
"""Columns that only follow others."""
LONGEST = 80
"""Characters of a text that are kept, from its first difference on."""


def state_of(row: Base, **besides: Any) -> State:
    """Return the columns of a row as they are now; `besides` is what other tables hold of it."""
    names = {column.key for column in inspect(type(row)).column_attrs} - DERIVED
    return {name: getattr(row, name) for name in names} | besides


def between(before: State, after: State) -> dict[str, list[Any]]:
    """Return {name: [before, after]} of what differs, as JSON holds it."""
    return {
        name: _pair(name, before.get(name), after[name])
        for name in sorted(after)
        if _plain(before.get(name)) != _plain(after[name])
    }


def note(
    session: Session,
    *,
    viewer: Viewer,
    action: str,
    kind: str = "",
    object_id: object = "",
    before: State | None,
    after: State,
    now: datetime,
    **detail: Any,
) -> AuditEntry | None:
    """Write one line with every difference; `before` is None for a thing that is new.

    A save that changed nothing leaves no line, and returns None.
    """
    if before is None:
        return audit.note(
            session, viewer=viewer, action=action, kind=kind, object_id=object_id, now=now, **detail
        )
    changed = between(before, after)
    if not changed:
        return None
    return audit.note(
        session, viewer=viewer, action=action, kind=kind, object_id=object_id, now=now,
        **detail, changed=changed,
    )  # fmt: skip


def _pair(name: str, before: Any, after: Any) -> list[Any]:
    if name in UNSAID:
        return ["…", "…"]
    old, new = _plain(before), _plain(after)
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > LONGEST:
        first = next(
            (place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
            min(len(old), len(new)),
        )
        return [_cut(old, first), _cut(new, first)]
    return [old, new]


def _cut(text: str, first: int) -> str:
    start = max(first - 10, 0)
    end = start + LONGEST
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, set | frozenset):
        return sorted(_plain(one) for one in value)
    if isinstance(value, Iterable) and not isinstance(value, str | dict):
        return [_plain(one) for one in value]
    return value
