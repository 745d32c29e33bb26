"""電話回線 and the check of the telephone, as a manager uses them."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import CallerNumber, CommandKind, Role, SwitchCommand, Trunk, User
from calltree.services import switch_checks, switch_commands
from calltree.upkeep.switch_state import GatewayState, Reading
from tests.factories import make_caller_number, make_site, make_trunk, make_user

pytestmark = pytest.mark.one_database

GIVEN = {
    "name": "ひかり本線",
    "kind": "registered",
    "proxy": "sip.example.jp:5060",
    "username": "0501112222",
    "password": "carrier-pass",
    "prefixes": "090\r\n 080 \r\n",
    "number_form": "e164",
    "caller_id_form": "asserted",
    "lines": "4",
    "position": "1",
    "enabled": "y",
}


@pytest.fixture
def manager(store: Store) -> User:
    with store.write() as session:
        make_site(session)
        return make_user(session, Role.MANAGER)


def orders(store: Store, kind: CommandKind) -> list[SwitchCommand]:
    with store.read() as session:
        return list(session.scalars(select(SwitchCommand).where(SwitchCommand.kind == kind)))


def test_a_manager_registers_a_trunk_and_the_switch_is_asked_to_take_it(
    store: Store, browser_of, manager: User
) -> None:
    browser = browser_of(manager)
    browser.get("/admin/trunks/new")
    page = browser.submit(**GIVEN)
    assert page.location == "/admin/trunks/"
    with store.read() as session:
        trunk = session.scalars(select(Trunk)).one()
    assert (trunk.proxy, trunk.password) == ("sip.example.jp:5060", "carrier-pass")
    assert (trunk.prefixes, trunk.lines, trunk.number_form) == (["090", "080"], 4, "e164")
    assert [row.node for row in orders(store, CommandKind.LOAD_TRUNKS)] == ["practice"]
    listed = browser.get("/admin/trunks/")
    assert "ひかり本線" in listed.text
    assert "反映中" in listed.text


def test_the_password_is_on_no_page_and_an_empty_one_changes_nothing(
    store: Store, browser_of, manager: User
) -> None:
    with store.write() as session:
        trunk = make_trunk(session)
    browser = browser_of(manager)
    page = browser.get(f"/admin/trunks/{trunk.id}")
    assert trunk.password not in page.html
    browser.submit(name="別の名前")
    with store.read() as session:
        kept = session.get_one(Trunk, trunk.id)
    assert (kept.name, kept.password) == ("別の名前", trunk.password)
    assert trunk.password not in browser.get("/admin/trunks/").html


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"proxy": 'a"/><gateway'}, "サーバーは sip.example.jp"),
        ({"prefixes": "03-"}, "「03-」は使えません"),
        ({"username": "a b"}, "ユーザー名は英数字"),
        ({"password": ""}, "通知されたパスワード"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    store: Store, browser_of, manager: User, changed: dict[str, str], sentence: str
) -> None:
    browser = browser_of(manager)
    browser.get("/admin/trunks/new")
    page = browser.submit(status=422, **GIVEN | changed)
    assert sentence in page.text
    assert orders(store, CommandKind.LOAD_TRUNKS) == []


def test_a_trunk_is_retired_and_a_bound_number_keeps_it(
    store: Store, browser_of, manager: User
) -> None:
    with store.write() as session:
        trunk, number = make_trunk(session), make_caller_number(session)
    browser = browser_of(manager)
    browser.get(f"/admin/projects/numbers/{number.id}")
    browser.submit(trunk_id=str(trunk.id))
    with store.read() as session:
        assert session.get_one(CallerNumber, number.id).trunk_id == trunk.id
    browser.get("/admin/trunks/")
    refused = browser.post(f"/admin/trunks/{trunk.id}/retire", status=409)
    assert "この回線を使う発信番号があります" in refused.text
    browser.get(f"/admin/projects/numbers/{number.id}")
    browser.submit(trunk_id="")
    browser.get("/admin/trunks/")
    browser.post(f"/admin/trunks/{trunk.id}/retire", status=303)
    browser.get(f"/admin/trunks/{trunk.id}", status=404)
    assert "電話回線がありません" in browser.get("/admin/trunks/").text


def test_what_became_of_the_order_is_said(store: Store, browser_of, manager: User) -> None:
    browser = browser_of(manager)
    browser.get("/admin/trunks/")
    browser.post("/admin/trunks/load", status=303)
    order = orders(store, CommandKind.LOAD_TRUNKS)[0]
    waiting = browser.get("/admin/trunks/")
    assert 'hx-get="/admin/trunks/loads"' in waiting.html
    with store.write() as session:
        switch_commands.finish(session, command_id=order.id, now=utcnow(), failure="practice")
    said = browser.get("/admin/trunks/loads")
    assert "練習モードでは専用の回線" in said.text
    assert "hx-get" not in said.html
    with store.write() as session:
        switch_commands.finish(session, command_id=order.id, now=utcnow())
    assert "反映済み" in browser.get("/admin/trunks/loads").text


def test_an_order_that_nobody_takes_is_not_waited_for_for_ever(
    store: Store, browser_of, manager: User
) -> None:
    browser = browser_of(manager)
    browser.get("/admin/trunks/")
    browser.post("/admin/trunks/load", status=303)
    browser.get("/admin/switch/")
    browser.post("/admin/switch/check", status=303)
    with time_machine.travel(utcnow() + timedelta(seconds=31), tick=False):
        assert "処理されませんでした" in browser.get("/admin/trunks/loads").text
        late = browser.get("/admin/switch/found")
    assert "「練習用の電話システム」を確認できませんでした" in late.text
    assert "hx-get" not in late.html


def test_a_supervisor_sees_and_does_not_change(store: Store, browser_of, manager: User) -> None:
    with store.write() as session:
        make_trunk(session)
        supervisor = make_user(session, Role.SUPERVISOR)
    browser = browser_of(supervisor)
    page = browser.get("/admin/trunks/")
    assert "FreeSWITCHへ送る" not in page.text
    assert "編集" not in page.one("table").text


def test_the_check_says_green_and_red_and_what_to_do(
    store: Store, browser_of, manager: User
) -> None:
    browser = browser_of(manager)
    unread = browser.get("/admin/switch/").text
    assert "まだ確認していません" in unread
    assert "practice" not in unread
    browser.post("/admin/switch/check", status=303)
    assert "確認しています" in browser.get("/admin/switch/").text
    good = Reading(
        "practice", utcnow().isoformat(), version="1.10.12", profiles=("internal", "external"),
        browsers="127.0.0.1:5066", disk_free=10**12, we_write=True, switch_writes="yes",
        gateways=(GatewayState("trunk1", "本線", "FAIL_WAIT", "UP"),),
    )  # fmt: skip
    order = orders(store, CommandKind.CHECK)[0]
    with store.write() as session:
        switch_checks.keep(session, node="practice", reading=good.as_json())
        switch_commands.finish(session, command_id=order.id, now=utcnow())
    page = browser.get("/admin/switch/")
    assert "「本線」が登録されていません（FAIL_WAIT）" in page.text
    assert "通信事業者の通知と合っているか確認" in page.text
    assert "要対応" in page.text
    assert "正常" in page.text
    with store.write() as session:
        down = replace(good, down="auth")
        switch_checks.keep(session, node="practice", reading=down.as_json())
    assert "FreeSWITCHのパスワードが違います" in browser.get("/admin/switch/").text
