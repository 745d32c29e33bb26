"""The audit log's lines in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _

from calltree.models import AuditEntry
from calltree.services import audit_words as words


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as it is shown; a code without words is shown as it is."""

    at: datetime
    user: str
    action: str
    thing: str
    details: list[tuple[str, str]]


def line(entry: AuditEntry) -> Line:
    """Say an entry in the reader's language."""
    return Line(
        entry.at,
        entry.user_name,
        _joined([str(_(message)) for message in words.said_of(entry.action)]) or entry.action,
        f"{_word(words.THINGS, entry.object_kind)} {entry.object_id}".strip(),
        [
            (_word(words.DETAILS, name), _value(name, value))
            for name, value in entry.detail.items()
            if name not in words.NOT_SHOWN
        ],
    )


def _joined(parts: list[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return str(_("%(first)s: %(second)s", first=parts[0], second=parts[1]))


def _word(table: dict[str, str], code: str) -> str:
    return str(_(table[code])) if code in table else code


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(_("Yes") if value else _("No"))
    if isinstance(value, list):
        return str(_(", ")).join(_value(name, one) for one in value)
    return _word(words.VALUES.get(name, {}), str(value))
