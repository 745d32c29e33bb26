"""The link over a real socket: replies in order, time-outs, the queue, and going down."""

import random
import socket
import threading
from collections.abc import Iterator

import pytest

from calltree.telephony import commands, pings
from calltree.telephony.commands import ApiCommand
from calltree.telephony.esl import (
    SUBSCRIPTION,
    AuthRefused,
    Backoff,
    CommandRefused,
    EslUrl,
    EventLink,
    Link,
    LinkDown,
    keep_connected,
)
from calltree.telephony.wire import (
    Command,
    UnsafeTextError,
    encode_event_plain,
    encode_frame,
)
from tests.floor import wait_for
from tests.telephony.scripted import (
    ScriptedPeer,
    api_response,
    events_of,
    reply,
)

UUID = "5c401556-1aba-4182-acf0-7429b3c3d0de"


def numbered(number: int) -> bytes:
    return encode_event_plain({"Event-Name": "HEARTBEAT", "Event-Sequence": str(number)})


@pytest.fixture
def link(peer: ScriptedPeer) -> Iterator[Link]:
    with Link.connect(peer.url) as link:
        yield link


def goes_down(link: Link) -> str:
    """Wait until the link is down, taking what is queued; return why."""
    try:
        while link.next_event(60) is not None:
            pass
    except LinkDown as down:
        return str(down)
    raise AssertionError("the link stayed up")


def test_an_api_command_returns_what_the_switch_printed(link: Link) -> None:
    assert link.api(commands.status()) == "status"


def test_a_refusal_is_an_error_that_keeps_the_reply(peer: ScriptedPeer, link: Link) -> None:
    peer.answer = lambda _: api_response("-ERR No such channel!\n")
    with pytest.raises(CommandRefused) as caught:
        link.api(commands.kill(UUID))
    assert caught.value.reply == "-ERR No such channel!"
    assert link.is_up


def test_commands_in_order_do_not_wait_for_each_other(peer: ScriptedPeer, link: Link) -> None:
    """The peer says nothing until it has both; a refusal of one is told, not raised."""
    held: list[bytes] = []

    def answer(command: Command) -> bytes | None:
        held.append(api_response("-ERR no\n" if "kill" in command.line else "+OK\n"))
        return b"".join(held) if len(held) == 2 else None

    peer.answer = answer
    asked = (commands.kill(UUID), commands.status())
    assert link.api_in_order(*asked) == ["-ERR no", "+OK"]
    assert [command.line for command in peer.commands[-2:]] == [f"api {one}" for one in asked]


def test_a_background_job_runs_under_our_own_id(peer: ScriptedPeer, link: Link) -> None:
    link.bgapi(commands.status(), UUID)
    assert peer.commands[-1] == Command("bgapi status", {"Job-UUID": UUID}, b"")


def test_background_jobs_are_started_in_order_and_a_refusal_is_the_jobs_own(
    peer: ScriptedPeer, link: Link
) -> None:
    peer.answer = lambda command: reply("-ERR no" if "version" in command.line else "+OK")
    jobs = (commands.status(), UUID), (commands.version(), UUID[::-1])
    assert link.bgapi_in_order(*jobs) == ["", "-ERR no"]
    assert peer.commands[-2:] == [
        Command(f"bgapi {command}", {"Job-UUID": job}, b"") for command, job in jobs
    ]


def test_a_refused_background_job_is_an_error(peer: ScriptedPeer, link: Link) -> None:
    peer.answer = lambda _: reply("-ERR command not found")
    with pytest.raises(CommandRefused):
        link.bgapi(commands.status(), UUID)


def test_a_wrong_password_is_told_apart_and_leaves_no_link(peer: ScriptedPeer) -> None:
    wrong = EslUrl(peer.url.host, peer.url.port, "wrong")
    with pytest.raises(AuthRefused, match="password"):
        Link.connect(wrong)


def test_an_address_that_the_switch_refuses_is_told_apart(peer: ScriptedPeer) -> None:
    peer.greeting = encode_frame("text/rude-rejection", b"Access Denied, go away.\n")
    with pytest.raises(AuthRefused, match="address"):
        Link.connect(peer.url)


def test_a_port_where_nothing_listens_is_a_link_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(LinkDown, match="no connection"):
        Link.connect(EslUrl("127.0.0.1", port, "x"))


