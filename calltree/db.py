"""The database: moments, the declarative base, and the two kinds of session.

A read session never writes; a write session is one short transaction that takes the database's
writer from its first statement (SQLite) and announces what changed only after it committed.
"""

from __future__ import annotations

import enum
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Enum, Integer, MetaData, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session
from sqlalchemy.types import TypeDecorator

from calltree.glance import Glance, Glances
from calltree.text.folding import fold
from calltree.turnstile import Turnstile

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """Aware moments in, aware moments out; SQLite alone would lose the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value and value.astimezone(UTC)


BigId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows only for INTEGER
Json = JSON().with_variant(JSONB(), "postgresql")


def _values(members: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in members]


class Base(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[str]: Json,
        list[int]: Json,
        list[dict[str, Any]]: Json,
        enum.StrEnum: Enum(enum.StrEnum, native_enum=False, length=32, values_callable=_values),
    }


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that changed, told to whoever shows or serves it once it is committed."""

    topic: str
    ids: dict[str, Any]


Publisher = Callable[[list[Announcement]], None]

CLOCK_RATE = "clock_rate"
"""In a session's info: how many times faster than real the site's clocks run."""


class ReadOnlyError(RuntimeError):
    """A read session was asked to write."""


def announce(session: Session, topic: str, **ids: Any) -> None:
    """Tell `topic` after this session commits; nothing is told when it rolls back."""
    told: list[Announcement] = session.info.setdefault("announcements", [])
    notice = Announcement(topic, ids)
    if notice not in told:
        told.append(notice)


class Store:
    """The two kinds of session over one engine.

    `read()` begins deferred and refuses to write. `write()` is one transaction: on SQLite BEGIN
    IMMEDIATE behind one lock per process and a turnstile between processes (so that both queue
    instead of sleeping in SQLite's busy-waits); on Postgres READ COMMITTED. Keep rendering,
    hashing and network out of `write()`.

    SQLite's commits are brought to the disk after the turn: the next writer does not wait for it,
    only whoever wrote and those to whom it is announced (decision 20).
    """

    def __init__(self, engine: Engine, *, clock_rate: float = 1.0) -> None:
        self.engine = engine
        self._told = {CLOCK_RATE: clock_rate}
        self.publisher: Publisher | None = None
        self._glances = Glances(engine)
        self._writer = threading.Lock()
        self._writing = threading.local()
        self._turnstile: Turnstile | None = None
        self._wal: Path | None = None
        if engine.dialect.name == "sqlite":
            prepare_sqlite(engine)
            if engine.url.database not in (None, "", ":memory:"):
                self._turnstile = Turnstile(Path(str(engine.url.database)))
                self._wal = Path(f"{engine.url.database}-wal")
        self._write_engine = engine.execution_options(calltree_writes=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment of the database and never writes."""
        with Session(self.engine, expire_on_commit=False, info=self._told) as session:
            yield session

    def glance(self) -> AbstractContextManager[Glance]:
        """Give quick reads without a transaction, for what somebody waits for."""
        return self._glances.one()

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[Session]:
        """Give a session whose work is committed on leaving, or rolled back on an exception.

        `synced=False` does not wait for SQLite's disk: the commit outlives every process, and is
        lost with the last milliseconds before a power cut. For what is not true any more after one.
        Postgres waits all the same: what it has not written is lost with one process of its own.
        Raises OSError for a disk that fails then; what was committed is there, and not announced.
        """
        if getattr(self._writing, "open", False):
            raise RuntimeError("a write transaction is already open in this thread")
        self._writing.open = True
        try:
            with self._one_writer(), self._session() as session:
                yield session
                session.commit()
                told: list[Announcement] = session.info.get("announcements", [])
        finally:
            self._writing.open = False
        if synced and self._wal is not None:
            bring_to_disk(self._wal)
        self._publish(told)

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        if self.engine.dialect.name != "sqlite":
            yield
            return
        with self._writer, self._turnstile.passed() if self._turnstile else nullcontext():
            yield

    def is_crowded(self) -> bool:
        """Answer whether others have the one writer or wait for it (SQLite; Postgres has many)."""
        return self._turnstile is not None and self._turnstile.is_busy()

    def checkpoint(self) -> None:
        """Carry SQLite's log over into the database, without a writer waiting for most of it.

        A commit that finds the log long does that itself, all of it inside the one writer's turn.
        A bulk writer calls this between its transactions, so that nobody's commit finds it long.
        """
        if self._turnstile is None:
            return
        self._carry_over()
        with self._one_writer():  # what came meanwhile; then the log can begin anew
            self._carry_over()

    def _carry_over(self) -> None:
        connection = self.engine.raw_connection()  # inside a transaction it would be refused
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            connection.close()

    def _session(self) -> Session:
        told = self._told | {"writes": True}
        return Session(self._write_engine, expire_on_commit=False, info=told)

    def _publish(self, told: list[Announcement]) -> None:
        if told and self.publisher is not None:
            self.publisher(told)


def bring_to_disk(wal: Path) -> None:
    """Wait until all that is written to SQLite's log by now is on the disk. Raises OSError.

    A log that is gone or has begun anew was carried over into the database before, and SQLite
    waited for the disk then (synchronous=NORMAL).
    """
    try:
        descriptor = os.open(wal, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def prepare_sqlite(engine: Engine) -> None:
    """Set what SQLite needs on every connection, and begin transactions ourselves.

    The driver's own implicit BEGIN would start a deferred transaction at the first write, and two
    such transactions that have read before can never both go on.
    """

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.create_function("calltree_fold", 1, fold, deterministic=True)
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # A commit alone waits for no disk, Store.write() does; FULL would, inside the turn.
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.execute("PRAGMA cache_size=-16000")
        # Four times the default: a bulk writer comes before it, see Store.checkpoint().
        cursor.execute("PRAGMA wal_autocheckpoint=4000")
        # Debian's SQLite writes zeros over whole pages that are freed, and logs each of them.
        cursor.execute("PRAGMA secure_delete=FAST")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("calltree_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@event.listens_for(Session, "before_flush")
def _refuse_flush(session: Session, _context: Any, _instances: Any) -> None:
    if not session.info.get("writes") and (session.new or session.dirty or session.deleted):
        raise ReadOnlyError("this session only reads; use Store.write()")


@event.listens_for(Session, "do_orm_execute")
def _refuse_statement(state: ORMExecuteState) -> None:
    changes = state.is_insert or state.is_update or state.is_delete
    if changes and not state.session.info.get("writes"):
        raise ReadOnlyError("this session only reads; use Store.write()")


def utcnow() -> datetime:
    """Return this moment. Only the outermost layer calls it; rules are handed `now`."""
    return datetime.now(UTC)
