"""Telling a page what was heard before the ledger has it: a state, as a hint, nothing else.

Between an event and its committed row lie the database's one writer and every event before it; an
operator who waits for a voice should see 通話中 when it is there. So the state alone goes ahead,
to the page of the operator who pressed. Nothing is decided by it, it may be lost or wrong, and what
the ledger announces a moment later is drawn over it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from calltree.db import Announcement, Publisher
from calltree.models.calls import CallState
from calltree.telephony import events

TOPIC = "foretold"
_MOST_WAITING = 200


def hint(event: events.SwitchEvent) -> Announcement | None:
    """Give what the page of the one who dialled may be told of this event, or None.

    `ids`: user_id, uuid (the customer's leg), state (a CallState), at (ISO 8601), and of an end
    cause and sip_status.
    """
    if not isinstance(event, events.ChannelEvent) or event.pressed_by is None:
        return None
    more: dict[str, Any] = {}
    match event:
        case events.Progress():
            state = CallState.RINGING
        case events.EarlyMedia():
            state = CallState.EARLY
        case events.Answered():
            state = CallState.ANSWERED
        case events.Bridged(answered=True):
            state = CallState.TALKING
        case events.HungUp():
            state = CallState.ENDED
            more = {"cause": event.cause, "sip_status": event.sip_status}
        case _:
            return None
    told = {"user_id": event.pressed_by, "uuid": event.unique_id, "state": state.value}
    return Announcement(TOPIC, told | {"at": event.at.isoformat()} | more)


class Foretelling:
    """A thread that publishes hints, so that who reads the events never waits for Redis."""

    def __init__(self, publish: Callable[[], Publisher | None], over: threading.Event) -> None:
        self._publish = publish
        self._over = over
        self._waiting: queue.Queue[Announcement] = queue.Queue(_MOST_WAITING)

    def hear(self, event: events.SwitchEvent) -> None:
        """Take an event along; a hint too many is dropped, it would come too late anyway."""
        told = hint(event)
        if told is not None:
            with suppress(queue.Full):
                self._waiting.put_nowait(told)

    def run(self) -> None:
        """Publish until the reign is over."""
        while not self._over.is_set():
            try:
                told = [self._waiting.get(timeout=0.2)]
            except queue.Empty:
                continue
            with suppress(queue.Empty):
                while True:
                    told.append(self._waiting.get_nowait())
            publish = self._publish()
            if publish is not None:
                publish(told)
