"""R-DN-1, R-DN-3, R-DN-4, R-DN-5: files of numbers, releases over all pages, in force at once."""

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import event, func, select

from calltree.db import Store
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    BulkJob,
    BulkKind,
    BulkState,
    Customer,
    CustomerList,
    DncSource,
    DoNotCall,
    DoNotCallProject,
    ImportState,
    Operator,
    Project,
    Role,
    SwitchCommand,
    User,
)
from calltree.services import (
    ban_files,
    ban_search,
    bulk,
    bulk_run,
    do_not_call,
    import_run,
    imports,
)
from calltree.services.ban_search import BanCriteria, BanState
from calltree.services.bulk_writing import Claim
from calltree.services.import_check import DEFAULTS, Choices, Duplicate, Treatment
from calltree.services.rights import Viewer
from calltree.telephony.serving import Desk as ServingDesk
from calltree.telephony.timings import Timings
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk
from tests.services.racing import by_threads
from tests.telephony.test_serving import beside

HEAD = "電話番号,会社名\r\n"


@dataclass
class Office:
    """A desk, a manager and a supervisor, and the folder of uploads."""

    desk: Desk
    store: Store
    uploads: Path
    manager: Viewer
    supervisor: Viewer

    def upload(
        self,
        body: bytes | str,
        kind: BulkKind = BulkKind.BAN_ADD,
        viewer: Viewer | None = None,
        **choices: Any,
    ) -> int:
        """Take a file in and have it checked, as the worker does."""
        data = body.encode() if isinstance(body, str) else body
        name = f"{time.monotonic_ns()}.upload"
        (self.uploads / name).write_bytes(data)
        with self.store.write() as session:
            job_id = bulk.receive(
                session,
                viewer=viewer or self.manager,
                kind=kind,
                filename="numbers.csv",
                stored_name=name,
                size_bytes=len(data),
                choices=choices,
                now=NOW,
            ).id
        bulk_run.check(self.store, uploads_dir=self.uploads, job_id=job_id, now=NOW)
        return job_id

    def start(self, job_id: int, typed: str = "") -> None:
        with self.store.write() as session:
            bulk.start(session, viewer=self.manager, job_id=job_id, typed=typed, now=NOW)

    def run(self, job_id: int, clock: Callable[[], Any] = lambda: NOW, **given: Any) -> BulkJob:
        bulk_run.run(self.store, uploads_dir=self.uploads, job_id=job_id, clock=clock, **given)
        return self.job(job_id)

    def job(self, job_id: int) -> BulkJob:
        with self.store.read() as session:
            return session.get_one(BulkJob, job_id)

    def entered(self, body: bytes | str, **choices: Any) -> BulkJob:
        job_id = self.upload(body, **choices)
        self.start(job_id)
        return self.run(job_id)

    def ban(self, *numbers: str, **given: Any) -> None:
        with self.store.write() as session:
            do_not_call.add(session, viewer=self.manager, numbers=numbers, now=NOW, **given)

    def banned(self) -> list[str]:
        with self.store.read() as session:
            query = select(DoNotCall.number).where(do_not_call.in_force(NOW))
            return sorted(session.scalars(query))

    def found(self, **asked: Any) -> list[str]:
        with self.store.read() as session:
            rows = ban_search.page(session, criteria=BanCriteria(**asked), now=NOW)
            return [row.number for row in rows]

    def release_found(self, criteria: BanCriteria, viewer: Viewer | None = None) -> int:
        with self.store.write() as session:
            count, newest = ban_search.count(session, criteria=criteria, now=NOW)
            return bulk.begin(
                session,
                viewer=viewer or self.manager,
                kind=BulkKind.BAN_RELEASE_FOUND,
                choices={"criteria": criteria.pairs(), "last_id": newest, "reason": "誤登録"},
                count=count,
                now=NOW,
            ).id


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


