"""Putting a backup back: checked first, the old database left beside, reconcile told to wait."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import select

from calltree.config import Settings
from calltree.db import Store
from calltree.models import Setting, Site
from calltree.models.leases import Lease
from calltree.services import audit, backups, leases
from calltree.upkeep import backup, postgres_dump, sqlite_copy
from calltree.upkeep.backup import Manifest
from calltree.upkeep.counting import Counts, is_empty, told
from calltree.upkeep.words import UpkeepError, _

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def present(settings: Settings) -> Counts:
    """Count what a restore would put aside; empty when there is no table yet."""
    file = backup.database_file(settings)
    return sqlite_copy.count(file) if file else postgres_dump.count(settings.database_url)


def restore(
    settings: Settings,
    store: Store,
    file: Path,
    *,
    sure: bool,
    upgrade: Callable[[], None],
    now: datetime,
) -> tuple[Manifest, str]:
    """Replace the database by a backup's; give its manifest and where the old one is.

    `sure`: even when the present database is not empty. `upgrade` brings the tables to this
    version. Raises UpkeepError, and then the present database is what it was.
    """
    manifest = backup.read_manifest(file)
    _fits(settings, manifest)
    there = present(settings)
    if not is_empty(there) and not sure:
        raise UpkeepError(
            _("The present database is not empty (%s). Say --yes to put it aside.") % told(there)
        )
    store.engine.dispose()
    _unused(settings, store, there)
    stamp = f"{now.astimezone(settings.timezone):%Y%m%d_%H%M%S}"
    target = backup.database_file(settings)
    folder = target.parent if target else file.parent
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".calltree-", dir=folder) as work:
            _manifest, dumped = backup.unpack(file, Path(work))
            aside = _replace(settings, target, dumped, stamp)
    except OSError as error:
        raise UpkeepError(_("The backup cannot be restored: %s") % error) from None
    store.engine.dispose()
    upgrade()
    _mark(store, file, manifest, now)
    if manifest.files:
        _files(settings, file)
    return manifest, aside


def _fits(settings: Settings, manifest: Manifest) -> None:
    kind = "sqlite" if backup.database_file(settings) else "postgresql"
    if manifest.database != kind:
        words = {"theirs": manifest.database, "ours": kind}
        raise UpkeepError(
            _("The backup is of %(theirs)s and DATABASE_URL names %(ours)s: they must be alike.")
            % words
        )
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if manifest.revision and manifest.revision not in known:
        raise UpkeepError(_("The backup was made by a newer CALLTREE: update this one first."))


def _unused(settings: Settings, store: Store, there: Counts) -> None:
    """Refuse while CALLTREE runs: its processes would go on with a database that is gone."""
    file = backup.database_file(settings)
    if file is not None and (pids := sqlite_copy.users_of(file)):
        words = ", ".join(str(pid) for pid in pids)
        raise UpkeepError(_("CALLTREE is running (processes %s): stop it first.") % words)
    if "leases" not in there:
        return
    with store.read() as session:
        held = session.scalar(
            select(Lease.until).where(Lease.name == leases.SWITCH, Lease.holder != "")
        )
        running = held is not None and held > leases.database_now(session)
    store.engine.dispose()
    if running:
        raise UpkeepError(_("CALLTREE is running: stop it first."))
    if file is None and (others := postgres_dump.users_of(settings.database_url)):
        raise UpkeepError(
            _("The database is in use by %s connections: stop CALLTREE first.") % others
        )


def _replace(settings: Settings, target: Path | None, dumped: Path, stamp: str) -> str:
    if target is not None:
        aside = target.with_name(f"{target.name}.before-{stamp}")
        existed = sqlite_copy.put_in_place(dumped, target, aside=aside)
        return str(aside) if existed else ""
    schema = f"before_{stamp}"
    existed = postgres_dump.put_in_place(dumped, settings.database_url, aside=schema)
    return schema if existed else ""


def _mark(store: Store, file: Path, manifest: Manifest, now: datetime) -> None:
    """Reconcile hangs up nothing for a while: rows may be what is missing, not calls."""
    with store.write() as session:
        if session.get(Site, 1) is not None and session.get(Setting, backups.RESTORED) is None:
            backups.note_restored(session, now=now)
        audit.note(
            session,
            viewer=None,
            action="backup.restored",
            now=now,
            file=file.name,
            made_at=manifest.made_at,
        )


def _files(settings: Settings, file: Path) -> None:
    """Put back the recordings and uploads that are not there; what is there stays."""
    roots = {"recordings": settings.recordings_dir, "uploads": settings.uploads_dir}
    with tarfile.open(file) as tar:
        for head in tar:
            kind, _slash, name = head.name.partition("/")
            if kind not in roots or not head.isfile():
                continue
            root = roots[kind].resolve()
            path = (root / name).resolve()
            if not name or not path.is_relative_to(root):
                raise UpkeepError(_("A name in the backup leaves its directory: %s") % head.name)
            member = tar.extractfile(head)
            if path.exists() or member is None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as out:
                shutil.copyfileobj(member, out)
            path.chmod(0o640)
