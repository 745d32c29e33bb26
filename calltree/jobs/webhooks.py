"""Webhook deliveries: claimed, sent side by side, noted. Each job may be run twice or end anywhere.

Several webhooks are served at once and each in order; the first try that the receiver fails puts
the rest of that webhook off, and so does a slow one: others wait in the same lane.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import structlog

from calltree import runtime
from calltree.db import Store, utcnow
from calltree.posting import Sender, signed
from calltree.services import outbox, webhooks
from calltree.services.outbox import Answer, Parcel

log = structlog.get_logger(__name__)

AT_ONCE = 40
SIDE_BY_SIDE = 8
BUDGET_S = 10.0
"""No try begins later in one job: others wait for the lane. The next bell or chore goes on."""

Post = Callable[[str, bytes, dict[str, str]], Answer]


def deliver() -> None:
    """Tell of due tasks and send what is due; rung for every few seconds and at each event."""
    settings = runtime.settings()
    sender = Sender(settings.webhook_networks)
    deliver_in(runtime.store(), sender.post, key=settings.secret_key, clock=utcnow)


def deliver_in(
    store: Store,
    post: Post,
    *,
    key: str,
    clock: Callable[[], datetime],
    budget_s: float = BUDGET_S,
) -> int:
    """Do it with this store and way of posting; returns how many tries were made."""
    with store.read() as session:
        due_tasks = outbox.any_due_task(session, now=clock())
    if due_tasks:
        with store.write() as session:
            outbox.tell_due_tasks(session, now=clock())
    round_ = _Round(store, post, key, clock, time.monotonic() + budget_s)
    tries = 0
    while not round_.over:
        with store.read() as session:
            if not outbox.anything_due(session, now=clock()):
                break
        with store.write() as session:
            parcels = outbox.claim(session, now=clock(), most=AT_ONCE)
        tries += round_.send_all(parcels)
    return tries


@dataclass(frozen=True, slots=True)
class _Round:
    """One job's work, until its time is over."""

    store: Store
    post: Post
    key: str
    clock: Callable[[], datetime]
    deadline: float

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.deadline

    def send_all(self, parcels: list[Parcel]) -> int:
        """Send side by side what is for different webhooks, in order what is for one."""
        ordered = sorted(parcels, key=lambda one: (one.webhook_id, one.delivery_id))
        heaps = [list(heap) for _hook, heap in groupby(ordered, key=lambda one: one.webhook_id)]
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="webhook") as pool:
            return sum(pool.map(self._send, heaps))

    def _send(self, heap: list[Parcel]) -> int:
        for place, parcel in enumerate(heap):
            if self.over:
                return self._put_back(heap, place)
            answer = self._try(parcel)
            with self.store.write() as session:
                outbox.settle(session, parcel=parcel, answer=answer, now=self.clock())
            log.info(
                "webhook tried", webhook=parcel.webhook_id, delivery=parcel.delivery_id,
                status=answer.status, failure=answer.failure, took_ms=answer.took_ms,
            )  # fmt: skip
            if answer.blames_receiver or answer.is_slow:
                return self._put_back(heap, place + 1)
        return len(heap)

    def _try(self, parcel: Parcel) -> Answer:
        secret = webhooks.secret_of(parcel.secret_sealed, key=self.key)
        if not secret:
            return Answer(None, "secret", 0)
        body = parcel.body.encode()
        headers = signed(secret, event_key=parcel.event_key, body=body, now=self.clock())
        return self.post(parcel.url, body, headers)

    def _put_back(self, heap: list[Parcel], tried: int) -> int:
        """Let the rest wait for another time; returns how many were tried."""
        with self.store.write() as session:
            for left in heap[tried:]:
                outbox.put_back(session, parcel=left, now=self.clock())
        return tried
