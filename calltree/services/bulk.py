"""Bulk work on customers, bans and call records: what a press does, one transaction each.

The worker's part is `services.bulk_run`. What was done before a cancel or a failure stays done, and
the job says how much that was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import Announcement, announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import BulkJob, BulkKind, BulkState
from calltree.services import audit
from calltree.services.rights import Right, Viewer

PAGE = 50
BELL_S = 15
"""A bell of the sweep that waited for so long is not needed any more: the next has been rung."""
RIGHTS = {
    BulkKind.BAN_ADD: Right.ADD_BANS,
    BulkKind.BAN_RELEASE: Right.RELEASE_BANS,
    BulkKind.BAN_RELEASE_FOUND: Right.RELEASE_BANS,
    BulkKind.RECORD_DELETE: Right.DELETE_RECORDS,
    BulkKind.RECORDING_ZIP: Right.DOWNLOAD_RECORDINGS,
    BulkKind.CUSTOMER_ASSIGN: Right.GRANT_LISTS,
    BulkKind.CUSTOMER_MOVE: Right.BULK_WORK,
    BulkKind.CUSTOMER_RESET: Right.BULK_WORK,
    BulkKind.CUSTOMER_DELETE: Right.BULK_WORK,
    BulkKind.CUSTOMER_RESTORE: Right.BULK_WORK,
    BulkKind.CUSTOMER_DEDUPE: Right.BULK_WORK,
    BulkKind.WHAT_IF: Right.RUN_CAMPAIGNS,
}
WORKING = (BulkState.CHECKING, BulkState.RUNNING)
ENDED = (BulkState.DONE, BulkState.CANCELLED, BulkState.FAILED)


def receive(
    session: Session,
    *,
    viewer: Viewer,
    kind: BulkKind,
    filename: str,
    stored_name: str,
    size_bytes: int,
    choices: dict[str, Any],
    now: datetime,
) -> BulkJob:
    """Take a stored file in and have it checked; nothing is done before it is started.

    Raises NotAllowed.
    """
    job = _new(session, viewer, kind, BulkState.CHECKING, choices, now)
    job.filename, job.stored_name, job.size_bytes = filename[-256:], stored_name, size_bytes
    session.flush()
    _note(session, viewer, job, "uploaded", now)
    _ring(session, job, "check", lane="soon")
    return job


def begin(
    session: Session,
    *,
    viewer: Viewer,
    kind: BulkKind,
    choices: dict[str, Any],
    count: int,
    search: str = "",
    said: Mapping[str, Any] | None = None,
    now: datetime,
) -> BulkJob:
    """Let the worker do it to `count` rows that were chosen or found. Raises NotAllowed.

    `search` is how the audit log tells which, `said` what else it tells.
    """
    job = _new(session, viewer, kind, BulkState.RUNNING, choices, now)
    job.rows_total, job.started_at = count, now
    session.flush()
    _note(session, viewer, job, "started", now, count=count, search=search, **(said or {}))
    _ring(session, job, "run")
    return job


def _new(
    session: Session,
    viewer: Viewer,
    kind: BulkKind,
    state: BulkState,
    choices: dict[str, Any],
    now: datetime,
) -> BulkJob:
    if not viewer.may(RIGHTS[kind]):
        raise NotAllowed(RIGHTS[kind])
    job = BulkJob(kind=kind, state=state, user_id=viewer.user_id, choices=choices, created_at=now)
    session.add(job)
    return job


def get(session: Session, *, viewer: Viewer, job_id: int, lock: bool = False) -> BulkJob:
    """Return a job that the viewer may do. Raises NotFound."""
    query = select(BulkJob).where(BulkJob.id == job_id)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None or not viewer.may(RIGHTS[found.kind]):
        raise NotFound
    return found


def recent(
    session: Session, *, viewer: Viewer, kinds: Collection[BulkKind], most: int = PAGE
) -> list[BulkJob]:
    """Return the newest jobs of these kinds that the viewer may do."""
    mine = [kind for kind in kinds if viewer.may(RIGHTS[kind])]
    query = select(BulkJob).where(BulkJob.kind.in_(mine)).order_by(BulkJob.id.desc()).limit(most)
    return list(session.scalars(query))


def to_do(job: BulkJob) -> int:
    """Say how many numbers of a checked file would be entered or released."""
    counts = job.findings.get("counts", {})
    return int(counts.get("new" if job.kind is BulkKind.BAN_ADD else "found", 0))


def check_typed(typed: str, count: int) -> None:
    """Raise Refused 'count_differs' unless the person typed how many rows it concerns."""
    digits = typed.translate(_NARROW).replace(",", "").strip()
    if digits != str(count):
        raise Refused("count_differs", field="confirmation", count=f"{count:,}")


_NARROW = str.maketrans("０１２３４５６７８９，", "0123456789,")


def start(
    session: Session, *, viewer: Viewer, job_id: int, typed: str = "", now: datetime
) -> BulkJob:
    """Let the worker do what the check of the file found. A second press changes nothing.

    Raises NotFound; Refused 'bulk_not_ready', 'bulk_nothing', and for a release 'count_differs'.
    """
    job = get(session, viewer=viewer, job_id=job_id, lock=True)
    if job.state is BulkState.RUNNING or job.state in ENDED:
        return job
    if job.state is not BulkState.CHECKED or job.findings.get("refused"):
        raise Refused("bulk_not_ready")
    count = to_do(job)
    if not count:
        raise Refused("bulk_nothing")
    if job.kind is BulkKind.BAN_RELEASE:
        check_typed(typed, count)
    job.state, job.started_at = BulkState.RUNNING, now
    job.heartbeat_at = None
    _note(session, viewer, job, "started", now, count=count)
    _ring(session, job, "run")
    return job


def cancel(session: Session, *, viewer: Viewer, job_id: int, now: datetime) -> BulkJob:
    """Ask a run to stop, or drop a file that was never run."""
    job = get(session, viewer=viewer, job_id=job_id, lock=True)
    waiting = job.state is BulkState.RUNNING and job.heartbeat_at is None
    if job.state is BulkState.RUNNING:
        job.cancel_requested = True
    if waiting or job.state in (BulkState.CHECKING, BulkState.CHECKED):
        job.state, job.ended_at = BulkState.CANCELLED, now
        _note(session, viewer, job, "cancelled", now)
    announce(session, "bulk", job_id=job.id)
    return job


def end(
    session: Session,
    *,
    viewer: Viewer | None,
    job: BulkJob,
    state: BulkState,
    failure: str = "",
    now: datetime,
) -> None:
    """Close a job and say in the audit log what it did."""
    job.state, job.failure, job.ended_at, job.heartbeat_at = state, failure, now, None
    said = {"failure": failure} if failure else {}
    _note(session, viewer, job, state.value, now, **job.counts, **said)
    announce(session, "bulk", job_id=job.id)


def _note(
    session: Session, viewer: Viewer | None, job: BulkJob, verb: str, now: datetime, **said: Any
) -> None:
    audit.note(
        session,
        viewer=viewer,
        action=f"bulk.{job.kind.value}.{verb}",
        kind="bulk",
        object_id=job.id,
        now=now,
        **{name: value for name, value in said.items() if value not in (None, "")},
    )


def _ring(session: Session, job: BulkJob, what: str, *, lane: str = "bulk") -> None:
    announce(session, "job", lane=lane, func=f"calltree.jobs.bulk.{what}", args=[job.id])
    announce(session, "bulk", job_id=job.id)


def unfinished(session: Session) -> list[BulkJob]:
    """Return what waits for a worker, or was left by one: to be checked or gone on with."""
    return list(
        session.scalars(select(BulkJob).where(BulkJob.state.in_(WORKING)).order_by(BulkJob.id))
    )


def bell(job: BulkJob) -> Announcement:
    """Give the bell of what takes an unfinished job further, see `imports.bell`."""
    checking = job.state is BulkState.CHECKING
    lane, what = ("soon", "check") if checking else ("bulk", "run")
    func = f"calltree.jobs.bulk.{what}"
    return Announcement("job", {"lane": lane, "func": func, "args": [job.id], "ttl": BELL_S})
