"""Topics → browsers: who hears what of the announcements, in one place (design §6).

Announcements carry ids only. An `Outbox` is one socket's: it collects the addresses of what
changed, and the socket's own thread, the only one that writes to it, draws and sends them. An
address that changes ten times before it is drawn is drawn once, so nothing piles up behind a slow
reader but its socket's own buffer; when that stays full for `STUCK_S` the socket is closed with
1013, and the page connects anew and is right again.

This module knows nothing of pages. An address is a topic ("lines") or a topic with one of its ids
("operator:user_id=7").
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import redis
import structlog
from sqlalchemy.exc import SQLAlchemyError

from calltree.doorbells import MISSED

log = structlog.get_logger(__name__)

GOING_AWAY = 1012  # "service restart": the page connects again at once
TRY_LATER = 1013
ENDED = 1008  # the session; the page asks again and is sent to the sign-in page

DEAF = "deaf"
"""Told to every outbox while announcements cannot be heard: pages poll."""

FORETOLD = "foretold"
"""The state of one's own call, ahead of the ledger."""
ARRIVES = "arrives"
"""Who calls in, ahead of the ledger."""
_HINTS = {FORETOLD: "call", ARRIVES: "inbound"}
"""Hints go as they are to the pages that hear of these; of all else only that it changed."""

SHARED_EVERY_S = 0.5
STUCK_S = 10.0
_TICK_S = 1.0
_RETRY_S = 0.5
_THREADS_FOR_PAGES = 32
_MOST_HINTS = 8


