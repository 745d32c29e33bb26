"""Webhook deliveries: claimed, sent side by side, noted. Each job may be run twice or end anywhere.

Several webhooks are served at once and each in order; the first try that the receiver fails puts
the rest of that webhook off, so that one dead receiver costs others nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
ROUNDS = 5
"""Most claims of one job; what is left then is taken up by the next bell or chore."""

Post = Callable[[str, bytes, dict[str, str]], Answer]


def deliver() -> None:
    """Tell of due tasks and send what is due; rung for every few seconds and at each event."""
    settings = runtime.settings()
    sender = Sender(settings.webhook_networks)
    deliver_in(runtime.store(), sender.post, key=settings.secret_key, clock=utcnow)


def deliver_in(store: Store, post: Post, *, key: str, clock: Callable[[], datetime]) -> int:
    """Do it with this store and way of posting; returns how many tries were made."""
    with store.read() as session:
        due_tasks = outbox.any_due_task(session, now=clock())
    if due_tasks:
        with store.write() as session:
            outbox.tell_due_tasks(session, now=clock())
    tries = 0
    for _round in range(ROUNDS):
        with store.read() as session:
            if not outbox.anything_due(session, now=clock()):
                break
        with store.write() as session:
            parcels = outbox.claim(session, now=clock(), most=AT_ONCE)
        tries += _send_all(store, parcels, post, key, clock)
    return tries


def _send_all(
    store: Store, parcels: list[Parcel], post: Post, key: str, clock: Callable[[], datetime]
) -> int:
    ordered = sorted(parcels, key=lambda one: (one.webhook_id, one.delivery_id))
    heaps = [list(heap) for _hook, heap in groupby(ordered, key=lambda one: one.webhook_id)]
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="webhook") as pool:
        counts = pool.map(lambda heap: _send(store, heap, post, key, clock), heaps)
        return sum(counts)


def _send(
    store: Store, heap: list[Parcel], post: Post, key: str, clock: Callable[[], datetime]
) -> int:
    for place, parcel in enumerate(heap):
        secret = webhooks.secret_of(parcel.secret_sealed, key=key)
        body = parcel.body.encode()
        if secret:
            headers = signed(secret, event_key=parcel.event_key, body=body, now=clock())
            answer = post(parcel.url, body, headers)
        else:
            answer = Answer(None, "secret", 0)
        with store.write() as session:
            outbox.settle(session, parcel=parcel, answer=answer, now=clock())
        log.info(
            "webhook tried", webhook=parcel.webhook_id, delivery=parcel.delivery_id,
            status=answer.status, failure=answer.failure, took_ms=answer.took_ms,
        )  # fmt: skip
        if answer.blames_receiver:
            with store.write() as session:
                for left in heap[place + 1 :]:
                    outbox.put_back(session, parcel=left, now=clock())
            return place + 1
    return len(heap)