def test_a_switch_that_never_greets_is_a_link_down(peer: ScriptedPeer) -> None:
    peer.greeting = b""
    with pytest.raises(LinkDown, match="greeting"):
        Link.connect(peer.url, timeout_s=0.05)


def test_events_between_command_and_reply_go_to_the_queue(peer: ScriptedPeer, link: Link) -> None:
    peer.answer = lambda _: numbered(1) + api_response("late") + numbered(2)
    assert link.api(commands.status()) == "late"
    got = [link.next_event(60), link.next_event(60)]
    assert [event and event["Event-Sequence"] for event in got] == ["1", "2"]


def test_commands_from_many_threads_each_get_their_own_reply(link: Link) -> None:
    wrong: list[str] = []

    def ask(name: str) -> None:
        for i in range(50):
            if link.api(ApiCommand(f"echo {name}-{i}")) != f"echo {name}-{i}":
                wrong.append(f"{name}-{i}")

    threads = [threading.Thread(target=ask, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_time_out_closes_the_link_so_that_no_reply_comes_late(
    peer: ScriptedPeer, link: Link
) -> None:
    peer.answer = lambda _: None
    with pytest.raises(LinkDown, match="no reply to api"):
        link.api(commands.status(), timeout_s=0.01)
    assert not link.is_up
    with pytest.raises(LinkDown, match="no reply to api"):
        link.api(commands.version())
    wait_for(lambda: peer.left, "the peer to read to the end")
    assert [command.line for command in peer.commands[1:]] == ["api status"]


def test_the_end_of_the_stream_releases_every_waiter(peer: ScriptedPeer, link: Link) -> None:
    asked = threading.Semaphore(0)

    def fall_silent(command: Command) -> None:
        asked.release()

    peer.answer = fall_silent
    failures: list[Exception] = []

    def ask() -> None:
        try:
            link.api(commands.status(), timeout_s=60)
        except LinkDown as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        asked.acquire(timeout=60)
    peer.hang_up()
    for thread in threads:
        thread.join(60)
    assert len(failures) == 3


def test_a_disconnect_notice_closes_the_link(peer: ScriptedPeer, link: Link) -> None:
    peer.send(encode_frame("text/disconnect-notice", b"Disconnected, goodbye.\n"))
    assert goes_down(link) == "the switch said goodbye"


def test_a_reply_that_nobody_asked_for_closes_the_link(peer: ScriptedPeer, link: Link) -> None:
    peer.send(reply("+OK"))
    assert "nobody asked" in goes_down(link)


def test_what_is_not_the_protocol_closes_the_link(peer: ScriptedPeer, link: Link) -> None:
    peer.send(b"Content-Length: many\n\n")
    assert "not the event socket protocol" in goes_down(link)


def test_an_event_that_cannot_be_read_closes_the_link(peer: ScriptedPeer, link: Link) -> None:
    peer.send(encode_frame("text/event-json", b"{"))
    with pytest.raises(LinkDown, match="JSON"):
        link.next_event(60)
    assert not link.is_up


def test_events_above_the_limit_close_the_link_on_purpose(peer: ScriptedPeer) -> None:
    with Link.connect(peer.url, event_limit=3) as link:
        peer.send(b"".join(numbered(i) for i in range(9)))
        link._reader.join(60)
        assert link.down_reason == "3 events wait unread"
        taken = [link.next_event(0) for _ in range(3)]
        assert [event and event["Event-Sequence"] for event in taken] == ["0", "1", "2"]
        with pytest.raises(LinkDown):
            link.next_event(0)


def test_no_event_is_lost_in_the_middle(peer: ScriptedPeer) -> None:
    with Link.connect(peer.url) as link:
        wanted = [event["Event-Sequence"] for event in events_of("agent-bridge-customer-hangup")]
        for event in events_of("agent-bridge-customer-hangup"):
            peer.send(encode_event_plain(dict(event.items())))
        got = [link.next_event(60) for _ in wanted]
        assert [event and event["Event-Sequence"] for event in got] == wanted


def test_silence_is_no_event_and_no_error(link: Link) -> None:
    assert link.next_event(0) is None
    assert link.is_up


def test_closing_releases_a_reader_of_events(peer: ScriptedPeer, link: Link) -> None:
    closer = threading.Timer(0.02, link.close)
    closer.start()
    assert goes_down(link) == "closed by us"
    closer.join()


@pytest.mark.parametrize("bad", ["status\n\napi shutdown", "status\r", "status\0"])
def test_a_second_line_never_leaves_us(peer: ScriptedPeer, link: Link, bad: str) -> None:
    with pytest.raises(UnsafeTextError):
        link.api(ApiCommand(bad))
    assert link.api(commands.version()) == "version"
    assert [command.line for command in peer.commands[1:]] == ["api version"]


def test_the_subscription_is_one_list_with_custom_last(peer: ScriptedPeer) -> None:
    with EventLink.connect(peer.url):
        pass
    words = peer.commands[-1].line.split()
    assert words[:2] == ["event", "plain"]
    names, subclasses = words[2 : words.index("CUSTOM")], words[words.index("CUSTOM") + 1 :]
    assert set(names) == {
        "HEARTBEAT",
        "CHANNEL_CREATE",
        "CHANNEL_PROGRESS",
        "CHANNEL_PROGRESS_MEDIA",
        "CHANNEL_ANSWER",
        "CHANNEL_PARK",
        "CHANNEL_BRIDGE",
        "CHANNEL_UNBRIDGE",
        "CHANNEL_HANGUP_COMPLETE",
        "CHANNEL_DESTROY",
        "CHANNEL_EXECUTE",
        "PLAYBACK_START",
        "RECORD_START",
        "RECORD_STOP",
        "BACKGROUND_JOB",
    }
    # whatever stands after CUSTOM is a subclass: an event's name there is silently not subscribed
    assert all("::" in word for word in subclasses)
    assert pings.PING_SUBCLASS in subclasses
    assert SUBSCRIPTION in peer.commands[-1].line


@pytest.mark.parametrize("bad", ["", "ALL\n\napi status", "ALL; DROP"])
def test_a_subscription_is_names_only(link: Link, bad: str) -> None:
    with pytest.raises(UnsafeTextError):
        link.subscribe(bad)


def test_a_ping_is_sent_as_an_event_of_ours(peer: ScriptedPeer, link: Link) -> None:
    link.send_event(pings.ping(UUID))
    assert peer.commands[-1].line == "sendevent CUSTOM"
    assert peer.commands[-1].headers == {
        "Event-Subclass": "calltree::ping",
        "Calltree-Ping": UUID,
    }


def test_an_address_is_read_and_never_shows_its_password() -> None:
    url = EslUrl.parse("esl://:p%40ss@switch.example:8022")
    assert (url.host, url.port, url.password) == ("switch.example", 8022, "p@ss")
    assert "p@ss" not in f"{url} {url!r}"
    assert EslUrl.parse("esl://:x@[::1]").port == 8021
    assert str(EslUrl.parse("esl://:x@[::1]")) == "esl://[::1]:8021"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "http://:x@h",
        "esl://h:8021",
        "esl://:x@",
        "esl://u:x@h",
        "esl://:x@h/db",
        "esl://:x@h:0x",
    ],
)
def test_an_address_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="ESL address"):
        EslUrl.parse(bad)


def test_waiting_grows_from_half_a_second_to_thirty_with_jitter() -> None:
    backoff = Backoff(rng=random.Random(1))
    waits = [backoff.next_s() for _ in range(9)]
    steps = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert all(step / 2 <= wait <= step for wait, step in zip(waits, steps, strict=True))
    assert len({wait / step for wait, step in zip(waits, steps, strict=True)}) == len(waits)
    backoff.reset()
    assert backoff.next_s() <= 0.5


def test_a_lost_link_is_made_again_until_told_to_stop(peer: ScriptedPeer) -> None:
    stop = threading.Event()
    reasons: list[str] = []
    lives: list[str] = []

    def use(link: EventLink) -> None:
        lives.append(link.api(commands.status()))
        if len(lives) == 3:
            stop.set()
            return
        peer.hang_up()
        goes_down(link)
        raise LinkDown(link.down_reason or "")

    keep_connected(
        lambda: EventLink.connect(peer.url),
        use,
        stop=stop,
        backoff=Backoff(first_s=0.001, limit_s=60),
        on_down=lambda down: reasons.append(str(down)),
    )
    assert lives == ["status"] * 3
    assert reasons == ["the switch closed the connection"] * 2
    assert [c.verb for c in peer.commands].count("event") == 3
