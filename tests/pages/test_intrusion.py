"""Attacks on the door: sign-in, sessions, forged presses, headers, logs."""

from __future__ import annotations

import dataclasses
import io
import re

import pytest
import structlog
from flask import Flask
from sqlalchemy import text
from werkzeug.security import generate_password_hash

from calltree import create_app, logs
from calltree.blueprints.access import public
from calltree.blueprints.headers import HEADERS
from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.extensions import db, reading
from calltree.models import Role, User
from tests import factories as make
from tests.browser import Browser
from tests.pages.world import World, build

PASSWORD = "correct horse"


@pytest.fixture
def world(app: Flask, store: Store, settings: Settings) -> World:
    return build(store, settings)


@pytest.fixture
def known(store: Store) -> User:
    with store.write() as session:
        make.make_site(session)
        return make.make_user(
            session,
            login_id="yamada",
            login_key="yamada",
            password_hash=generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000"),
        )


# --- forged presses


@pytest.mark.one_database
def test_no_press_is_taken_without_a_token(app: Flask, world: World, browser_of) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    wrong = []
    for token in ({}, {"csrf_token": "x"}, {"csrf_token": browser.csrf_token() + "x"}):
        for endpoint, path in world.paths(app, "POST", world.near):
            answer = browser.client.post(path, data=token)
            # the switch and other programs have no session: they prove themselves in the header
            own_proof = endpoint == "softphone.directory" or endpoint.startswith("api.")
            refused = 401 if own_proof else 419
            if answer.status_code != refused:
                wrong.append((endpoint, answer.status_code))
    assert wrong == []


@pytest.mark.one_database
def test_a_token_of_another_session_is_refused(world: World, browser_of) -> None:
    theirs = browser_of(world.users[Role.SUPERVISOR]).csrf_token()
    browser = browser_of(world.users[Role.MANAGER])
    with browser.client.session_transaction() as session:
        session["csrf_token"] = "1" * 40
    assert browser.client.post("/switch-screen", data={"csrf_token": theirs}).status_code == 419


@pytest.mark.one_database
def test_only_post_changes_anything(app: Flask) -> None:
    """PUT and the like would pass no CSRF check; the API, which no cookie opens, needs none."""
    rules = [one for one in app.url_map.iter_rules() if not one.endpoint.startswith("api.")]
    methods = {m for rule in rules for m in rule.methods or ()}
    assert methods <= {"GET", "HEAD", "OPTIONS", "POST"}


# --- signing in


@pytest.mark.one_database
@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        "https://evil.example",
        "https:/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/\x00/evil.example",
        "/\u2028/evil.example",
        "",
    ],
)
def test_signing_in_leads_nowhere_else(app: Flask, known: User, elsewhere: str) -> None:
    browser = Browser(app)
    browser.get("/sign-in")
    form = {"login_id": "yamada", "password": PASSWORD, "csrf_token": browser.csrf_token()}
    answer = browser.client.post("/sign-in", query_string={"next": elsewhere}, data=form)
    assert answer.status_code == 303
    assert re.fullmatch(r"/(operator/|/?x?)", answer.headers["Location"]), answer.headers
    assert not answer.headers["Location"].startswith("//")


@pytest.mark.one_database
def test_signing_in_leads_back_to_a_page_of_ours(app: Flask, known: User) -> None:
    browser = Browser(app)
    asked = browser.client.get("/history/?q=a b&number=03").headers["Location"]
    browser.get(asked)
    answer = browser.post(asked, {"login_id": "yamada", "password": PASSWORD})
    assert answer.location.startswith("/history/?q=a")


def test_R_US_6_every_spelling_of_an_id_shares_its_tries(app: Flask, known: User) -> None:
    spellings = ["yamada", "YAMADA", "ｙａｍａｄａ", " yamada ", "ya\u200bmada"]
    answers = []
    for spelling in spellings:
        browser = Browser(app)
        browser.post("/sign-in", {"login_id": spelling, "password": "wrong"}, status=422)
    browser = Browser(app)
    answers = browser.post("/sign-in", {"login_id": "Yamada", "password": PASSWORD}, status=429)
    assert "しばらく" in answers.text


