"""Commands about the switch itself, served by a calls worker over a real socket."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import CommandKind, Role, SwitchCommand, User
from calltree.services import switch_checks, switch_commands, trunks
from calltree.services.rights import Viewer
from calltree.telephony import inspection
from calltree.telephony.calls_worker import Warm
from calltree.telephony.care import Care, wanted_gateways
from calltree.telephony.esl import EslUrl, Link, LinkDown
from calltree.telephony.nodes import Node
from calltree.telephony.serving import Desk
from calltree.telephony.timings import Timings
from calltree.upkeep.switch_state import Reading, judge
from tests.browser import Browser
from tests.certificates import SERVER, make_certificate, showing
from tests.factories import make_site, make_trunk, make_user, viewer_of
from tests.floor import QUICK, in_thread, role, wait_for
from tests.practice import PracticeSwitch


@pytest.fixture
def manager(store: Store) -> Viewer:
    with store.write() as session:
        make_site(session)
        return viewer_of(make_user(session, Role.MANAGER))


def serve(store: Store, settings: Settings, switch: PracticeSwitch, command: SwitchCommand) -> str:
    desk = Desk(store, "test", Timings(), utcnow, Care(settings, store))
    with Link.connect(EslUrl.parse(switch.url)) as link:
        assert desk.serve(command.id, link)
    with store.read() as session:
        row = session.get_one(SwitchCommand, command.id)
    assert row.done_at
    return row.failure


def test_the_practice_switch_is_read_and_says_so(
    store: Store, settings: Settings, practice_switch: PracticeSwitch, manager: Viewer
) -> None:
    with store.write() as session:
        order = switch_checks.ask(session, viewer=manager, nodes=["practice"], now=utcnow())[0]
    assert serve(store, settings, practice_switch, order) == ""
    with store.read() as session:
        kept = switch_checks.last(session, node="practice")
    assert kept is not None
    found = judge(Reading.from_json(kept), now=utcnow())
    assert [one.code for one in found] == [
        "practice", "link_up", "version", "clock", "trunk_up", "disk", "we_write",
    ]  # fmt: skip


def test_a_gateway_that_is_down_is_read_as_such(
    store: Store, settings: Settings, practice_switch: PracticeSwitch, manager: Viewer
) -> None:
    practice_switch.order("gateway carrier down")
    with store.read() as session:
        gateways = wanted_gateways(session, settings)
    url = EslUrl.parse(practice_switch.url)
    reading = inspection.inspect(url, "practice", settings, gateways, now=utcnow())
    assert [one.status for one in reading.gateways] == ["DOWN"]
    for bad, why in ((replace(url, password="x"), "auth"), (replace(url, port=1), "down")):
        assert inspection.inspect(bad, "p", settings, gateways, now=utcnow()).down == why


def test_a_directory_that_cannot_be_written_is_read_as_such(
    store: Store, settings: Settings, practice_switch: PracticeSwitch, manager: Viewer
) -> None:
    settings.recordings_dir.parent.mkdir(parents=True, exist_ok=True)
    settings.recordings_dir.write_text("a file where the directory should be")
    url = EslUrl.parse(practice_switch.url)
    reading = inspection.inspect(url, "practice", settings, [], now=utcnow())
    assert (reading.we_write, reading.disk_free) == (False, 0)


def test_practice_takes_no_trunks_and_a_real_site_needs_a_directory(
    store: Store, settings: Settings, practice_switch: PracticeSwitch, manager: Viewer
) -> None:
    with store.write() as session:
        make_trunk(session)
    real = replace(settings, esl_urls=(practice_switch.url,))
    for of, failure in ((settings, "practice"), (real, "no_config_dir")):
        with store.write() as session:
            order = trunks.load(session, viewer=manager, nodes=of.node_names, now=utcnow())[0]
        assert serve(store, of, practice_switch, order) == failure


def test_the_leaders_sweep_leaves_orders_that_last_seconds_alone(
    store: Store, manager: Viewer
) -> None:
    with store.write() as session:
        trunks.load(session, viewer=manager, nodes=["main"], now=utcnow())
        switch_checks.ask(session, viewer=manager, nodes=["main"], now=utcnow())
        mute = switch_commands.ask(session, kind=CommandKind.MUTE, node="main", now=utcnow())
    with store.read() as session:
        found = switch_commands.unserved(
            session, node="main", older_than=utcnow() + timedelta(seconds=9)
        )
    assert found == [mute.id]


def test_the_certificate_is_looked_at_as_a_browser_does(
    store: Store,
    settings: Settings,
    practice_switch: PracticeSwitch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trusted, key = make_certificate(tmp_path, ends=utcnow() + timedelta(days=30))

    def read(host: str, port: int) -> tuple[str, str]:
        url = EslUrl.parse(practice_switch.url)
        shown = replace(settings, switch_wss_urls=(f"wss://{host}:{port}/sip",))
        reading = inspection.inspect(url, "practice", shown, [], now=utcnow())
        return reading.certificate, reading.certificate_why

    assert read("localhost", 1) == ("unknown", "")
    with showing(trusted, key) as port:
        assert read("localhost", port) == ("refused", "self-signed certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        ends, why = read("localhost", port)
        assert (datetime.fromisoformat(ends) - utcnow()).days in (29, 30)
        assert why == ""
        assert read("127.0.0.1", port)[0] == "refused"


def test_the_certificate_is_that_of_the_sites_own_address_or_of_each_switchs(
    settings: Settings, practice_switch: PracticeSwitch, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path, ends=utcnow() + timedelta(days=30))
    url = EslUrl.parse(practice_switch.url)
    with showing(certificate, key) as port:
        here = replace(settings, host_name=f"localhost:{port}")
        assert inspection.inspect(url, "practice", here, [], now=utcnow()).certificate == "refused"
        two = replace(
            settings,
            esl_urls=("esl://:x@one", "esl://:x@two"),
            switch_wss_urls=("ws://localhost/sip", f"wss://localhost:{port}/sip"),
        )
        seen = [
            inspection.inspect(url, node, two, [], now=utcnow()).certificate
            for node in ("one", "two")
        ]
    assert seen == ["unknown", "refused"]


def test_the_leader_looks_by_itself_and_when_a_trunk_goes_and_a_bar_says_so(
    store: Store,
    settings: Settings,
    practice_switch: PracticeSwitch,
    manager: Viewer,
    browser_of: Callable[[User], Browser],
) -> None:
    with store.write() as session:
        users = [session.get_one(User, manager.user_id), make_user(session, Role.OPERATOR)]
    managers, operators = map(browser_of, users)
    often = replace(QUICK, check_soon_s=0.1)
    leading = replace(role(store, practice_switch, often), settings=settings)

    def kept() -> list[str]:
        with store.read() as session:
            read = switch_checks.last(session, node="practice")
        return [one["status"] for one in read["gateways"]] if read else []

    with in_thread(leading.run):
        wait_for(lambda: kept() == ["UP"], "looked at without a press")
        assert managers.get("/admin/").one("#switch-bar").has_attr("hidden")
        practice_switch.order("gateway carrier down")
        wait_for(lambda: kept() == ["DOWN"], "the trunk's news")
    bar = managers.get("/admin/").one("#switch-bar")
    assert "応答がありません" in bar.get_text()
    assert bar.select_one("a")["href"] == "/admin/switch/"
    assert not operators.get("/operator/").all("#switch-bar")


def test_an_expired_certificate_and_a_full_disk_are_said_on_the_page(
    store: Store,
    settings: Settings,
    practice_switch: PracticeSwitch,
    manager: Viewer,
    browser_of: Callable[[User], Browser],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, key = make_certificate(tmp_path, ends=utcnow() - timedelta(days=1))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    full = tmp_path / "full"
    full.mkdir()
    (full / "recordings").symlink_to("/proc")  # has no room for anything
    with showing(certificate, key) as port, store.write() as session:
        real = replace(
            settings, data_dir=full, esl_urls=(practice_switch.url,),
            switch_wss_urls=(f"wss://{SERVER}:{port}/sip",),
        )  # fmt: skip
        url = EslUrl.parse(practice_switch.url)
        reading = inspection.inspect(url, "practice", real, [], now=utcnow())
        switch_checks.keep(session, node="practice", reading=reading.as_json())
        user = session.get_one(User, manager.user_id)
    page = browser_of(user).get("/admin/switch/")
    assert "証明書の有効期限が切れています" in page.text
    assert "CaddyまたはFreeSWITCHを再起動してください" in page.text
    assert "すぐに空き容量を増やしてください。通話はできますが、録音されません。" in page.text


@pytest.mark.parametrize(
    ("wrong", "said", "todo"),
    [
        ({"password": "of another"}, "FreeSWITCHのパスワードが違います", "設定ファイルを作り直し"),
        ({"port": 1}, "FreeSWITCHに接続できません", "FreeSWITCHを起動"),
    ],
)
def test_a_switch_that_lets_nobody_in_is_said_on_the_page_and_nothing_is_dialled(
    store: Store,
    settings: Settings,
    practice_switch: PracticeSwitch,
    manager: Viewer,
    browser_of: Callable[[User], Browser],
    wrong: dict[str, Any],
    said: str,
    todo: str,
) -> None:
    url = replace(EslUrl.parse(practice_switch.url), **wrong)
    real = replace(settings, esl_urls=(practice_switch.url,))
    desk = Desk(store, "test", Timings(), utcnow, Care(real, store))
    warm = Warm(Node("practice", url), desk, Timings())
    with store.write() as session:
        order = switch_checks.ask(session, viewer=manager, nodes=["practice"], now=utcnow())[0]
        mute = switch_commands.ask(session, kind=CommandKind.MUTE, node="practice", now=utcnow())
        user = session.get_one(User, manager.user_id)
    assert warm.serve(order.id) == []
    page = browser_of(user).get("/admin/switch/")
    assert said in page.text
    assert todo in page.text
    with pytest.raises(LinkDown):
        warm.serve(mute.id)
    with store.read() as session:
        assert session.get_one(SwitchCommand, mute.id).taken_at is None, "it is left to the leader"
