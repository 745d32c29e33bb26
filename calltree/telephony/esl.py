"""The link to one FreeSWITCH: a socket, a reader thread, replies in order, events in a queue.

The reader thread frames and queues and does nothing else: a subscriber that does not read makes
the switch hoard memory, so nothing it does may wait for a database. Everything that casts doubt on
the order of replies or events closes the link; whoever used it reconnects and reconciles.
"""

import contextlib
import logging
import random
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Self, TypeVar
from urllib.parse import unquote, urlsplit

from calltree.telephony.commands import ApiCommand
from calltree.telephony.pings import SendEvent
from calltree.telephony.wire import (
    Event,
    Frame,
    Framer,
    UnsafeTextError,
    WireError,
    encode_command,
    parse_event,
)

log = logging.getLogger(__name__)

EVENT_LIMIT = 10_000
"""Events that may wait for their reader; one more closes the link on purpose."""

# CUSTOM comes last: FreeSWITCH takes every word after it as a subclass, silently.
SUBSCRIPTION = (
    "HEARTBEAT CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_ANSWER CHANNEL_PARK"
    " CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY CHANNEL_EXECUTE"
    " PLAYBACK_START RECORD_START RECORD_STOP BACKGROUND_JOB"
    " CUSTOM sofia::register sofia::unregister sofia::expire sofia::gateway_state calltree::ping"
)

_EVENT_WORD = re.compile(r"[A-Za-z0-9_:]+")
_RECEIVE_BYTES = 256 * 1024

_L = TypeVar("_L", bound="Link")


class LinkDown(ConnectionError):
    """The link is closed, or could not be opened. Whether the last command ran is not known."""


class AuthRefused(LinkDown):
    """The switch answered, and refused our password or our address."""


class CommandRefused(Exception):
    """The switch understood and said no. `reply` is what it said, for a log, not for a person."""

    def __init__(self, verb: str, reply: str) -> None:
        super().__init__(f"{verb}: {reply}")
        self.reply = reply


