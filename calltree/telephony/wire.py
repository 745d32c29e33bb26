"""FreeSWITCH's event socket as bytes: framing, events and commands, with no I/O.

Both directions are here, so a client and a server of ours speak exactly the same thing:

* `Framer` reads what a switch sends, `CommandReader` what a client sends;
* `encode_command` writes what a client sends, `encode_frame`, `encode_event_plain` and
  `encode_event_json` what a switch sends;
* `parse_event` gives the headers of an event as text, whichever format it came in.

Everything is counted in bytes and decoded only when a unit is complete: one read of a socket may
end in the middle of a character.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar, overload
from urllib.parse import quote, unquote

HEADER_LIMIT_BYTES = 64 * 1024
BODY_LIMIT_BYTES = 16 * 1024 * 1024

UNSET = "_undef_"
"""What FreeSWITCH writes where a variable has no value."""

# FreeSWITCH leaves exactly these alone besides letters, digits and "-._~".
_PLAIN_SAFE = "!$'()*,/"
_PLAIN = re.compile(rf"[A-Za-z0-9_.~{re.escape(_PLAIN_SAFE)}-]*")
_FORBIDDEN = re.compile("[\r\n\0]")
_CONTENT_LENGTH = re.compile(rb"^content-length:([^\n]*)", re.I | re.M)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")

_Unit = TypeVar("_Unit")


class WireError(ValueError):
    """The peer sent something that is not the protocol: the link cannot be trusted any more."""


class UnsafeTextError(ValueError):
    """Refused to write text that could add a header, a command or the end of one."""


class Frame(NamedTuple):
    """One complete unit from the switch: its own headers and the counted body."""

    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")


class Command(NamedTuple):
    """One complete unit from a client: `bgapi status`, its headers and the counted body."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def verb(self) -> str:
        return self.line.partition(" ")[0].lower()

    @property
    def argument(self) -> str:
        return self.line.partition(" ")[2].strip()

    def header(self, name: str) -> str | None:
        """The header's value; clients spell `Job-UUID` and `job-uuid` alike."""
        wanted = name.lower()
        return next((v for k, v in self.headers.items() if k.lower() == wanted), None)


class Event:
    """The headers of one event as decoded text, and its body.

    A value is URL-decoded when it is read, because a handler reads some twenty of two hundred.
    A header that the switch wrote as `_undef_` counts as absent.
    """

    __slots__ = ("_encoded", "_values", "body")

    def __init__(self, values: dict[str, str], body: bytes = b"", *, encoded: bool = False) -> None:
        self._values = values
        self._encoded = encoded
        self.body = body

    @property
    def name(self) -> str:
        return self.get("Event-Name", "")

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        value = self._values.get(name)
        if value is None or value == UNSET:
            return default
        return unquote(value) if self._encoded and "%" in value else value

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def items(self) -> Iterator[tuple[str, str]]:
        """Every header that has a value, in the order of the wire."""
        for name in self._values:
            value = self.get(name)
            if value is not None:
                yield name, value

    def __repr__(self) -> str:
        return f"<Event {self.name} {len(self._values)} headers, {len(self.body)} bytes>"


class _Reader(Generic[_Unit]):
    """Two states, headers and body. What a unit is made of is the subclass's business."""

    def __init__(
        self, *, header_limit: int = HEADER_LIMIT_BYTES, body_limit: int = BODY_LIMIT_BYTES
    ) -> None:
        self._pending = bytearray()
        self._start = 0  # where the unit being read begins
        self._scanned = 0  # no end of headers before this place
        self._head: bytes | None = None
        self._length = 0
        self._header_limit = header_limit
        self._body_limit = body_limit

    def feed(self, data: bytes) -> list[_Unit]:
        """Take what arrived; return every unit it completed, in order.

        Raises `WireError` when the bytes cannot be the protocol; the reader is then useless, and
        so is the link. (A list and not a generator: that would lose bytes if nobody iterated.)
        """
        self._pending += data
        units: list[_Unit] = []
        while (unit := self._take()) is not None:
            units.append(unit)
        if self._start:
            del self._pending[: self._start]
            self._scanned = max(self._scanned - self._start, 0)
            self._start = 0
        return units

    @property
    def mid_unit(self) -> bool:
        """True when the stream, if it ended now, would have been cut."""
        return bool(self._pending.strip(b"\r\n")) or self._head is not None

    def _take(self) -> _Unit | None:
        if self._head is None and not self._take_head():
            return None
        end = self._start + self._length
        if len(self._pending) < end:
            return None
        body = bytes(self._pending[self._start : end]) if self._length else b""
        head, self._head = self._head, None
        self._start = self._scanned = end
        return self._unit(head or b"", body)

    def _take_head(self) -> bool:
        pending = self._pending
        # Blank lines between two units are nothing.
        while self._start < len(pending) and pending[self._start] in b"\r\n":
            self._start += 1
        begin, end = self._end_of_head(max(self._start, self._scanned - 3))
        size = (len(pending) if begin < 0 else begin) - self._start
        if size > self._header_limit:
            raise WireError(f"headers longer than {self._header_limit} bytes")
        if begin < 0:
            self._scanned = len(pending)
            return False
        head = bytes(pending[self._start : begin])
        self._length = self._body_length(head)
        if self._length > self._body_limit:
            raise WireError(f"body longer than {self._body_limit} bytes")
        self._head = head
        self._start = self._scanned = end
        return True

    def _end_of_head(self, start: int) -> tuple[int, int]:
        begin = self._pending.find(b"\n\n", start)
        return begin, begin + 2

    def _body_length(self, head: bytes) -> int:
        match = _CONTENT_LENGTH.search(head)
        if match is None:
            return 0
        if len(_CONTENT_LENGTH.findall(head)) > 1:
            raise WireError("two Content-Length headers")
        digits = match[1].strip()
        if not digits.isdigit() or len(digits) > 12:
            raise WireError("Content-Length is not a number")
        return int(digits)

    def _unit(self, head: bytes, body: bytes) -> _Unit:
        raise NotImplementedError