def test_R_DN_1_another_scope_releases_and_enters_in_one(office: Office) -> None:
    office.ban("0312340001", note="初回")
    (entry,) = office.desk.rows(DoNotCall)

    def change(viewer: Viewer, **given: Any) -> int:
        wanted = {"project_ids": (), "expires_at": None, "note": "", "reason": "本人の申し出"}
        with office.store.write() as session:
            return do_not_call.change(
                session, viewer=viewer, entry_id=entry.id, now=NOW, **(wanted | given)
            )

    with pytest.raises(NotAllowed):
        change(office.supervisor)
    with pytest.raises(Refused, match="reason_required"):
        change(office.manager, reason=" ")
    with pytest.raises(Refused, match="ban_expiry_past"):
        change(office.manager, expires_at=NOW)
    changed = change(office.manager, project_ids=[office.desk.project_id], note="一部")
    with office.store.read() as session:
        old, new = (session.get_one(DoNotCall, i) for i in (entry.id, changed))
        assert (old.release_reason, old.released_by) == ("本人の申し出", office.manager.user_id)
        assert (new.number, new.all_projects, new.note) == ("0312340001", False, "一部")
        held = session.scalars(select(DoNotCallProject.project_id)).all()
        assert held == [office.desk.project_id]
    with pytest.raises(Refused, match="ban_over"):
        change(office.manager)
    assert office.banned() == ["0312340001"]


def test_R_DN_1_a_search_for_state_number_project_source_user_and_day(office: Office) -> None:
    with office.store.write() as session:
        other = make.make_project(session).id
    office.ban("0312340001", "0455550002")
    office.ban("0312340003", project_ids=[other])
    office.ban("0312340004", expires_at=NOW + timedelta(seconds=1), source=DncSource.API)
    assert office.found(number="1234") == ["0312340004", "0312340003", "0312340001"]
    assert office.found(number="045-555-0002") == ["0455550002"]
    assert office.found(number="+81 45 555 0002") == ["0455550002"]
    assert office.found(number="x") == [], "too little to look for"
    assert "0312340003" not in office.found(project_id=office.desk.project_id)
    assert "0312340003" in office.found(project_id=other)
    assert office.found(source=DncSource.API) == ["0312340004"]
    assert len(office.found(user_id=office.manager.user_id)) == 4
    assert office.found(user_id=office.supervisor.user_id) == []
    day = NOW.date()
    assert len(office.found(entered_from=day, entered_to=day)) == 4
    assert office.found(entered_from=day + timedelta(days=1)) == []
    with office.store.read() as session:
        later = NOW + timedelta(minutes=1)
        expired = ban_search.page(session, criteria=BanCriteria(BanState.EXPIRED), now=later)
        assert [row.number for row in expired] == ["0312340004"]
    office.run(office.release_found(BanCriteria(number="0455550002")))
    assert office.found(state=BanState.RELEASED) == ["0455550002"]


def test_R_DN_1_pages_go_on_by_key(office: Office) -> None:
    numbers = [f"03123{n:05}" for n in range(ban_search.PAGE + 20)]
    office.ban(*numbers)
    with office.store.read() as session:
        first = ban_search.page(session, criteria=BanCriteria(), now=NOW)
        rest = ban_search.page(session, criteria=BanCriteria(), now=NOW, before_id=first[-1].id)
    assert [row.number for row in first + rest] == numbers[::-1]
    asked = BanCriteria(BanState.RELEASED, "0312", 3, DncSource.CSV, 4, 5, NOW.date(), NOW.date())
    assert BanCriteria.parse(asked.pairs()) == asked


# --- R-DN-4 and R-DN-5 on the way to the network