@dataclass(frozen=True)
class EslUrl:
    """Where a switch listens: `esl://:password@host:8021`. The password never shows in a log."""

    host: str
    port: int
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError with a sentence that says what is wrong."""
        parts = urlsplit(text.strip())
        if parts.scheme != "esl" or not parts.hostname:
            raise ValueError("an ESL address looks like esl://:password@host:8021")
        if not parts.password:
            raise ValueError("an ESL address needs a password: esl://:password@host:8021")
        if parts.username or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("an ESL address is only password, host and port")
        try:
            port = parts.port or 8021
        except ValueError:
            raise ValueError("the port of an ESL address is a number up to 65535") from None
        return cls(parts.hostname, port, unquote(parts.password))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"esl://{host}:{self.port}"


class Link:
    """One authenticated connection. Safe to use from several threads.

    Commands are written one at a time and replies come back in the order of the commands, so the
    oldest waiter owns the next reply. A reply that does not come in time closes the link: left
    behind, it would answer the next command.
    """

    def __init__(
        self, connection: socket.socket, *, timeout_s: float = 5.0, event_limit: int = EVENT_LIMIT
    ) -> None:
        """Take over a connected socket that has not been read from. Use `connect`."""
        self._socket = connection
        self._timeout_s = timeout_s
        self._event_limit = event_limit
        self._sending = threading.Lock()
        self._changed = threading.Condition()  # guards everything below
        self._waiting: deque[Future[Frame]] = deque()
        self._events: deque[Frame] = deque()
        self._greeting: Future[Frame] = Future()
        self._down: str | None = None
        connection.settimeout(timeout_s)
        self._reader = threading.Thread(target=self._read, name="esl-reader", daemon=True)
        self._reader.start()

    @classmethod
    def connect(
        cls,
        url: EslUrl,
        *,
        connect_timeout_s: float = 2.0,
        timeout_s: float = 5.0,
        event_limit: int = EVENT_LIMIT,
    ) -> Self:
        """Connect and sign in. Raises `LinkDown`, or `AuthRefused` for a wrong password."""
        try:
            connection = socket.create_connection((url.host, url.port), connect_timeout_s)
        except OSError as error:
            raise LinkDown(f"no connection to {url}: {error.strerror or error}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        link = cls(connection, timeout_s=timeout_s, event_limit=event_limit)
        try:
            link._sign_in(url.password)
        except BaseException:
            link.close("sign-in failed")
            raise
        return link

    def api(self, command: ApiCommand, *, timeout_s: float | None = None) -> str:
        """Run a command in the switch and return what it printed, trailing line feeds removed.

        Raises `CommandRefused` for an answer that begins with -ERR or -USAGE, else `LinkDown`.
        """
        frame = self._exchange(f"api {command}", timeout_s=timeout_s)
        text = frame.body.decode("utf-8", "replace").rstrip("\n")
        if frame.content_type != "api/response":
            text = frame.headers.get("Reply-Text", "")
        if text.startswith(("-ERR", "-USAGE")):
            raise CommandRefused(_verb(command), text)
        return text

    def api_in_order(self, *commands: ApiCommand) -> list[str]:
        """Run commands one after the other, none waiting here for the reply before it.

        Gives what each printed, refusals (-ERR, -USAGE) too. Raises `LinkDown`.
        """
        deadline = time.monotonic() + self._timeout_s
        asked = [self._write(f"api {command}", None, deadline) for command in commands]
        frames = [
            self._result(reply, _verb(command), deadline)
            for reply, command in zip(asked, commands, strict=True)
        ]
        return [frame.body.decode("utf-8", "replace").rstrip("\n") for frame in frames]

    def bgapi(self, command: ApiCommand, job_uuid: str, *, timeout_s: float | None = None) -> None:
        """Start a command under our own Job-UUID; its result is a later BACKGROUND_JOB event."""
        frame = self._exchange(f"bgapi {command}", {"Job-UUID": job_uuid}, timeout_s=timeout_s)
        _accepted(_verb(command), frame)

    def bgapi_in_order(self, *jobs: tuple[ApiCommand, str]) -> list[str]:
        """Start commands one after the other, each under its own Job-UUID, none waiting here.

        Gives for each "" or the refusal. Raises `LinkDown`: some may have been started.
        """
        deadline = time.monotonic() + self._timeout_s
        asked = [self._write(f"bgapi {c}", {"Job-UUID": job}, deadline) for c, job in jobs]
        frames = [
            self._result(reply, _verb(command), deadline)
            for reply, (command, _job) in zip(asked, jobs, strict=True)
        ]
        replies = [frame.headers.get("Reply-Text", "") for frame in frames]
        return ["" if reply.startswith("+OK") else reply for reply in replies]

    def send_event(self, event: SendEvent, *, timeout_s: float | None = None) -> None:
        """Fire an event of our own into the switch."""
        frame = self._exchange(event.line, event.headers, timeout_s=timeout_s)
        _accepted("sendevent", frame)

    def subscribe(self, events: str = SUBSCRIPTION, *, timeout_s: float | None = None) -> None:
        """Ask for events by name, CUSTOM and its subclasses last."""
        words = events.split()
        if not words or not all(_EVENT_WORD.fullmatch(word) for word in words):
            raise UnsafeTextError("a subscription is names of events")
        _accepted("event", self._exchange(f"event plain {events}", timeout_s=timeout_s))

    def next_event(self, timeout_s: float) -> Event | None:
        """The oldest event not yet taken, or None when none came in time.

        Events that arrived before the link went down are still given; then `LinkDown` is raised.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._events:
                if self._down is not None:
                    raise LinkDown(self._down)
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return None
                self._changed.wait(remaining)
            frame = self._events.popleft()
        try:
            return parse_event(frame)
        except WireError as error:
            self._fail(f"unreadable event: {error}")
            raise LinkDown(str(error)) from error

    @property
    def is_up(self) -> bool:
        return self._down is None

    @property
    def down_reason(self) -> str | None:
        """Why the link is closed; None while it is up."""
        return self._down

    @property
    def backlog(self) -> int:
        """Events received and not yet taken."""
        return len(self._events)

    def close(self, reason: str = "closed by us") -> None:
        """Close the link and release everyone who waits on it. Safe to repeat."""
        self._fail(reason)
        if threading.current_thread() is not self._reader:
            self._reader.join(self._timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _sign_in(self, password: str) -> None:
        greeting = self._result(self._greeting, "greeting", time.monotonic() + self._timeout_s)
        if greeting.content_type != "auth/request":
            raise AuthRefused("the switch refuses this machine's address")
        reply = self._exchange(f"auth {password}")
        if not reply.headers.get("Reply-Text", "").startswith("+OK"):
            raise AuthRefused("the switch refuses the password")

    def _exchange(
        self, line: str, headers: Mapping[str, str] | None = None, *, timeout_s: float | None = None
    ) -> Frame:
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        return self._result(self._write(line, headers, deadline), _verb(line), deadline)

    def _write(
        self, line: str, headers: Mapping[str, str] | None, deadline: float
    ) -> "Future[Frame]":
        data = encode_command(line, headers)  # refuses before anything is written
        verb = _verb(line)
        reply: Future[Frame] = Future()
        if not self._sending.acquire(timeout=max(deadline - time.monotonic(), 0)):
            self._fail("the switch does not take what we write")
            raise LinkDown(f"{verb} could not be written")
        try:
            # Queued and written under one lock: the order of waiters is the order of the wire.
            with self._changed:
                if self._down is not None:
                    raise LinkDown(self._down)
                self._waiting.append(reply)
            self._socket.sendall(data)
        except LinkDown:
            raise
        except OSError as error:
            self._fail(f"writing failed: {error}")
            raise LinkDown(f"{verb} could not be written") from error
        finally:
            self._sending.release()
        return reply

    def _result(self, reply: "Future[Frame]", verb: str, deadline: float) -> Frame:
        try:
            return reply.result(max(deadline - time.monotonic(), 0))
        except TimeoutError:
            reason = f"no reply to {verb} in time"
            self._fail(reason)
            raise LinkDown(reason) from None

    def _read(self) -> None:
        framer = Framer()
        reason = "the switch closed the connection"
        try:
            while self._down is None:
                try:
                    data = self._socket.recv(_RECEIVE_BYTES)
                except TimeoutError:  # only silence: the time-out is there for writing
                    continue
                if not data:
                    break
                for frame in framer.feed(data):
                    self._dispatch(frame)
        except WireError as error:
            reason = f"not the event socket protocol: {error}"
        except OSError as error:
            reason = f"reading failed: {error}"
        finally:
            self._fail(reason)
            self._socket.close()

    def _dispatch(self, frame: Frame) -> None:
        kind = frame.content_type
        if kind in ("text/event-plain", "text/event-json"):
            self._queue(frame)
        elif kind in ("command/reply", "api/response"):
            with self._changed:
                waiter = self._waiting.popleft() if self._waiting else None
            if waiter is None:
                raise WireError("a reply that nobody asked for")
            waiter.set_result(frame)
        elif kind == "auth/request" or kind == "text/rude-rejection":
            with self._changed:
                if self._greeting.done():
                    raise WireError("a greeting out of place")
                self._greeting.set_result(frame)
        elif kind == "text/disconnect-notice":
            self._fail("the switch said goodbye")

    def _queue(self, frame: Frame) -> None:
        with self._changed:
            if self._down is not None:
                return  # after a lost event, none at all: the reader must not miss a gap
            if len(self._events) < self._event_limit:
                self._events.append(frame)
                self._changed.notify()
                return
        self._fail(f"{self._event_limit} events wait unread")

    def _fail(self, reason: str) -> None:
        """Go down once, with the first reason; release every waiter."""
        with self._changed:
            if self._down is not None:
                return
            self._down = reason
            for reply in (self._greeting, *self._waiting):
                if not reply.done():
                    reply.set_exception(LinkDown(reason))
            self._waiting.clear()
            self._changed.notify_all()
        log.info("esl link down: %s", reason)
        with contextlib.suppress(OSError):
            # Wakes the reader, who closes the socket: closing it here could hand its number to
            # another connection while the reader still waits on it.
            self._socket.shutdown(socket.SHUT_RDWR)


class EventLink(Link):
    """A link that listens: connected and subscribed in one step."""

    @classmethod
    def connect(
        cls,
        url: EslUrl,
        *,
        connect_timeout_s: float = 2.0,
        timeout_s: float = 5.0,
        event_limit: int = EVENT_LIMIT,
    ) -> Self:
        link = super().connect(
            url, connect_timeout_s=connect_timeout_s, timeout_s=timeout_s, event_limit=event_limit
        )
        try:
            link.subscribe()
        except BaseException:
            link.close("subscription failed")
            raise
        return link


class Backoff:
    """How long to wait before the next try: 0.5 s doubling to 30 s, each drawn from its half up.

    The jitter keeps every process of a site from knocking at the same instant.
    """

    def __init__(
        self, *, first_s: float = 0.5, limit_s: float = 30.0, rng: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self.limit_s = limit_s
        self._rng = rng or random.Random()
        self._step_s = first_s

    def next_s(self) -> float:
        step_s, self._step_s = self._step_s, min(self._step_s * 2, self.limit_s)
        return step_s * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._step_s = self._first_s


def keep_connected(
    connect: Callable[[], _L],
    use: Callable[[_L], None],
    *,
    stop: threading.Event,
    backoff: Backoff | None = None,
    on_down: Callable[[LinkDown], None] | None = None,
) -> None:
    """Connect, hand the link to `use`, and again when it goes down, until `stop` is set.

    `use` works until the link raises `LinkDown` or `stop` is set; subscribing and reconciling are
    its first acts. Returning early is a wish to connect again. `on_down` hears of every failure.
    The waiting starts from its beginning only after a link that lived longer than the longest
    wait, or a switch that takes us and drops us would be knocked at twice a second.
    """
    backoff = backoff or Backoff()
    while not stop.is_set():
        born = None
        try:
            with connect() as link:
                born = time.monotonic()
                use(link)
        except LinkDown as down:
            log.warning("esl link lost: %s", down)
            if on_down is not None:
                on_down(down)
        if born is not None and time.monotonic() - born > backoff.limit_s:
            backoff.reset()
        stop.wait(backoff.next_s())


def _verb(line: str) -> str:
    """What may be logged of a command: its name, never its numbers."""
    return line.partition(" ")[0]


def _accepted(verb: str, frame: Frame) -> None:
    reply = frame.headers.get("Reply-Text", "")
    if not reply.startswith("+OK"):
        raise CommandRefused(verb, reply)
