"""2段階認証 on the pages: asked at sign-in, set up there, and reset by a manager (R-US-6)."""

from datetime import timedelta

import pyotp
import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from calltree.db import Store, utcnow
from calltree.extensions import limiter
from calltree.models import AuditEntry, LegState, Operator, Role, Site, User
from tests.browser import Browser
from tests.factories import make_operator, make_site, make_user

pytestmark = pytest.mark.one_database

PASSWORD = "a-password"
HASH = generate_password_hash(PASSWORD, method="pbkdf2:sha256:1")


@pytest.fixture
def manager(store: Store) -> User:
    with store.write() as session:
        make_site(session, second_factor_roles=["MGR", "OP"])
        return make_user(
            session, Role.MANAGER, login_id="boss", login_key="boss", password_hash=HASH
        )


def password_given(app: Flask, login_id: str = "boss", path: str = "/sign-in") -> Browser:
    browser = Browser(app)
    browser.get(path)
    browser.submit(login_id=login_id, password=PASSWORD)
    return browser


def enrolled(app: Flask, login_id: str = "boss") -> tuple[str, list[str]]:
    """Set the factor up as a person would; return the secret and the recovery codes."""
    browser = password_given(app, login_id)
    page = browser.get("/sign-in/set-up")
    secret = page.one("[data-secret]").text.replace(" ", "")
    done = browser.submit("main form", code=pyotp.TOTP(secret).at(utcnow()), status=200)
    return secret, [item.text.strip() for item in done.all(".codes li")]


def test_R_US_6_the_password_alone_opens_nothing(app: Flask, manager: User) -> None:
    browser = password_given(app)
    assert browser.get("/admin/", status=303).location.startswith("/sign-in/code")
    assert browser.part("/admin/users/", status=401).location.startswith("/sign-in/code")
    browser.get("/sign-in/set-up")
    assert browser.get("/admin/", status=303).location.startswith("/sign-in/code")


def test_R_US_6_the_factor_is_set_up_at_the_next_sign_in(
    app: Flask, store: Store, manager: User
) -> None:
    browser = password_given(app, path="/sign-in?next=/admin/users/")
    page = browser.get("/sign-in/code?next=/admin/users/", follow=True)
    assert page.one("main svg path:last-child")["stroke"] == "#000"
    secret = page.one("[data-secret]").text.replace(" ", "")
    path = "/sign-in/set-up?next=/admin/users/"
    again = browser.post(path, {"code": "000000"}, status=422)
    assert again.one("[data-secret]").text.replace(" ", "") == secret
    shown = browser.post(path, {"code": pyotp.TOTP(secret).at(utcnow())}, status=200)
    codes = [item.text.strip() for item in shown.all(".codes li")]
    assert len(codes) == 10
    assert shown.one("main a.primary")["href"] == "/admin/users/"
    browser.get("/admin/users/")
    assert secret not in browser.get(f"/admin/users/{manager.id}/password").html
    with store.read() as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions == ["user.factor_set"]


def test_R_US_6_a_code_lets_in_once_and_a_recovery_code_too(app: Flask, manager: User) -> None:
    secret, codes = enrolled(app)
    with time_machine.travel(utcnow() + timedelta(minutes=2), tick=False):
        now = pyotp.TOTP(secret).at(utcnow())
        browser = password_given(app)
        browser.get("/sign-in/code")
        assert browser.submit("main form", code=now).location == "/admin/"
        browser.get("/admin/")
        thief = password_given(app)
        thief.get("/sign-in/code")
        assert "使用済み" in thief.submit("main form", code=now, status=422).text
        assert "違います" in thief.submit("main form", code="123456", status=422).text
        thief.get("/admin/", status=303)
        browser = password_given(app)
        browser.get("/sign-in/code")
        browser.submit("main form", code=codes[0])
        assert "残り9個" in browser.get("/admin/").text


def test_R_US_6_tries_are_limited_for_the_account(app: Flask, manager: User) -> None:
    enrolled(app)
    limiter.reset()
    browser = password_given(app)
    browser.get("/sign-in/code")
    for _try in range(5):
        browser.post("/sign-in/code", {"code": "000000"}, status=422)
    elsewhere = password_given(app)
    elsewhere.get("/sign-in/code")
    elsewhere.post(
        "/sign-in/code",
        {"code": "000000"},
        status=429,
        environ_overrides={"REMOTE_ADDR": "203.0.113.9"},
    )


def test_R_US_6_whoever_has_one_cannot_be_given_another_by_the_password_alone(
    app: Flask, store: Store, manager: User
) -> None:
    enrolled(app)
    with store.read() as session:
        sealed = session.get_one(User, manager.id).totp_sealed
    thief = password_given(app)
    assert thief.get("/sign-in/set-up", status=303).location == "/sign-in/code"
    thief.get("/sign-in/code")
    thief.post("/sign-in/set-up", {"code": "000000"})
    with store.read() as session:
        assert session.get_one(User, manager.id).totp_sealed == sealed


