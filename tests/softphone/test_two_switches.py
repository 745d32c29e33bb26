"""Two real FreeSWITCH processes, an operator in a real Chromium on the one that is killed."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from calltree.models import CallState, LegState
from tests.databases import PostgresDatabases, SqliteDatabases
from tests.floor import wait_for
from tests.freeswitch import OTHER_RTP_PORTS, RTP_PORTS, RenderedSwitch, rendered_switch
from tests.softphone.real import RealSite, open_real_site

pytestmark = [pytest.mark.freeswitch, pytest.mark.browser, pytest.mark.one_database]

SECRET = "between-switches-and-us"


@pytest.fixture
def port() -> int:
    """Where both ask for credentials."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def switches(tmp_path: Path, port: int) -> Iterator[list[RenderedSwitch]]:
    address = f"http://127.0.0.1:{port}/switch/directory"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        rendered_switch(
            tmp_path / "one", directory_url=address, secret=SECRET, rtp_ports=RTP_PORTS
        ) as one,
        rendered_switch(
            tmp_path / "two", directory_url=address, secret=SECRET, rtp_ports=OTHER_RTP_PORTS
        ) as two,
    ):
        yield [one, two]


@pytest.fixture
def site(
    switches: list[RenderedSwitch],
    port: int,
    databases: SqliteDatabases | PostgresDatabases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RealSite]:
    esl = [one.wanted.esl for one in switches]
    urls = [f"esl://:{quote(one.password, safe='')}@{one.host}:{one.port}" for one in esl]
    monkeypatch.setenv("FREESWITCH_ESL_URL", ",".join(urls))
    monkeypatch.setenv("FREESWITCH_WS_URL", ",".join(one.ws_url for one in switches))
    monkeypatch.setenv("FREESWITCH_DIRECTORY_PORT", str(port))
    monkeypatch.setenv("FREESWITCH_SECRET", SECRET)
    directory = tmp_path / "site"
    directory.mkdir()
    with databases.fresh(directory) as url, open_real_site(directory, url) as site:
        yield site


def test_R_CL_10_a_page_goes_to_the_other_switch_by_one_press_and_calls_on(
    site: RealSite,
    switches: list[RenderedSwitch],
    listener: Callable[..., Browser],
    voice: Path,
) -> None:
    names = site.settings.node_names
    seat = site.seat(listener(voice), "0312345010")
    seat.opens()
    assert seat.operator().leg_node == names[0]
    switches[0].process.kill()
    button = seat.page.get_by_role("button", name="別の電話システムに切り替える")
    expect(button).to_be_visible()
    seat.page.keyboard.press("Shift+F8")
    wait_for(lambda: seat.operator().leg_node == names[1], "moved")
    wait_for(lambda: seat.operator().leg_state is LegState.PARKED, "a leg on the other")
    expect(button).to_be_hidden()
    seat.connected()
    seat.call()
    seat.wait_sound()
    assert seat.attempt().node == names[1]
    seat.hang_up()
    wait_for(lambda: seat.attempt().state is CallState.ENDED, "the end")
