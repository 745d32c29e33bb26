"""A fresh database for each test, on SQLite and on Postgres.

The schema is made once, from the models; every test then gets a copy of it: a copied file on
SQLite, CREATE DATABASE … TEMPLATE on Postgres. There a copy costs some hundred files, so it is
emptied and given to the next test.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import create_engine

import calltree.models
from calltree.db import Base, prepare_sqlite
from calltree.launch.children import die_with_parent
from tests.ports import free_port

START_S = 120
ROOM = 4 << 30
"""Bytes that must be free where the server's files go."""
SHAPE = """SELECT count(*), sum(hashtext(concat(relname, relkind, attname, atttypid)))
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace AND NOT attisdropped"""
"""Tables, indexes and columns in two numbers: what a test may have changed but not left so."""

EMPTY = """DO $$
    DECLARE
        filled name;
        large text;
    BEGIN
        SET LOCAL session_replication_role = replica;  -- the audit log refuses else
        PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence;
        SELECT string_agg(quote_ident(relname), ', ') INTO large FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
            AND pg_relation_size(oid) > 65536;
        IF large IS NOT NULL THEN
            EXECUTE 'TRUNCATE ' || large || ' CASCADE';
        END IF;
        FOR filled IN SELECT relname FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
            AND pg_relation_size(oid) > 0
        LOOP
            EXECUTE format('DELETE FROM %I', filled);
        END LOOP;
    END $$"""
"""All rows go and ids begin at 1 again.

A table that is truncated gets new files for itself, its indexes and all that refer to it, which
costs more than most tests do; a few rows are deleted. What they leave behind is kept below the ten
pages that the planner takes an empty table for.
"""


def create_schema(url: str) -> None:
    """Make every table of the models in an empty database."""
    assert calltree.models.__name__  # imported for its tables
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        prepare_sqlite(engine)
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    engine.dispose()


class SqliteDatabases:
    """Copies of one file."""

    def __init__(self, folder: Path) -> None:
        self.template = folder / "template.db"
        create_schema(f"sqlite:///{self.template}")

    @contextmanager
    def fresh(self, folder: Path) -> Iterator[str]:
        """Give the URL of a database of one's own for a while."""
        file = folder / "calltree.db"
        shutil.copyfile(self.template, file)
        yield f"sqlite:///{file}"

    @contextmanager
    def empty(self, folder: Path) -> Iterator[str]:
        """Give the URL of a database without a table."""
        yield f"sqlite:///{folder / 'empty.db'}"


class PostgresDatabases:
    """Copies of one template database of a running server; `name` keeps processes apart."""

    def __init__(self, port: int, name: str) -> None:
        self.port = port
        self.template = f"template_{name}"
        self.name = name
        self.count = 0
        self.idle: list[str] = []
        self._run(f"CREATE DATABASE {self.template}")
        create_schema(self.url(self.template))
        with self._link(self.template) as link:
            self.shape = link.execute(SHAPE).fetchone()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def _link(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        dsn = f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"
        return psycopg.connect(dsn, autocommit=True)

    def _run(self, statement: str) -> None:
        with self._link("postgres") as link:
            link.execute(statement.encode())

    @contextmanager
    def fresh(self, folder: Path) -> Iterator[str]:
        """Give the URL of a database of one's own for a while."""
        database = self.idle.pop() if self.idle else self._copy_of(self.template)
        yield self.url(database)
        if self._made_empty(database):
            self.idle.append(database)
        else:
            self._run(f"DROP DATABASE {database} WITH (FORCE)")

    @contextmanager
    def empty(self, folder: Path) -> Iterator[str]:
        """Give the URL of a database without a table."""
        database = self._copy_of("template0")
        try:
            yield self.url(database)
        finally:
            self._run(f"DROP DATABASE {database} WITH (FORCE)")

    def _copy_of(self, template: str) -> str:
        self.count += 1
        database = f"test_{self.name}_{self.count}"
        self._run(f"CREATE DATABASE {database} TEMPLATE {template}")
        return database

    def _made_empty(self, database: str) -> bool:
        """Send everyone away who is left (a killed role's session may hold locks), then all rows.

        False when a test has changed more than rows.
        """
        with self._link(database) as link:
            link.execute(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if link.execute(SHAPE).fetchone() != self.shape:
                return False
            link.execute(EMPTY)
        return True


def postgres_programs() -> Path | None:
    """Where Debian keeps initdb and postgres; the newest version of them."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4])
    )
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _unprivileged() -> dict[str, object]:
    """Postgres refuses root; Debian's package brings a user for it."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _quickest() -> Path:
    """Memory if there is plenty: emptying tables makes and removes files all the time."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > ROOM
    return memory if roomy and os.access(memory, os.W_OK) else Path("/tmp")


class NoPostgres(RuntimeError):
    """There is no Postgres on this machine."""


class PostgresServer:
    """A server of our own on a free loopback port, its files in a temporary folder.

    Nothing in it outlives the run, so it never waits for a disk; a locale of ICU's or C.UTF-8,
    because LC_CTYPE C knows no Japanese letter.
    """

    def __init__(self) -> None:
        programs = postgres_programs()
        if programs is None:
            raise NoPostgres("these tests need Postgres: apt-get install postgresql")
        self.folder = Path(tempfile.mkdtemp(prefix="calltree-pg-", dir=_quickest()))
        who = _unprivileged()
        if who:
            os.chown(self.folder, int(str(who["user"])), int(str(who["group"])))
        subprocess.run(
            [
                str(programs / "initdb"),
                *("-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions"),
            ],
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            **who,
        )
        self.port = free_port()
        parent = os.getpid()
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [
                str(programs / "postgres"),
                *("-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self.port)),
                *("-k", "", "-c", "fsync=off", "-c", "synchronous_commit=off"),
                *("-c", "full_page_writes=off", "-c", "max_connections=300"),
                *("-c", "log_min_messages=fatal", "-c", "autovacuum=off"),
            ],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=log,
            # SIGINT is its fast shutdown; after a change of user the kernel forgets the request,
            # so it is made last, in the child itself
            preexec_fn=lambda: die_with_parent(parent, 2),
            **who,
        )
        log.close()
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        dsn = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        while True:
            try:
                psycopg.connect(dsn, connect_timeout=10).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text()
                    self.stop()
                    raise RuntimeError(f"Postgres did not start: {log}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it at once and remove its files."""
        if self.process.poll() is None:
            self.process.send_signal(3)
            self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)
