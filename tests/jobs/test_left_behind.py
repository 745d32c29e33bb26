"""What a job that died, or a bell that nobody heard, left: the sweep rings for it again."""

from pathlib import Path
from pkgutil import resolve_name

import pytest

from calltree import runtime
from calltree.db import Announcement, Store
from calltree.jobs import bulk as bulk_jobs
from calltree.jobs import imports as import_jobs
from calltree.models import BulkJob, BulkKind, BulkState, ImportState
from calltree.services import bulk_run, imports
from tests.factories import NOW
from tests.services.import_desk import HEADER, Desk

Rung = list[Announcement]


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path / "uploads")


@pytest.fixture
def rung(store: Store, monkeypatch: pytest.MonkeyPatch) -> Rung:
    told: Rung = []
    monkeypatch.setattr(runtime, "store", lambda: store)
    store.publisher = told.extend
    return told


@pytest.mark.parametrize(
    ("state", "lane", "job"),
    [
        (ImportState.CHECKING, "soon", import_jobs.check),
        (ImportState.RUNNING, "bulk", import_jobs.run),
        (ImportState.UPDATING, "bulk", import_jobs.run),
        (ImportState.UNDOING, "bulk", import_jobs.undo),
    ],
)
def test_R_LS_7_each_unfinished_import_is_rung_for(
    desk: Desk, rung: Rung, state: ImportState, lane: str, job: object
) -> None:
    import_id = desk.upload(HEADER + "0312345678,桜,東京\r\n")
    with desk.store.write() as session:
        imports.get(session, viewer=desk.viewer, import_id=import_id).state = state
    rung.clear()
    import_jobs.sweep()
    (bell,) = [notice.ids for notice in rung]
    assert (bell["lane"], bell["args"], bell["ttl"]) == (lane, [import_id], 15)
    assert resolve_name(bell["func"]) is job


def test_R_LS_7_what_has_ended_is_left_alone(desk: Desk, rung: Rung) -> None:
    desk.whole(HEADER + "0312345678,桜,東京\r\n")
    desk.upload(HEADER + "0312345679,桜,東京\r\n")
    rung.clear()
    import_jobs.sweep()
    assert rung == []


@pytest.mark.parametrize("state", [BulkState.CHECKING, BulkState.RUNNING, BulkState.DONE])
def test_unfinished_bulk_work_is_rung_for(
    desk: Desk, rung: Rung, state: BulkState, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "settings", lambda: settings)
    job_id = bulk_job(desk, state)
    bulk_jobs.sweep()
    bells = [(n.ids["lane"], resolve_name(n.ids["func"]), n.ids["args"]) for n in rung]
    assert (
        bells
        == {
            BulkState.CHECKING: [("soon", bulk_jobs.check, [job_id])],
            BulkState.RUNNING: [("bulk", bulk_jobs.run, [job_id])],
            BulkState.DONE: [],
        }[state]
    )


def test_a_check_that_breaks_ends_instead_of_being_tried_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = desk.upload(HEADER + "0312345678,桜,東京\r\n")
    with desk.store.write() as session:
        imports.get(session, viewer=desk.viewer, import_id=import_id).state = ImportState.CHECKING
    job_id = bulk_job(desk, BulkState.CHECKING)

    def breaks(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(imports, "analyse", breaks)
    monkeypatch.setattr(bulk_run.ban_files, "read", breaks)
    with pytest.raises(MemoryError):
        desk.check(import_id)
    with pytest.raises(MemoryError):
        bulk_run.check(desk.store, uploads_dir=desk.uploads, job_id=job_id, now=NOW)
    row = desk.row(import_id)
    assert (row.state, row.failure) == (ImportState.FAILED, "unexpected")
    with desk.store.read() as session:
        job = session.get_one(BulkJob, job_id)
        assert (job.state, job.failure) == (BulkState.FAILED, "unexpected")


def bulk_job(desk: Desk, state: BulkState) -> int:
    with desk.store.write() as session:
        job = BulkJob(
            kind=BulkKind.BAN_ADD, state=state, user_id=desk.viewer.user_id,
            stored_name="given.csv", created_at=NOW,
        )  # fmt: skip
        session.add(job)
        session.flush()
        return job.id