@pytest.mark.one_database
def test_R_US_6_tries_are_limited_per_address(app: Flask, known: User) -> None:
    browser = Browser(app)
    for turn in range(10):
        browser.post("/sign-in", {"login_id": f"nobody{turn}", "password": "x"}, status=422)
    browser.post("/sign-in", {"login_id": "yamada", "password": PASSWORD}, status=429)


@pytest.mark.one_database
def test_R_US_6_a_forged_address_is_no_other_address(app: Flask, known: User) -> None:
    """Without TRUSTED_PROXIES nobody may say where they come from."""
    browser = Browser(app)
    for turn in range(10):
        headers = {"X-Forwarded-For": f"10.0.0.{turn}", "X-Real-IP": f"10.0.0.{turn}"}
        form = {"login_id": f"nobody{turn}", "password": "x"}
        browser.post("/sign-in", form, status=422, headers=headers)
    browser.post(
        "/sign-in",
        {"login_id": "yamada", "password": PASSWORD},
        status=429,
        headers={"X-Forwarded-For": "10.9.9.9"},
    )


@pytest.mark.one_database
def test_R_US_6_tries_are_limited_while_redis_is_away(
    settings: Settings, known: User, tmp_path
) -> None:
    away = dataclasses.replace(settings, redis_url=f"unix://{tmp_path}/nobody.sock")
    app = create_app(away)
    try:
        browser = Browser(app)
        form = {"login_id": "yamada", "password": "wrong"}
        for _turn in range(5):
            browser.post("/sign-in", form, status=422)
        browser.post("/sign-in", form, status=429)
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.mark.one_database
def test_signing_in_starts_a_new_session(app: Flask, known: User) -> None:
    browser = Browser(app)
    browser.get("/sign-in")
    with browser.client.session_transaction() as session:
        session["planted"] = "1"
        before = session["csrf_token"]
    browser.post("/sign-in", {"login_id": "yamada", "password": PASSWORD})
    with browser.client.session_transaction() as session:
        assert "planted" not in session
        assert session.get("csrf_token") != before


def test_a_session_with_a_spoilt_user_is_signed_out(app: Flask, known: User) -> None:
    for kept in ("x:1", f"{known.id}:x", f"{known.id}", "", "9" * 30 + ":1", ":", f"{known.id}:²"):
        browser = Browser(app)
        with browser.client.session_transaction() as session:
            session["_user_id"] = kept
            session["seen_at"] = utcnow().timestamp()
        assert browser.get("/operator/", status=303).location.startswith("/sign-in")


@pytest.mark.one_database
def test_R_US_6_a_changed_role_is_in_force_at_once(world: World, store: Store, browser_of) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    browser.get("/admin/users/")
    with store.write() as session:
        session.get_one(User, world.users[Role.MANAGER]).role = Role.OPERATOR
    browser.get("/admin/users/", status=403)


@pytest.mark.one_database
def test_a_cookie_says_how_it_may_travel(app: Flask, known: User) -> None:
    browser = Browser(app)
    browser.get("/sign-in")
    answer = browser.post("/sign-in", {"login_id": "yamada", "password": PASSWORD})
    for cookie in answer.response.headers.getlist("Set-Cookie"):
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


@pytest.mark.one_database
def test_behind_a_proxy_cookies_travel_by_tls_only(settings: Settings, known: User) -> None:
    app = create_app(dataclasses.replace(settings, trusted_proxies=1))
    try:
        browser = Browser(app)
        answer = browser.client.get("/sign-in", headers={"X-Forwarded-Proto": "https"})
        assert "Secure" in answer.headers["Set-Cookie"]
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


# --- headers


@pytest.mark.one_database
def test_every_answer_carries_the_headers(app: Flask, world: World, browser_of) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    paths = [path for _endpoint, path in world.paths(app, "GET", world.near)]
    paths += ["/nowhere", "/assets/x/nothing.js", "/%00", "/admin/lists/999", "/sign-in"]
    for path in paths:
        answer = browser.client.get(path)
        answer.get_data()
        answer.close()
        for name, value in HEADERS.items():
            assert answer.headers.get(name) == value, (path, name)
        if not path.startswith("/assets/"):
            assert "no-store" in answer.headers["Cache-Control"], path
    refused = browser.client.post("/switch-screen")
    assert refused.headers["Content-Security-Policy"]
    assert refused.headers["Cache-Control"] == "no-store"


