"""Holding the leader's lease: taken when free, renewed every second, and known to be lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from calltree.db import Store, announce
from calltree.services import leases
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)


class Reign:
    """One term of one leader. `over` is set when the lease is lost or a stop was asked for.

    Everything a leader writes goes through `write`, which refuses once another leads.
    """

    def __init__(self, store: Store, epoch: int, timings: Timings) -> None:
        self.store = store
        self.epoch = epoch
        self.over = threading.Event()
        self._timings = timings
        self._poked = threading.Event()
        self._writing = threading.Lock()

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[Session]:
        """Give a write transaction of this leader. Raises LeaseLost when it leads no more.

        One at a time: ledger, reconcile and sweep change the same calls. `synced` as for the store.
        """
        with self._writing, self.store.write(synced=synced) as session:
            try:
                leases.require(session, name=leases.SWITCH, epoch=self.epoch)
            except leases.LeaseLost:
                self.over.set()
                raise
            yield session

    def poke(self) -> None:
        """Renew now: what the note says of us has changed."""
        self._poked.set()

    def keep(self, note: Callable[[], dict[str, Any]]) -> None:
        """Renew until `over`; set `over` as soon as the lease may be somebody else's."""
        safe_until = time.monotonic() + self._timings.lease_s
        told: dict[str, Any] = {}
        while not self.over.is_set():
            asked_at = time.monotonic()
            now_told = note()
            try:
                if not self._renew(now_told, changed=_links(now_told) != _links(told)):
                    log.warning("lease lost", epoch=self.epoch)
                    break
                told = now_told
                # Counted from before the question: the database's clock started no later.
                safe_until = asked_at + self._timings.lease_s
            except SQLAlchemyError as error:
                log.warning("lease not renewed", error=type(error).__name__)
                if time.monotonic() > safe_until:
                    break
            self._poked.wait(self._timings.lease_renew_s)
            self._poked.clear()
        self.over.set()

    def end(self) -> None:
        """Stop leading, and let a stand-by take over at once."""
        self.over.set()
        self._poked.set()
        try:
            with self.store.write() as session:
                leases.give_up(session, name=leases.SWITCH, epoch=self.epoch)
                announce(session, "switch")
        except SQLAlchemyError as error:
            log.warning("lease not given up", error=type(error).__name__)

    def _renew(self, note: dict[str, Any], *, changed: bool) -> bool:
        with self.store.write() as session:
            kept = leases.renew(
                session,
                name=leases.SWITCH,
                epoch=self.epoch,
                ttl_s=self._timings.lease_s,
                note=note,
            )
            if kept and changed:
                announce(session, "switch")
        return kept


def take_lease(
    store: Store, *, holder: str, timings: Timings, stop: threading.Event
) -> Reign | None:
    """Wait until this process leads; None when a stop was asked for meanwhile."""
    while not stop.is_set():
        try:
            with store.write() as session:
                epoch = leases.take(
                    session, name=leases.SWITCH, holder=holder, ttl_s=timings.lease_s
                )
        except SQLAlchemyError as error:
            log.warning("lease not asked for", error=type(error).__name__)
            epoch = None
        if epoch is not None:
            log.info("leading", epoch=epoch, holder=holder)
            return Reign(store, epoch, timings)
        stop.wait(timings.lease_renew_s)
    return None


def _links(note: dict[str, Any]) -> dict[str, bool]:
    return {name: bool(told.get("link_up")) for name, told in note.get("nodes", {}).items()}
