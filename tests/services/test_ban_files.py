"""R-DN-3, R-DN-4: files of banned numbers go in and out, checked, counted, and killed half way."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    AuditEntry,
    BulkKind,
    BulkState,
    DncSource,
    DoNotCall,
    Role,
    User,
)
from calltree.services import (
    ban_files,
    ban_search,
    bulk,
    do_not_call,
)
from calltree.services.ban_search import BanCriteria
from calltree.services.bulk_writing import Claim
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.ban_office import Office
from tests.services.desks import Desk

HEAD = "電話番号,会社名\r\n"


@pytest.fixture
def office(desk: Desk, tmp_path: Path) -> Office:
    with desk.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
    return Office(desk, desk.store, tmp_path, manager, supervisor)


def workbook(rows: list[list[str]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


ROWS = HEAD + "03-1234-0001,甲\r\n０３(1234)0002,乙\r\n0312340001,丙\r\n12,丁\r\n312340003,戊\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc-jp", "utf-16"])
def test_R_DN_3_a_file_is_checked_before_anything_is_written(office: Office, encoding: str) -> None:
    office.ban("0312340002")
    job_id = office.upload(ROWS.encode(encoding), note="名簿より")
    counts = office.job(job_id).findings["counts"]
    assert counts == {
        "total": 5,
        "twice": 1,
        "invalid": 1,
        "by_reason": {"wrong_length": 1},
        "new": 2,
        "existing": 1,
    }
    assert office.job(job_id).findings["shown"] == [
        {"row": 5, "found": "12", "reason": "wrong_length"}
    ]
    assert office.banned() == ["0312340002"], "nothing is written by a check"
    assert office.run(job_id).state is BulkState.CHECKED, "and nothing before it is started"
    office.start(job_id)
    job = office.run(job_id)
    assert (job.state, job.counts) == (BulkState.DONE, {"added": 2, "existing": 1})
    assert office.banned() == ["0312340001", "0312340002", "0312340003"]
    entry = next(row for row in office.desk.rows(DoNotCall) if row.number == "0312340003")
    assert (entry.source, entry.user_id, entry.job_id, entry.note, entry.created_at) == (
        DncSource.CSV,
        office.manager.user_id,
        job_id,
        "名簿より",
        NOW,
    )


@pytest.mark.parametrize(
    "body",
    [
        "0312340001\r\n0312340002\r\n",
        "0312340001\r\n",
        "番号\r\n0312340001\r\n0312340002\r\n",
        "会社名,電話番号,会社名\r\n甲,0312340001,乙\r\n丙,0312340002,丁\r\n",
        workbook([["電話番号"], ["0312340001"], ["0312340002"]]),
    ],
    ids=["no header", "one number", "first column", "column 電話番号", "xlsx"],
)
def test_R_DN_3_the_column_電話番号_or_the_first(office: Office, body: bytes | str) -> None:
    office.entered(body)
    assert office.banned()[0] == "0312340001"
    assert set(office.banned()) <= {"0312340001", "0312340002"}


def test_R_DN_3_at_most_50000_rows_and_nothing_of_a_longer_file(office: Office) -> None:
    job_id = office.upload(
        "電話番号\r\n" + "".join(f"03{n:08}\r\n" for n in range(20_000_000, 20_050_001))
    )
    findings = office.job(job_id).findings
    assert findings["refused"]
    assert findings["problems"][0]["code"] == "too_many_rows"
    with pytest.raises(Refused, match="bulk_not_ready"):
        office.start(job_id)
    assert office.banned() == []


def test_R_DN_3_a_file_of_nothing_new_is_not_started(office: Office) -> None:
    office.ban("0312340001")
    with pytest.raises(Refused, match="bulk_nothing"):
        office.start(office.upload("電話番号\r\n0312340001\r\n"))


def test_R_DN_3_the_rejected_rows_come_back_with_their_reasons(office: Office) -> None:
    job_id = office.upload(ROWS + "内線 03-1234-0009 内線12,己\r\n")
    path = office.uploads / office.job(job_id).stored_name
    file = ban_files.read(path, prefixes=())
    told = [(row, cells[1], reason.value) for row, cells, reason in file.rejects()]
    assert told == [(5, "丁", "wrong_length"), (7, "己", "extension")]


def test_R_DN_1_a_file_for_chosen_projects_until_a_day(office: Office) -> None:
    tomorrow = NOW + timedelta(days=1)
    with office.store.write() as session:
        other = make.make_project(session).id
    choices = {"project_ids": [other], "expires_at": tomorrow.isoformat()}
    office.entered("電話番号\r\n0312340001\r\n", **choices)
    with office.store.read() as session:

        def banned(project_id: int | None, now=NOW) -> bool:
            return do_not_call.is_banned(
                session, number="0312340001", project_id=project_id, now=now
            )

        assert banned(other)
        assert not banned(office.desk.project_id)
        assert not banned(other, tomorrow)
    again = office.upload("電話番号\r\n0312340001\r\n", **choices)
    assert office.job(again).findings["counts"]["existing"] == 1
    wider = office.upload("電話番号\r\n0312340001\r\n")
    assert office.job(wider).findings["counts"]["new"] == 1, "全案件 says more"


def test_R_DN_4_release_by_file_is_the_managers_with_reason_and_typed_count(
    office: Office,
) -> None:
    office.ban("0312340001", "0312340002", "0312340003")
    with office.store.write() as session:
        project = make.make_project(session).id
    office.ban("0312340001", project_ids=[project])
    body = "電話番号\r\n0312340001\r\n0312340002\r\n0312340099\r\n"
    with pytest.raises(NotAllowed):
        office.upload(body, BulkKind.BAN_RELEASE, viewer=office.supervisor, reason="x")
    job_id = office.upload(body, BulkKind.BAN_RELEASE, reason="誤登録のため")
    counts = office.job(job_id).findings["counts"]
    assert (counts["found"], counts["absent"]) == (2, 1)
    for typed in ("", "3", "02 "):
        with pytest.raises(Refused, match="count_differs"):
            office.start(job_id, typed)
    with office.store.read() as session, pytest.raises(NotFound):
        bulk.get(session, viewer=office.supervisor, job_id=job_id)
    office.start(job_id, "２")
    job = office.run(job_id)
    assert (job.state, job.counts) == (BulkState.DONE, {"released": 2, "absent": 1})
    assert office.banned() == ["0312340003"]
    released = [row for row in office.desk.rows(DoNotCall) if row.released_at]
    assert {row.release_reason for row in released} == {"誤登録のため"}
    assert {row.released_by for row in released} == {office.manager.user_id}
    told = [entry for entry in office.desk.rows(AuditEntry) if entry.object_kind == "bulk"]
    assert [entry.action.rpartition(".")[2] for entry in told] == ["uploaded", "started", "done"]
    assert told[-1].detail == {"released": 2, "absent": 1}
    assert "0312340001" not in str([entry.detail for entry in told])


def test_R_DN_4_all_that_is_found_over_all_pages_and_nothing_younger(office: Office) -> None:
    numbers = [f"03123{n:05}" for n in range(ban_search.PAGE + 20)]
    office.ban(*numbers, note="旧名簿")
    office.ban("0455550001", source=DncSource.API)
    criteria = BanCriteria(source=DncSource.FORM)
    with pytest.raises(NotAllowed):
        office.release_found(criteria, office.supervisor)
    job_id = office.release_found(criteria)
    office.ban("0312399999")
    job = office.run(job_id)
    assert (job.rows_total, job.rows_done) == (len(numbers), len(numbers))
    assert job.counts == {"released": len(numbers)}
    assert office.banned() == ["0312399999", "0455550001"]


def test_R_DN_4_a_right_that_was_taken_meanwhile_stops_the_work(office: Office) -> None:
    office.ban("0312340001")
    job_id = office.release_found(BanCriteria())
    with office.store.write() as session:
        session.get_one(User, office.manager.user_id).role = Role.SUPERVISOR
    job = office.run(job_id)
    assert (job.state, job.failure) == (BulkState.FAILED, "not_allowed")
    assert office.banned() == ["0312340001"]


def test_R_DN_3_a_cancelled_file_says_what_it_had_entered(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "電話番号\r\n" + "".join(f"03123{n:05}\r\n" for n in range(250))
    job_id = office.upload(body)
    office.start(job_id)
    write = Claim.write
    turns = iter(range(100))

    def write_and_cancel(claim: Claim, **progress: int) -> Any:
        if next(turns) == 1:
            with office.store.write() as session:
                bulk.cancel(session, viewer=office.manager, job_id=job_id, now=NOW)
        return write(claim, **progress)

    monkeypatch.setattr("calltree.services.bulk_writing.POSTGRES_ROWS", 100)
    monkeypatch.setattr(Claim, "write", write_and_cancel)
    job = office.run(job_id)
    assert job.state is BulkState.CANCELLED
    assert 0 < job.counts["added"] < 250
    assert len(office.banned()) == job.counts["added"]
    assert office.found(job_id=job_id), "so they can be found and released again"


def test_R_DN_3_a_killed_worker_is_gone_on_after_and_nothing_counts_twice(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "電話番号\r\n" + "".join(f"03123{n:05}\r\n" for n in range(250))
    job_id = office.upload(body)
    office.start(job_id)
    write = Claim.write
    turns = iter(range(100))

    def die(claim: Claim, **progress: int) -> Any:
        if next(turns) == 1:
            raise KeyboardInterrupt
        return write(claim, **progress)

    with monkeypatch.context() as killing:
        killing.setattr("calltree.services.bulk_writing.POSTGRES_ROWS", 100)
        killing.setattr(Claim, "write", die)
        with pytest.raises(KeyboardInterrupt):
            office.run(job_id)
    assert 0 < office.job(job_id).rows_done < 250
    with office.store.read() as session:
        assert [job.id for job in bulk.unfinished(session)] == [job_id]
    job = office.run(job_id, clock=lambda: NOW + timedelta(minutes=1))
    assert (job.state, job.counts) == (BulkState.DONE, {"added": 250, "existing": 0})
    assert len(office.banned()) == 250
