"""What is done once a night: figures checked, old rows and files swept, the index merged."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, select

from calltree import bucket as buckets
from calltree import runtime
from calltree.bucket import Bucket
from calltree.db import Store, utcnow
from calltree.jobs import backups, recordings
from calltree.models import AttemptEvent, CustomerList, Setting, SwitchCommand
from calltree.services import figures, list_bin, outbox, recording_space, search
from calltree.text.days import site_day

log = structlog.get_logger(__name__)

HOUR = 3
"""Local hour from which a night's work may begin."""
KEPT_DAYS = 30
BATCH = 500
AT_ONCE = 100
PAUSE_S = 0.02
"""Between batches: a call in progress never waits for the house-keeping."""


def run_if_due() -> None:
    """Do the night's work unless it was done today already; rung for every few seconds."""
    settings = runtime.settings()
    now = utcnow()
    if now.astimezone(settings.timezone).hour >= HOUR and _claim(runtime.store(), now):
        run_in(runtime.store(), settings.exports_dir, now=now)
        far = buckets.of(settings)
        make_room(runtime.store(), settings.recordings_dir, far, now=now)
        if far is not None:
            recordings.carry_all(runtime.store(), settings.recordings_dir, far)
    backups.run_if_due()


def _claim(store: Store, now: datetime) -> bool:
    """Note that today's work has begun; False when somebody did before."""
    today = site_day(now).isoformat()
    with store.read() as session:
        kept = session.get(Setting, "nightly")
        if kept is not None and kept.value.get("day") == today:
            return False
    with store.write() as session:
        kept = session.get(Setting, "nightly", with_for_update=True)
        if kept is None:
            session.add(Setting(name="nightly", value={"day": today}))
            return True
        if kept.value.get("day") == today:
            return False
        kept.value = {"day": today}
        return True


def run_in(store: Store, exports_dir: Path, *, now: datetime) -> None:
    """Do all of it; each part in short transactions and safe to be cut off."""
    repaired = check_figures(store)
    swept = sweep_rows(store, before=now - timedelta(days=KEPT_DAYS))
    files = sweep_files(exports_dir, before=now - timedelta(days=1))
    empty_bin(store, now=now)
    merge_index(store)
    log.info("nightly work done", lists_repaired=repaired, rows=swept, files=files)


def check_figures(store: Store) -> int:
    """Compare every list's kept figures with its records; repair and report what differs."""
    repaired = 0
    with store.read() as session:
        ids = list(session.scalars(select(CustomerList.id).order_by(CustomerList.id)))
    for list_id in ids:
        if _figures_hold(store, list_id):
            continue
        with store.write() as session:
            found = figures.recount(session, list_id=list_id)
        repaired += bool(found)
        log.error("figures of a list differed and were repaired", list_id=list_id, **found)
    return repaired


def _figures_hold(store: Store, list_id: int) -> bool:
    """Count in a read session: the writer is taken only when there is something to repair."""
    with store.read() as session:
        folder = session.get_one(CustomerList, list_id)
        counted = figures.totals(session, list_id=list_id)
    kept = (folder.customers, folder.worked, folder.dials, folder.connects)
    return kept == tuple(counted)


def sweep_rows(store: Store, *, before: datetime) -> int:
    """Remove events' ids, served commands and webhook logs that nothing asks for any more."""
    events = select(AttemptEvent.event_id).where(AttemptEvent.at < before).limit(BATCH)
    commands = select(SwitchCommand.id).where(SwitchCommand.created_at < before).limit(BATCH)
    return (
        _in_batches(store, delete(AttemptEvent).where(AttemptEvent.event_id.in_(events)))
        + _in_batches(store, delete(SwitchCommand).where(SwitchCommand.id.in_(commands)))
        + _in_batches(store, outbox.outdated(before, BATCH))
    )


def _in_batches(store: Store, statement: Any) -> int:
    gone = 0
    while True:
        with store.write() as session:
            result: Any = session.execute(statement)
            count = int(result.rowcount)
        gone += count
        if count < BATCH:
            return gone
        time.sleep(PAUSE_S)


def sweep_files(folder: Path, *, before: datetime) -> int:
    """Remove exports that nobody took."""
    gone = 0
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.is_file() and path.stat().st_mtime < before.timestamp():
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def make_room(
    store: Store, recordings_dir: Path, bucket: Bucket | None = None, *, now: datetime
) -> int:
    """Remove recordings that are kept no longer, then the oldest while there is no room."""
    gone = 0
    for claim in (recording_space.claim_outdated, recording_space.claim_oldest):
        while True:
            with store.write() as session:
                count = claim(session, now=now, most=AT_ONCE)
            if not count:
                break
            recordings.sweep_in(store, recordings_dir, bucket=bucket, now=now)
            gone += count
            time.sleep(PAUSE_S)
    if gone:
        log.info("recordings removed", count=gone)
    return gone


def empty_bin(store: Store, *, now: datetime) -> None:
    """Let go of what has rested in the bin for its time."""
    before, after = now - list_bin.KEPT, 0
    with store.write() as session:
        list_bin.purge_lists(session, before=before, now=now)
    while True:
        with store.write() as session:
            after = list_bin.purge(session, before=before, after=after, most=BATCH // 5, now=now)
        if not after:
            return
        time.sleep(PAUSE_S)


def merge_index(store: Store) -> None:
    """Finish the merging of SQLite's search index that imports put off."""
    if store.engine.dialect.name != "sqlite":
        return
    more = True
    while more:
        with store.write() as session:
            more = search.merge_index(session)
        time.sleep(PAUSE_S)
