"""The audit log's lines in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints import patterns, projects, summary_sheets, trunks
from calltree.blueprints.formats import WEEKDAY_IDS
from calltree.models import AuditEntry
from calltree.services import audit_names, inbound_words
from calltree.services import audit_words as words
from calltree.services.audit_fields import FIELDS, REFERENCES, SEARCHED
from calltree.services.export_sheets import Reader

VALUES: dict[str, dict[Any, str]] = {
    **words.VALUES,
    "action": {**words.ACTIONS, **inbound_words.ACTIONS},
    "thing": words.THINGS,
    "audience": {**projects.AUDIENCE_NAMES},
    "caller_id_form": {**trunks.CALLER_ID_NAMES},
    "colour": {**patterns.COLOURS},
    "direction": {**projects.DIRECTION_NAMES},
    "figures": summary_sheets.TITLES,
    "holidays": {**inbound_words.HOLIDAYS},
    "kind": {**patterns.KIND_NAMES, **trunks.KIND_NAMES},
    "mode": {**projects.MODE_NAMES},
    "number_form": {**trunks.FORM_NAMES},
    "second_factor_roles": words.VALUES["role"],
    "situation": {**inbound_words.SITUATIONS},
    "weekdays": {str(day): name for day, name in enumerate(WEEKDAY_IDS)},
}
AT_ONCE = 500
"""Lines whose names are asked for together on their way into a file."""


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as it is shown; a code without words is shown as it is."""

    at: datetime
    user: str
    action: str
    thing: str
    thing_name: str
    details: list[tuple[str, str]]


def lines(session: Session, entries: list[AuditEntry]) -> list[Line]:
    """Say entries in the reader's language, with the names of what they point to."""
    names = audit_names.of(session, entries)
    return [_line(entry, names) for entry in entries]


def _line(entry: AuditEntry, names: audit_names.Names) -> Line:
    thing_name = ""
    if entry.object_id.isdecimal():
        thing_name = names.get((entry.object_kind, int(entry.object_id)), "")
    return Line(
        entry.at,
        entry.user_name,
        _joined([str(_(message)) for message in words.said_of(entry.action)]) or entry.action,
        _thing(entry),
        thing_name,
        list(_details(entry, names, thing_name)),
    )


def _thing(entry: AuditEntry) -> str:
    which = _word(VALUES.get(entry.object_kind, {}), entry.object_id)
    return f"{_word(words.THINGS, entry.object_kind)} {which}".strip()


def _details(
    entry: AuditEntry, names: audit_names.Names, thing_name: str
) -> Iterator[tuple[str, str]]:
    for name, value in entry.detail.items():
        if name in words.NOT_SHOWN or (name == "name" and value == thing_name):
            continue
        if name == "changed":
            yield from _changes(value, names)
        elif name == "search":
            for key, given in audit_names.conditions(str(value)):
                yield _word(SEARCHED, key), _value(key, given, names)
        else:
            yield _word(words.DETAILS, name), _value(name, value, names)


def _changes(value: Any, names: audit_names.Names) -> Iterator[tuple[str, str]]:
    """A line has its columns with before and after; the first ones had their names alone."""
    if not isinstance(value, dict):
        changed = [_word(FIELDS, str(name)) for name in value]
        yield str(_("Changed")), str(_(", ")).join(changed)
        return
    for name, (before, after) in value.items():
        if before == after:  # a secret: that it changed is all there is to say
            yield _word(FIELDS, name), str(_("changed"))
        else:
            old, new = (_value(name, one, names) or str(_("(empty)")) for one in (before, after))
            yield _word(FIELDS, name), f"{old} → {new}"


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


def sheet(
    entries: Iterable[AuditEntry], zone: ZoneInfo, read: Reader
) -> tuple[list[str], Iterator[list[str]]]:
    """Give entries as a table: moments of the site's zone, words and the codes they stand for.

    The rows are written as they are taken, in the language of whoever asked.
    """
    language = str(get_locale())
    header = [
        _("Time"), _("User"), _("Action"), _("Object"), _("Details"), _("Network address"),
        _("Code"),
    ]  # fmt: skip

    def rows() -> Iterator[list[str]]:
        left = iter(entries)
        while some := list(islice(left, AT_ONCE)):
            with read() as session, force_locale(language):
                said = lines(session, some)
            for entry, line in zip(some, said, strict=True):
                yield [
                    f"{entry.at.astimezone(zone):%Y/%m/%d %H:%M:%S}",
                    line.user,
                    line.action,
                    f"{line.thing} {line.thing_name}".strip(),
                    " / ".join(f"{name}: {value}" for name, value in line.details),
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


def _value(name: str, value: Any, names: audit_names.Names) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(_("Yes") if value else _("No"))
    if isinstance(value, dict):  # a column of the call screen
        return str(value.get("column", ""))
    if isinstance(value, list):
        return str(_(", ")).join(_value(name, one, names) for one in value)
    kind = REFERENCES.get(name)
    if kind and str(value).isdecimal():
        return names.get((kind, int(value)), str(value))
    return _word(VALUES.get(name, {}), str(value))
