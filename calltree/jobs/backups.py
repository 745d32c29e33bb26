"""The nightly backup: in the lane `bulk`, once a night, again every hour when it failed."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from calltree import runtime
from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.models import Setting
from calltree.services import backups
from calltree.text.days import site_day
from calltree.upkeep.routine import back_up
from calltree.upkeep.words import UpkeepError

log = structlog.get_logger(__name__)

HOUR = 3
"""Local hour from which the night's backup may begin."""
AGAIN = timedelta(hours=1)
CLAIM = "backup_tried"


def run_if_due() -> None:
    """Make the night's backup unless there is one of today; rung for every few seconds."""
    settings, store, now = runtime.settings(), runtime.store(), utcnow()
    if now.astimezone(settings.timezone).hour >= HOUR and claim(store, now):
        run_in(settings, store)


def run_in(settings: Settings, store: Store) -> bool:
    """Make it; False when it failed, which the administrator's screen then says."""
    try:
        path, manifest = back_up(settings, store, out=None)
    except UpkeepError as error:
        log.error("backup failed", why=str(error))
        return False
    log.info("backup verified", file=path.name, rows=sum(manifest.counts.values()))
    return True


def claim(store: Store, now: datetime) -> bool:
    """Note that a try begins; False when none is due or somebody else began it."""
    with store.read() as session:
        if not _due(session, now):
            return False
    with store.write() as session:
        kept = session.get(Setting, CLAIM, with_for_update=True)
        if not _due(session, now):
            return False
        if kept is None:
            session.add(Setting(name=CLAIM, value={"at": now.isoformat()}))
        else:
            kept.value = {"at": now.isoformat()}
        return True


def _due(session: Session, now: datetime) -> bool:
    state = backups.state(session, now=now)
    if state.good_at is not None and site_day(state.good_at) == site_day(now):
        return False
    kept = session.get(Setting, CLAIM, populate_existing=True)
    return kept is None or now - datetime.fromisoformat(kept.value["at"]) >= AGAIN
