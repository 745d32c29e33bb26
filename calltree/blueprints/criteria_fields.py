"""The boxes of a customer search: what may be chosen in them, for リスト詳細 and コールデータ検索.

`templates/lists/_criteria.html` draws them from what `choices` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.models import SYSTEM_RESULT_NAMES, CustomerList, ItemTarget, SystemResult
from calltree.services import patterns, people, projects
from calltree.services.criteria import NOT_DIALLED, Ban, Criteria, Order, Presence, Shortcut
from calltree.services.sentences import N_

SHORTCUT_NAMES = {
    Shortcut.FIRST: N_("First call"),
    Shortcut.SECOND: N_("Second call"),
    Shortcut.THIRD: N_("Third call"),
    Shortcut.MY_PROSPECTS: N_("My prospects"),
    Shortcut.CALLBACKS: N_("Callbacks"),
}
PRESENCE_NAMES = {
    Presence.ANY: N_("Contains"),
    Presence.EQUALS: N_("Is exactly"),
    Presence.EMPTY: N_("Is empty"),
    Presence.FILLED: N_("Is not empty"),
}
BAN_NAMES = {
    Ban.ANY: N_("Any"),
    Ban.BANNED: N_("Do-not-call only"),
    Ban.FREE: N_("Without do-not-call"),
}


def asked() -> Criteria:
    """Read the search from the address."""
    return Criteria.parse(request.args.items(multi=True))


def address(endpoint: str, criteria: Criteria, **values: Any) -> str:
    """Write the address of a search."""
    return address_of(endpoint, criteria.pairs(), **values)


def address_of(endpoint: str, pairs: Iterable[tuple[str, str]], **values: Any) -> str:
    """Write an address with pairs behind it; a key may stand in it several times."""
    query: dict[str, Any] = {}
    for key, value in pairs:
        query.setdefault(key, []).append(value)
    return url_for(endpoint, **values, **query)


def sort_address(endpoint: str, criteria: Criteria, **values: Any) -> Callable[..., str]:
    """Give what a column's head leads to: the same search in its order, once more the other way."""

    def address_in(order: str, column: str = "") -> str:
        now = criteria.order == order and criteria.order_column == column
        wanted = replace(
            criteria,
            order=Order(order),
            order_column=column,
            descending=now and not criteria.descending,
        )
        return address(endpoint, wanted, **values)

    return address_in


def choices(session: Session, folder: CustomerList, criteria: Criteria) -> dict[str, Any]:
    """Give what the boxes of one list's search offer and hold."""
    return {
        **choices_of_project(session, folder.project_id, folder.columns, criteria),
        "orders": [
            (Order.FILE.value, _("File order")),
            (Order.DIALLED.value, _("Last call")),
            (Order.DIALS.value, _("Calls")),
            (Order.NUMBER.value, _("Phone number")),
            (Order.COLUMN.value, _("Column")),
        ],
    }


def choices_of_project(
    session: Session, project_id: int, columns: list[str], criteria: Criteria
) -> dict[str, Any]:
    """Give what the boxes offer and hold over lists of one project, which have `columns`."""
    project = projects.get(session, project_id)
    system = [(code.value, name) for code, name in SYSTEM_RESULT_NAMES.items()]
    statuses = [(str(s.id), s.name) for s in patterns.offered(session, project.pattern_id)]
    return {
        "criteria": criteria,
        "columns": columns,
        "of_column": {term.name: term for term in criteria.columns},
        "items": patterns.items_of(session, project_id, ItemTarget.CUSTOMER),
        "of_item": {term.name: term for term in criteria.items},
        "statuses": [
            (NOT_DIALLED, _("Not called yet")),
            *statuses,
            *((code, name) for code, name in system if code != SystemResult.LINE_ERROR),
        ],
        "levels": project.prospect_levels,
        "users": [(str(user.id), user.name) for user in people.active(session)],
        "presences": [(code.value, _(name)) for code, name in PRESENCE_NAMES.items()],
        "bans": [(code.value, _(name)) for code, name in BAN_NAMES.items()],
        "shortcuts": [(code.value, _(name)) for code, name in SHORTCUT_NAMES.items()],
    }
