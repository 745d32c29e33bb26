"""Hostile addresses: whatever stands in a path or a query, no page answers with a 500."""

from __future__ import annotations

import re
from functools import wraps
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from calltree.blueprints.access import right_of
from calltree.blueprints.given import Parameters
from calltree.config import Settings
from calltree.db import Store
from calltree.models import Role
from calltree.services.rights import ROLES_OF
from tests.browser import Browser
from tests.pages.world import World, build

HUGE = ["2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "9" * 30]
VALUES = [
    *(HUGE[0], HUGE[3], HUGE[-1], "9" * 9, "9" * 5000, "-1", "0", "1e9", "²", "１２"),
    *("NaN", "a\x00b", "%%s%(x)s{0}{{7*7}}'\";--", '"><img src=x onerror=alert(1)>'),
    *("\u202e\u200f\ud83d", "0001-01-01", "9999-12-31", "99999999999999999-1", "😀" * 100),
]
REFUSED_UNASKED = [HUGE[1], HUGE[2], HUGE[4], "9" * 5000, "１２", "0"]
"""Ids that differ from the others of HUGE in what Python makes of them."""
TO_DATABASES = [HUGE[0], HUGE[-1], "-1", "NaN", "a\x00b", "\u202e\u200f\ud83d", "0001-01-01"]
"""What one database takes and the other refuses; the rest never comes so far."""
KEYS = [
    *("after", "before", "page", "show", "tab", "task", "next", "player", "step", "import"),
    *("q", "number", "user", "from", "to", "dials_min", "dials_max", "assigned", "ban"),
    *("shortcut", "sort", "sort_column", "desc", "status", "level", "c.会社名", "ce.会社名"),
    *("i.1", "ie.1", "i.999999999", "c.\x00", "list_id", "project_id", "project", "list"),
    *("customer", "span", "direction", "talk_min", "talk_max", "kind", "encoding", "action"),
]


@pytest.fixture
def world(app: Flask, store: Store, settings: Settings) -> World:
    return build(store, settings)


def _query(**given: str) -> str:
    return "&".join(f"{quote(k)}={quote(v, errors='surrogatepass')}" for k, v in given.items())


def _faults(browser: Browser, addresses: list[str]) -> list[str]:
    found = []
    for address in addresses:
        response = browser.client.get(address)
        response.get_data()
        response.close()
        if response.status_code >= 500 and not address.startswith("/readyz"):
            found.append(address[:200])
    return found


def _noted(method: Any) -> Any:
    @wraps(method)
    def read(query: Any, *given: Any, **named: Any) -> Any:
        Query.was_read = True
        return method(query, *given, **named)

    return read


class Query(Parameters):
    """A query that notes on its class that a page has looked into it."""

    was_read = False
    __getitem__ = _noted(Parameters.__getitem__)
    __contains__ = _noted(Parameters.__contains__)
    __iter__ = _noted(Parameters.__iter__)
    get = _noted(Parameters.get)
    getlist = _noted(Parameters.getlist)
    items = _noted(Parameters.items)
    to_dict = _noted(Parameters.to_dict)


HALF = len(VALUES) // 2


@pytest.mark.parametrize(
    ("role", "values"),
    [
        (Role.MANAGER, VALUES[:HALF]),
        (Role.MANAGER, VALUES[HALF:]),
        # others read the same parameters by the same code: what differs is what they may see
        (Role.OPERATOR, TO_DATABASES),
        (Role.BUSINESS, TO_DATABASES),
    ],
    ids=["MGR-1", "MGR-2", "OP", "BIZ"],
)
def test_no_query_makes_a_500(
    app: Flask, settings: Settings, world: World, browser_of, role: Role, values: list[str]
) -> None:
    if not settings.database_url.startswith("sqlite"):
        values = [value for value in values if value in TO_DATABASES]
    browser = browser_of(world.users[role])
    own: Any = app.request_class
    app.request_class = type("Asked", (own,), {"parameter_storage_class": Query})
    found, reading = [], 0
    for endpoint, path in world.paths(app, "GET", world.near):
        right = right_of(endpoint, app)
        if role is not Role.MANAGER and (right is None or role not in ROLES_OF[right]):
            continue
        Query.was_read = False
        for value in values:
            found += _faults(browser, [f"{path}?" + _query(**dict.fromkeys(KEYS, value))])
            if not Query.was_read:
                break  # whatever stands there is nothing to this page
        reading += Query.was_read
    assert found == []
    assert reading  # the walk finds the pages that read a query


IN_ROWS, IN_RECORDS = ("/customers/", "/admin/lists/{list}"), ("/history/", "/reports/")
SEARCHES = {
    "2147483648": (
        *(*IN_ROWS, *IN_RECORDS, "/operator/lists/{list}"),
        *("/admin/exports/customers", "/admin/exports/records"),
    ),
    # all of them read days and numbers by the two same pieces of code
    "0001-01-01": (IN_ROWS[1], *IN_RECORDS),
    "9999-12-31": (IN_ROWS[1], *IN_RECORDS),
    "²": (IN_ROWS[1], IN_RECORDS[0]),
}


@pytest.mark.parametrize(
    "value",
    [value if value.isascii() else pytest.param(value, marks=pytest.mark.one_database)
     for value in SEARCHES],
)  # fmt: skip
def test_no_single_value_makes_a_500(app: Flask, world: World, browser_of, value: str) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    searches = [path.format(list=world.near.list) for path in SEARCHES[value]]
    small = ["/admin/do-not-call/", "/admin/recordings/problems", "/admin/users/audit"]
    addresses = [f"{path}?" + _query(**{key: value}) for path in searches for key in KEYS]
    addresses += [f"{path}?" + _query(**{key: value}) for path in small for key in KEYS[:6]]
    assert _faults(browser, addresses) == []


@pytest.mark.parametrize(
    "huge",
    [
        *(HUGE[0], HUGE[3]),  # the first of more than 32 and of more than 64 bits
        *(pytest.param(one, marks=pytest.mark.one_database) for one in REFUSED_UNASKED),
    ],
)
def test_no_id_makes_a_500(app: Flask, world: World, browser_of, huge: str) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    token = browser.csrf_token()
    wrong = []
    for rule in app.url_map.iter_rules():
        if rule.websocket or "<int:" not in rule.rule:
            continue
        path = re.sub(r"<int:\w+>", huge, rule.rule)
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            form = {"csrf_token": token} if method == "POST" else None
            response = browser.client.open(path, method=method, data=form)
            if response.status_code >= 500:
                wrong.append((method, path[:80], response.status_code))
    assert wrong == []
