"""Commands about the switch itself, served by a calls worker over a real socket."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import CommandKind, Role, SwitchCommand
from calltree.services import switch_checks, switch_commands, trunks
from calltree.services.rights import Viewer
from calltree.telephony import inspection
from calltree.telephony.care import Care, wanted_gateways
from calltree.telephony.esl import EslUrl, Link
from calltree.telephony.serving import Desk
from calltree.telephony.timings import Timings
from calltree.upkeep.switch_state import Reading, judge
from tests.factories import make_site, make_trunk, make_user, viewer_of
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


@pytest.fixture
def shown_certificate(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Somebody who shows a certificate that is valid for 30 days, made out to localhost."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed here")
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
            *("-keyout", str(key), "-out", str(made), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def show() -> None:
            while True:
                try:
                    peer, _address = listening.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), peer:
                    context.wrap_socket(peer, server_side=True).close()

        threading.Thread(target=show, daemon=True).start()
        yield listening.getsockname()[1], made
        listening.shutdown(socket.SHUT_RDWR)


def test_the_certificate_is_looked_at_as_a_browser_does(
    store: Store,
    settings: Settings,
    practice_switch: PracticeSwitch,
    shown_certificate: tuple[int, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, trusted = shown_certificate

    def read(host: str) -> tuple[str, str]:
        url = EslUrl.parse(practice_switch.url)
        shown = replace(settings, switch_wss_urls=(f"wss://{host}:{port}/sip",))
        reading = inspection.inspect(url, "practice", shown, [], now=utcnow())
        return reading.certificate, reading.certificate_why

    assert read("localhost") == ("refused", "self-signed certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    ends, why = read("localhost")
    assert (datetime.fromisoformat(ends) - utcnow()).days in (29, 30)
    assert why == ""
    assert read("127.0.0.1")[0] == "refused"
    port = 1
    assert read("localhost") == ("unknown", "")
