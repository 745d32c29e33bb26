"""What a switch answers, held against the practice switch and (marked) a real one."""

import json
import os
import re
import uuid
from collections.abc import Iterator

import pytest

from calltree.telephony.wire import CommandReader, Framer
from tests.practice import PracticeSwitch
from tests.telephony.contract import Link
from tests.telephony.scripted import transcript

NOBODY = "44be282a-f112-4080-9a1b-e3b8153ed44a"

REPLIES = {
    f"uuid_bridge {NOBODY} {NOBODY}": "-ERR Invalid uuid\n",
    "uuid_bridge": "-USAGE: <uuid> <other_uuid>\n",
    f"uuid_bridge {NOBODY}": "-USAGE: <uuid> <other_uuid>\n",
    f"uuid_kill {NOBODY}": "-ERR No such channel!\n",
    "uuid_kill": "-USAGE: <uuid> [cause]\n",
    f"uuid_exists {NOBODY}": "false",
    f"uuid_getvar {NOBODY} x": "-ERR No such channel!\n",
    f"uuid_setvar {NOBODY} a b": "-ERR No such channel!\n",
    f"uuid_dump {NOBODY} json": "-ERR No such channel!\n",
    f"uuid_transfer {NOBODY} park: inline": "-ERR No such channel!\n",
    f"uuid_broadcast {NOBODY} /x.wav aleg": "-ERR invalid uuid\n",
    f"uuid_hold {NOBODY}": "+OK Success\n",
    "uuid_hold": "-USAGE: [off|toggle] <uuid> [<display>]\n-ERR Operation failed\n",
    f"uuid_audio {NOBODY} stop": "-ERR No such channel!\n",
    "uuid_audio": "-USAGE: <uuid> [start [read|write] [mute|level <level>]|stop]\n",
    f"uuid_send_dtmf {NOBODY} 1": "-ERR Cannot locate session!\n",
    f"uuid_break {NOBODY} all": "-ERR No such channel!\n",
    "uuid_break": "-USAGE: <uuid> [all]\n",
    f"uuid_record {NOBODY} start /x.wav": "-ERR Cannot locate session!\n",
    "uuid_record": (
        "-USAGE: <uuid> [start|stop|mask|unmask] <path> [<limit>] [<recording_vars>]\n"
    ),
    f"sched_hangup +5 {NOBODY}": "-ERR No such channel!\n",
    f"sched_transfer +5 {NOBODY} x": "-ERR No such channel!\n",
    f"sched_del {NOBODY}": "+OK Deleted: 0\n",
    "show channels like nobody-has-this": "\n0 total.\n",
    "global_getvar nosuch": "-ERR no reply\n",
    "sofia status gateway nosuch": "Invalid Gateway!\n",
    "sofia_contact 9999@127.0.0.1": "error/user_not_registered",
    "nosuchapi foo": "-ERR nosuchapi Command not found!\n",
    "originate nosuch/1 &park": "-ERR CHAN_NOT_IMPLEMENTED\n",
    "originate sofia/gateway/nosuch/0312345670 &park": "-ERR INVALID_GATEWAY\n",
    "originate {a=b sofia/gateway/carrier/1 &park": "-ERR DESTINATION_OUT_OF_ORDER\n",
}
PROTOCOL = {
    "nosuchcommand": "-ERR command not found",
    "filter Unique-ID x": "+OK filter added. [Unique-ID]=[x]",
    "filter delete Unique-ID x": "+OK filter deleted. [Unique-ID][x]",
    "event plain HEARTBEAT": "+OK event listener enabled plain",
    "event json HEARTBEAT": "+OK event listener enabled json",
    "event plain": "-ERR no keywords supplied",
    "nixevent CHANNEL_CREATE": "+OK events nixed",
    "noevents": "-ERR not listening for events",
    "log 4": "+OK log level 4 [4]",
    "nolog": "-ERR not loging",
    "linger": "-ERR not controlling a session",
}


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeSwitch]:
    with PracticeSwitch(tmp_path_factory.mktemp("replies"), rate=8) as switch:
        yield switch


@pytest.fixture(params=["practice", pytest.param("real", marks=pytest.mark.freeswitch)])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "practice":
        return str(request.getfixturevalue("practice").url)
    given = os.environ.get("FREESWITCH_ESL_URL", "")
    if not given:
        pytest.skip("no real FreeSWITCH: FREESWITCH_ESL_URL is not set")
    return given


@pytest.fixture
def link(url: str) -> Iterator[Link]:
    link = Link(url)
    yield link
    link.close()


@pytest.mark.parametrize("command", REPLIES)
def test_the_reply_to_an_api_command(link: Link, command: str) -> None:
    assert link.api(command) == REPLIES[command]


@pytest.mark.parametrize("command", PROTOCOL)
def test_the_reply_to_a_command_of_the_protocol(link: Link, command: str) -> None:
    assert link.send(command) == PROTOCOL[command]


def test_what_was_begun_can_be_ended(link: Link) -> None:
    link.send("event plain HEARTBEAT")
    assert link.send("noevents") == "+OK no longer listening for events"
    link.send("log 4")
    assert link.send("nolog") == "+OK no longer logging"


