"""A backup is one tar file: the database, what it was made from, and a list of the recordings.

Members: `database.sqlite.gz` or `database.dump`, `recordings.tsv`, with `files` also
`recordings/…` and `uploads/…`, and last `manifest.json` with every member's SHA-256. It is written
beside, read through again, compared, and only then gets its name.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import psycopg
from sqlalchemy import Row, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from calltree.config import Settings
from calltree.db import Store
from calltree.models import Recording, RecordingState, Site
from calltree.upkeep import postgres_dump, sqlite_copy
from calltree.upkeep.counting import Counts
from calltree.upkeep.words import UpkeepError, _

FORMAT = 1
MANIFEST = "manifest.json"
RECORDINGS = "recordings.tsv"
SQLITE = f"{sqlite_copy.MEMBER}.gz"
POSTGRES = postgres_dump.MEMBER
NAMED = re.compile(r"calltree-\d{8}-\d{6}\.tar")
PIECE = 1 << 20
VARIABLES = (
    *("DATABASE_URL", "REDIS_URL", "ESL_URL", "HOST", "PORT", "SITE_TIMEZONE", "TRUSTED_PROXIES"),
    *("SECRET_KEY", "SWITCH_RECORDINGS", "WEB_WORKERS", "WEB_THREADS", "BACKUP_DIR", "BACKUP_KEEP"),
    "METRICS_TOKEN",
)
"""Told in a backup when they were set: their names, never their values."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    format: int
    made_at: str
    database: str
    """'sqlite' or 'postgresql'."""
    revision: str
    """The migration its tables are at."""
    site_key: str
    site_name: str
    practice: bool
    files: bool
    """Whether the recordings and uploads themselves are in it."""
    counts: Counts
    variables: list[str]
    members: dict[str, dict[str, int | str]]


def make(
    settings: Settings, store: Store, folder: Path, *, files: bool, now: datetime
) -> tuple[Path, Manifest]:
    """Write a backup, read it through, and give its path. Raises UpkeepError; leaves no half."""
    name = f"calltree-{now.astimezone(settings.timezone):%Y%m%d-%H%M%S}.tar"
    part = folder / f".{name}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".calltree-", dir=folder) as work:
            manifest = _write(settings, store, part, Path(work), files=files, now=now)
        verified = verify(part)
        if verified.counts != manifest.counts:
            raise UpkeepError(_("What was written is not what was read: %s") % name)
        part.replace(folder / name)
    except (OSError, sqlite3.Error, psycopg.Error, SQLAlchemyError) as error:
        why = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise UpkeepError(_("The backup cannot be written: %s") % why) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return folder / name, manifest


def verify(file: Path) -> Manifest:
    """Read a backup through: checksums, the database in it, its counts. Raises UpkeepError."""
    with tempfile.TemporaryDirectory(prefix=".calltree-", dir=file.parent) as work:
        return unpack(file, Path(work))[0]


def unpack(file: Path, work: Path) -> tuple[Manifest, Path]:
    """Check every member and put the database into `work`; give the manifest and its path."""
    manifest = read_manifest(file)
    database = work / "database"
    wanted = SQLITE if manifest.database == "sqlite" else POSTGRES
    try:
        with tarfile.open(file) as tar:
            seen = {name: _sha256(member) for name, member in _members(tar) if name != MANIFEST}
            if seen != {name: told["sha256"] for name, told in manifest.members.items()}:
                raise UpkeepError(_("%s is damaged: its checksums do not fit.") % file)
            source = tar.extractfile(wanted)
            assert source is not None  # noqa: S101 - a plain file, as its checksum just said
            with source, database.open("wb") as target:
                packed = wanted.endswith(".gz")
                shutil.copyfileobj(gzip.GzipFile(fileobj=source) if packed else source, target)
    except (tarfile.TarError, EOFError, KeyError, gzip.BadGzipFile) as error:
        raise UpkeepError(_("%(file)s is damaged: %(why)s") % _why(file, error)) from None
    side = sqlite_copy if manifest.database == "sqlite" else postgres_dump
    counts = side.check(database)
    if counts != manifest.counts:
        raise UpkeepError(_("%s is damaged: rows are missing.") % file)
    return manifest, database


def read_manifest(file: Path) -> Manifest:
    """Read what a backup says of itself. Raises UpkeepError for what is none."""
    try:
        with tarfile.open(file) as tar:
            member = tar.extractfile(MANIFEST)
            manifest = Manifest(**json.loads(member.read() if member else b""))
    except OSError as error:
        raise UpkeepError(_("%(file)s cannot be read: %(why)s") % _why(file, error)) from None
    except (tarfile.TarError, KeyError, ValueError, TypeError, EOFError):
        raise UpkeepError(_("%s is no backup of CALLTREE, or only part of one.") % file) from None
    if manifest.format != FORMAT:
        raise UpkeepError(_("%s was made by a newer CALLTREE: update this one first.") % file)
    return manifest


def keep(folder: Path, count: int) -> list[Path]:
    """Remove all but the newest `count` backups of a folder; give what was removed."""
    gone = list_of(folder)[count:]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def list_of(folder: Path) -> list[Path]:
    """Give the backups of a folder, newest first: their names hold the moment."""
    found = folder.glob("calltree-*.tar") if folder.is_dir() else ()
    return sorted((path for path in found if NAMED.fullmatch(path.name)), reverse=True)


