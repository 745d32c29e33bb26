"""Imports in the worker; the names are those of the services."""

from __future__ import annotations

from calltree import runtime
from calltree.db import utcnow
from calltree.services import import_run, import_undo, imports


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
    """Ring for what was left: by a worker that died, or by a bell that nobody heard."""
    store = runtime.store()
    with store.read() as session:
        left = imports.unfinished(session)
    if left and store.publisher is not None:
        store.publisher([imports.bell(given) for given in left])
