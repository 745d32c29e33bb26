"""Listening to one node: two links that live and die together, and a ping that proves both.

The thread that reads the event link never waits for the database: it hands events over in a queue
of ten thousand, and when that is full the link is closed and reconcile makes good.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from calltree.services.leases import LeaseLost
from calltree.telephony import events, ledger, pings
from calltree.telephony.acts import Act
from calltree.telephony.esl import Backoff, EventLink, Link, LinkDown, keep_connected
from calltree.telephony.lease import Reign
from calltree.telephony.nodes import Node
from calltree.telephony.reconcile import Reconciler
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """One event on its way to the ledger."""

    node: str
    event: events.SwitchEvent


class Hearing:
    """The links to one node, for one reign."""

    def __init__(
        self,
        *,
        node: Node,
        reign: Reign,
        reconciler: Reconciler,
        timings: Timings,
        inbox: queue.Queue[Told],
        act: Callable[[Act], None],
        foretell: Callable[[events.SwitchEvent], None],
        trunk_changed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self.node = node
        self._reign = reign
        self._reconciler = reconciler
        self._timings = timings
        self._inbox = inbox
        self._act = act
        self._foretell = foretell
        self._trunk_changed = trunk_changed
        self._clock = clock
        self._command: Link | None = None
        self._up = False
        self._why = "not connected yet"
        self._last_event_at: datetime | None = None
        self._reconciled_at: datetime | None = None
        self._clock_off_s = 0.0
        self._token = ""
        self._pinged = 0.0

    def run(self) -> None:
        """Connect, listen, and connect again, until the reign is over."""
        keep_connected(
            self._connect,
            self._listen,
            stop=self._reign.over,
            backoff=Backoff(
                first_s=self._timings.backoff_first_s, limit_s=self._timings.backoff_limit_s
            ),
            on_down=self._fell,
        )

    def command_link(self) -> Link | None:
        """Give the command link while it is up."""
        link = self._command
        return link if link is not None and link.is_up else None

    def note(self) -> dict[str, Any]:
        """Say how this node is, for the lease's note: pages and the gate read it."""
        return {
            "link_up": self._up,
            "why": self._why,
            "last_event_at": _iso(self._last_event_at),
            "reconciled_at": _iso(self._reconciled_at),
            "clock_off_s": self._clock_off_s,
            "waiting": self._inbox.qsize(),
        }

    def reconcile(self, *, first: bool = False) -> None:
        """Make a pass now, the first of a link or another; what follows from it is done."""
        link = self.command_link()
        if link is None:
            return
        for act in [
            *self._reconciler.run(link, first=first),
            *self._reconciler.callers_unheard(link),
        ]:
            self._act(act)
        self._reconciled_at = self._clock()

    def _connect(self) -> EventLink:
        return EventLink.connect(
            self.node.url,
            connect_timeout_s=self._timings.connect_s,
            timeout_s=self._timings.reply_s,
        )

    def _listen(self, heard: EventLink) -> None:
        """Use one pair of links until either fails."""
        command = Link.connect(
            self.node.url,
            connect_timeout_s=self._timings.connect_s,
            timeout_s=self._timings.reply_s,
        )
        with command:
            self._command = command
            try:
                self._reconcile_first()
                self._ping(command)
                while not self._reign.over.is_set():
                    self._look_after(command)
                    event = heard.next_event(self._wait_s())
                    if event is not None:
                        self._take(event)
            finally:
                self._command = None
                self._set_up(up=False, why="link lost")

    def _reconcile_first(self) -> None:
        try:
            self.reconcile(first=True)
        except (SQLAlchemyError, LeaseLost) as error:
            raise LinkDown(f"not reconciled: {type(error).__name__}") from error

    def _wait_s(self) -> float:
        due = self._pinged + (self._timings.ping_lost_s if self._token else self._timings.ping_s)
        return min(max(due - time.monotonic(), 0.001), 0.2)

    def _look_after(self, command: Link) -> None:
        if not command.is_up:
            raise LinkDown(f"command link: {command.down_reason}")
        since = time.monotonic() - self._pinged
        if self._token and since > self._timings.ping_lost_s:
            raise LinkDown("our own ping did not come back")
        if not self._token and since > self._timings.ping_s:
            self._ping(command)

    def _ping(self, command: Link) -> None:
        self._token = str(uuid.uuid4())
        self._pinged = time.monotonic()
        command.send_event(pings.ping(self._token), timeout_s=self._timings.ping_lost_s)

    def _take(self, raw: Any) -> None:
        try:
            event = events.read(raw)
        except events.InvalidEvent as error:
            log.warning("event not understood", node=self.node.name, error=str(error))
            return
        self._last_event_at = self._clock()
        if event is None:
            return
        if isinstance(event, events.Ping):
            if event.token == self._token:
                self._token = ""
                self._clock_off_s = round((event.at - self._clock()).total_seconds(), 1)
                self._set_up(up=True, why="")
            return
        if isinstance(event, events.GatewayState):
            self._trunk_changed()
        if not ledger.is_news(event):
            return
        self._foretell(event)
        try:
            self._inbox.put_nowait(Told(self.node.name, event))
        except queue.Full:
            raise LinkDown("the ledger does not take what is heard") from None

    def _set_up(self, *, up: bool, why: str) -> None:
        if up != self._up:
            log.info("link to the switch", node=self.node.name, up=up, why=why)
            self._up, self._why = up, why
            self._reign.poke()

    def _fell(self, down: LinkDown) -> None:
        self._token = ""
        self._why = str(down)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
