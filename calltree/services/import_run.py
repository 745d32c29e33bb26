"""Carrying an import out, in the worker (R-LS-7).

Rows are written in short transactions to customers that nobody sees, and appear together when one
row of `imports` changes. 更新 of existing customers follows, each with what it overwrote. A worker
that dies leaves rows that nobody sees; the next one sweeps them and begins again.
"""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import select

from calltree.db import Store, announce
from calltree.models import CustomerList, Import, ImportState, Project
from calltree.services import figures, import_rows, import_updates, names
from calltree.services.import_analysis import Analysis, analyse
from calltree.services.import_check import MAX_CUSTOMERS, Action, Verdict
from calltree.services.import_sweep import sweep_rows
from calltree.services.import_undo import ADDED
from calltree.services.import_writing import STALE_S, Cancelled, Claim, Clock, Superseded

log = structlog.get_logger(__name__)


class Failed(Exception):
    """The run cannot go on; the code is kept for the page."""


def run(
    store: Store, *, uploads_dir: Path, import_id: int, clock: Clock, stale_s: float = STALE_S
) -> None:
    """Take a started import to its end, from wherever an earlier worker left it."""
    claim = Claim(store, import_id, ImportState.RUNNING, clock)
    try:
        if claim.take(stale_s):
            _load(claim, uploads_dir)
        finishing = Claim(store, import_id, ImportState.UPDATING, clock)
        if finishing.take(stale_s):
            import_updates.apply(finishing)
            _finish(finishing)
    except Superseded:
        log.info("import taken over", import_id=import_id)


def _load(claim: Claim, uploads_dir: Path) -> None:
    try:
        sweep_rows(claim)
        found = _analysed(claim, uploads_dir)
        import_rows.write(claim, found)
        _publish(claim, found)
    except Cancelled:
        _end(claim, ImportState.CANCELLED, "")
    except Failed as failure:
        _end(claim, ImportState.FAILED, str(failure))
    except (Superseded, KeyboardInterrupt):
        raise
    except Exception:  # raised again; only the manager is told that it ended
        _end(claim, ImportState.FAILED, "unexpected")
        raise


def _analysed(claim: Claim, uploads_dir: Path) -> Analysis:
    with claim.store.read() as session:
        given = session.get_one(Import, claim.import_id)
    try:
        found = analyse(
            claim.store, path=uploads_dir / given.stored_name, given=given, now=claim.clock()
        )
    except FileNotFoundError as error:
        raise Failed("file_gone") from error
    if found.verdict not in (Verdict.ROWS_WRONG, Verdict.FINE):
        raise Failed("changed_meanwhile")
    return found


def _publish(claim: Claim, found: Analysis) -> None:
    """Let all good rows appear: one row of `imports`, the list's head and its figures."""
    layout, plan = found.ready
    with claim.write(rows_done=len(plan.rows)) as session:
        given = session.scalars(
            select(Import).where(Import.id == claim.import_id).with_for_update()
        ).one()
        folder = session.scalars(
            select(CustomerList).where(CustomerList.id == given.list_id).with_for_update()
        ).one()
        project = session.get_one(Project, given.project_id)
        added_columns = layout.columns if given.new_list_name else layout.added
        known = layout.columns[: len(layout.columns) - len(layout.added)]
        if list(folder.columns) != list(known) or (folder.deleted_at and not given.new_list_name):
            raise Failed("changed_meanwhile")
        if names.column_clashes(session, project=project, columns=added_columns):
            raise Failed("changed_meanwhile")
        added = plan.count(Action.ADD)
        if folder.customers + added > MAX_CUSTOMERS:
            raise Failed("changed_meanwhile")
        if layout.added:
            folder.columns = list(layout.columns)
            given.findings = {**given.findings, ADDED: list(layout.added)}
        if given.new_list_name:
            folder.deleted_at = None
        figures.add_customers(session, list_id=folder.id, count=added)
        updates = plan.count(Action.UPDATE)
        given.counts = plan.counts()
        given.published_at = claim.clock()
        given.state = ImportState.UPDATING if updates else ImportState.DONE
        if not updates:
            given.ended_at = given.published_at
        announce(session, "imports", import_id=given.id)


def _finish(claim: Claim) -> None:
    with claim.write() as session:
        given = session.get_one(Import, claim.import_id)
        given.state = ImportState.DONE
        given.ended_at = claim.clock()
        announce(session, "imports", import_id=given.id)


def _end(claim: Claim, state: ImportState, failure: str) -> None:
    """Give a run up; then take away what it wrote."""
    with claim.store.write() as session:
        given = session.scalars(
            select(Import)
            .where(Import.id == claim.import_id, Import.state == claim.state)
            .with_for_update()
        ).one_or_none()
        if given is None:
            return
        given.state, given.failure, given.ended_at = state, failure, claim.clock()
        given.heartbeat_at = None
        announce(session, "imports", import_id=given.id)
    sweep(claim.store, import_id=claim.import_id, clock=claim.clock)


def sweep(store: Store, *, import_id: int, clock: Clock) -> None:
    """Remove what a cancelled or failed import left, and the list that it had made."""
    for state in (ImportState.CANCELLED, ImportState.FAILED):
        claim = Claim(store, import_id, state, clock)
        if claim.take(0.0):
            sweep_rows(claim)
            with claim.write() as session:
                given = session.get_one(Import, import_id)
                folder = session.get(CustomerList, given.list_id) if given.list_id else None
                if folder is not None and given.new_list_name and folder.deleted_at is not None:
                    given.list_id = None
                    session.flush()
                    session.delete(folder)
