"""A real FreeSWITCH that is killed in mid-call and started again, a real Chromium beside it."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from calltree.db import utcnow
from calltree.jobs.recordings import finish_in
from calltree.models import CallState, LegState, Recording, RecordingState
from calltree.services import recordings
from tests.databases import PostgresDatabases, SqliteDatabases
from tests.floor import wait_for
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
    with rendered_switch(tmp_path, directory_url=address, secret=SECRET) as found:
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
    directory = tmp_path / "site"
    directory.mkdir()
    with databases.fresh(directory) as url, open_real_site(directory, url) as site:
        yield site


def test_R_CL_10_a_switch_that_is_killed_in_a_call_and_is_back_has_the_page_again(
    site: RealSite, switch: RenderedSwitch, listener: Callable[..., Browser], voice: Path
) -> None:
    seat = site.seat(listener(voice), "0312345010", "0312345020")
    seat.opens()
    seat.call()
    seat.wait_sound()
    leg = seat.operator().leg_uuid
    file = site.settings.recordings_dir / recordings.raw_name(seat.attempt())
    wait_for(lambda: file.exists() and file.stat().st_size > 128 * 1024, "something was said")
    switch.kill()
    expect(seat.at("#softphone-panel [data-says]")).to_contain_text("電話システムに接続できません")
    switch.start_again()
    switch.wait_until_ready()
    seat.sees("ended")  # only now can it be asked: a link that is cut says nothing of the call
    ended = seat.attempt()
    assert ended.state is CallState.ENDED
    assert ended.talk_ms > 0
    seat.parked(but_not=leg)
    seat.connected()
    row = wait_for(
        lambda: (r := seat.recording()) and r.state is RecordingState.STOPPED and r, "its end"
    )
    finish_in(site.store, site.settings.recordings_dir, row.id, now=utcnow())
    with site.store.read() as session:
        kept = session.get_one(Recording, row.id)
    assert kept.state is RecordingState.STORED
    assert kept.length_ms > 2000, "what the disk had of it can be heard"

    seat.page.keyboard.press("1")
    seat.page.keyboard.press("Control+s")
    seat.opens(1)
    seat.call()
    seat.wait_sound()
    assert seat.operator().leg_state is LegState.JOINED
    seat.hang_up()
