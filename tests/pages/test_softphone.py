"""What the page's telephone and the switch ask of the web."""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask_login import login_user

from calltree import create_app
from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn
from calltree.config import Settings, SettingsError
from calltree.db import Store
from calltree.extensions import db
from calltree.models import LegKind, LegState, Operator, Role, Softphone, User
from calltree.services import softphones
from calltree.services.rights import Viewer
from calltree.switch_place import SwitchPlace
from tests import factories as make
from tests.browser import Browser

pytestmark = pytest.mark.one_database

SECRET = "between-switch-and-us"
PAGE = {"X-Page-Id": "11111111-1111-1111-1111-111111111111"}
OTHER = {"X-Page-Id": "22222222-2222-2222-2222-222222222222"}


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """A site with a real switch, as far as the web can tell."""
    real = replace(settings, esl_urls=("esl://:x@127.0.0.1:8021",), switch_secret=SECRET)
    app = create_app(real)
    app.testing = True
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def worker(store: Store) -> User:
    with store.write() as session:
        make.make_site(session, practice=False)
        return make.make_user(session, Role.OPERATOR, leg_kind=LegKind.BROWSER)


def connect(browser: Browser, page: dict[str, str] = PAGE, status: int = 200) -> dict[str, str]:
    answer = browser.client.post(
        "/operator/softphone/connect", headers={**page, "X-CSRFToken": browser.csrf_token()}
    )
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_json()


def ask(app: Flask, *, secret: str = SECRET, **asked: str):
    pair = base64.b64encode(f"switch:{secret}".encode()).decode()
    form = {"section": "directory", "tag_name": "domain", "key_name": "name", "action": "sip_auth",
            "domain": "calltree"} | asked  # fmt: skip
    return app.test_client().post(
        "/switch/directory", data=form, headers={"Authorization": f"Basic {pair}"}
    )


def users_of(answer) -> list[ElementTree.Element]:
    assert answer.status_code == 200
    assert answer.mimetype == "text/xml"
    return list(ElementTree.fromstring(answer.data).iter("user"))  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("url", "listens", "via"),
    [
        ("", "", "WS"),
        ("wss://calls.example.jp/sip", "", "WS"),
        ("wss://calls.example.jp/sip", "0.0.0.0:7443", "WS"),
        ("wss://calls.example.jp:7443", "0.0.0.0:7443", "WSS"),
    ],
    ids=["as the page", "proxy", "proxy beside it", "the switch itself"],
)
def test_a_page_says_in_its_via_what_the_switch_takes_it_for(
    app: Flask, worker: User, browser_of, url: str, listens: str, via: str
) -> None:
    app.extensions["calltree.settings"] = replace(
        app.extensions["calltree.settings"],
        switch_wss_urls=(url,) if url else (),
        switch_place=SwitchPlace(wss=listens),
    )
    assert connect(browser_of(worker))["via"] == via


def test_the_switch_is_told_of_a_page_that_has_just_signed_in(
    app: Flask, store: Store, browser_of, worker: User
) -> None:
    given = connect(browser_of(worker))
    assert given["uri"] == f"sip:web-{worker.id}@calltree"
    (found,) = users_of(ask(app, user=f"web-{worker.id}"))
    params = {p.get("name"): p.get("value") for p in found.iter("param")}
    assert params == {"a1-hash": softphones.a1_hash(f"web-{worker.id}", given["password"])}
    variables = {v.get("name"): v.get("value") for v in found.iter("variable")}
    assert variables["user_context"] == "agents"
    assert variables["calltree_user_id"] == str(worker.id)
    assert given["password"] not in ask(app, user=f"web-{worker.id}").get_data(as_text=True)


def test_whoever_is_not_the_switch_is_told_nothing(app: Flask, store: Store, worker: User) -> None:
    assert ask(app, secret="guessed", user="web-1").status_code == 401
    bare = app.test_client().post("/switch/directory", data={"user": "web-1"})
    assert bare.status_code == 401
    assert "Basic" in bare.headers["WWW-Authenticate"]


def test_the_switch_may_ask_more_often_than_people(app: Flask, store: Store, worker: User) -> None:
    answers = {ask(app, user="web-1").status_code for _ in range(100)}
    assert answers == {200}


@pytest.mark.parametrize(
    "asked",
    [
        {"user": "nobody"},
        {"user": ""},
        {"user": "web-1", "section": "dialplan"},
        {"user": "web-1", "domain": 'x"><user id="a'},
        {"user": "web-1", "domain": ""},
        {"user": '"><user id="a"/>'},
    ],
)
def test_what_is_not_known_is_not_found(
    app: Flask, store: Store, browser_of, worker: User, asked: dict[str, str]
) -> None:
    connect(browser_of(worker))
    answer = ask(app, **asked)
    assert users_of(answer) == []
    assert 'status="not found"' in answer.get_data(as_text=True)


def test_signing_out_ends_what_the_page_signed_in_with(
    app: Flask, store: Store, browser_of, worker: User
) -> None:
    browser = browser_of(worker)
    connect(browser)
    browser.post("/sign-out")
    assert users_of(ask(app, user=f"web-{worker.id}")) == []