def sockets_of(threads: int) -> int:
    """Say how many sockets a web process of so many threads may hold; pages need the others."""
    return max(threads - _THREADS_FOR_PAGES, threads // 2)


def addresses(topic: str, ids: dict[str, Any]) -> list[str]:
    """Give the addresses at which an announcement is heard."""
    return [topic, *(f"{topic}:{name}={value}" for name, value in ids.items())]


def is_shared(address: str) -> bool:
    """Whether many pages hear it, so that it is told at most twice a second.

    What concerns one person is told at once: their page waits for it.
    """
    _topic, _, one = address.partition(":")
    return not one.startswith("user_id=") or one == "user_id=None"


class Outbox:
    """What one socket still has to be told. Any thread marks, only the socket's own takes."""

    def __init__(self, heard: Iterable[str], cut: Callable[[], None] = lambda: None) -> None:
        """`heard` are addresses; `cut` frees a thread that hangs in a send to a dead reader."""
        self.heard = frozenset(heard)
        self.closing: int | None = None
        self._cut = cut
        self._changed: set[str] = set()
        self._hints: list[dict[str, Any]] = []
        self._due = threading.Condition()
        self._poked = False
        self._sending_since: float | None = None

    def mark(self, *changed: str) -> None:
        """Note that these addresses changed."""
        with self._due:
            self._changed.update(changed)
            self._due.notify()

    def hint(self, told: dict[str, Any]) -> None:
        """Hand on what is foretold; to a page that does not keep up the oldest is not worth it."""
        with self._due:
            self._hints = [*self._hints[-_MOST_HINTS:], told]
            self._due.notify()

    def close(self, code: int) -> None:
        """Let the socket's thread end with this close code; the first code stays."""
        with self._due:
            self.closing = self.closing or code
            self._due.notify()

    def poke(self) -> None:
        """Wake the socket's thread: something came from the other side, or it hung up."""
        with self._due:
            self._poked = True
            self._due.notify()

    def take(self, timeout_s: float) -> set[str]:
        """Wait for changes; empty when none came in time, on a hint, a poke, or when closing."""
        with self._due:
            self._due.wait_for(self._is_due, timeout_s)
            self._poked = False
            taken, self._changed = self._changed, set()
        return set() if self.closing else taken

    def take_hints(self) -> list[dict[str, Any]]:
        """Take what was foretold since the last time, oldest first."""
        with self._due:
            taken, self._hints = self._hints, []
        return taken

    def _is_due(self) -> bool:
        return bool(self._changed or self._hints or self.closing or self._poked)

    def send(self, send: Callable[[str], None], text: str) -> None:
        """Send one message, with a watch on readers that do not take it."""
        self._sending_since = time.monotonic()
        try:
            send(text)
        finally:
            self._sending_since = None

    def judge(self, stuck_s: float) -> None:
        """Close a socket that is stuck; after twice the time cut it, for it cannot be told."""
        since = self._sending_since
        if since is None:
            return
        stuck = time.monotonic() - since
        if stuck > stuck_s and self.closing is None:
            log.warning("slow reader")
            self.close(TRY_LATER)
        if stuck > 2 * stuck_s:
            self._cut()


class Hub:
    """The outboxes of one web process and the one thread that hears announcements for them.

    The thread is started by the first outbox, never at import: it must be born in the worker.
    """

    def __init__(
        self,
        connect: Callable[[], redis.Redis],
        channel: Callable[[], str],
        *,
        most: int,
        stuck_s: float = STUCK_S,
    ) -> None:
        """`most` is how many sockets this process holds before it refuses."""
        self._most = most
        self._stuck_s = stuck_s
        self._connect = connect
        self._channel = channel
        self._lock = threading.Lock()
        self._outboxes: dict[str, set[Outbox]] = defaultdict(set)
        self._all: set[Outbox] = set()
        self._thread: threading.Thread | None = None
        self._told_at: dict[str, float] = {}
        self._times_told: dict[str, int] = defaultdict(int)
        self._waiting: set[str] = set()
        self._stopping = False
        self._heard = False

    @property
    def hears(self) -> bool:
        """Whether announcements arrive now."""
        return self._heard

    def times_told(self, address: str) -> int:
        """Count how often this was told: whoever draws for many draws once for each."""
        return self._times_told[address]

    def __len__(self) -> int:
        return len(self._all)

    def add(self, outbox: Outbox) -> bool:
        """Take a socket in; False when this process holds enough or is about to end."""
        with self._lock:
            if self._stopping or len(self._all) >= self._most:
                return False
            self._all.add(outbox)
            for address in outbox.heard:
                self._outboxes[address].add(outbox)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()
        return True

    def remove(self, outbox: Outbox) -> None:
        """Forget a socket."""
        with self._lock:
            self._all.discard(outbox)
            for address in outbox.heard:
                self._outboxes[address].discard(outbox)
                if not self._outboxes[address]:
                    del self._outboxes[address]

    def stop(self) -> None:
        """Close every socket with 1012 and take no more.

        Called from a signal handler: it takes no lock, a thread of its own does.
        """
        self._stopping = True
        threading.Thread(target=self._close_all, name="live-stop", daemon=True).start()

    def publish(self, topic: str, ids: dict[str, Any]) -> None:
        """Tell whoever hears; what is shared waits until its half second is over."""
        if topic in _HINTS:
            self._foretell(topic, ids)
            return
        if topic == MISSED:
            self._draw_anew()
            return
        now = time.monotonic()
        for address in addresses(topic, ids):
            if address not in self._outboxes:
                continue
            if is_shared(address) and now < self._told_at.get(address, 0.0) + SHARED_EVERY_S:
                self._waiting.add(address)
            else:
                self._tell(address, now)

    def _foretell(self, topic: str, ids: dict[str, Any]) -> None:
        users = ids["user_ids"] if topic == ARRIVES else [ids["user_id"]]
        with self._lock:
            outboxes = [
                outbox
                for user_id in users
                for outbox in self._outboxes.get(f"{_HINTS[topic]}:user_id={user_id}", ())
            ]
        for outbox in outboxes:
            outbox.hint({"topic": topic} | ids)

    def _tell(self, address: str, now: float) -> None:
        if is_shared(address):
            self._told_at[address] = now
            self._times_told[address] += 1
            self._waiting.discard(address)
        with self._lock:
            outboxes = list(self._outboxes.get(address, ()))
        for outbox in outboxes:
            outbox.mark(address)

    def _tell_waiting(self) -> float:
        """Tell what has waited long enough; give the seconds until the next is due."""
        now = time.monotonic()
        for address in [a for a in self._waiting if self._told_at[a] + SHARED_EVERY_S <= now]:
            self._tell(address, now)
        due = [self._told_at[address] + SHARED_EVERY_S - now for address in self._waiting]
        return min([_TICK_S, *due])

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._listen()
            except (redis.RedisError, SQLAlchemyError, OSError) as error:
                if self._heard:
                    log.warning("announcements are not heard", error=type(error).__name__)
                self._set_heard(False)
                self._judge()
                time.sleep(_RETRY_S)

    def _listen(self) -> None:
        with self._connect() as connection, connection.pubsub() as heard:
            heard.subscribe(self._channel())
            judge_at = 0.0
            while not self._stopping:
                message = heard.get_message(timeout=self._tell_waiting())
                if time.monotonic() >= judge_at:
                    judge_at = time.monotonic() + min(_TICK_S, self._stuck_s / 2)
                    self._judge()
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._set_heard(True)
                elif message["type"] == "message":
                    for told in json.loads(message["data"]):
                        self.publish(told["topic"], told["ids"])

    def _set_heard(self, heard: bool) -> None:
        """Say so to everybody; what was missed meanwhile is drawn anew."""
        if heard == self._heard:
            return
        self._heard = heard
        for outbox in self._everyone():
            outbox.mark(DEAF, *(outbox.heard if heard else ()))

    def _draw_anew(self) -> None:
        for outbox in self._everyone():
            outbox.mark(*outbox.heard)

    def _judge(self) -> None:
        for outbox in self._everyone():
            outbox.judge(self._stuck_s)

    def _everyone(self) -> list[Outbox]:
        with self._lock:
            return list(self._all)

    def _close_all(self) -> None:
        for outbox in self._everyone():
            outbox.close(GOING_AWAY)