def recorded_replies() -> dict[str, str]:
    """The api commands of the recording and what each was answered."""
    sent = transcript("api-replies.sent").decode()
    text = re.sub(r"^#[^\n]*\n", "", sent, flags=re.M)
    commands = CommandReader().feed(text.encode())
    frames = [
        frame
        for frame in Framer().feed(transcript("api-replies"))
        if frame.content_type in ("api/response", "command/reply")
    ]
    pairs = zip(commands, frames, strict=True)
    return {c.argument: f.body.decode() for c, f in pairs if c.verb == "api"}


def test_the_recorded_switch_gave_the_same_replies() -> None:
    said = recorded_replies()
    checked = 0
    for command, reply in REPLIES.items():
        if command in said:
            assert said[command] == reply
            checked += 1
    assert checked >= 10


def test_a_wrong_password_is_told_and_shown_the_door(url: str) -> None:
    link = Link(url, sign_in=False)
    assert link.greeting.content_type == "auth/request"
    assert link.send("auth wrong") == "-ERR invalid"
    notice = link.frame()
    assert notice.content_type == "text/disconnect-notice"
    with pytest.raises(EOFError):
        link.frame()
    link.close()


def test_nothing_is_obeyed_before_the_password(url: str) -> None:
    link = Link(url, sign_in=False)
    assert link.send("api status") == "-ERR command not found"
    link.close()


def test_exit_says_goodbye(link: Link) -> None:
    assert link.send("exit") == "+OK bye"
    assert link.frame().content_type == "text/disconnect-notice"


def test_our_own_event_comes_back_to_its_subscribers(link: Link, url: str) -> None:
    other = Link(url)
    other.send("event plain CUSTOM calltree::contract")
    mark = str(uuid.uuid4())
    headers = {"Event-Subclass": "calltree::contract", "Calltree-Mark": mark}
    assert re.fullmatch(r"\+OK [0-9a-f-]{36}", link.send("sendevent CUSTOM", headers))
    event = other.wait("CUSTOM", header="Calltree-Mark", value=mark)
    assert event["Event-Subclass"] == "calltree::contract"
    assert int(event["Event-Sequence"]) > 0
    other.close()


def test_everything_after_CUSTOM_is_a_subclass(link: Link) -> None:
    link.send("event plain CUSTOM calltree::contract BACKGROUND_JOB")
    job = link.job("status")
    link.send("sendevent CUSTOM", {"Event-Subclass": "calltree::contract", "Calltree-Mark": job})
    link.wait("CUSTOM", header="Calltree-Mark", value=job)
    assert "BACKGROUND_JOB" not in [event.name for event in link.events]


def test_a_filter_lets_only_its_events_through(link: Link) -> None:
    link.send("event plain CUSTOM calltree::contract")
    link.send("filter Calltree-Mark yes")
    for mark in ("no", "yes"):
        link.send(
            "sendevent CUSTOM", {"Event-Subclass": "calltree::contract", "Calltree-Mark": mark}
        )
    link.wait("CUSTOM", header="Calltree-Mark", value="yes")
    assert [event["Calltree-Mark"] for event in link.events] == ["yes"]


def test_json_events_say_the_same(link: Link) -> None:
    link.send("event json BACKGROUND_JOB")
    job = link.job("version")
    event = link.wait("BACKGROUND_JOB", header="Job-UUID", value=job)
    assert event["Job-Command"] == "version"
    assert event.body.decode().startswith("FreeSWITCH Version")


def test_a_job_carries_its_command_and_the_reply_as_body(link: Link) -> None:
    link.send("event plain BACKGROUND_JOB")
    job = link.job("nosuchcmd x")
    event = link.wait("BACKGROUND_JOB", header="Job-UUID", value=job)
    assert (event["Job-Command"], event["Job-Command-Arg"]) == ("nosuchcmd", "x")
    assert event.body == b"-ERR nosuchcmd Command not found!\n"


def test_show_and_status_can_be_read(link: Link) -> None:
    assert json.loads(link.api("show channels as json"))["row_count"] >= 0
    assert re.fullmatch(r"\n\d+ total\.\n", link.api("show channels count"))
    assert link.api("status").startswith("UP ")
    assert "RUNNING" in link.api("sofia status")
    assert link.api("version").startswith("FreeSWITCH Version ")


def test_commands_sent_in_one_piece_are_answered_in_order(link: Link) -> None:
    link.socket.sendall(b"api echo 1\n\napi echo 2\n\napi echo 3\n\n")
    assert [link.frame().body for _ in range(3)] == [b"1", b"2", b"3"]


def test_a_leg_is_described_alike_by_show_and_dump(practice: PracticeSwitch) -> None:
    link = Link(practice.url)
    leg = str(uuid.uuid4())
    link.send("event plain CHANNEL_PARK")
    link.job(f"originate {{origination_uuid={leg},calltree_user_id=7}}user/1007 &park")
    link.wait("CHANNEL_PARK", value=leg)
    rows = json.loads(link.api("show channels as json"))["rows"]
    assert leg in [row["uuid"] for row in rows]
    dump = json.loads(link.api(f"uuid_dump {leg} json"))
    assert dump["Unique-ID"] == leg
    assert dump["Channel-State"] == "CS_EXECUTE"
    assert dump["variable_calltree_user_id"] == "7"
    assert link.api(f"uuid_bridge {leg} {leg}") == f"+OK {leg}\n"
    assert link.api(f"originate {{origination_uuid={leg}}}user/1 &park") == (
        "-ERR DESTINATION_OUT_OF_ORDER\n"
    )
    assert link.api(f"uuid_getvar {leg} nosuch") == "_undef_"
    link.api(f"uuid_kill {leg}")
    link.close()
