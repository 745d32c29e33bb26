"""Clients that were not written here, byte by byte as they speak, on practice and a real switch.

What each sends was taken from the wire between the client and a switch: greenswitch 0.0.19 and
genesis 2026.10.18 send the same, `fs_cli` is FreeSWITCH 1.10.12's. Asserted is what they need to
go on: greenswitch and genesis sort replies by Content-Type and Content-Length, fs_cli takes its
prompt from two names and its tab key from `write=`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pytest

from calltree.telephony.wire import Frame
from tests.telephony.contract import Link, Live


class Client:
    """The bytes of one client, and the reply to each."""

    def __init__(self, live: Live) -> None:
        self._password = unquote(urlsplit(live.url).password or "")
        self.link = Link(live.url, sign_in=False)
        assert self.link.greeting.content_type == "auth/request"

    def says(self, text: str) -> Frame:
        self.link.socket.sendall(text.encode())
        return self.link.frame()

    def signs_in(self) -> None:
        assert self.replied(f"auth {self._password}\n\n") == "+OK accepted"

    def replied(self, text: str) -> str:
        frame = self.says(text)
        assert frame.content_type == "command/reply"
        return frame.headers["Reply-Text"]

    def answered(self, text: str) -> str:
        frame = self.says(text)
        assert frame.content_type == "api/response"
        assert frame.headers["Content-Length"] == str(len(frame.body))
        return frame.body.decode()


@pytest.fixture
def client(live: Live) -> Iterator[Client]:
    client = Client(live)
    yield client
    client.link.close()


def originate(live: Live, leg: str) -> str:
    target = f"sofia/gateway/{live.gateway}/{live.number('fax')}"
    return f"originate {{origination_uuid={leg}}}{target} &park"


def test_as_greenswitch_and_genesis_speak(live: Live, client: Client) -> None:
    leg = str(uuid.uuid4())
    client.signs_in()
    assert client.replied("event plain ALL\n\n") == "+OK event listener enabled plain"
    assert client.answered("api status\n\n").startswith("UP ")
    begun = client.says(f"bgapi {originate(live, leg)}\n\n")
    job = begun.headers["Job-UUID"]
    assert begun.headers["Reply-Text"] == f"+OK Job-UUID: {job}"
    done = client.link.wait("BACKGROUND_JOB", header="Job-UUID", value=job)
    assert done.body.decode() == f"+OK {leg}\n"
    assert client.link.wait("CHANNEL_PARK", value=leg)["Event-Name"] == "CHANNEL_PARK"
    assert client.answered(f"api uuid_kill {leg}\n\n") == "+OK\n"
    client.link.wait("CHANNEL_HANGUP_COMPLETE", value=leg)
    assert client.replied("exit\n\n") == "+OK bye"
    assert client.link.frame().content_type == "text/disconnect-notice"


def typed(command: str) -> str:
    """A line at fs_cli's prompt."""
    return f"api {command}\nconsole_execute: true\n\n"


def test_as_fs_cli_speaks(live: Live, client: Client) -> None:
    leg = str(uuid.uuid4())
    client.signs_in()
    assert re.fullmatch(r"\S+", client.answered("api switchname\n\n")), "its prompt"
    assert re.fullmatch(r"\S+", client.answered("api hostname\n\n"))
    assert client.replied("log \n\n") == "+OK log level  [7]"
    assert client.replied("nolog\n\n") == "+OK no longer logging"
    assert client.answered(typed("version")).startswith("FreeSWITCH Version ")
    assert client.answered(typed(originate(live, leg))) == f"+OK {leg}\n"
    assert client.replied("event plain ALL\n\n") == "+OK event listener enabled plain"
    assert client.answered(typed(f"uuid_kill {leg}")) == "+OK\n"
    client.link.wait("CHANNEL_DESTROY", value=leg)
    assert client.replied("exit\n\n") == "+OK bye"
    assert client.link.frame().content_type == "text/disconnect-notice"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("uuid_ki", "\n\n[           uuid_kill]\t\n\nwrite=7:uuid_kill "),
        ("c=7;uuid_ki", "\n\n[           uuid_kill]\t\n\nwrite=7:uuid_kill "),
        ("c=6;nosuch", "\n\n\n\n"),
    ],
)
def test_the_tab_key_of_fs_cli_completes_a_command(live: Live, typed: str, shown: str) -> None:
    assert live.link.api(f"console_complete {typed}") == shown


def test_the_tab_key_shows_what_may_follow_in_rows(live: Live) -> None:
    shown = live.link.api("console_complete c=2;uu")
    rows = shown.removeprefix("\n\n").partition("\n\nwrite=")[0].splitlines()
    assert all(len(row.split("\t")) == 5 for row in rows[:-1]), "four in a row"
    assert "[           uuid_dump]" in shown
    assert shown.endswith("\n\nwrite=2:uuid_")
