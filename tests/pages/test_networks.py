"""Networks from which one may sign in (R-US-6)."""

import pytest
from flask import Flask
from werkzeug.security import generate_password_hash

from calltree.db import Store
from calltree.models import Role, Site, User
from calltree.text import networks
from tests.browser import Browser
from tests.factories import make_site, make_user

pytestmark = pytest.mark.one_database

OFFICE = {"REMOTE_ADDR": "203.0.113.9"}
HOME = {"REMOTE_ADDR": "198.51.100.4"}


@pytest.fixture
def manager(store: Store) -> User:
    with store.write() as session:
        make_site(session)
        return make_user(
            session,
            Role.MANAGER,
            login_id="boss",
            login_key="boss",
            password_hash=generate_password_hash("a-password", method="pbkdf2:sha256:1"),
        )


def allow(store: Store, *allowed: str) -> None:
    with store.write() as session:
        session.get_one(Site, 1).allowed_networks = list(allowed)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("203.0.113.9", True),
        ("203.0.114.9", False),
        ("::ffff:203.0.113.9", True),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("127.0.0.1", True),
        ("::1", True),
        ("", False),
        ("x", False),
    ],
)
def test_R_US_6_an_address_is_in_a_network_or_not(address: str, allowed: bool) -> None:
    assert networks.allows(["203.0.113.0/24", "2001:db8::/32"], address) is allowed
    assert networks.allows([], address)


def test_R_US_6_nobody_signs_in_from_another_network(
    app: Flask, store: Store, manager: User
) -> None:
    allow(store, "203.0.113.0/24")
    form = {"login_id": "boss", "password": "a-password"}
    browser = Browser(app)
    browser.get("/sign-in")
    refused = browser.post("/sign-in", form, status=403, environ_overrides=HOME)
    assert "このネットワークからはログインできません" in refused.text
    browser.post("/sign-in", form, environ_overrides=OFFICE)
    browser.get("/admin/", environ_overrides=OFFICE)


def test_R_US_6_a_session_ends_on_its_way_into_another_network(
    store: Store, browser_of, manager: User
) -> None:
    allow(store, "203.0.113.0/24")
    browser = browser_of(manager)
    browser.get("/admin/", environ_overrides=OFFICE)
    away = browser.get("/admin/", status=303, environ_overrides=HOME)
    assert away.location.startswith("/sign-in")


def test_R_US_6_a_narrowed_network_is_in_force_at_once(
    store: Store, browser_of, manager: User
) -> None:
    browser = browser_of(manager)
    browser.get("/admin/", environ_overrides=HOME)
    allow(store, "203.0.113.0/24")
    browser.get("/admin/", status=303, environ_overrides=HOME)


def test_R_US_6_a_manager_sets_networks_and_cannot_lock_themselves_out(
    store: Store, browser_of, manager: User
) -> None:
    browser = browser_of(manager)
    path = "/admin/settings/site/"
    data = browser.get(path, environ_overrides=OFFICE).values("main form")

    def saved(text: str, status: int) -> str:
        form = {**data, "allowed_networks": text}
        return browser.post(path, form, status=status, environ_overrides=OFFICE).text

    assert "203.0.113.9" in saved("192.0.2.0/24", 422)
    assert "読み取れません" in saved("203.0.113.0/24\n事務所", 422)
    saved("203.0.113.7/24\r\n203.0.113.0/24\n", 303)
    with store.read() as session:
        assert session.get_one(Site, 1).allowed_networks == ["203.0.113.0/24"]
    saved("", 303)
    with store.read() as session:
        assert session.get_one(Site, 1).allowed_networks == []
