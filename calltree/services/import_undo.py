"""Taking an import back, in the worker: what it overwrote, then what it added (R-LS-7)."""

from __future__ import annotations

import structlog

from calltree.db import Store, announce
from calltree.models import Import, ImportState
from calltree.services import import_updates
from calltree.services.import_sweep import sweep_rows
from calltree.services.import_writing import STALE_S, Claim, Clock, Superseded

log = structlog.get_logger(__name__)


def undo(store: Store, *, import_id: int, clock: Clock, stale_s: float = STALE_S) -> None:
    """Finish an undo that was pressed, from wherever an earlier worker left it."""
    claim = Claim(store, import_id, ImportState.UNDOING, clock)
    try:
        if not claim.take(stale_s):
            return
        import_updates.restore(claim)
        sweep_rows(claim)
        with claim.write() as session:
            given = session.get_one(Import, import_id)
            given.state = ImportState.UNDONE
            given.ended_at = clock()
            announce(session, "imports", import_id=import_id)
    except Superseded:
        log.info("undo taken over", import_id=import_id)
