"""How a bulk job writes: short transactions, a breath between them, one worker at a time.

SQLite has one writer, and a call in progress must never wait for a manager's file: a transaction
aims at `TARGET_S`, is at most `MOST_ROWS` rows, and is followed by a pause in which whoever waits
gets his turn; the log is carried over into the database beside the writers. Postgres needs none of
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from calltree.db import Store, announce
from calltree.models import BulkJob, BulkState, Import, ImportState

TARGET_S = 0.025
PAUSE_S = 0.015
FEWEST_ROWS = 20
MOST_ROWS = 500
CHECKPOINT_ROWS = 600
"""Rows after which SQLite's log is carried over: some 1,500 pages of it."""
POSTGRES_ROWS = 1000
STALE_S = 15.0
"""A worker that has not said a word for so long is dead."""
_LOOK_AGAIN_S = 0.2
_TELL_S = 0.5

Clock = Callable[[], datetime]


class Superseded(Exception):
    """Another worker has this job now, or it has left the state in which we had it."""


class Cancelled(Exception):
    """A person asked the run to stop."""


class Failed(Exception):
    """The run cannot go on; the code is kept for the page."""


@dataclass(slots=True)
class Pace:
    """How many rows the next transaction takes."""

    sqlite: bool
    rows: int = 100

    @classmethod
    def of(cls, store: Store) -> Pace:
        """The pace that a store's database asks for."""
        sqlite = store.engine.dialect.name == "sqlite"
        return cls(sqlite, 100 if sqlite else POSTGRES_ROWS)

    def took(self, seconds: float) -> None:
        """Learn from a transaction, and let others write."""
        if not self.sqlite:
            return
        wanted = int(self.rows * TARGET_S / max(seconds, 0.001))
        self.rows = max(FEWEST_ROWS, min(MOST_ROWS, wanted, self.rows * 2))
        time.sleep(PAUSE_S)


@dataclass(slots=True)
class Claim:
    """One worker's hold on bulk work: whoever wrote the heartbeat last has it.

    Each transaction moves the heartbeat on from the one that we wrote; if it is no longer ours, or
    the state is another, nothing of that transaction stays.
    """

    store: Store
    job_id: int
    state: ImportState | BulkState
    clock: Clock
    pace: Pace = field(init=False)
    _heartbeat: datetime | None = None
    _told: float = 0.0
    _rows_logged: int = 0

    table: ClassVar[type[Import] | type[BulkJob]] = BulkJob

    def __post_init__(self) -> None:
        self.pace = Pace.of(self.store)

    def tell(self, session: Session) -> None:
        """Let the pages that show this job draw it anew."""
        announce(session, "bulk", job_id=self.job_id)

    def before_commit(self, session: Session) -> None:
        """Do what belongs into each transaction of such a job."""

    @contextmanager
    def write(self, **progress: int) -> Iterator[Session]:
        """Give one short transaction. Raises Superseded or Cancelled before anything is written."""
        start = time.perf_counter()
        with self.store.write() as session:
            start = time.perf_counter()
            self._beat(session, progress)
            yield session
            self.before_commit(session)
        self._rows_logged += self.pace.rows
        self.pace.took(time.perf_counter() - start)
        if self.pace.sqlite and self._rows_logged >= CHECKPOINT_ROWS:
            self._rows_logged = 0
            self.store.checkpoint()

    def count(self, session: Session, more: Mapping[str, int]) -> None:
        """Add to what the job's row says was done, in the transaction that does it."""
        job: Any = session.get_one(self.table, self.job_id)
        job.counts = {
            name: job.counts.get(name, 0) + more.get(name, 0) for name in {**job.counts, **more}
        }

    def beat(self) -> None:
        """Say that we live, where a long part writes nothing."""
        with self.store.write() as session:
            self._beat(session, {})

    def _beat(self, session: Session, progress: dict[str, int]) -> None:
        table, moment = self.table, self._moment()
        cancelled = session.execute(
            update(table)
            .where(
                table.id == self.job_id,
                table.state == self.state,
                table.heartbeat_at == self._heartbeat,
            )
            .values(heartbeat_at=moment, **progress)
            .returning(table.cancel_requested)
        ).scalar_one_or_none()
        if cancelled is None:
            raise Superseded
        if cancelled and self.state in (ImportState.RUNNING, BulkState.RUNNING):
            raise Cancelled
        self._heartbeat = moment
        if time.monotonic() - self._told > _TELL_S:
            self._told = time.monotonic()
            self.tell(session)

    def _moment(self) -> datetime:
        moment = self.clock()
        if self._heartbeat is not None and moment <= self._heartbeat:
            return self._heartbeat + timedelta(microseconds=1)
        return moment

    def take(self, stale_s: float = STALE_S) -> bool:
        """Get the job once nobody has it; False if somebody works on it or it has moved on."""
        table = self.table
        seen: datetime | None = None
        while True:
            with self.store.write() as session:
                if self._took_over(session, stale_s):
                    return True
            with self.store.read() as session:
                row = session.execute(
                    select(table.state, table.heartbeat_at).where(table.id == self.job_id)
                ).one_or_none()
            if row is None or row.state is not self.state:
                return False
            if seen is not None and row.heartbeat_at != seen:
                return False
            seen = row.heartbeat_at
            time.sleep(_LOOK_AGAIN_S)

    def _took_over(self, session: Session, stale_s: float) -> bool:
        table, moment = self.table, self.clock()
        dead = moment - timedelta(seconds=stale_s)
        done = session.execute(
            update(table)
            .where(
                table.id == self.job_id,
                table.state == self.state,
                or_(table.heartbeat_at.is_(None), table.heartbeat_at < dead),
            )
            .values(heartbeat_at=moment)
            .returning(table.id)
        ).scalar_one_or_none()
        if done is not None:
            self._heartbeat = moment
        return done is not None
