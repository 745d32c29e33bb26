"""A site with two switches: the pages of those whose switch is lost say so, and where to press."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask_login import login_user

from calltree import create_app
from calltree.blueprints.access import SignedIn
from calltree.blueprints.live_page import Page
from calltree.config import Settings, SettingsError
from calltree.db import Store, utcnow
from calltree.extensions import db
from calltree.models import LegKind, LegState, Operator, OperatorState, Role, User
from calltree.services import switch_checks, switch_nodes
from calltree.services.rights import Viewer
from calltree.upkeep.switch_state import Reading
from tests import factories as make

pytestmark = pytest.mark.one_database

PAGE = {"X-Page-Id": "11111111-1111-1111-1111-111111111111"}
NODES = ("10.0.0.1", "10.0.0.2")
WAYS = ("wss://one.example/sip", "wss://two.example/sip")


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    urls = tuple(f"esl://:x@{node}" for node in NODES)
    app = create_app(replace(settings, esl_urls=urls, switch_wss_urls=WAYS))
    app.testing = True
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def worker(store: Store) -> User:
    """An operator whose leg is parked on the first switch, which is lost."""
    with store.write() as session:
        make.make_site(session, practice=False)
        user = make.make_user(session, Role.OPERATOR, leg_kind=LegKind.BROWSER)
        make.make_operator(
            session,
            user,
            state=OperatorState.AWAY,
            leg_kind=LegKind.BROWSER,
            leg_node=NODES[0],
            leg_state=LegState.PARKED,
            leg_uuid="a" * 36,
        )
    heard(store, NODES[1])
    return user


def heard(store: Store, *nodes: str) -> None:
    told = {"nodes": {node: {"link_up": node in nodes} for node in NODES}}
    with store.write() as session:
        make.make_switch(session, **told)


def test_R_CL_10_a_lost_switch_is_said_in_plain_words_with_one_press(
    store: Store, browser_of, worker: User
) -> None:
    browser = browser_of(worker)
    bar = browser.get("/operator/").one("#switch-lost")
    assert "お使いの電話システムに接続できません" in bar.get_text()
    assert "Shift+F8" in bar.get_text()
    answer = browser.submit("#switch-lost form", follow=True)
    assert answer.one("#switch-lost").has_attr("hidden")
    with store.read() as session:
        operator = session.get_one(Operator, worker.id)
        assert (operator.leg_node, operator.leg_state) == (NODES[1], LegState.NONE)
    given = browser.client.post(
        "/operator/softphone/connect", headers={**PAGE, "X-CSRFToken": browser.csrf_token()}
    )
    assert given.get_json()["url"] == WAYS[1]


def test_a_press_that_came_too_late_changes_nothing_and_says_so(
    store: Store, browser_of, worker: User
) -> None:
    browser = browser_of(worker)
    browser.get("/operator/")
    heard(store, *NODES)
    answer = browser.submit("#switch-lost form", follow=True)
    assert "電話システムに再び接続できました" in answer.text
    with store.read() as session:
        assert session.get_one(Operator, worker.id).leg_node == NODES[0]


def test_with_no_switch_left_there_is_a_word_and_no_button(
    store: Store, browser_of, worker: User
) -> None:
    heard(store)
    page = browser_of(worker).get("/operator/")
    said = page.one("#switch-lost").get_text(strip=True)
    assert said.startswith("電話システムに接続できません。しばらくお待ちください。")
    assert page.all("#switch-lost form") == []


def test_R_CL_10_the_only_switch_is_told_lost_as_one_of_several(store: Store, worker: User) -> None:
    with store.write() as session:
        session.get_one(Operator, worker.id).leg_node = ""  # before the first leg of a shift
    with store.read() as session:
        only = {node: switch_nodes.lost(session, user_id=worker.id, nodes=[node]) for node in NODES}
        several = switch_nodes.lost(session, user_id=worker.id, nodes=NODES)
    assert only == {NODES[0]: switch_nodes.Lost(can_move=False, in_call=False), NODES[1]: None}
    assert several is None  # on which of them the telephone will be is not said yet


def test_pages_that_are_open_are_told_when_it_happens(
    store: Store, app: Flask, worker: User
) -> None:
    with store.read() as session:
        viewer = Viewer.of(session.get_one(User, worker.id))
    with app.test_request_context():
        login_user(SignedIn(viewer, 0))
        page = Page(viewer)
        assert {"switch", f"operator:user_id={worker.id}"} <= page.heard
        with store.read() as session:
            told = "".join(page.draw(session, {"switch"}, fresh=False))
    assert '<hx-partial hx-target="#switch-lost"' in told
    assert "お使いの電話システムに接続できません" in told


def test_a_manager_is_told_on_an_open_page_what_is_red_about_a_switch(
    store: Store, app: Flask
) -> None:
    refused = Reading(NODES[1], utcnow().isoformat(), down="auth")
    with store.write() as session:
        make.make_site(session, practice=False)
        viewer = Viewer.of(make.make_user(session, Role.MANAGER))
        switch_checks.keep(session, node=refused.node, reading=refused.as_json())
    with app.test_request_context("/admin/"):
        login_user(SignedIn(viewer, 0))
        page = Page(viewer)
        assert "switch" in page.heard
        with store.read() as session:
            told = "".join(page.draw(session, {"switch"}, fresh=False))
    assert '<hx-partial hx-target="#switch-bar"' in told
    assert "電話システム（接続）：FreeSWITCHのパスワードが違います" in told


def test_each_switch_has_its_way_for_pages() -> None:
    env = {"ESL_URL": "esl://:x@a.example,esl://:x@b.example", "SECRET_KEY": "x"}
    with pytest.raises(SettingsError, match="SWITCH_WSS_URL"):
        Settings.from_env(env | {"SWITCH_WSS_URL": WAYS[0]})
    assert Settings.from_env(env | {"SWITCH_WSS_URL": ",".join(WAYS)}).switch_wss_urls == WAYS
