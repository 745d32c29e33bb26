"""Who calls, on its way to the pages that will ring, ahead of the ledger (decision 22)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from calltree.db import Announcement, Store
from calltree.services import inbound_ahead, sealing
from calltree.telephony import events
from calltree.telephony.inbound import callers

TOPIC = "arrives"

log = structlog.get_logger(__name__)


class Heard(Protocol):
    """An event of one node."""

    @property
    def node(self) -> str: ...
    @property
    def event(self) -> events.SwitchEvent: ...


def tell(store: Store, batch: Iterable[Heard], *, key: str, now: datetime) -> None:
    """Tell the pages that will ring who calls, before any of the batch is written down.

    By the thread that writes, which waits for Redis after each commit too: another one beside it
    would be kept from the interpreter by the writing.
    """
    arrivals = [(one.node, one.event) for one in batch if callers.is_arrival(one.event)]
    if arrivals and store.publisher is not None:
        told = _notices(store, arrivals, key, now)
        if told:
            store.publisher(told)


def _notices(
    store: Store, arrivals: list[tuple[str, events.ChannelCreated]], key: str, now: datetime
) -> list[Announcement]:
    """Nothing is told of callers whom a fault hides: they are shown when they are written down."""
    try:
        with store.glance() as look:
            rung = [
                inbound_ahead.rung(
                    store.read,
                    look,
                    channel=event.unique_id,
                    number=event.destination_number,
                    caller=event.caller_number,
                    node=node,
                    now=now,
                )
                for node, event in arrivals
            ]
    except SQLAlchemyError as error:
        log.warning("callers not told ahead", error=type(error).__name__)
        return []
    return [_notice(one, key, now) for one in rung if one is not None]


def _notice(rung: inbound_ahead.Rung, key: str, now: datetime) -> Announcement:
    """With `ids`: user_ids, caller (sealed), number and label (ours), at (ISO 8601)."""
    told = {
        "user_ids": rung.user_ids,
        "caller": sealing.seal_for_now(rung.caller, key=key, purpose=inbound_ahead.PURPOSE),
        "number": rung.number,
        "label": rung.label,
        "at": now.isoformat(),
    }
    return Announcement(TOPIC, told)
