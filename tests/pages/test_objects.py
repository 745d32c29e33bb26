"""R-US-1: whose customer, record, sound, list it is. Foreign rows for every role on every route."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from calltree.config import Settings
from calltree.db import Base, Store
from calltree.models import (
    CallRecord,
    Customer,
    CustomerList,
    Draft,
    Project,
    ProjectRecipient,
    Role,
    Task,
)
from tests import factories as make
from tests.browser import HTMX, Browser
from tests.pages.world import SECRET, World, build

REFUSED = (401, 403, 404)
"""401: an operation of the API, which no cookie opens."""
OUTSIDERS = [Role.OPERATOR, Role.BACKYARD, Role.BUSINESS]
WALKERS = [
    Role.OPERATOR,
    # the lists of this role are found by the operator's statements
    pytest.param(Role.BACKYARD, marks=pytest.mark.one_database),
    Role.BUSINESS,
]
EVER_CHANGING = {"operators", "operator_intervals", "audit_entries", "switch_commands", "leases"}
OWN_SESSION = {"auth.sign_out", "auth.sign_out_elsewhere", "auth.try_sign_in", "auth.password"}
OWN_WORK = {"assistance.ask_help", "manual.dial", "call_transfers.to_colleague"}
"""Presses that are about nobody's object: help for oneself, a number that one typed, one's own
call, without which no colleague is looked for."""
ONLY_MANAGERS_WORDS = {"SECRET": SECRET}


@pytest.fixture
def world(app: Flask, store: Store, settings: Settings) -> World:
    return build(store, settings)


def _has_id(app: Flask, endpoint: str) -> bool:
    return any("<int:" in rule.rule for rule in app.url_map.iter_rules(endpoint))


def _leaks(world: World, text: str) -> bool:
    return SECRET in text or world.far.phone in text


def _everything(store: Store) -> dict[str, list[Any]]:
    with store.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table))]
            for table in Base.metadata.sorted_tables
            if table.name not in EVER_CHANGING
        }


@pytest.mark.parametrize("role", WALKERS)
def test_R_US_1_no_page_shows_a_foreign_object(
    app: Flask, world: World, browser_of, role: Role
) -> None:
    browser = browser_of(world.users[role])
    wrong = []
    for endpoint, path in world.paths(app, "GET", world.far):
        for headers in ({}, HTMX):
            answer = browser.client.get(path, headers=headers)
            body = answer.get_data(as_text=True)
            answer.close()
            refused = answer.status_code in (
                401,
                403,
                404,
            )  # 401: a program's, which no cookie opens
            if _leaks(world, body) or (_has_id(app, endpoint) and not refused):
                wrong.append((endpoint, path, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("role", WALKERS)
def test_R_US_1_no_press_changes_a_foreign_object(
    app: Flask, world: World, store: Store, browser_of, role: Role
) -> None:
    browser = browser_of(world.users[role])
    form = {
        "csrf_token": browser.csrf_token(),
        "number": "0312345678",
        "label": "x",
        "memo": "x",
        "short_note": "x",
        "status": world.far.status,
        "entry": world.far.ban,
        "task": world.far.task,
        "recording": world.far.recording,
        "user_id": world.users[role],
        "users": world.users[role],
        "columns": "x",
        "c.会社名": "x",
        "reason": "x",
        "enabled": "1",
    }
    before = _everything(store)
    wrong = []
    for endpoint, path in world.paths(app, "POST", world.far):
        if endpoint in OWN_SESSION | OWN_WORK:
            continue
        answer = browser.client.post(path, data=form)
        body = answer.get_data(as_text=True)
        answer.close()
        refused = answer.status_code in REFUSED
        if _leaks(world, body) or (_has_id(app, endpoint) and not refused):
            wrong.append((endpoint, path, answer.status_code))
    assert wrong == []
    after = _everything(store)
    assert {name for name in before if before[name] != after[name]} == set()


@pytest.mark.parametrize("role", OUTSIDERS)
def test_R_US_1_no_search_finds_a_foreign_object(world: World, browser_of, role: Role) -> None:
    browser = browser_of(world.users[role])
    far, near = world.far, world.near
    queries = [
        f"/customers/?q={SECRET}",
        f"/customers/?q={far.phone}",
        f"/history/?span=all&number={far.phone}",
        f"/history/?span=all&list={far.list}",
        f"/history/?span=all&project={far.project}",
        f"/history/?span=all&customer={far.customer}",
        f"/history/?span=all&user={far.author}",
        f"/history/?span=all&status={far.status}",
        f"/reports/?number={far.phone}",
        f"/reports/?list={far.list}&project={far.project}",
        f"/operator/lists/{near.list}?q={SECRET}",
        f"/operator/lists/{near.list}?status={far.status}&user={far.author}",
        "/operator/tasks/?tab=past",
        f"/operator/tasks/done?task={far.task}",
    ]
    asked = re.compile(r'value="[^"]*"|<title>.*?</title>|(?:href|data-address)="[^"]*"')
    wrong = []
    for path in queries:
        body = browser.client.get(path).get_data(as_text=True)
        if _leaks(world, asked.sub("", body)):
            wrong.append(path)
    assert wrong == []


def test_R_US_1_the_walk_finds_what_is_granted(app: Flask, world: World, browser_of) -> None:
    """Else all of the above would pass on a site that shows nothing at all."""
    browser = browser_of(world.users[Role.OPERATOR])
    for path in (
        f"/customers/{world.near.customer}",
        f"/history/{world.near.record}",
        f"/operator/lists/{world.near.list}",
    ):
        assert "近くの" in browser.get(path).text
    manager = browser_of(world.users[Role.MANAGER])
    assert SECRET in manager.get(f"/customers/{world.far.customer}").text
    assert SECRET in manager.get(f"/history/{world.far.record}").text


# --- what is taken away


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.BACKYARD])
def test_R_LS_2_a_grant_taken_away_closes_every_page(
    app: Flask, world: World, store: Store, browser_of, role: Role
) -> None:
    browser = browser_of(world.users[role])
    browser.get(f"/customers/{world.near.customer}")
    with store.write() as session:
        session.execute(make.ListGrant.__table__.delete())
    browser.get(f"/customers/{world.near.customer}", status=404)
    browser.get(f"/history/{world.near.record}", status=404)
    assert "近くの商店" not in browser.get("/customers/?q=商店").text


def test_R_LS_2_a_disabled_list_is_closed_to_operators_only(
    world: World, store: Store, browser_of
) -> None:
    with store.write() as session:
        session.get_one(CustomerList, world.near.list).enabled = False
    operator = browser_of(world.users[Role.OPERATOR])
    operator.get(f"/customers/{world.near.customer}", status=404)
    operator.get(f"/operator/lists/{world.near.list}", status=404)
    operator.post(f"/operator/lists/{world.near.list}", status=404)
    operator.post(f"/operator/call/open/{world.near.customer}", status=404)
    operator.post(f"/customers/{world.near.customer}/numbers", {"number": "x"}, status=404)
    browser_of(world.users[Role.BACKYARD]).get(f"/customers/{world.near.customer}")


@pytest.mark.parametrize("gone", ["customer", "list"])
@pytest.mark.parametrize("role", [Role.MANAGER, Role.OPERATOR])
def test_R_LS_11_what_rests_in_the_bin_has_no_page(
    world: World, store: Store, browser_of, role: Role, gone: str
) -> None:
    with store.write() as session:
        model = Customer if gone == "customer" else CustomerList
        key = world.near.customer if gone == "customer" else world.near.list
        session.get_one(model, key).deleted_at = make.NOW
    browser = browser_of(world.users[role])
    browser.get(f"/customers/{world.near.customer}", status=404)
    browser.post(f"/customers/{world.near.customer}/numbers", {"number": "03"}, status=404)
    browser.post(f"/customers/{world.near.customer}/entries", status=404)
    browser.post(f"/operator/call/open/{world.near.customer}", status=404)


# --- whose record it is


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.OPERATOR, Role.BACKYARD])
def test_R_HS_3_nobody_but_its_author_and_a_manager_corrects_a_record(
    world: World, store: Store, browser_of, role: Role
) -> None:
    browser = browser_of(world.users[role])
    path = f"/history/{world.near.record}"
    form = {"status": world.near.status, "memo": "書き換え"}
    assert browser.post(path, form, status=(403, 404, 409, 422)).status
    browser.post(path + "/delete", form, status=403)
    with store.read() as session:
        record = session.get_one(CallRecord, world.near.record)
        assert record.memo == "近くの"


def test_R_CL_7_nobody_writes_anothers_draft(world: World, store: Store, browser_of) -> None:
    browser = browser_of(world.users[Role.OPERATOR])
    browser.post(
        f"/operator/call/draft/{world.near.customer}",
        {"memo": "自分の", "user_id": str(world.near.author)},
        status=(204, 409),
    )
    with store.read() as session:
        kept = session.get(Draft, (world.near.author, world.near.customer))
        assert kept is not None
        assert kept.memo == "近くの"


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.BACKYARD])
def test_R_CL_12_a_task_of_another_is_not_shown(
    world: World, store: Store, browser_of, role: Role
) -> None:
    browser = browser_of(world.users[role])
    assert "近くの商店" not in browser.get("/operator/tasks/?tab=past").text
    with store.write() as session:
        session.get_one(Task, world.near.task).user_id = world.users[role]
    assert "近くの商店" in browser.get("/operator/tasks/?tab=past").text


# --- BIZ


@pytest.fixture
def client_of_ours(world: World, store: Store) -> int:
    with store.write() as session:
        user_id = world.users[Role.BUSINESS]
        session.add(ProjectRecipient(project_id=world.near.project, user_id=user_id))
        return user_id


def test_R_HS_5_a_client_sees_its_projects_reports_and_no_more(
    world: World, store: Store, browser_of, client_of_ours: int
) -> None:
    with store.write() as session:
        customer = session.get_one(Customer, world.near.customer)
        unreported = make.make_record(session, customer, user_id=world.near.author, memo="内緒話")
        other = make.make_customer(session, session.get_one(CustomerList, world.near.list))
    browser = browser_of(client_of_ours)
    browser.get(f"/reports/{world.near.record}")
    page = browser.get(f"/customers/{world.near.customer}")
    assert "内緒話" not in page.text
    assert page.all("main form[method=post]") == []
    browser.get(f"/reports/{unreported.id}", status=404)
    browser.get(f"/reports/{world.far.record}", status=404)
    browser.get(f"/customers/{other.id}", status=404)
    browser.get(f"/recordings/{world.near.recording}")
    browser.get(f"/recordings/{world.far.recording}", status=404)


@pytest.mark.parametrize(
    "taken", [{"reporting": False}, {"reported_status_ids": []}, {"reports_recordings": False}]
)
def test_R_HS_5_what_is_taken_away_is_gone_at_once(
    world: World, store: Store, browser_of, client_of_ours: int, taken: dict[str, Any]
) -> None:
    browser = browser_of(client_of_ours)
    address = str(browser.get(f"/recordings/{world.near.recording}").one("audio")["src"])
    with store.write() as session:
        project = session.get_one(Project, world.near.project)
        for name, value in taken.items():
            setattr(project, name, value)
    browser.get(f"/recordings/{world.near.recording}", status=404)
    browser.get(address, status=404)
    if "reports_recordings" not in taken:
        browser.get(f"/reports/{world.near.record}", status=404)
        browser.get(f"/customers/{world.near.customer}", status=404)


# --- sound


def test_R_RC_4_a_sound_address_of_another_opens_nothing(world: World, browser_of) -> None:
    manager = browser_of(world.users[Role.MANAGER])
    address = str(manager.get(f"/recordings/{world.far.recording}").one("audio")["src"])
    manager.get(address)
    for role in OUTSIDERS:
        browser_of(world.users[role]).get(address, status=404)
    Browser(manager.app).get(address, status=303)


# --- exports


def test_R_HS_4_no_csv_leaves_by_the_operators_screen(app: Flask, world: World, browser_of) -> None:
    browser = browser_of(world.users[Role.SUPERVISOR])
    browser.post("/switch-screen")
    for path in ("/admin/exports/customers?list_id=1", "/admin/exports/records"):
        browser.get(path, status=403)
        browser.post(path, {"column": "顧客ID"}, status=403)
    browser.get("/admin/lists/overview.csv", status=403)
    browser.get(f"/admin/imports/{world.near.given}/rejects.csv", status=403)


@pytest.mark.one_database  # the role's rights stand in the code
def test_R_US_1_supervisors_change_no_master_data(
    app: Flask, world: World, store: Store, browser_of
) -> None:
    """SV sees the forms of what a manager sets; no press of theirs changes it."""
    browser = browser_of(world.users[Role.SUPERVISOR])
    watched = ("projects", "result_patterns", "result_statuses", "attribute_items", "sites")
    watched += ("caller_numbers", "groups", "do_not_call", "call_records", "users")
    before = _everything(store)
    form = {"csrf_token": browser.csrf_token(), "name": "変更", "login_id": "x", "role": "MGR"}
    form |= {"password": "12345678", "label": "x", "lines": "1", "number": "0312340009"}
    for endpoint, path in world.paths(app, "POST", world.far):
        if endpoint.startswith("auth."):
            continue
        browser.client.post(path, data=form).close()
    after = _everything(store)
    changed = {name for name in watched if before.get(name) != after.get(name)}
    assert changed <= {"users"}
    with store.read() as session:
        managers = select(func.count()).where(make.User.role == Role.MANAGER)
        assert session.scalar(managers) == 1
