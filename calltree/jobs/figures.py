"""Figures brought in line after a manager changed what a status means (R-ST-3)."""

from __future__ import annotations

from sqlalchemy import select

from calltree import runtime
from calltree.db import Store, utcnow
from calltree.models import CallRecord
from calltree.services import figures

BATCH = 100


def restate(status_id: int) -> None:
    """Count every record of a status again; safe to run twice and to be cut off."""
    restate_in(runtime.store(), status_id)


def restate_in(store: Store, status_id: int) -> int:
    """Do it in short transactions, so that no call waits; returns how many records were seen."""
    seen, last = 0, 0
    while ids := _next_ids(store, status_id, last):
        with store.write() as session:
            for record in session.scalars(
                select(CallRecord).where(CallRecord.id.in_(ids)).with_for_update()
            ):
                figures.settle(session, record=record, now=utcnow())
        seen, last = seen + len(ids), ids[-1]
    return seen


def _next_ids(store: Store, status_id: int, last: int) -> list[int]:
    with store.read() as session:
        return list(
            session.scalars(
                select(CallRecord.id)
                .where(CallRecord.status_id == status_id, CallRecord.id > last)
                .order_by(CallRecord.id)
                .limit(BATCH)
            )
        )
