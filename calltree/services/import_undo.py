"""Taking an import back, in the worker: what it overwrote, then what it added (R-LS-7)."""

from __future__ import annotations

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from calltree.db import Store, announce
from calltree.models import Customer, CustomerList, Import, ImportState
from calltree.services import import_updates
from calltree.services.import_sweep import sweep_rows
from calltree.services.import_writing import STALE_S, Claim, Clock, Superseded

log = structlog.get_logger(__name__)

ADDED = "added_columns"
"""In `Import.findings`: the columns that the run added to a list there was (列を追加)."""


def undo(store: Store, *, import_id: int, clock: Clock, stale_s: float = STALE_S) -> None:
    """Finish an undo that was pressed, from wherever an earlier worker left it."""
    claim = Claim(store, import_id, ImportState.UNDOING, clock)
    try:
        if not claim.take(stale_s):
            return
        import_updates.restore(claim)
        sweep_rows(claim)
        with store.read() as session:
            unused = _added_unused(session, import_id)
        with claim.write() as session:
            given = session.get_one(Import, import_id)
            if unused:
                _take_columns_back(session, given)
            given.state = ImportState.UNDONE
            given.ended_at = clock()
            announce(session, "imports", import_id=import_id)
    except Superseded:
        log.info("undo taken over", import_id=import_id)


def _added_unused(session: Session, import_id: int) -> bool:
    """Whether it added columns of which nobody else's customer has made use."""
    given = session.get_one(Import, import_id)
    folder = session.get(CustomerList, given.list_id) if given.list_id else None
    if folder is None or not _at_end(folder, given):
        return False
    before = len(folder.columns) - len(given.findings[ADDED])
    sqlite = session.connection().dialect.name == "sqlite"
    length = func.json_array_length if sqlite else func.jsonb_array_length
    longer = session.scalars(
        select(Customer.cells).where(
            Customer.list_id == folder.id,
            or_(Customer.import_id.is_(None), Customer.import_id != given.id),
            length(Customer.cells) > before,
        )
    )
    return not any(any(cells[before:]) for cells in longer)


def _at_end(folder: CustomerList, given: Import) -> bool:
    """A customer's cells are meant by their places, so only the last columns can go."""
    added = given.findings.get(ADDED) or []
    return bool(added) and list(folder.columns)[-len(added) :] == added


def _take_columns_back(session: Session, given: Import) -> None:
    folder = session.scalars(
        select(CustomerList).where(CustomerList.id == given.list_id).with_for_update()
    ).one()
    if _at_end(folder, given):
        folder.columns = list(folder.columns)[: -len(given.findings[ADDED])]
        announce(session, "lists", list_id=folder.id)
