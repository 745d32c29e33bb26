"""One backup from beginning to end: made, noted for the screens, the oldest removed."""

from __future__ import annotations

from pathlib import Path

from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.services import backups
from calltree.upkeep import backup
from calltree.upkeep.backup import Manifest
from calltree.upkeep.words import UpkeepError


def back_up(
    settings: Settings, store: Store, *, out: Path | None, files: bool = False
) -> tuple[Path, Manifest]:
    """Make a verified backup, note it for the screens, and keep the newest few.

    For the command and for the night alike. Raises UpkeepError after noting why.
    """
    folder = out or settings.backups_dir
    try:
        path, manifest = backup.make(settings, store, folder, files=files, now=utcnow())
    except UpkeepError as error:
        with store.write() as session:
            backups.note_failed(session, problem=str(error), now=utcnow())
        raise
    with store.write() as session:
        backups.note_good(session, file=str(path), size_bytes=path.stat().st_size, now=utcnow())
    if folder == settings.backups_dir:
        backup.keep(folder, settings.backup_keep)
    return path, manifest
