"""The leader looks at the switches by itself: a red line is known before a call fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from calltree.config import Settings
from calltree.services import switch_checks
from calltree.services.leases import LeaseLost
from calltree.telephony import inspection
from calltree.telephony.care import wanted_gateways
from calltree.telephony.lease import Reign
from calltree.telephony.nodes import Node
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)


class Checking:
    """Reads every switch now and then, over links of its own: nobody's press waits for it."""

    def __init__(
        self,
        reign: Reign,
        settings: Settings | None,
        nodes: Sequence[Node],
        timings: Timings,
        clock: Callable[[], datetime],
    ) -> None:
        self._reign = reign
        self._settings = settings
        self._nodes = nodes
        self._timings = timings
        self._clock = clock
        self._news = threading.Event()

    def trunk_changed(self) -> None:
        """Read soon: a switch told that a trunk came or went."""
        self._news.set()

    def run(self) -> None:
        """Read the switches soon after the reign began, then in turn, until it is over."""
        if self._settings is None:
            return
        while not self._reign.over.wait(self._timings.check_soon_s):
            self._news.clear()
            for node in self._nodes:
                self._check(node, self._settings)
            self._wait()

    def _wait(self) -> None:
        looks = int(self._timings.check_s)
        while looks > 0 and not self._reign.over.is_set() and not self._news.wait(1.0):
            looks -= 1

    def _check(self, node: Node, settings: Settings) -> None:
        try:
            with self._reign.store.read() as session:
                gateways = wanted_gateways(session, settings)
            found = inspection.inspect(node.url, node.name, settings, gateways, now=self._clock())
            with self._reign.write() as session:
                switch_checks.keep(session, node=node.name, reading=found.as_json())
        except LeaseLost:
            self._reign.over.set()
        except SQLAlchemyError as error:
            log.error("switch not checked", node=node.name, error=type(error).__name__)
