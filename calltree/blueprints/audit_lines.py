"""The audit log's lines in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import force_locale, get_locale
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


def actions() -> list[tuple[str, str]]:
    """Return the actions to search by: the code and its words, by the words."""
    return sorted(
        ((code, str(_(message))) for code, message in words.ACTIONS.items()), key=itemgetter(1)
    )


def things() -> list[tuple[str, str]]:
    """Return the kinds of things to search by, by their words."""
    return sorted(
        ((code, str(_(message))) for code, message in words.THINGS.items()), key=itemgetter(1)
    )


def sheet(entries: Iterable[AuditEntry], zone: ZoneInfo) -> tuple[list[str], Iterator[list[str]]]:
    """Give entries as a table: moments of the site's zone, words and the codes they stand for.

    The rows are written as they are taken, in the language of whoever asked.
    """
    language = str(get_locale())
    header = [
        _("Time"), _("User"), _("Action"), _("Object"), _("Details"), _("Network address"),
        _("Code"),
    ]  # fmt: skip

    def rows() -> Iterator[list[str]]:
        for entry in entries:
            with force_locale(language):
                said = line(entry)
            yield [
                f"{entry.at.astimezone(zone):%Y/%m/%d %H:%M:%S}",
                said.user,
                said.action,
                said.thing,
                " / ".join(f"{name}: {value}" for name, value in said.details),
                entry.address,
                entry.action,
            ]

    return header, rows()


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
