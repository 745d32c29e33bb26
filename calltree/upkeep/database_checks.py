"""What `doctor` looks at in the database, and whether the recordings that it names are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from calltree import bucket
from calltree.config import Settings
from calltree.db import Store
from calltree.models import Recording, RecordingState
from calltree.services import leaving_practice, recording_problems
from calltree.services import recordings as recording_rows
from calltree.upkeep import backup
from calltree.upkeep.findings import Finding, green, red, yellow
from calltree.upkeep.words import _

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
LOOKED_AT = 2000
LOOKED_AT_FAR = 20
"""Each is a request to the store."""
"""So many of the newest recordings are looked for on disk."""
OLDEST_POSTGRES = 14
UNFIT_LOCALES = {"C", "POSIX"}
PART = "database"


def look(settings: Settings, store: Store) -> Iterator[Finding]:
    """Look at the database's kind, tables, settings and rows."""
    at, heads = backup.revision_of(store), _heads()
    if at not in heads:
        yield red(
            PART,
            _("Its tables are not of this version (%s).") % (at or _("none")),
            "flask --app wsgi upgrade",
        )
        return
    with store.read() as session:
        why = leaving_practice.mismatch(session, practice=settings.practice)
        if why:
            yield red(
                PART,
                _("Practice and real records would mix (%s).") % why,
                "docs/reference/commands-and-variables.md",
            )
        sqlite = store.engine.dialect.name == "sqlite"
        yield from _sqlite(session) if sqlite else _postgres(session)


def _heads() -> set[str]:
    return set(ScriptDirectory(str(MIGRATIONS)).get_heads())


def _sqlite(session: Session) -> Iterator[Finding]:
    mode = session.scalar(text("PRAGMA journal_mode"))
    verdict = session.scalar(text("PRAGMA quick_check(1)"))
    if verdict != "ok":
        yield red(PART, _("It is damaged: %s") % verdict, "flask --app wsgi restore FILE")
    strangers = session.execute(text("PRAGMA foreign_key_check")).fetchmany(1)
    if strangers:
        yield red(
            PART,
            _("Rows of %s point to nothing.") % strangers[0][0],
            "flask --app wsgi restore FILE",
        )
    if mode != "wal":
        yield red(
            PART,
            _("It cannot keep a write-ahead log (%s): pages would wait for each other.") % mode,
            _("DATABASE_URL on a local disk, not on a network file system."),
        )
    if verdict == "ok" and not strangers and mode == "wal":
        version = session.scalar(text("SELECT sqlite_version()"))
        yield green(PART, _("SQLite %s, whole, tables up to date") % version)


def _postgres(session: Session) -> Iterator[Finding]:
    version = int(session.scalar(text("SHOW server_version_num")) or 0) // 10000
    row = session.execute(
        text(
            "SELECT pg_encoding_to_char(encoding), datctype, "
            "coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') FROM pg_database d "
            "WHERE datname = current_database()"
        )
    ).one()
    encoding, locale, provider = str(row[0]), str(row[1]), str(row[2])
    todo = (
        "createdb --encoding UTF8 --template template0 --locale C.UTF-8 calltree; "
        "flask --app wsgi restore FILE"
    )
    if provider == "c" and locale in UNFIT_LOCALES:
        yield red(PART, _("LC_CTYPE is %s: Japanese cannot be searched.") % locale, todo)
    if encoding != "UTF8":
        yield red(PART, _("Its encoding is %s.") % encoding, todo)
    if version < OLDEST_POSTGRES:
        yield yellow(
            PART, _("Postgres %s is no longer maintained.") % version, _("Update Postgres.")
        )
    fit = encoding == "UTF8" and not (provider == "c" and locale in UNFIT_LOCALES)
    if fit:
        yield green(PART, _("Postgres %s, tables up to date") % version)


def recordings(settings: Settings, store: Store) -> Iterator[Finding]:
    """Look for the newest recordings' files, and count what was found wrong with any."""
    with store.read() as session:
        problems = recording_problems.count_problems(session)
        total = session.scalar(
            select(func.count(Recording.id)).where(Recording.state == RecordingState.STORED)
        )
        rows = session.scalars(
            select(Recording)
            .where(Recording.state == RecordingState.STORED)
            .order_by(Recording.id.desc())
            .limit(LOOKED_AT)
        ).all()
    root = settings.recordings_dir
    lost = [row.stored_name for row in rows if not _there(root, row)]
    far = bucket.of(settings)
    if far is not None and lost:
        try:
            lost = [name for name in lost[:LOOKED_AT_FAR] if far.size(name) is None]
        except bucket.BucketDown as why:
            yield red(
                "recordings",
                _("The store of recordings (RECORDINGS_S3) cannot be used: %s.") % why,
                _("Look at its address, its bucket and the access key; playing waits until then."),
            )
            return
    if lost:
        yield red(
            "recordings",
            _("%(n)s of the newest %(of)s files are not there, such as %(name)s.")
            % {"n": len(lost), "of": len(rows), "name": lost[0]},
            _("Look whether the disk is mounted; restore them from a backup with --files."),
        )
    if problems:
        yield yellow(
            "recordings",
            _("%s recordings have problems that nobody has looked at.") % problems,
            _("Open Recording problems on the admin screen."),
        )
    if not lost and not problems:
        yield green("recordings", _("%s kept, none lost") % f"{total or 0:,}")


def _there(root: Path, row: Recording) -> bool:
    name = row.stored_name or row.raw_name
    return not name or recording_rows.path_below(root, name).is_file()
