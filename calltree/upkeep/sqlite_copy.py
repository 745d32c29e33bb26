"""SQLite's side of backup and restore: the online backup API, a check, a file moved into place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from calltree.upkeep.counting import TABLES, Counts
from calltree.upkeep.words import UpkeepError, _

MEMBER = "database.sqlite"
PAGES = 4096
"""Copied at a time; between two the process may be interrupted."""


def dump(source: Path, to: Path) -> Counts:
    """Copy a database that may be in use; give the counts of the very moment that was copied.

    One read transaction spans both: without it the copy would begin anew with every commit of
    somebody else. SQLite's log grows meanwhile and shrinks again at the next checkpoint.
    """
    if not source.is_file():
        raise UpkeepError(_("There is no database at %s yet.") % source)
    with _opened(f"file:{source}?mode=rw") as origin:
        origin.execute("BEGIN")
        counts = _counts(origin)
        with _opened(f"file:{to}") as copy:
            origin.backup(copy, pages=PAGES)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
        origin.execute("ROLLBACK")
    _sync(to)
    return counts


def check(file: Path) -> Counts:
    """Read a copy through; give its counts. Raises UpkeepError when it is not whole."""
    try:
        with _opened(f"file:{file}?mode=ro&immutable=1") as copy:
            verdict = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(5)")]
            strangers = copy.execute("PRAGMA foreign_key_check").fetchmany(5)
            if verdict != ["ok"]:
                raise UpkeepError(_("The database in it is damaged: %s") % "; ".join(verdict))
            if strangers:
                raise UpkeepError(
                    _("Rows in it point to nothing (table %s).")
                    % ", ".join(sorted({str(row[0]) for row in strangers}))
                )
            return _counts(copy)
    except sqlite3.DatabaseError as error:
        raise UpkeepError(_("The database in it is damaged: %s") % error) from None


def count(file: Path) -> Counts:
    """Count the rows of a database in use; empty when there is none."""
    if not file.is_file():
        return {}
    with _opened(f"file:{file}?mode=rw") as origin:
        return _counts(origin)


def users_of(file: Path) -> list[int]:
    """Process ids that have this file open, our own left out. Those of other users are unseen."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            opened = any(link.readlink() == file for link in (process / "fd").iterdir())
        except OSError:  # it ended, or is somebody else's
            continue
        if opened and int(process.name) != os.getpid():
            found.append(int(process.name))
    return sorted(found)


def put_in_place(new: Path, target: Path, *, aside: Path) -> bool:
    """Move a checked copy to where the database is; the one that was there goes to `aside`.

    True when there was one. Nobody may have it open: a process that has would go on writing to
    the file that was moved away.
    """
    existed = target.is_file()
    if existed:
        with _opened(f"file:{target}?mode=rw") as old:  # closing the last link empties the log
            busy = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if busy:
                raise UpkeepError(_("The database is in use: stop CALLTREE first."))
        target.rename(aside)
        for ending in ("-wal", "-shm"):
            Path(f"{target}{ending}").unlink(missing_ok=True)
    new.replace(target)
    target.chmod(0o640)
    _sync(target.parent)
    return existed


def _counts(database: sqlite3.Connection) -> Counts:
    there = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
    return {
        name: int(database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608 - own table names
        for name in TABLES
        if name in there
    }


@contextmanager
def _opened(uri: str) -> Iterator[sqlite3.Connection]:
    try:
        database = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
    except sqlite3.OperationalError as error:
        raise UpkeepError(_("The database cannot be opened: %s") % error) from None
    with closing(database):
        yield database


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
