"""Postgres' side of backup and restore: pg_dump and pg_restore, found on PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from calltree.upkeep.counting import TABLES, Counts
from calltree.upkeep.words import UpkeepError, _

MEMBER = "database.dump"
_COPY = re.compile(rb'^COPY [^ ]*?\.?"?([a-z0-9_]+)"? \(.*\) FROM stdin;\n$')


def dump(url: str, to: Path) -> Counts:
    """Write a dump in pg_dump's custom format; give the counts of the very moment it holds."""
    with _connected(url) as link:
        link.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        moment = _one(link, "SELECT pg_export_snapshot()")
        schema = _schema(link)
        counts = _counts(link, schema)
        _run(
            *("pg_dump", "--format=custom", "--no-owner", "--no-privileges"),
            *(f"--snapshot={moment}", f"--schema={schema}", f"--file={to}"),
            url=url,
        )
    return counts


def check(file: Path) -> Counts:
    """Read a dump through to its last row; give its counts. Raises UpkeepError."""
    _run("pg_restore", "--list", str(file))
    counts: Counts = {}
    table = ""
    command = [program("pg_restore"), "--data-only", "--file=-", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:
        for line in reader.stdout or ():
            if table:
                if line == b"\\.\n":
                    table = ""
                else:
                    counts[table] += 1
            elif started := _COPY.match(line):
                table = started.group(1).decode()
                counts[table] = 0
    if reader.returncode:
        raise UpkeepError(_("The database in it is damaged: %s") % "pg_restore")
    return {name: counts[name] for name in TABLES if name in counts}


def count(url: str) -> Counts:
    """Count the rows of a database; empty when it has no table."""
    with _connected(url) as link:
        return _counts(link, _schema(link))


def users_of(url: str) -> int:
    """How many others are connected to this database now."""
    with _connected(url) as link:
        return int(
            _one(
                link,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
            )
        )


def put_in_place(dump_file: Path, url: str, *, aside: str) -> bool:
    """Restore a dump; tables that are there move to the schema `aside` first.

    True when there were some. When restoring fails they are moved back.
    """
    with _connected(url) as link:
        schema = _schema(link)
        existed = bool(_counts(link, schema))
        if existed:
            _move_aside(link, schema, aside)
        try:
            _run(
                *("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error"),
                *("--single-transaction", f"--schema={schema}", str(dump_file)),
                url=url,
                database=True,
            )
        except UpkeepError:
            if existed:
                _move_back(link, schema, aside)
            raise
    return existed


def program(name: str) -> str:
    """Find one of Postgres' client programs, or say what to install."""
    found = shutil.which(name)
    if found is None:
        raise UpkeepError(_("%s is not on PATH: apt-get install postgresql-client") % name)
    return found


def _move_aside(link: psycopg.Connection[Any], schema: str, aside: str) -> None:
    with _told(), link.transaction():
        link.execute(
            sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                sql.Identifier(schema), sql.Identifier(aside)
            )
        )
        link.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))


def _move_back(link: psycopg.Connection[Any], schema: str, aside: str) -> None:
    with _told(), link.transaction():
        link.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        link.execute(
            sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                sql.Identifier(aside), sql.Identifier(schema)
            )
        )


def _run(name: str, *arguments: str, url: str = "", database: bool = False) -> None:
    """Run a client program; the password goes by the environment, which others cannot read."""
    conninfo, environment = ("", dict(os.environ))
    if url:
        conninfo, password = _target(url)
        environment["PGPASSWORD"] = password or environment.get("PGPASSWORD", "")
    command = [program(name), *arguments]
    if conninfo:
        command.append(f"--dbname={conninfo}")
    if database:
        environment["PGOPTIONS"] = "-c lock_timeout=10s"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise UpkeepError(f"{name}: {lines[0] if lines else done.returncode}")


def _target(url: str) -> tuple[str, str]:
    """Give the address as libpq has it, without its password, and the password."""
    parts = make_url(url)
    given: dict[str, Any] = {
        "host": parts.host,
        "port": parts.port,
        "user": parts.username,
        "dbname": parts.database,
        **{name: str(value) for name, value in parts.query.items()},
    }
    conninfo = make_conninfo(**{name: value for name, value in given.items() if value})
    return conninfo, parts.password or ""


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    conninfo, password = _target(url)
    whole = make_conninfo(conninfo, password=password) if password else conninfo
    try:
        link = psycopg.connect(whole, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise UpkeepError(_("The database cannot be opened: %s") % _first(error)) from None
    with link:
        yield link


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise UpkeepError(
            _("The tables that are there cannot be moved aside: %s") % _first(error)
        ) from None


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _one(link: psycopg.Connection[Any], query: Any) -> Any:
    row = link.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate or a function gives one row
    return row[0]


def _schema(link: psycopg.Connection[Any]) -> str:
    return str(_one(link, "SELECT current_schema()"))


def _counts(link: psycopg.Connection[Any], schema: str) -> Counts:
    rows = link.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
    there = {row[0] for row in rows}
    return {
        name: int(_one(link, sql.SQL("SELECT count(*) FROM {}").format(
            sql.Identifier(schema, name)
        )))
        for name in TABLES
        if name in there
    }  # fmt: skip
