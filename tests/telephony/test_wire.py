"""Framing, events and commands as bytes."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.telephony.wire import (
    Command,
    CommandReader,
    Event,
    Frame,
    Framer,
    UnsafeTextError,
    WireError,
    encode_command,
    encode_event_json,
    encode_event_plain,
    encode_frame,
    parse_event,
)
from tests.telephony.scripted import events_of, transcript

GOLDEN = (
    b"Content-Type: auth/request\n\n"
    b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
    b"Content-Type: api/response\nContent-Length: 0\n\n"
    + encode_event_plain({"Event-Name": "CUSTOM", "Name": "山田 太郎"}, "本文\n\nつづき".encode())
    + "Content-Type: api/response\nContent-Length: 9\n\n日本語".encode()
    + encode_event_json({"Event-Name": "CUSTOM", "Name": "山田 太郎"}, "本文".encode())
    + b"Content-Type: text/disconnect-notice\nContent-Length: 4\n\nbye\n"
)


def event(frame: bytes) -> Event:
    (only,) = Framer().feed(frame)
    return parse_event(only)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


def fed(framer: Framer, pieces: list[bytes]) -> list[Frame]:
    return [frame for piece in pieces for frame in framer.feed(piece)]


def test_a_stream_cut_at_any_one_byte_gives_the_same_frames() -> None:
    whole = Framer().feed(GOLDEN)
    assert len(whole) == 7
    for cut in range(len(GOLDEN) + 1):
        assert fed(Framer(), in_pieces(GOLDEN, [cut])) == whole


def test_a_stream_that_comes_byte_by_byte_gives_the_same_frames() -> None:
    framer = Framer()
    assert fed(framer, [GOLDEN[i : i + 1] for i in range(len(GOLDEN))]) == Framer().feed(GOLDEN)
    assert not framer.mid_unit


@given(st.lists(st.integers(0, 28_000), max_size=40))
def test_a_recorded_stream_cut_anywhere_gives_the_same_frames(cuts: list[int]) -> None:
    data = transcript("busy")
    pieces = in_pieces(data, [min(cut, len(data)) for cut in cuts])
    assert fed(Framer(), pieces) == Framer().feed(data)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True).filter(
    lambda name: name.lower() not in ("content-length", "content-type")
)


@given(st.dictionaries(NAMES, TEXT.filter(lambda v: v != "_undef_")), st.binary())
def test_any_headers_and_body_survive_the_plain_form(values: dict[str, str], body: bytes) -> None:
    came = event(encode_event_plain(values, body))
    assert {name: came[name] for name in values} == values
    assert came.body == body


@given(st.dictionaries(NAMES, TEXT.filter(lambda v: v != "_undef_")), TEXT)
def test_any_headers_and_body_survive_the_json_form(values: dict[str, str], body: str) -> None:
    came = event(encode_event_json(values, body.encode()))
    assert {name: came[name] for name in values} == values
    assert came.body == body.encode()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_noise_is_a_wire_error_or_frames_but_nothing_else(data: bytes, cuts: list[int]) -> None:
    try:
        for frame in fed(Framer(), in_pieces(data, cuts)):
            parse_event(frame)
    except WireError:
        pass


def test_an_encoded_line_feed_colon_and_percent_stay_in_their_value() -> None:
    value = "a\nInjected: 1\r\n100%25: ok"
    came = event(encode_event_plain({"Event-Name": "X", "Note": value, "After": "1"}))
    assert came["Note"] == value
    assert came["After"] == "1"
    assert "Injected" not in came


def test_japanese_arrives_in_encoded_headers_and_in_raw_bodies() -> None:
    came = event(encode_event_plain({"Event-Name": "X", "Name": "山田 太郎"}, "本文".encode()))
    assert came["Name"] == "山田 太郎"
    assert came.body.decode() == "本文"


def test_the_plain_form_is_written_as_freeswitch_writes_it() -> None:
    frame = next(
        frame
        for frame in Framer().feed(transcript("agent-bridge-customer-hangup"))
        if b"Event-Name: CHANNEL_BRIDGE" in frame.body
    )
    came = parse_event(frame)
    (again,) = Framer().feed(encode_event_plain(dict(came.items()), came.body))
    assert again.body == frame.body


def test_the_length_of_an_event_is_counted_and_never_copied() -> None:
    for encode in (encode_event_plain, encode_event_json):
        came = event(encode({"Event-Name": "X", "Content-Length": "99"}, b"four"))
        assert (came.body, came["Content-Length"]) == (b"four", "4")
        assert "Content-Length" not in event(encode({"Event-Name": "X", "Content-Length": "99"}))


def test_a_body_is_taken_by_the_events_own_length() -> None:
    job = next(e for e in events_of("busy") if e.name == "BACKGROUND_JOB")
    assert job.body == b"-ERR USER_BUSY\n"
    assert job["Content-Length"] == "15"


def test_an_unset_variable_counts_as_absent() -> None:
    came = event(encode_event_plain({"Event-Name": "X", "variable_a": "_undef_"}))
    assert came.get("variable_a") is None
    assert came.get("variable_a", "none") == "none"
    assert "variable_a" not in came
    with pytest.raises(KeyError):
        came["variable_a"]
    assert dict(came.items()) == {"Event-Name": "X"}


def test_both_formats_give_the_same_headers() -> None:
    ours = {"Unique-ID", "Event-Date-Timestamp", "Hangup-Cause", "Caller-Channel-Answered-Time"}
    plain, as_json = ({e.name: e for e in events_of(n)} for n in ("answered", "answered-json"))
    assert plain.keys() == as_json.keys()
    for name, one in plain.items():
        other = as_json[name]
        assert {k for k in ours if k in one} == {k for k in ours if k in other}
    assert as_json["BACKGROUND_JOB"].body.startswith(b"+OK ")


def test_a_variable_with_several_values_reads_alike_in_both_formats() -> None:
    body = json.dumps({"Event-Name": "X", "variable_a": ["1", "2"], "variable_n": 3}).encode()
    came = event(encode_frame("text/event-json", body))
    assert came["variable_a"] == "ARRAY::1|:2"
    assert came["variable_n"] == "3"


@pytest.mark.parametrize(
    "frame",
    [
        Frame({"Content-Type": "api/response"}, b"+OK"),
        Frame({"Content-Type": "text/event-plain"}, b"Event-Name: X\n"),
        Frame({"Content-Type": "text/event-plain"}, b"Content-Length: 5\n\nabc"),
        Frame({"Content-Type": "text/event-plain"}, b"Content-Length: -1\n\nabc"),
        Frame({"Content-Type": "text/event-json"}, b"{"),
        Frame({"Content-Type": "text/event-json"}, b"[1]"),
        Frame({"Content-Type": "text/event-json"}, b"[" * 100_000),
    ],
)
def test_what_is_no_event_is_refused(frame: Frame) -> None:
    with pytest.raises(WireError):
        parse_event(frame)


def test_headers_without_end_are_refused_at_the_limit() -> None:
    framer = Framer(header_limit=100)
    assert framer.feed(b"A: " + b"x" * 97) == []
    with pytest.raises(WireError, match="headers"):
        framer.feed(b"y")


def test_a_body_above_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(WireError, match="body"):
        Framer(body_limit=10).feed(b"Content-Length: 11\n\n")


@pytest.mark.parametrize(
    "length", [b"-1", b"", b"1e3", b"0x10", b"9" * 40, b"1\nContent-Length: 2"]
)
def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    with pytest.raises(WireError):
        Framer().feed(b"Content-Length: " + length + b"\n\n")


def test_every_recorded_command_is_read_as_it_was_sent() -> None:
    lines = transcript("api-replies.sent").decode().split("\n\n")
    commands = CommandReader().feed(transcript("api-replies.sent"))
    assert [c.line for c in commands] == [x.strip().split("\n")[0] for x in lines if x.strip()]
    job = next(c for c in commands if c.verb == "bgapi")
    assert job.header("job-uuid") == "7b4f85db-cdac-4ede-9ea4-ef6b50105804"
    assert "日本語" in job.argument


def test_a_command_with_a_body_is_cut_anywhere() -> None:
    data = encode_command("sendevent CUSTOM", {"Event-Subclass": "a::b"}, "本文\n\n".encode())
    data += b"api status\r\n\r\n" + encode_command("exit")
    whole = [
        Command(
            "sendevent CUSTOM",
            {"Event-Subclass": "a::b", "Content-Length": "8"},
            "本文\n\n".encode(),
        ),
        Command("api status", {}, b""),
        Command("exit", {}, b""),
    ]
    for cut in range(len(data) + 1):
        reader = CommandReader()
        assert reader.feed(data[:cut]) + reader.feed(data[cut:]) == whole


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "", " a", "a "])
def test_a_command_that_is_not_one_line_is_refused(bad: str) -> None:
    with pytest.raises(UnsafeTextError):
        encode_command(bad)


@pytest.mark.parametrize(
    "headers", [{"A": "1\n2"}, {"A\r": "1"}, {"A:B": "1"}, {"Content-Length": "5"}, {"": "1"}]
)
def test_a_header_that_could_add_another_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UnsafeTextError):
        encode_command("api status", headers)
    with pytest.raises(UnsafeTextError):
        encode_frame("command/reply", headers=headers)


@given(TEXT, TEXT, TEXT)
def test_no_text_adds_a_second_command(line: str, name: str, value: str) -> None:
    try:
        data = encode_command(line, {name: value})
    except UnsafeTextError:
        return
    assert len(CommandReader().feed(data + b"exit\n\n")) == 2