@pytest.mark.one_database
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "[::1", "a b", "", "x" * 5000])
def test_no_page_repeats_a_forged_host(world: World, browser_of, host: str) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    for path in ("/", "/admin/", "/admin/lists/", "/nowhere"):
        answer = browser.client.get(path, headers={"Host": host})
        assert answer.status_code < 500
        assert "evil.example" not in answer.get_data(as_text=True)
        assert "evil.example" not in answer.headers.get("Location", "")


# --- bodies


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"--\r\n"),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data; name="),
        ("multipart/form-data; boundary=a", b"--a\r\n" * 2000),
        ("multipart/form-data; boundary=" + "a" * 5000, b"x" * 100),
        ("application/x-www-form-urlencoded", b"a" * 600_000),
        ("application/x-www-form-urlencoded; charset=utf-7", b"%ff%fe=%00"),
        ("application/json", b"{"),
        ("text/plain", b"\xff"),
        ("x" * 3000, b""),
    ],
)
def test_a_broken_body_is_no_failure_of_ours(
    app: Flask, world: World, browser_of, kind: str, body: bytes
) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    headers = {"X-CSRFToken": browser.csrf_token()}
    for path in ("/admin/imports/new", "/admin/do-not-call/new", "/sign-in", "/operator/call/dial"):
        answer = browser.client.post(path, data=body, content_type=kind, headers=headers)
        assert answer.status_code < 500, path


@pytest.mark.one_database
def test_a_body_beyond_the_limit_is_refused(app: Flask, world: World, browser_of) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    headers = {"X-CSRFToken": browser.csrf_token()}
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = browser.client.post(
        "/admin/imports/new", data={"file": (io.BytesIO(b"x" * 2000), "a.csv")}, headers=headers
    )
    assert answer.status_code == 413
    assert "64" in answer.get_data(as_text=True)


# --- logs


def test_a_failed_statement_is_logged_without_what_was_typed(
    app: Flask, store: Store, capsys
) -> None:
    logs.configure()
    with app.app_context():
        try:
            with store.write() as session:
                session.execute(
                    text("SELECT * FROM nothing WHERE a = :memo"), {"memo": "極秘の相談 0312345678"}
                )
        except Exception:  # the point is what the log makes of it, on either database's own error
            structlog.get_logger("test").exception("failed")
    written = capsys.readouterr().err
    assert "nothing" in written
    assert "極秘" not in written
    assert "0312345678" not in written


def test_a_traceback_shows_no_telephone_number(capsys) -> None:
    logs.configure()
    try:
        raise ValueError(
            "duplicate key\nDETAIL:  Key (number)=(0312345678) exists, 山田\n+819012345678"
        )
    except ValueError:
        structlog.get_logger("test").exception("failed")
    written = capsys.readouterr().err
    assert "duplicate key" in written
    assert "0312345678" not in written
    assert "9012345678" not in written
    assert "山田" not in written
    assert "…5678" in written


# --- failures


def test_R_AR_4_a_failed_statement_still_gets_a_page_whose_receipt_is_in_the_log(
    app: Flask, world: World, browser_of, capsys
) -> None:
    """Postgres takes no further statement in a transaction in which one failed."""
    logs.configure()

    @public
    def broken() -> str:
        reading().execute(text("SELECT * FROM nothing"))
        return ""

    app.view_functions["health.alive"] = broken
    page = browser_of(world.users[Role.MANAGER]).get("/healthz", status=500)
    receipt = re.search(r"受付番号\W*([0-9a-f]{8})", page.text)
    assert receipt, page.text
    assert "nothing" not in page.html
    written = capsys.readouterr().err
    assert f"receipt={receipt[1]}" in written
    assert "path=/healthz" in written


def test_without_a_database_a_sentence_is_left(app: Flask, world: World, browser_of) -> None:
    browser = browser_of(world.users[Role.MANAGER])
    with app.extensions["calltree.store"].write() as session:
        session.execute(text("ALTER TABLE users RENAME TO gone"))
    answer = browser.client.get("/admin/")
    assert answer.status_code == 500
    said = answer.get_data(as_text=True)
    assert "サーバー" in said or "保存" in said
    assert "SELECT" not in said
    assert answer.headers["Content-Security-Policy"]
