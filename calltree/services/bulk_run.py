"""Carrying bulk work out, in the worker: short transactions, progress, cancel, going on.

How far it is, is written with the rows themselves; so a worker that takes over goes on where the
last transaction ended, and no row is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import Store, announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import BulkJob, BulkKind, BulkState, CallRecord, DoNotCall, User
from calltree.services import (
    ban_files,
    ban_search,
    bulk,
    customer_run,
    do_not_call,
    duplicates,
    history,
    recording_zip,
    results,
    scope,
    what_if,
)
from calltree.services.ban_search import BanCriteria
from calltree.services.bulk_writing import STALE_S, Cancelled, Claim, Clock, Failed, Superseded
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.recording_zip import Places
from calltree.services.rights import Viewer

log = structlog.get_logger(__name__)

RECORDS_AT_ONCE = 5
"""Records of one transaction: each takes its figures, task and recording along."""


def check(store: Store, *, uploads_dir: Path, job_id: int, now: datetime) -> None:
    """Look at a whole file and keep the findings; nothing else is written."""
    with store.read() as session:
        job = session.get(BulkJob, job_id)
        prefixes = ban_files.prefixes_of(session)
    if job is None or job.state is not BulkState.CHECKING:
        return
    try:
        _keep_findings(store, uploads_dir, job, prefixes, now)
    except Exception:  # raised again; the manager is told, and no sweep tries it for ever
        with store.write() as session:
            given = session.get_one(BulkJob, job_id, with_for_update=True)
            if given.state is BulkState.CHECKING:
                bulk.end(
                    session, viewer=None, job=given, state=BulkState.FAILED,
                    failure="unexpected", now=now,
                )  # fmt: skip
        raise


def _keep_findings(
    store: Store, uploads_dir: Path, job: BulkJob, prefixes: list[str], now: datetime
) -> None:
    job_id = job.id
    try:
        file = ban_files.read(uploads_dir / job.stored_name, prefixes=prefixes)
    except FileNotFoundError:
        found: dict[str, Any] = {"refused": True, "gone": True, "problems": [], "shown": []}
        total = 0
    else:
        with store.read() as session:
            found = ban_files.findings(session, job=job, file=file, now=now)
        total = len(file.numbers)
    with store.write() as session:
        given = session.scalars(select(BulkJob).where(BulkJob.id == job_id).with_for_update()).one()
        if given.state is BulkState.CHECKING:
            given.state, given.findings, given.rows_total = BulkState.CHECKED, found, total
        announce(session, "bulk", job_id=job_id)


def run(
    store: Store,
    *,
    uploads_dir: Path,
    job_id: int,
    clock: Clock,
    stale_s: float = STALE_S,
    recordings: Places | None = None,
) -> None:
    """Take a started job to its end, from wherever an earlier worker left it.

    `recordings` says where sound is and where zips go; only those ask for it.
    """
    claim = Claim(store, job_id, BulkState.RUNNING, clock)
    try:
        if not claim.take(stale_s):
            return
        with store.read() as session:
            job = session.get_one(BulkJob, job_id)
            viewer = _viewer(session, job)
        state, failure = BulkState.DONE, ""
        try:
            if not viewer.may(bulk.RIGHTS[job.kind]):
                raise Failed("not_allowed")
            if job.kind is BulkKind.RECORDING_ZIP and recordings is not None:
                recording_zip.write(claim, job, viewer, recordings)
            else:
                _STEPS[job.kind](claim, job, viewer, uploads_dir)
        except Cancelled:
            state = BulkState.CANCELLED
        except Failed as why:
            state, failure = BulkState.FAILED, str(why)
        except (Superseded, KeyboardInterrupt):
            raise
        except Exception:  # raised again; only the manager is told that it ended
            _end(claim, viewer, BulkState.FAILED, "unexpected")
            raise
        _end(claim, viewer, state, failure)
    except Superseded:
        log.info("bulk work taken over", job_id=job_id)


def _viewer(session: Session, job: BulkJob) -> Viewer:
    """Who asked for it, with the rights of now."""
    return Viewer.of(session.get_one(User, job.user_id))


def _end(claim: Claim, viewer: Viewer, state: BulkState, failure: str) -> None:
    now = claim.clock()
    with claim.store.write() as session:
        job = session.scalars(
            select(BulkJob)
            .where(BulkJob.id == claim.job_id, BulkJob.state == BulkState.RUNNING)
            .with_for_update()
        ).one_or_none()
        if job is not None:
            bulk.end(session, viewer=viewer, job=job, state=state, failure=failure, now=now)


def _enter_file(claim: Claim, job: BulkJob, _viewer: Viewer, uploads_dir: Path) -> None:
    wish = ban_files.wish_of(job)

    def enter(session: Session, numbers: list[str], now: datetime) -> dict[str, int]:
        added = do_not_call.enter(session, numbers=numbers, wish=wish, now=now)
        return {"added": added, "existing": len(numbers) - added}

    _each_part(claim, job, uploads_dir, enter)


def _release_file(claim: Claim, job: BulkJob, _viewer: Viewer, uploads_dir: Path) -> None:
    def release(session: Session, numbers: list[str], now: datetime) -> dict[str, int]:
        banned = ban_files.banned_among(session, numbers=numbers, now=now)
        _release(session, job, [i for ids in banned.values() for i in ids], now)
        return {"released": len(banned), "absent": len(numbers) - len(banned)}

    _each_part(claim, job, uploads_dir, release)


def _release(session: Session, job: BulkJob, ids: list[int], now: datetime) -> int:
    released = do_not_call.release_entries(
        session, entry_ids=ids, user_id=job.user_id, reason=job.choices["reason"], now=now
    )
    return len(released)


Part = Callable[[Session, list[str], datetime], dict[str, int]]


def _each_part(claim: Claim, job: BulkJob, uploads_dir: Path, do: Part) -> None:
    """Go through the file's numbers, a transaction's worth at a time."""
    with claim.store.read() as session:
        prefixes = ban_files.prefixes_of(session)
    try:
        file = ban_files.read(uploads_dir / job.stored_name, prefixes=prefixes)
    except FileNotFoundError as error:
        raise Failed("file_gone") from error
    done = job.rows_done
    while done < len(file.numbers):
        part = file.numbers[done : done + claim.pace.rows]
        done += len(part)
        with claim.write(rows_done=done) as session:
            claim.count(session, do(session, part, claim.clock()))


def _release_found(claim: Claim, job: BulkJob, _viewer: Viewer, _uploads_dir: Path) -> None:
    """Release what was chosen or found; entries made since then are left alone."""
    while True:
        with claim.store.read() as session:
            ids = _still_banned(session, job, claim.pace.rows, claim.clock())
        if not ids:
            return
        with claim.write() as session:
            released = _release(session, job, ids, claim.clock())
            claim.count(session, {"released": released})
            session.get_one(BulkJob, claim.job_id).rows_done += released


def _still_banned(session: Session, job: BulkJob, most: int, now: datetime) -> list[int]:
    asked = job.choices
    if "ids" in asked:
        where = [DoNotCall.id.in_(asked["ids"]), do_not_call.in_force(now)]
    else:
        criteria = BanCriteria.parse([(key, value) for key, value in asked["criteria"]])
        where = [*ban_search.conditions(criteria, now), DoNotCall.id <= asked["last_id"]]
    query = select(DoNotCall.id).where(*where, do_not_call.in_force(now))
    return list(session.scalars(query.order_by(DoNotCall.id).limit(most)))


def _delete_records(claim: Claim, job: BulkJob, viewer: Viewer, _uploads_dir: Path) -> None:
    """Delete the records that were chosen or found, in order of id; live calls are left alone."""
    after = int(job.findings.get("last_id", 0))
    while True:
        with claim.store.read() as session:
            ids = _still_there(session, viewer, job, after)
        if not ids:
            return
        with claim.write() as session:
            deleted = left = 0
            for record_id in ids:
                if _delete(session, viewer, record_id, claim.clock()):
                    deleted += 1
                else:
                    left += 1
            given = session.get_one(BulkJob, claim.job_id)
            given.rows_done += deleted + left
            given.findings = {"last_id": ids[-1]}
            claim.count(session, {"deleted": deleted, "left": left})
        after = ids[-1]


def _still_there(session: Session, viewer: Viewer, job: BulkJob, after: int) -> list[int]:
    asked = job.choices
    where = [scope.records_seen(session, viewer=viewer), CallRecord.id > after]
    if "ids" in asked:
        where.append(CallRecord.id.in_(asked["ids"]))
    else:
        criteria = HistoryCriteria.parse([(key, value) for key, value in asked["criteria"]])
        asked_at = datetime.fromisoformat(asked["at"])
        where += history.conditions(criteria=criteria, now=asked_at)
        where.append(CallRecord.id <= asked["last_id"])
    query = select(CallRecord.id).where(*where).order_by(CallRecord.id)
    return list(session.scalars(query.limit(RECORDS_AT_ONCE)))


def _delete(session: Session, viewer: Viewer, record_id: int, now: datetime) -> bool:
    try:
        results.delete_record(session, viewer=viewer, record_id=record_id, now=now)
    except (NotFound, Refused):  # gone meanwhile, or its call is still going on
        return False
    except NotAllowed as error:
        raise Failed("not_allowed") from error
    return True


def _duplicates(claim: Claim, job: BulkJob, viewer: Viewer, _uploads_dir: Path) -> None:
    duplicates.run(claim, job=job, viewer=viewer)


def _customers(claim: Claim, job: BulkJob, viewer: Viewer, _uploads_dir: Path) -> None:
    customer_run.run(claim, job=job, viewer=viewer)


def _what_if(claim: Claim, job: BulkJob, _viewer: Viewer, _uploads_dir: Path) -> None:
    what_if.run(claim, job=job)


_STEPS: dict[BulkKind, Callable[[Claim, BulkJob, Viewer, Path], None]] = {
    BulkKind.BAN_ADD: _enter_file,
    BulkKind.BAN_RELEASE: _release_file,
    BulkKind.BAN_RELEASE_FOUND: _release_found,
    BulkKind.RECORD_DELETE: _delete_records,
    **dict.fromkeys(customer_run.STEPS, _customers),
    BulkKind.CUSTOMER_DEDUPE: _duplicates,
    BulkKind.WHAT_IF: _what_if,
}