def test_R_US_6_the_next_person_at_the_machine_gets_a_secret_of_their_own(
    app: Flask, store: Store, manager: User
) -> None:
    with store.write() as session:
        make_user(session, login_id="op", login_key="op", password_hash=HASH)
    browser = password_given(app, "op")
    first = browser.get("/sign-in/set-up").one("[data-secret]").text
    browser.get("/sign-in")
    browser.submit(login_id="boss", password=PASSWORD)
    assert browser.get("/sign-in/set-up").one("[data-secret]").text != first


def test_R_US_6_roles_that_are_not_named_are_not_asked(
    app: Flask, store: Store, manager: User
) -> None:
    with store.write() as session:
        make_user(session, Role.BUSINESS, login_id="c", login_key="c", password_hash=HASH)
    password_given(app, "c").get("/reports/")


def test_R_US_6_somebody_signed_in_is_asked_at_the_next_request(
    app: Flask, store: Store, browser_of, manager: User
) -> None:
    with store.write() as session:
        session.get_one(Site, 1).second_factor_roles = []
    browser = browser_of(manager)
    settings = browser.get("/admin/settings/site/").values("main form")
    browser.post("/admin/settings/site/", {**settings, "second_factor_roles": ["MGR"]})
    asked = browser.get("/admin/users/", status=303).location
    assert asked == "/sign-in/code?next=/admin/users/"
    page = browser.get(asked, follow=True)
    secret = page.one("[data-secret]").text.replace(" ", "")
    browser.post("/sign-in/set-up", {"code": pyotp.TOTP(secret).at(utcnow())}, status=200)
    browser.get("/admin/users/")


def test_R_US_6_nobody_is_asked_while_the_telephone_is_theirs(
    store: Store, browser_of, manager: User
) -> None:
    with store.write() as session:
        operator = make_user(session)
        make_operator(session, operator)
    browser = browser_of(operator)
    browser.get("/operator/")
    with store.write() as session:
        session.get_one(Operator, operator.id).leg_state = LegState.NONE
    assert browser.get("/operator/", status=303).location.startswith("/sign-in/code")


def test_R_US_6_one_makes_new_recovery_codes_oneself(
    app: Flask, store: Store, manager: User
) -> None:
    _secret, old = enrolled(app)
    browser = password_given(app)
    browser.get("/sign-in/code")
    browser.submit("main form", code=old[0])
    form = "form[action='/sign-in/recovery-codes']"
    assert "残り9個" in browser.get("/password").one(form).text
    browser.submit(form, present="not it")
    assert "パスワード" in browser.get("/password").one("#toasts").text
    browser.submit(form, present=PASSWORD)
    shown = browser.get("/sign-in/recovery-codes")
    new = [item.text.strip() for item in shown.all(".codes li")]
    assert len(new) == 10
    assert browser.get("/sign-in/recovery-codes", status=303).location == "/password"
    assert "残り10個" in browser.get("/password").one(form).text
    browser = password_given(app)
    browser.get("/sign-in/code")
    browser.submit("main form", code=old[1], status=422)
    browser.submit("main form", code=new[0])
    browser.get("/admin/")
    with store.read() as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions.count("user.recovery_codes_renewed") == 1


def test_R_US_6_without_a_factor_there_are_no_codes_to_make(
    store: Store, browser_of, manager: User
) -> None:
    with store.write() as session:
        other = make_user(session, Role.BUSINESS, password_hash=HASH)
    browser = browser_of(other)
    assert browser.get("/password").all("form[action='/sign-in/recovery-codes']") == []
    browser.post("/sign-in/recovery-codes", {"present": PASSWORD})
    assert browser.get("/sign-in/recovery-codes", status=303).location == "/password"


def test_R_US_6_a_half_done_sign_in_lasts_ten_minutes(app: Flask, manager: User) -> None:
    browser = password_given(app)
    with time_machine.travel(utcnow() + timedelta(minutes=11)):
        assert browser.get("/sign-in/code", status=303).location == "/sign-in"


def test_R_US_6_a_manager_resets_a_lost_factor(
    app: Flask, store: Store, browser_of, manager: User
) -> None:
    with store.write() as session:
        session.get_one(Site, 1).second_factor_roles = ["OP"]
        operator = make_user(session, login_id="op", login_key="op", password_hash=HASH)
        supervisor = make_user(session, Role.SUPERVISOR)
    enrolled(app, "op")
    path = f"/admin/users/{operator.id}/second-factor"
    browser_of(supervisor).post(path, status=403)
    browser = browser_of(manager)
    browser.get(f"/admin/users/{operator.id}/password")
    browser.submit(f'form[action="{path}"]')
    password_given(app, "op").get("/sign-in/set-up")
    with store.read() as session:
        (line,) = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "user.factor_reset")
        )
        assert (line.user_id, line.object_id) == (manager.id, str(operator.id))


def test_R_US_6_the_administrator_resets_from_the_command_line(app: Flask, manager: User) -> None:
    enrolled(app)
    run = app.test_cli_runner().invoke(args=["user", "reset-factor", "BOSS"])
    assert run.exit_code == 0, run.output
    password_given(app).get("/sign-in/set-up")