def database_file(settings: Settings) -> Path | None:
    """Give SQLite's file; None on Postgres."""
    url = make_url(settings.database_url)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _write(
    settings: Settings, store: Store, part: Path, work: Path, *, files: bool, now: datetime
) -> Manifest:
    sqlite_file = database_file(settings)
    dumped = work / "dump"
    if sqlite_file is not None:
        counts = sqlite_copy.dump(sqlite_file, dumped)
        dumped = _packed(dumped, work / "packed")
    else:
        counts = postgres_dump.dump(settings.database_url, dumped)
    members: dict[str, dict[str, int | str]] = {}
    with _private(part) as file, tarfile.open(fileobj=file, mode="w") as tar:
        members[SQLITE if sqlite_file else POSTGRES] = _add(
            tar, SQLITE if sqlite_file else POSTGRES, dumped
        )
        listed = work / "recordings"
        _list_recordings(settings, store, listed)
        members[RECORDINGS] = _add(tar, RECORDINGS, listed)
        for name, path in _sound_and_uploads(settings) if files else ():
            members[name] = _add(tar, name, path)
        manifest = _manifest(settings, store, counts, members, files=files, now=now)
        body = json.dumps(asdict(manifest), ensure_ascii=False, indent=1).encode()
        head = tarfile.TarInfo(MANIFEST)
        head.size, head.mode, head.mtime = len(body), 0o600, int(now.timestamp())
        tar.addfile(head, io.BytesIO(body))
    return manifest


def _manifest(
    settings: Settings,
    store: Store,
    counts: Counts,
    members: dict[str, dict[str, int | str]],
    *,
    files: bool,
    now: datetime,
) -> Manifest:
    # by column: before an upgrade the tables are older than the models
    with store.read() as session:
        site = session.execute(select(Site.site_key, Site.name, Site.practice)).first()
    return Manifest(
        format=FORMAT,
        made_at=now.isoformat(),
        database=store.engine.dialect.name,
        revision=revision_of(store),
        site_key=site.site_key if site else "",
        site_name=site.name if site else "",
        practice=site.practice if site else settings.practice,
        files=files,
        counts=counts,
        variables=[name for name in VARIABLES if os.environ.get(name)],
        members=members,
    )


def revision_of(store: Store) -> str:
    """Give the migration that the database's tables are at; empty when none was run."""
    from alembic.migration import MigrationContext

    with store.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def _list_recordings(settings: Settings, store: Store, to: Path) -> None:
    """One line a recording that is kept: its name, what its row says, what is on disk."""
    with to.open("w") as out:
        out.write("recording\tname\tsize_in_row\tsize_on_disk\n")
        last = 0
        while rows := _recordings_after(store, last):
            for row in rows:
                name = row.stored_name or row.raw_name
                path = settings.recordings_dir / name
                size = path.stat().st_size if name and path.is_file() else -1
                out.write(f"{row.id}\t{name}\t{row.size_bytes}\t{size}\n")
            last = rows[-1].id


def _recordings_after(store: Store, last: int) -> Sequence[Row[int, str, str, int]]:
    """By key and in short sessions: a long one would keep SQLite's log from shrinking."""
    with store.read() as session:
        return session.execute(
            select(Recording.id, Recording.stored_name, Recording.raw_name, Recording.size_bytes)
            .where(
                Recording.id > last,
                Recording.state.in_((RecordingState.STORED, RecordingState.HIDDEN)),
            )
            .order_by(Recording.id)
            .limit(1000)
        ).all()


def _sound_and_uploads(settings: Settings) -> Iterator[tuple[str, Path]]:
    for prefix, root in (
        ("recordings", settings.recordings_dir),
        ("uploads", settings.uploads_dir),
    ):
        for path in sorted(root.rglob("*")) if root.is_dir() else ():
            if path.is_file() and not path.is_symlink():
                yield f"{prefix}/{path.relative_to(root)}", path


def _packed(source: Path, to: Path) -> Path:
    with source.open("rb") as plain, gzip.open(to, "wb", compresslevel=3) as packed:
        shutil.copyfileobj(plain, packed, PIECE)
    source.unlink()
    return to


def _add(tar: tarfile.TarFile, name: str, path: Path) -> dict[str, int | str]:
    """Add a file as it is now; one that grows meanwhile is taken up to its length at the start."""
    head = tarfile.TarInfo(name)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        head.size, head.mode, head.mtime = status.st_size, 0o600, int(status.st_mtime)
        reader = _Hashing(file)
        tar.addfile(head, reader)
    return {"bytes": head.size, "sha256": reader.digest.hexdigest()}


class _Hashing:
    """Reads a file and hashes what it gave."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for head in tar:
        member = tar.extractfile(head)
        if not head.isfile() or member is None:
            raise UpkeepError(_("%s is no backup of CALLTREE, or only part of one.") % tar.name)
        yield head.name, member


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """A new file that its owner alone can read: it holds every customer."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _why(file: Path, error: Exception) -> dict[str, object]:
    return {"file": file, "why": error}
