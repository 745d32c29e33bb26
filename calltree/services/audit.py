"""The audit log: one way in, no way to change (R-US-7)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from calltree.models import AuditEntry
from calltree.services.rights import Viewer

PAGE = 50
_CHOSEN = re.compile(r"[0-9]{1,9}|[0-9]{4}-[0-9]{2}-[0-9]{2}|[a-z_]{1,20}", re.ASCII)
_TYPED = {"q", "number", "c", "ce", "i", "ie", "level", "sort_column"}
_LAST_DIGITS = 4


def note(
    session: Session,
    *,
    viewer: Viewer | None,
    action: str,
    kind: str = "",
    object_id: object = "",
    address: str = "",
    now: datetime,
    **detail: Any,
) -> AuditEntry:
    """Write one line: who did what to which thing.

    `action` is a verb such as 'user.created'; `detail` holds small values, never a memo or a
    whole phone number. `viewer` is None for the command line. Returns the line, whose id is known
    after the next flush.
    """
    if viewer is not None and viewer.token:
        detail["token"] = viewer.token
    entry = AuditEntry(
        at=now,
        user_id=viewer.user_id if viewer else None,
        user_name=viewer.name if viewer else "",
        address=address,
        action=action,
        object_kind=kind,
        object_id=str(object_id),
        detail=detail,
    )
    session.add(entry)
    return entry


def conditions(pairs: Iterable[tuple[str, str]]) -> str:
    """Write a search down for the log: ids, days and choices as they are, nobody's data.

    Of a number its last four digits stay, of words only that some were looked for.
    """
    kinds = ((key.partition(".")[0], value) for key, value in pairs)
    return "&".join(f"{kind}={_without_data(kind, value)}" for kind, value in kinds)[:500]


def _without_data(key: str, value: str) -> str:
    if _CHOSEN.fullmatch(value) and key not in _TYPED:
        return value
    return f"…{value[-4:]}" if key == "number" and len(value) > _LAST_DIGITS else "…"
