"""Events: what every one of them carries, and who wants it."""

import itertools
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from calltree.telephony.wire import encode_event_json, encode_event_plain

CUSTOM = "CUSTOM"

# Where FreeSWITCH 1.10.12 raises each event; clients show it, nobody should depend on it.
_ORIGINS = {
    "CHANNEL_CREATE": ("switch_core_state_machine.c", "switch_core_session_run", "626"),
    "CHANNEL_ORIGINATE": ("switch_core_state_machine.c", "switch_core_session_run", "632"),
    "CHANNEL_OUTGOING": (
        "switch_core_session.c",
        "switch_core_session_outgoing_channel",
        "768",
    ),
    "CHANNEL_DESTROY": ("switch_core_session.c", "switch_core_session_perform_destroy", "1584"),
    "CHANNEL_ANSWER": ("switch_channel.c", "switch_channel_perform_mark_answered", "3846"),
    "CHANNEL_HANGUP": ("switch_channel.c", "switch_channel_perform_hangup", "3445"),
    "CHANNEL_PARK": ("switch_ivr.c", "switch_ivr_park", "1002"),
    "CHANNEL_UNPARK": ("switch_ivr.c", "switch_ivr_park", "1213"),
    "BACKGROUND_JOB": ("mod_event_socket.c", "api_exec", "1572"),
    "RECORD_STOP": ("switch_ivr_async.c", "send_record_stop_event", "1240"),
}


@dataclass
class Event:
    """One event; each format is encoded once, however many listeners there are."""

    headers: dict[str, str]
    body: bytes = b""

    @property
    def name(self) -> str:
        return self.headers["Event-Name"]

    @property
    def subclass(self) -> str:
        return self.headers.get("Event-Subclass", "")

    @cached_property
    def plain(self) -> bytes:
        return encode_event_plain(self.headers, self.body)

    @cached_property
    def json(self) -> bytes:
        return encode_event_json(self.headers, self.body)


@dataclass
class Subscription:
    """What one connection asked to hear."""

    names: set[str] = field(default_factory=set)
    subclasses: set[str] = field(default_factory=set)
    filters: list[tuple[str, str]] = field(default_factory=list)
    only_channel: str | None = None

    def names_it(self, name: str, subclass: str) -> bool:
        if "ALL" in self.names:
            return True
        return name in self.names and (name != CUSTOM or subclass in self.subclasses)

    def wants(self, event: Event) -> bool:
        if not self.names_it(event.name, event.subclass):
            return False
        if self.only_channel and event.headers.get("Unique-ID") != self.only_channel:
            return False
        if not self.filters:
            return True
        return any(event.headers.get(name) == value for name, value in self.filters)


Listener = Callable[[Event], None]


class Bus:
    """Gives events their common headers and hands them to the listeners.

    An event nobody asked for costs a sequence number and nothing else.
    """

    def __init__(self, now_us: Callable[[], int], hostname: str = "practice") -> None:
        self.core_uuid = str(uuid.uuid4())
        self.hostname = hostname
        self.address = "127.0.0.1"
        self.deliver: Listener = self.hand_out
        self._now_us = now_us
        self._sequence = itertools.count(1)
        self._listeners: list[tuple[Subscription, Listener]] = []

    def add(self, subscription: Subscription, listener: Listener) -> None:
        self._listeners.append((subscription, listener))

    def remove(self, subscription: Subscription) -> None:
        self._listeners = [pair for pair in self._listeners if pair[0] is not subscription]

    def common(self, name: str, subclass: str = "") -> dict[str, str]:
        """The headers every event begins with; takes the next sequence number."""
        now = self._now_us()
        moment = datetime.fromtimestamp(now / 1_000_000, UTC)
        source, function, line = _ORIGINS.get(name, ("switch_core.c", "switch_event_fire", "1"))
        headers = {"Event-Subclass": subclass} if subclass else {}
        return headers | {
            "Event-Name": name,
            "Core-UUID": self.core_uuid,
            "FreeSWITCH-Hostname": self.hostname,
            "FreeSWITCH-Switchname": self.hostname,
            "FreeSWITCH-IPv4": self.address,
            "FreeSWITCH-IPv6": "::1",
            "Event-Date-Local": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now / 1e6)),
            "Event-Date-GMT": moment.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "Event-Date-Timestamp": str(now),
            "Event-Calling-File": source,
            "Event-Calling-Function": function,
            "Event-Calling-Line-Number": line,
            "Event-Sequence": str(next(self._sequence)),
        }

    def wanted(self, name: str, subclass: str = "") -> bool:
        return any(s.names_it(name, subclass) for s, _ in self._listeners)

    def publish(
        self,
        name: str,
        headers: Callable[[], Mapping[str, str]] | Mapping[str, str],
        *,
        body: str = "",
        subclass: str = "",
    ) -> None:
        if not self.wanted(name, subclass):
            next(self._sequence)
            return
        own = headers() if callable(headers) else headers
        self.deliver(Event({**self.common(name, subclass), **own}, body.encode()))

    def hand_out(self, event: Event) -> None:
        for subscription, listener in list(self._listeners):
            if subscription.wants(event):
                listener(event)


def local_hostname() -> str:
    return socket.gethostname().partition(".")[0] or "practice"
