"""The practice site (R-AR-5): made once, in an empty database, with every kind of answer."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, func, select

from calltree.errors import Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    BuiltIn,
    BulkJob,
    BulkKind,
    BulkState,
    CallerNumber,
    CallRecord,
    CallState,
    Customer,
    CustomerList,
    DncSource,
    DoNotCall,
    Lease,
    MemoEntry,
    Origin,
    Project,
    Recording,
    Role,
    Site,
    User,
)
from calltree.services import accounts, audit, leaving_practice, practice_site
from tests.factories import (
    built_in,
    grant,
    make_customer,
    make_list,
    make_record,
    make_switch,
    make_user,
    viewer_of,
)

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


def test_R_AR_5_an_empty_database_is_filled_once(store):
    with store.write() as session:
        assert practice_site.fill(session, password_hash="!", now=NOW)
    with store.write() as session:
        assert not practice_site.fill(session, password_hash="!", now=NOW)
    with store.read() as session:
        folder = session.scalars(select(CustomerList)).one()
        assert folder.customers == session.scalar(select(func.count(Customer.id))) == 60
        assert folder.enabled
        assert {user.role for user in session.scalars(select(User))} == set(Role)
        numbers = list(session.scalars(select(Customer.number)))
    assert len(set(numbers)) == len(numbers)
    assert {number[-1] for number in numbers} == set("0123456789")


def test_the_given_practice_password_reaches_accounts_that_exist(app):
    run = app.test_cli_runner().invoke
    store = app.extensions["calltree.store"]
    assert run(args=["switch", "practice", "--password", "first"]).exit_code == 0
    assert run(args=["switch", "practice", "--password", "later"]).exit_code == 0
    with store.read() as session:
        assert accounts.verify(session, login_id="op1", password="first")
    assert run(args=["switch", "practice", "--password", "x", "--set-password"]).exit_code == 0
    with store.read() as session:
        assert accounts.verify(session, login_id="op1", password="x")


@pytest.fixture
def tried_out(store):
    """A practice database after some practice: a real list beside the practice one, and calls."""
    with store.write() as session:
        practice_site.fill(session, password_hash="!", now=NOW)
        project = session.scalars(select(Project)).one()
        own = make_list(session, project, name="自社リスト")
        customer = make_customer(session, own, dials=3, connects=1, cycle=1, last_system="blank")
        staff = make_user(session, name="本物の社員", login_id="honda", login_key="honda")
        grant(session, own, staff)
        own.worked = own.dials = 3
        claim = built_in(session, BuiltIn.CLAIM)
        record = make_record(session, customer, status_id=claim.id, user_id=staff.id)
        session.add(MemoEntry(customer_id=customer.id, record_id=record.id, at=NOW, text="練習"))
        for number, source in (("0312340001", DncSource.STATUS), ("0312340002", DncSource.FORM)):
            session.add(DoNotCall(number=number, source=source, created_at=NOW))
        audit.note(session, viewer=viewer_of(staff), action="list.created", now=NOW)
        return session.get_one(Site, 1).site_key


def test_R_AR_5_leaving_with_lists_takes_every_practice_record_along(store, tried_out):
    with store.write() as session:
        leaving_practice.leave(session, keep_lists=True, now=NOW)
    with store.read() as session:
        assert session.scalars(select(CallRecord)).all() == []
        assert session.scalars(select(MemoEntry)).all() == []
        assert list(session.scalars(select(DoNotCall.number))) == ["0312340002"]
        kept = session.scalars(select(CustomerList).where(CustomerList.deleted_at.is_(None))).one()
        assert (kept.name, kept.customers, kept.worked, kept.dials) == ("自社リスト", 1, 0, 0)
        assert not kept.enabled
        customer = session.scalars(select(Customer).where(Customer.list_id == kept.id)).one()
        assert (customer.dials, customer.connects, customer.last_system) == (0, 0, "")
        users = {user.name: user for user in session.scalars(select(User))}
        assert users["本物の社員"].deleted_at is None
        assert users["管理 花子"].deleted_at is not None
        assert session.scalar(select(User.id).where(User.login_key == "mgr")) is None
        assert session.scalars(select(Project)).one().main_number_id is None
        site = session.get_one(Site, 1)
        assert not site.practice
        assert site.site_key != tried_out


def test_R_AR_5_leaving_empty_keeps_the_audit_log_only(store, tried_out):
    with store.write() as session:
        leaving_practice.leave(session, keep_lists=False, now=NOW)
    with store.read() as session:
        for model in (Project, CustomerList, Customer, CallRecord, DoNotCall, CallerNumber):
            assert session.scalar(select(func.count()).select_from(model)) == 0, model
        assert list(session.scalars(select(User).where(User.deleted_at.is_(None)))) == []
        actions = list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
        assert actions[-2:] == ["list.created", "site.practice_left"]
        assert built_in(session, BuiltIn.NO_ANSWER).name == "不通"
        assert not session.get_one(Site, 1).practice


def test_R_AR_5_files_of_bulk_work_go_with_everything_and_stay_with_the_lists(store, tried_out):
    with store.write() as session:
        author = session.scalars(select(User.id).limit(1)).one()
        job = BulkJob(
            kind=BulkKind.BAN_ADD, state=BulkState.DONE, user_id=author, stored_name="numbers",
            created_at=NOW,
        )  # fmt: skip
        session.add(job)
        session.flush()
        ban = DoNotCall(number="0312349999", source="csv", job_id=job.id, created_at=NOW)
        session.add(ban)
    for keep_lists in (True, False):
        with store.write() as session:
            session.get_one(Site, 1).practice = True
            left = leaving_practice.leave(session, keep_lists=keep_lists, now=NOW)
        assert ("numbers" in left.uploads) is not keep_lists
        with store.read() as session:
            banned = session.scalar(select(DoNotCall.id).where(DoNotCall.number == "0312349999"))
            assert (banned is not None) is keep_lists


def test_R_AR_5_practice_is_left_once_and_not_while_it_runs(store, tried_out):
    with store.write() as session:
        make_switch(session)
    with store.write() as session, pytest.raises(Refused) as refusal:
        leaving_practice.leave(session, keep_lists=True, now=NOW)
    assert refusal.value.code == "still_running"
    with store.write() as session:
        session.execute(delete(Lease))
        leaving_practice.leave(session, keep_lists=True, now=NOW)
    with store.write() as session, pytest.raises(Refused) as refusal:
        leaving_practice.leave(session, keep_lists=True, now=NOW)
    assert refusal.value.code == "not_practice"


def test_R_AR_5_practice_records_and_real_calls_do_not_meet(store, tried_out):
    with store.read() as session:
        assert leaving_practice.mismatch(session, practice=True) == ""
        assert leaving_practice.mismatch(session, practice=False) == "practice_records"
    with store.write() as session:
        leaving_practice.leave(session, keep_lists=False, now=NOW)
    with store.read() as session:
        assert leaving_practice.mismatch(session, practice=False) == ""
        assert leaving_practice.mismatch(session, practice=True) == "real_records"


def test_R_AR_5_the_command_line_asks_what_to_keep_and_removes_the_sound(app, tried_out):
    run = app.test_cli_runner().invoke
    store = app.extensions["calltree.store"]
    root = app.extensions["calltree.settings"].recordings_dir
    (root / "1").mkdir(parents=True)
    (root / "1" / "a.wav").write_bytes(b"practice")
    with store.write() as session:
        attempt = make_attempt(session)
        session.add(Recording(attempt_id=attempt.id, raw_name="1/a.wav", started_at=NOW))
    asked = run(args=["switch", "practice", "--leave"])
    assert asked.exit_code == 2
    assert "--keep-lists or --empty" in asked.output
    assert run(args=["switch", "suits"]).exit_code == 0
    assert run(args=["switch", "practice", "--leave", "--keep-lists"]).exit_code == 0
    assert not (root / "1" / "a.wav").exists()
    checked = run(args=["switch", "suits"])
    assert (checked.exit_code, checked.output) == (1, "real_records\n")


def make_attempt(session):
    attempt = Attempt(
        uuid="u",
        origin=Origin.TEST,
        number="0312340003",
        verdict="allowed",
        state=CallState.ENDED,
        created_at=NOW,
        ended_at=NOW,
    )
    session.add(attempt)
    session.flush()
    return attempt


def test_R_AR_5_the_practice_switch_does_not_run_beside_a_real_one():
    done = subprocess.run(
        [sys.executable, "-m", "calltree.practice", "--port", "0"],
        env={**os.environ, "ESL_URL": "esl://:x@pbx.example.test:8021"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unset ESL_URL" in done.stderr


def test_R_AR_5_every_page_wears_practice_mode(app, client, browser_of):
    store = app.extensions["calltree.store"]
    with store.write() as session:
        practice_site.fill(session, password_hash="!", now=NOW)
        users = {user.login_id: user.id for user in session.scalars(select(User))}
    said = "練習モード（実際には発信されません）"
    assert said in client.get("/sign-in").text
    for login_id, paths in {
        "mgr": ("/admin/", "/admin/lists/", "/history/"),
        "op1": ("/operator/", "/customers/", "/password"),
        "biz": ("/reports/",),
    }.items():
        browser = browser_of(users[login_id])
        for path in paths:
            assert said in browser.get(path).text, path