def test_R_CL_17_a_second_page_gets_none_until_it_takes_over(
    store: Store, browser_of, worker: User
) -> None:
    browser = browser_of(worker)
    connect(browser)
    refused = connect(browser, OTHER, status=409)
    assert refused["code"] == "page_in_use"
    browser.post("/operator/call/take-over", headers=OTHER)
    connect(browser, OTHER)
    late = browser.client.post(
        "/operator/softphone/report",
        data={"microphone": "ok"},
        headers={**PAGE, "X-CSRFToken": browser.csrf_token()},
    )
    assert late.status_code == 409


def test_R_CL_14_a_report_is_believed_and_says_how_the_leg_is_known(
    store: Store, browser_of, worker: User
) -> None:
    browser = browser_of(worker)
    connect(browser)
    with store.write() as session:
        session.get_one(Operator, worker.id).leg_state = LegState.PARKED
    answer = browser.client.post(
        "/operator/softphone/report",
        data={"microphone": "ok", "trouble": "unstable"},
        headers={**PAGE, "X-CSRFToken": browser.csrf_token()},
    )
    way = "ws://127.0.0.1:5066"
    assert answer.get_json() == {"leg": "parked", "heard": False, "url": way}
    with store.read() as session:
        row = session.get_one(Softphone, worker.id)
        assert (row.microphone, row.trouble) == ("ok", "unstable")


def test_the_page_says_which_telephone_it_is(store: Store, browser_of, worker: User) -> None:
    browser = browser_of(worker)
    assert real_page(browser).one("#softphone-panel")
    with store.write() as session:
        session.get_one(User, worker.id).leg_kind = LegKind.DEVICE
        operator = session.get(Operator, worker.id)
        if operator is not None:
            operator.leg_kind = LegKind.DEVICE
        else:
            make.make_operator(session, session.get_one(User, worker.id), leg_kind=LegKind.DEVICE)
    page = real_page(browser)
    assert page.all("#softphone-panel") == []
    assert "卓上電話" in page.one(".softphone-note").get_text()


def real_page(browser: Browser):
    """The policy of a site with a switch on this machine names that switch too."""
    from tests import page_checks

    plain = page_checks.CONTENT_SECURITY_POLICY
    page_checks.CONTENT_SECURITY_POLICY = plain.replace(" wss:;", " wss: ws://127.0.0.1:5066;")
    try:
        return browser.get("/operator/")
    finally:
        page_checks.CONTENT_SECURITY_POLICY = plain


@pytest.mark.parametrize("given", ["http://x", "wss://x; script-src *", "wss://a b", "wss://"])
def test_an_address_for_pages_is_nothing_but_an_address(given: str) -> None:
    with pytest.raises(SettingsError, match="SWITCH_WSS_URL"):
        Settings.from_env({"SWITCH_WSS_URL": given, "SECRET_KEY": "x"})


def test_ice_servers_are_told_to_pages_as_browsers_want_them(
    settings: Settings, store: Store, browser_of, worker: User, app: Flask
) -> None:
    app.extensions["calltree.settings"] = replace(
        app.extensions["calltree.settings"],
        ice_servers=("stun:a.example:3478", "turn:u:p@b.example:3478"),
    )
    assert connect(browser_of(worker))["ice"] == [
        {"urls": "stun:a.example:3478"},
        {"urls": "turn:b.example:3478", "username": "u", "credential": "p"},
    ]


def test_a_manager_gives_a_desk_phone_its_password_once(
    app: Flask, store: Store, browser_of, worker: User
) -> None:
    with store.write() as session:
        manager = make.make_user(session, Role.MANAGER)
    browser = browser_of(manager)
    path = f"/admin/users/{worker.id}/telephone"
    form = {"kind": "device", "device": "desk-9", "action": "secret"}
    token = {"csrf_token": browser.csrf_token()}
    shown = browser.client.post(path, data=form | token)
    assert shown.status_code == 200
    secret = re.search(r"<code>([^<]+)</code>", shown.get_data(as_text=True))
    assert secret is not None
    (found,) = users_of(ask(app, user="desk-9"))
    params = {p.get("name"): p.get("value") for p in found.iter("param")}
    assert params["a1-hash"] == softphones.a1_hash("desk-9", secret[1])
    again = browser.client.get(path).get_data(as_text=True)
    assert secret[1] not in again
    wrong = browser.client.post(path, data=form | token | {"device": "a b"})
    assert wrong.status_code == 422
    assert "英数字" in wrong.get_data(as_text=True)


def test_R_CL_14_where_a_list_is_chosen_it_shows_when_the_telephone_is_there(
    app: Flask, store: Store, browser_of, worker: User
) -> None:
    browser = browser_of(worker)
    connect(browser)
    with store.write() as session:
        session.get_one(Operator, worker.id).leg_state = LegState.LOST
    page = browser.client.get("/operator/").get_data(as_text=True)
    assert "/live?page=home" in page
    assert re.search(r'id="softphone".*再接続中', page, re.S)
    with store.write() as session:
        session.get_one(Operator, worker.id).leg_state = LegState.PARKED
        viewer = Viewer.of(session.get_one(User, worker.id))
    with app.test_request_context(), store.read() as session:
        login_user(SignedIn(viewer, 0))
        changed = {f"operator:user_id={worker.id}"}
        told = "".join(panels.find("home", viewer).draw(session, changed, fresh=False))
    assert re.search(r'id="softphone".*接続済み', told, re.S)