class Framer(_Reader[Frame]):
    """Reads what a switch sends."""

    def _unit(self, head: bytes, body: bytes) -> Frame:
        return Frame(_split_headers(head.decode("utf-8", "replace")), body)


class CommandReader(_Reader[Command]):
    """Reads what a client sends; a person with telnet may end lines with CR LF."""

    def _end_of_head(self, start: int) -> tuple[int, int]:
        match = _BLANK_LINE.search(self._pending, start)
        return match.span() if match else (-1, -1)

    def _unit(self, head: bytes, body: bytes) -> Command:
        text = head.decode("utf-8", "replace").replace("\r", "")
        line, _, rest = text.partition("\n")
        return Command(line.strip(), _split_headers(rest), body)


def parse_event(frame: Frame) -> Event:
    """The event inside a `text/event-plain` or `text/event-json` frame.

    Raises `WireError` for any other frame and for a body that is not what its type says.
    """
    content_type = frame.content_type
    if content_type == "text/event-plain":
        return _parse_plain(frame.body)
    if content_type == "text/event-json":
        return _parse_json(frame.body)
    raise WireError(f"not an event: {content_type[:40]!r}")


def encode_command(
    line: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """One command as bytes. Raises `UnsafeTextError` for CR, LF or NUL anywhere but in the body.

    In a lab a telephone number with two line feeds ran a second command.
    """
    if not line or line != line.strip():
        raise UnsafeTextError("a command is one line without blanks around it")
    return _block([line, *_header_lines(headers, body)], body)


def encode_frame(
    content_type: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """One frame as a switch sends it; without a body there is no Content-Length."""
    lines = [f"Content-Type: {content_type}", *_header_lines(headers, body)]
    if body is not None and content_type.startswith("text/event-"):
        lines = [lines[-1], *lines[:-1]]  # FreeSWITCH writes the length of an event first
    return _block(lines, body)


def encode_event_plain(headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """One event as `event plain` delivers it: values URL-encoded, the body as it is."""
    lines = []
    for name, value in headers.items():
        if name == "Content-Length":  # ours to say, from the body
            continue
        _refuse(name)
        lines.append(f"{name}: {_quoted(value)}")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return encode_frame("text/event-plain", "\n".join(lines).encode() + b"\n\n" + body)


def encode_event_json(headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """One event as `event json` delivers it: the body is the member `_body`."""
    members = dict(headers)
    members.pop("Content-Length", None)
    if body:
        members["Content-Length"] = str(len(body))
        members["_body"] = body.decode("utf-8", "replace")
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    return encode_frame("text/event-json", text.encode("utf-8", "replace"))


def _parse_plain(body: bytes) -> Event:
    end = body.find(b"\n\n")
    if end < 0:
        raise WireError("an event without the end of its headers")
    values = _split_headers(body[:end].decode("utf-8", "replace"))
    rest = body[end + 2 :]
    length = values.get("Content-Length")
    if length is None:
        return Event(values, encoded=True)
    if not length.isascii() or not length.isdigit() or len(length) > 12 or int(length) > len(rest):
        raise WireError("an event's Content-Length does not fit its frame")
    return Event(values, rest[: int(length)], encoded=True)


def _parse_json(body: bytes) -> Event:
    try:
        members = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise WireError("an event that is not JSON") from error
    if not isinstance(members, dict):
        raise WireError("an event that is not a JSON object")
    inner = members.pop("_body", "")
    for name, value in members.items():
        if not isinstance(value, str):
            members[name] = _as_text(value)
    return Event(members, inner.encode("utf-8", "replace") if isinstance(inner, str) else b"")


def _as_text(value: object) -> str:
    """A variable with several values is a JSON list; write it as `event plain` does."""
    if isinstance(value, list):
        return "ARRAY::" + "|:".join(str(item) for item in value)
    return UNSET if value is None else str(value)


def _split_headers(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        return dict([line.split(": ", 1) for line in text.split("\n")])
    except ValueError:  # a line that is not "Name: value"
        return dict(_split_loosely(text))


def _split_loosely(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()


def _header_lines(headers: Mapping[str, str] | None, body: bytes | None) -> list[str]:
    lines = []
    for name, value in (headers or {}).items():
        if not name or ":" in name or name.lower() == "content-length":
            raise UnsafeTextError("a header's name may not be empty, hold a colon or be the length")
        lines.append(f"{name}: {value}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return lines


def _block(lines: list[str], body: bytes | None) -> bytes:
    for line in lines:
        _refuse(line)
    try:
        return "\n".join(lines).encode() + b"\n\n" + (body or b"")
    except UnicodeEncodeError as error:
        raise UnsafeTextError("text that has no UTF-8 form") from error


def _quoted(value: str) -> str:
    """URL-encoded; most values have nothing to encode, and `quote` takes long to find that out."""
    if _PLAIN.fullmatch(value):
        return value
    return quote(value, safe=_PLAIN_SAFE, errors="replace")


def _refuse(text: str) -> None:
    if _FORBIDDEN.search(text):
        raise UnsafeTextError("CR, LF and NUL cannot be sent")
