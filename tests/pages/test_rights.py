"""R-US-1: the rights table walked, every route × every role, signed-out included."""

import re

import pytest
from flask import Flask

from calltree.blueprints.access import right_of
from calltree.db import Store
from calltree.models import Role
from calltree.services.rights import ROLES_OF, Right
from tests.browser import Browser
from tests.factories import make_site, make_user

# The table of spec §2, typed again: a slip in services/rights.py must not pass by being copied.
SPEC = {
    Right.ADMIN_SCREEN: "MGR SV",
    Right.OPERATOR_SCREEN: "MGR SV OP BIZ BY",
    Right.SWITCH_SCREEN: "MGR SV",
    Right.OWN_ACCOUNT: "MGR SV OP BIZ BY",
    Right.CREATE_MASTER_DATA: "MGR",
    Right.EDIT_MASTER_DATA: "MGR",
    Right.CREATE_LISTS: "MGR SV",
    Right.GRANT_LISTS: "MGR SV",
    Right.IMPORT: "MGR SV",
    Right.BULK_WORK: "MGR",
    Right.SEE_LISTS: "MGR SV",
    Right.SEE_USERS: "MGR SV",
    Right.CREATE_USERS: "MGR SV",
    Right.EDIT_USERS: "MGR",
    Right.SEE_CUSTOMERS: "MGR SV OP BIZ BY",
    Right.EDIT_CUSTOMERS: "MGR SV OP BY",
    Right.SEE_RECORDS: "MGR SV OP BY",
    Right.SEE_REPORTS: "MGR SV BIZ",
    Right.ADD_RECORDS: "MGR SV OP BY",
    Right.CORRECT_ANY_RECORD: "MGR",
    Right.DELETE_RECORDS: "MGR",
    Right.DIAL: "MGR SV OP",
    Right.DIAL_MANUALLY: "MGR SV OP",
    Right.ANSWER_INBOUND: "MGR SV OP",
    Right.SEE_TASKS: "MGR SV OP BY",
    Right.ASSIGN_TASKS: "MGR SV",
    Right.SEE_BANS: "MGR SV",
    Right.ADD_BANS: "MGR SV",
    Right.RELEASE_BANS: "MGR",
    Right.PLAY_RECORDINGS: "MGR SV OP BIZ BY",
    Right.DOWNLOAD_RECORDINGS: "MGR SV",
    Right.PROTECT_RECORDINGS: "MGR",
    Right.EXPORT: "MGR SV",
    Right.FREE_HOLDS: "MGR SV",
    Right.RUN_CAMPAIGNS: "MGR SV",
    Right.EDIT_CAMPAIGNS: "MGR",
    Right.WATCH: "MGR SV",
    Right.LISTEN: "MGR SV OP",
    Right.SEE_FIGURES: "MGR SV OP",
    Right.SEE_SETTINGS: "MGR SV",
    Right.EDIT_SETTINGS: "MGR",
    Right.READ_AUDIT: "MGR SV",
}
SIGNED_OUT = None
EVERYBODY = [SIGNED_OUT, *Role]


def _routes(app: Flask) -> list[tuple[str, str, str]]:
    """(method, path with 1 or x for its parts, endpoint) of every route."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.websocket:  # tests/live
            continue
        path = re.sub(r"<(?:int:|string:|path:|uuid:)?(\w+)>", "1", rule.rule)
        path = re.sub(r"<uuid:\w+>", "00000000-0000-0000-0000-000000000000", path)
        methods = sorted((rule.methods or set()) & {"GET", "POST"})
        found += [(method, path, rule.endpoint) for method in methods]
    return found


def test_R_US_1_the_table_is_the_specs() -> None:
    assert {
        right: " ".join(r for r in Role if r in roles) for right, roles in ROLES_OF.items()
    } == {right: " ".join(r for r in Role if r in words.split()) for right, words in SPEC.items()}


def test_R_US_1_every_view_says_which_right_it_needs(app: Flask) -> None:
    silent = [e for e in app.view_functions if not hasattr(app.view_functions[e], "right")]
    assert silent == []


PUBLIC = {
    "api.openapi",
    "auth.sign_in",
    "auth.try_sign_in",
    "assets.serve",
    "health.alive",
    "health.figures",
    "health.ready",
    "language.choose",
    "second_factor.ask",
    "second_factor.begin",
    "second_factor.prove",
    "second_factor.set_up",
    "softphone.directory",
    "wall.now",
    "wall.show",
}


def test_R_US_1_only_these_are_open_to_anybody(app: Flask) -> None:
    opened = {e for e, view in app.view_functions.items() if right_of(e, app) is None}
    by_token = {e for e in opened if hasattr(app.view_functions[e], "scope")}
    assert opened - by_token == PUBLIC
    assert {e for e in app.view_functions if e.startswith("api.")} - PUBLIC == by_token


@pytest.mark.one_database  # what a role may do stands in the code
@pytest.mark.parametrize("role", EVERYBODY, ids=lambda role: role or "signed-out")
def test_R_US_1_every_route_and_role(app: Flask, store: Store, role: Role | None) -> None:
    with store.write() as session:
        make_site(session)
        user = make_user(session, role) if role else None
    client = Browser(app)
    if user is not None:
        client.sign_in_as(user)
    token = client.csrf_token()
    wrong = []
    for method, path, endpoint in _routes(app):
        right = right_of(endpoint, app)
        if right is None or endpoint in {"auth.sign_out", "auth.switch_screen"}:
            continue
        response = client.client.open(
            path, method=method, data={"csrf_token": token} if method == "POST" else None
        )
        allowed = role is not None and role in ROLES_OF[right]
        if role is None:
            fine = response.status_code == 303 and "/sign-in" in response.headers["Location"]
        elif allowed:
            fine = response.status_code != 403 or right in OBJECT_DECIDES
        else:
            fine = response.status_code == 403
        if not fine:
            wrong.append((method, path, endpoint, right, response.status_code))
    assert wrong == []


OBJECT_DECIDES = {
    Right.CREATE_USERS,
    Right.SEE_USERS,
    Right.ADMIN_SCREEN,
    Right.SEE_SETTINGS,
    Right.LISTEN,  # an operator whom it was granted
}
"""The role may do it to some objects and not to others; tests of the page say to which."""


@pytest.mark.parametrize(
    ("role", "path"),
    [
        (Role.MANAGER, "/admin/"),
        (Role.SUPERVISOR, "/admin/"),
        (Role.OPERATOR, "/operator/"),
    ],
)
def test_each_role_lands_on_its_screen(store: Store, browser_of, role: Role, path: str) -> None:
    with store.write() as session:
        make_site(session)
        user = make_user(session, role)
    browser = browser_of(user)
    assert browser.get("/", status=303).location == path
    page = browser.get(path)
    assert ("admin" if path == "/admin/" else "operator") in page.one("body")["class"]


def test_managers_switch_between_the_two_screens(store: Store, browser_of) -> None:
    with store.write() as session:
        make_site(session)
        user = make_user(session, Role.SUPERVISOR)
    browser = browser_of(user)
    browser.get("/admin/")
    assert browser.post("/switch-screen").location == "/operator/"
    assert "operator" in browser.get("/operator/").one("body")["class"]
    assert browser.post("/switch-screen").location == "/admin/"
