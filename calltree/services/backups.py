"""What the site knows of its backups: the last good one, and why the last try failed (R-AR-4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import Setting, Site, User

SETTING = "backup"
RESTORED = "restored"
LATE = timedelta(hours=26)
"""A nightly backup that is older than this is missing."""


@dataclass(frozen=True, slots=True)
class BackupState:
    """The last good backup and the last try."""

    good_at: datetime | None
    file: str
    size_bytes: int
    tried_at: datetime | None
    problem: str
    """Why the last try failed; empty after a good one."""
    late: bool
    """Red: no good one for `LATE`, though the site has been in use that long."""


def state(session: Session, *, now: datetime) -> BackupState:
    """Return what is known; `late` for the administrator's screen."""
    kept = session.get(Setting, SETTING)
    value = kept.value if kept else {}
    good_at = _moment(value.get("good_at"))
    since = good_at or session.scalar(select(func.min(User.created_at)))
    return BackupState(
        good_at=good_at,
        file=str(value.get("file", "")),
        size_bytes=int(value.get("size_bytes", 0)),
        tried_at=_moment(value.get("tried_at")),
        problem=str(value.get("problem", "")),
        late=since is not None and now - since > LATE,
    )


def note_good(session: Session, *, file: str, size_bytes: int, now: datetime) -> None:
    """Note a backup that was written and verified."""
    _write(
        session,
        good_at=now.isoformat(),
        tried_at=now.isoformat(),
        file=file,
        size_bytes=size_bytes,
        problem="",
    )


def note_failed(session: Session, *, problem: str, now: datetime) -> None:
    """Note a try that failed; the last good one stays what it is."""
    _write(session, tried_at=now.isoformat(), problem=problem[:300])


def note_restored(session: Session, *, now: datetime) -> None:
    """Note that a backup was restored, for the leader who starts on it."""
    session.get_one(Site, 1).restored_at = now
    session.add(Setting(name=RESTORED, value={}))


def begin_after_restore(session: Session, *, now: datetime) -> bool:
    """Let the quiet after a restore begin with the first leader, who may come much later.

    True, and `Site.restored_at` is `now`, when nobody has led since a backup was restored.
    """
    kept = session.get(Setting, RESTORED)
    if kept is None:
        return False
    session.delete(kept)
    session.get_one(Site, 1).restored_at = now
    return True


def _write(session: Session, **changed: object) -> None:
    kept = session.get(Setting, SETTING, with_for_update=True)
    if kept is None:
        kept = Setting(name=SETTING, value={})
        session.add(kept)
    kept.value = {**kept.value, **changed}
    announce(session, "site")


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None
