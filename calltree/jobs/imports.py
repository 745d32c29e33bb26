"""Imports in the worker; the names are those of the services."""

from __future__ import annotations

import structlog

from calltree import runtime
from calltree.db import utcnow
from calltree.models import ImportState
from calltree.services import import_run, import_undo, imports

log = structlog.get_logger(__name__)


def check(import_id: int) -> None:
    """Look at an uploaded file."""
    imports.check(
        runtime.store(),
        uploads_dir=runtime.settings().uploads_dir,
        import_id=import_id,
        now=utcnow(),
    )


def run(import_id: int) -> None:
    """Take a started import to its end."""
    import_run.run(
        runtime.store(),
        uploads_dir=runtime.settings().uploads_dir,
        import_id=import_id,
        clock=utcnow,
    )


def undo(import_id: int) -> None:
    """Take an import back."""
    import_undo.undo(runtime.store(), import_id=import_id, clock=utcnow)


def sweep_one(import_id: int) -> None:
    """Remove what a cancelled import left."""
    import_run.sweep(runtime.store(), import_id=import_id, clock=utcnow)


def sweep() -> None:
    """Finish what an earlier worker left: called when a worker starts."""
    with runtime.store().read() as session:
        left = [(found.id, found.state) for found in imports.unfinished(session)]
    for import_id, state in left:
        log.info("import resumed", import_id=import_id, state=state.value)
        if state is ImportState.CHECKING:
            check(import_id)
        elif state is ImportState.UNDOING:
            undo(import_id)
        elif state in (ImportState.CANCELLED, ImportState.FAILED):
            sweep_one(import_id)
        else:
            run(import_id)