def test_R_DN_4_a_refusal_survives_a_fresh_import_of_the_same_number(office: Office) -> None:
    desk = office.desk
    with office.store.write() as session:
        pattern = make.get_pattern(session, session.get_one(Project, desk.project_id))
        make.make_status(session, pattern, "拒否", bans_number=True)
    desk.calls()
    desk.save("拒否")
    assert desk.number in office.banned()
    with office.store.write() as session:
        session.get_one(Customer, desk.customer_id).deleted_at = NOW
        (office.uploads / "again.csv").write_text(f"電話番号,会社名\r\n{desk.number},甲\r\n")
        given = imports.receive(
            session,
            viewer=office.manager,
            project_id=desk.project_id,
            list_id=None,
            new_list_name="買い直した名簿",
            filename="again.csv",
            stored_name="again.csv",
            size_bytes=1,
            now=NOW,
        )
        kept = Choices(duplicates=DEFAULTS | {Duplicate.BANNED: Treatment.KEEP})
        imports.choose(session, viewer=office.manager, import_id=given.id, choices=kept)
    imports.check(office.store, uploads_dir=office.uploads, import_id=given.id, now=NOW)
    with office.store.write() as session:
        started = imports.start(session, viewer=office.manager, import_id=given.id, now=NOW)
        assert started.findings["counts"]["duplicates"] == {"banned": 1}
    import_run.run(office.store, uploads_dir=office.uploads, import_id=given.id, clock=lambda: NOW)
    with office.store.write() as session:
        done = session.get_one(type(given), given.id)
        assert done.state is ImportState.DONE
        folder = session.get_one(CustomerList, done.list_id)
        folder.enabled = True
        make.grant(session, folder, session.get_one(User, desk.user_id))
        fresh = session.scalars(select(Customer).where(Customer.list_id == folder.id)).one()
        session.get_one(Operator, desk.user_id).customer_id = fresh.id
        make.make_hold(session, fresh, session.get_one(User, desk.user_id))
    again = replace(desk, customer_id=fresh.id, list_id=folder.id)
    assert again.verdict(confirmed=True) == "number_banned"
    assert desk.number in office.banned()


def bans_or_presses(store: Store, argument: tuple[str, Any, Any]) -> list[tuple[float, str]]:
    """Press again and again, or ban all numbers in the middle of it: (when begun, verdict)."""
    act, what, met = argument
    if act == "ban":
        met["pressing"].wait(30)
        with store.write() as session:
            do_not_call.add(session, viewer=what, numbers=met["numbers"], now=NOW)
        met["banned_at"] = time.monotonic()
        met["banned"].set()
        return []
    said = []
    desk = replace(what, store=store)
    after = 0
    while after < 3:
        after += met["banned"].is_set()
        begun = time.monotonic()
        attempt = desk.press(confirmed=True)
        said.append((begun, attempt.verdict))
        if attempt.verdict == "allowed":
            desk.ends(attempt)
        met["pressing"].set()
    return said


def test_R_DN_5_no_racing_press_gets_through_once_a_ban_is_in_force(
    office: Office, database_url: str
) -> None:
    desks = [office.desk, *(beside(office.desk) for _ in range(3))]
    met: dict[str, Any] = {
        "numbers": [desk.number for desk in desks],
        "pressing": threading.Event(),
        "banned": threading.Event(),
    }
    arguments = [("press", desk, met) for desk in desks] + [("ban", office.manager, met)]
    said = [one for many in by_threads(database_url, bans_or_presses, arguments) for one in many]
    verdicts = {verdict for _begun, verdict in said}
    assert verdicts == {"allowed", "number_banned"}
    later = [verdict for begun, verdict in said if begun > met["banned_at"]]
    assert set(later) == {"number_banned"}, "not within a second: at once"


def test_R_DN_5_a_dial_that_waited_is_asked_again_before_it_leaves(office: Office) -> None:
    desk = office.desk
    attempt = desk.press()
    assert attempt.verdict == "allowed"
    with office.store.read() as session:
        command_id = session.scalars(select(SwitchCommand.id)).one()
    office.ban(desk.number)
    later = NOW + timedelta(seconds=0.9)
    served = ServingDesk(office.store, "test", Timings(), lambda: later)
    served.serve(command_id, link=None)
    with office.store.read() as session:
        ended = session.get_one(Attempt, attempt.id)
        assert (ended.dialled_at, ended.hangup_cause) == (None, "NUMBER_BANNED")
        assert session.get_one(SwitchCommand, command_id).failure == "NUMBER_BANNED"


def test_R_DN_5_the_gate_asks_about_do_not_call_in_one_statement(office: Office) -> None:
    office.ban(office.desk.number)
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "do_not_call" in statement:
            said.append(statement)

    event.listen(office.store.engine, "before_cursor_execute", note)
    assert office.desk.press().verdict == "number_banned"
    event.remove(office.store.engine, "before_cursor_execute", note)
    assert len(said) == 1


def test_R_DN_1_a_form_of_many_numbers_costs_a_few_statements(office: Office) -> None:
    statements = []
    engine = office.store.engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    office.ban(*(f"03123{n:05}" for n in range(500)))
    assert len(statements) <= 6
    with office.store.read() as session:
        assert session.scalar(select(func.count(DoNotCall.id))) == 500
