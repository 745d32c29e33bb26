"""A real FreeSWITCH that ends TLS itself, without a proxy before it, and a real Chromium."""

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from calltree.db import utcnow
from tests.certificates import make_certificate
from tests.databases import PostgresDatabases, SqliteDatabases
from tests.freeswitch import RenderedSwitch, rendered_switch
from tests.softphone.real import RealSite, open_real_site

pytestmark = [pytest.mark.freeswitch, pytest.mark.browser]

SECRET = "between-it-and-us"


@pytest.fixture
def port() -> int:
    """Where it asks for credentials."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def switch(tmp_path: Path, port: int) -> Iterator[RenderedSwitch]:
    address = f"http://127.0.0.1:{port}/switch/directory"
    certs = tmp_path / "certs"
    certs.mkdir()
    certificate, key = make_certificate(tmp_path, ends=utcnow() + timedelta(days=30))
    (certs / "wss.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    with rendered_switch(tmp_path, directory_url=address, secret=SECRET, certs=certs) as found:
        yield found


@pytest.fixture
def site(
    switch: RenderedSwitch,
    port: int,
    databases: SqliteDatabases | PostgresDatabases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RealSite]:
    esl = switch.wanted.esl
    url = f"esl://:{quote(esl.password, safe='')}@{esl.host}:{esl.port}"
    monkeypatch.setenv("FREESWITCH_ESL_URL", url)
    monkeypatch.setenv("FREESWITCH_WS_URL", switch.ws_url)
    monkeypatch.setenv("FREESWITCH_DIRECTORY_PORT", str(port))
    monkeypatch.setenv("FREESWITCH_SECRET", SECRET)
    # as where `switch config` writes it: the page is told which transport its Via has to name
    monkeypatch.setenv("SWITCH_WSS_LISTEN", switch.wanted.place.wss)
    monkeypatch.setenv("SWITCH_CERTS", switch.wanted.place.certs)
    directory = tmp_path / "site"
    directory.mkdir()
    with databases.fresh(directory) as url, open_real_site(directory, url) as site:
        yield site


def test_a_page_calls_over_the_switchs_own_wss(
    site: RealSite, switch: RenderedSwitch, listener: Callable[..., Browser], voice: Path
) -> None:
    host, _, own = switch.ws_url.removeprefix("wss://").partition(":")
    shown = ssl.get_server_certificate((host, int(own)))
    assert shown in (switch.directory / "certs" / "wss.pem").read_text()
    # nobody this browser trusts has signed it
    seat = site.seat(listener(voice, more=["--ignore-certificate-errors"]), "0312345010")
    seat.opens()
    seat.call()
    seat.wait_sound()
    seat.hang_up()
    assert switch.errors() == switch.errors_at_start
