"""Users: names, passwords, deletion, sessions (R-US-2, 3, 4, 6, 7)."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError
from werkzeug.security import check_password_hash, generate_password_hash

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    AuditEntry,
    CallRecord,
    CallState,
    Customer,
    Draft,
    Group,
    InboundAction,
    InboundCall,
    InboundOutcome,
    InboundRoute,
    ListGroupGrant,
    MemoEntry,
    Notice,
    OperatorState,
    Origin,
    Role,
    SystemResult,
    Task,
    User,
)
from calltree.services import audit, people
from tests.browser import Browser
from tests.factories import (
    NOW,
    make_caller_number,
    make_customer,
    make_list,
    make_operator,
    make_record,
    make_site,
    make_task,
    make_user,
    viewer_of,
)


@pytest.fixture
def manager(store: Store) -> User:
    with store.write() as session:
        make_site(session)
        return make_user(session, Role.MANAGER)


@pytest.fixture
def operator(store: Store, manager: User) -> User:
    with store.write() as session:
        return make_user(session, Role.OPERATOR, login_id="Yamada", login_key="yamada", name="山田")


def _user(store: Store, user_id: int) -> User:
    with store.read() as session:
        found = session.get(User, user_id)
        assert found is not None
        return found


@pytest.mark.one_database
def test_R_US_2_manager_sees_every_login_id_and_no_password(
    browser_of, manager: User, operator: User
) -> None:
    page = browser_of(manager).get("/admin/users/")
    assert "Yamada" in page.text
    assert "password_hash" not in page.html
    assert operator.password_hash not in page.text.split()


@pytest.mark.one_database
def test_R_US_2_manager_sets_a_password_and_it_signs_in(
    app: Flask, store: Store, browser_of, manager: User, operator: User
) -> None:
    browser = browser_of(manager)
    browser.get(f"/admin/users/{operator.id}/password")
    browser.submit("main form:first-of-type", password="shinpai-nai")
    fresh = Browser(app)
    fresh.get("/sign-in")
    assert fresh.submit(login_id="YAMADA", password="shinpai-nai").location == "/operator/"


@pytest.mark.one_database
def test_R_US_2_short_password_is_refused_with_a_sentence(
    browser_of, manager: User, operator: User
) -> None:
    browser = browser_of(manager)
    browser.get(f"/admin/users/{operator.id}/password")
    refused = browser.submit("main form:first-of-type", password="short", status=422)
    assert "8" in refused.one("#password-error").text


@pytest.mark.one_database
def test_R_US_2_supervisor_sets_an_operators_password_only(
    store: Store, browser_of, manager: User, operator: User
) -> None:
    with store.write() as session:
        supervisor = make_user(session, Role.SUPERVISOR)
    browser = browser_of(supervisor)
    browser.get(f"/admin/users/{operator.id}/password")
    browser.get(f"/admin/users/{manager.id}/password", status=403)


@pytest.mark.one_database
def test_R_US_2_own_password_needs_the_present_one(app: Flask, store: Store, manager: User) -> None:
    with store.write() as session:
        user = make_user(session, password_hash=generate_password_hash("now-valid"))
    browser = Browser(app)
    browser.sign_in_as(user)
    browser.get("/password")
    browser.submit("main form:first-of-type", present="wrong", password="next-one-1", status=422)
    browser.submit("main form:first-of-type", present="now-valid", password="next-one-1")
    browser.get("/operator/")
    assert check_password_hash(_user(store, user.id).password_hash, "next-one-1")


@pytest.mark.one_database
def test_R_US_2_administrator_resets_from_the_command_line(
    app: Flask, store: Store, manager: User
) -> None:
    result = app.test_cli_runner().invoke(args=["user", "reset-password", manager.login_id])
    assert result.exit_code == 0
    login_id, password = result.output.split()
    browser = Browser(app)
    browser.get("/sign-in")
    assert browser.submit(login_id=login_id, password=password).location == "/admin/"


def test_R_US_4_deleted_login_id_is_never_free_again(
    store: Store, browser_of, manager: User, operator: User
) -> None:
    browser = browser_of(manager)
    browser.post(f"/admin/users/{operator.id}/delete")
    assert "山田" in browser.get("/admin/users/deleted").text
    assert "山田" not in browser.get("/admin/users/").one("main").text
    browser.get("/admin/users/new")
    page = browser.submit(login_id="ＹＡＭＡＤＡ", name="別人", password="12345678", status=422)
    assert "ＹＡＭＡＤＡ" in page.one("#error-summary").text


def test_R_US_4_deletion_frees_the_seat(store: Store, manager: User, operator: User) -> None:
    details = people.UserDetails(login_id="sato", name="佐藤", role=Role.OPERATOR)
    viewer = viewer_of(manager)
    with store.write() as session:
        make_site(session, seats=2)
    with store.write() as session, pytest.raises(people.Refused, match="no_seat"):
        people.create(session, viewer=viewer, details=details, now=NOW)
    with store.write() as session:
        people.remove(session, viewer=viewer, user_id=operator.id, now=NOW)
    with store.write() as session:
        people.create(session, viewer=viewer, details=details, now=NOW)


@pytest.mark.one_database
def test_R_US_4_refused_during_their_call(store: Store, manager: User, operator: User) -> None:
    with store.write() as session:
        make_list(session)
        make_operator(session, operator, state=OperatorState.TALKING)
    with store.write() as session, pytest.raises(people.Refused, match="user_in_call"):
        people.remove(session, viewer=viewer_of(manager), user_id=operator.id, now=NOW)
    assert _user(store, operator.id).deleted_at is None


def test_R_US_4_what_was_theirs_is_anybodys(store: Store, manager: User, operator: User) -> None:
    with store.write() as session:
        customer = make_customer(session, make_list(session), assigned_user_id=operator.id)
        record = make_record(session, customer, user_id=operator.id)
        make_operator(session, operator, customer_id=customer.id, record_id=record.id)
        task = make_task(session, customer, user_id=operator.id)
        theirs = {"user_id": operator.id, "customer_id": customer.id}
        draft = Draft(**theirs, memo="折り返し希望", updated_at=NOW)
        caller = Attempt(
            uuid="in", origin=Origin.INBOUND, number="0312345678", verdict="allowed",
            state=CallState.ENDED, created_at=NOW, ended_at=NOW,
        )  # fmt: skip
        session.add_all([draft, caller])
        session.flush()
        missed = InboundCall(
            attempt_id=caller.id, action=InboundAction.RING_ALL, step_started_at=NOW,
            outcome=InboundOutcome.MISSED, assigned_user_id=operator.id,
        )  # fmt: skip
        session.add(missed)
    with store.write() as session:
        people.remove(session, viewer=viewer_of(manager), user_id=operator.id, now=NOW)
    with store.read() as session:
        assert session.get_one(Customer, customer.id).assigned_user_id is None
        assert session.get_one(Task, task.id).user_id is None
        assert session.get_one(InboundCall, missed.attempt_id).assigned_user_id is None
        kept = session.get_one(CallRecord, record.id)
        assert (kept.user_id, kept.system) == (operator.id, SystemResult.BLANK)
        assert kept.closed_at is not None
        memo = session.scalars(select(MemoEntry).where(MemoEntry.record_id == record.id)).one()
        assert "山田 空白】折り返し希望" in memo.text


def test_R_US_4_last_manager_is_neither_deleted_nor_demoted(store: Store, manager: User) -> None:
    viewer = viewer_of(manager)
    with store.write() as session, pytest.raises(people.Refused, match="last_manager"):
        people.remove(session, viewer=viewer, user_id=manager.id, now=NOW)
    details = people.UserDetails(login_id="x", name="x", role=Role.OPERATOR)
    with store.write() as session, pytest.raises(people.Refused, match="last_manager"):
        people.change(session, viewer=viewer, user_id=manager.id, details=details, now=NOW)


@pytest.mark.one_database
def test_R_US_6_session_ends_on_password_change_and_deletion(
    store: Store, browser_of, manager: User, operator: User
) -> None:
    browser = browser_of(operator)
    browser.get("/operator/")
    with store.write() as session:
        people.set_password(
            session, viewer=viewer_of(manager), user_id=operator.id, password_hash="x", now=NOW
        )
    assert browser.get("/operator/", status=303).location.startswith("/sign-in")
    browser = browser_of(operator)
    with store.write() as session:
        people.remove(session, viewer=viewer_of(manager), user_id=operator.id, now=NOW)
    assert browser.get("/operator/", status=303).location.startswith("/sign-in")


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("role", "path", "kept", "ended"),
    [
        (Role.MANAGER, "/admin/", timedelta(minutes=29), timedelta(minutes=31)),
        (
            Role.OPERATOR,
            "/operator/",
            timedelta(hours=7, minutes=59),
            timedelta(hours=8, minutes=1),
        ),
    ],
)
def test_R_US_6_idle_session_ends(
    store: Store,
    browser_of,
    manager: User,
    role: Role,
    path: str,
    kept: timedelta,
    ended: timedelta,
) -> None:
    with store.write() as session:
        user = make_user(session, role)
    begin = utcnow()
    with time_machine.travel(begin, tick=False) as clock:
        browser = browser_of(user)
        clock.shift(kept)
        browser.get(path)
        clock.shift(ended)
        assert browser.get(path, status=303).location.startswith("/sign-in")


@pytest.mark.one_database
def test_R_US_6_a_page_that_asks_by_itself_keeps_no_session_alive(
    store: Store, browser_of, manager: User
) -> None:
    with time_machine.travel(utcnow(), tick=False) as clock:
        browser = browser_of(manager)
        clock.shift(timedelta(minutes=29))
        browser.part("/operator/tasks/done", headers={"X-By-Itself": "1"})
        clock.shift(timedelta(minutes=2))
        assert browser.get("/admin/", status=303).location.startswith("/sign-in")


@pytest.mark.one_database
def test_R_US_6_idle_session_goes_on_with_a_live_leg(
    store: Store, browser_of, operator: User
) -> None:
    with time_machine.travel(utcnow(), tick=False) as clock:
        browser = browser_of(operator)
        with store.write() as session:
            make_operator(session, operator)
        clock.shift(timedelta(hours=9))
        browser.get("/operator/")


@pytest.mark.one_database
def test_R_US_6_sign_in_attempts_are_limited_per_account(app: Flask, manager: User) -> None:
    browser = Browser(app)
    browser.get("/sign-in")
    form = {"login_id": manager.login_id, "password": "wrong"}
    for _turn in range(5):
        browser.post("/sign-in", form, status=422)
    assert "しばらく" in browser.post("/sign-in", form, status=429).text


def test_R_US_7_audit_log_is_append_only(store: Store, manager: User) -> None:
    with store.write() as session:
        audit.note(session, viewer=viewer_of(manager), action="user.created", now=NOW)
    statements = ["UPDATE audit_entries SET action = 'x'", "DELETE FROM audit_entries"]
    if store.engine.dialect.name == "postgresql":
        statements.append("TRUNCATE audit_entries")
    for statement in statements:
        with pytest.raises(DatabaseError, match="append-only"), store.write() as session:
            session.execute(text(statement))
    with store.read() as session:
        assert session.scalar(select(AuditEntry.action)) == "user.created"


def test_R_US_7_creating_a_user_is_audited(store: Store, browser_of, manager: User) -> None:
    browser = browser_of(manager)
    browser.get("/admin/users/new")
    browser.submit(login_id="sato", name="佐藤", password="12345678")
    page = browser.get("/admin/users/audit")
    assert "ユーザーを追加" in page.text
    assert "user.created" not in page.text
    assert manager.name in page.one("main").text


def test_R_US_7_the_log_is_read_in_words_and_an_old_code_as_it_is(
    store: Store, browser_of, manager: User
) -> None:
    with store.write() as session:
        viewer = viewer_of(manager)
        audit.note(
            session, viewer=viewer, action="recording.played", kind="recording", object_id=7,
            now=NOW, player="0a1b2c",
        )  # fmt: skip
        audit.note(
            session, viewer=viewer, action="settings.changed", now=NOW, changed=["lines", "seats"]
        )
        audit.note(session, viewer=viewer, action="bulk.ban_add.done", now=NOW, enabled=True)
        audit.note(session, viewer=viewer, action="room.painted", now=NOW, colour="青")
    page = browser_of(manager).get("/admin/users/audit")
    for said in (
        "録音を再生", "録音 7", "変更箇所：回線数、席数", "架電禁止番号のCSV登録：完了",
        "有効：はい", "room.painted", "colour：青",
    ):  # fmt: skip
        assert said in page.text
    assert "0a1b2c" not in page.text


@pytest.mark.one_database
def test_a_users_telephone_is_chosen_on_a_page_of_its_own(store: Store, browser_of) -> None:
    with store.write() as session:
        make_site(session)
        manager, operator = make_user(session, Role.MANAGER), make_user(session, Role.OPERATOR)
    browser = browser_of(manager)
    browser.get(f"/admin/users/{operator.id}/telephone")
    browser.submit("main form", kind="device", device="101", button="save")
    with store.read() as session:
        row = session.get_one(User, operator.id)
        assert (row.leg_kind, row.device) == ("device", "101")
    assert browser.get("/check").one("#environment")["data-switch"] == ""


def test_R_US_5_a_group_is_made_renamed_and_deleted_on_its_page(
    store: Store, browser_of, manager: User, operator: User
) -> None:
    with store.write() as session:
        make_site(session)
        folder = make_list(session)
        number = make_caller_number(session)
    browser = browser_of(manager)
    browser.get("/admin/users/groups/new")
    browser.submit("main form", name="夜間", members=[str(operator.id)])
    with store.write() as session:
        group_id = session.scalars(select(Group.id)).one()
        session.add(ListGroupGrant(list_id=folder.id, group_id=group_id))
        session.add(InboundRoute(caller_number_id=number.id, group_id=group_id))
        session.add(Notice(text="連絡", user_id=manager.id, group_id=group_id, created_at=NOW))
    path = f"/admin/users/groups/{group_id}"
    page = browser.get(path)
    assert page.one(f"input[name=members][value='{operator.id}']").has_attr("checked")
    browser.submit("main form.form", name="夜間組")
    browser.get(path)
    refused = browser.submit(f"form[action='{path}/delete']", follow=True)
    assert "夜間組" in refused.one(".toast").text
    with store.write() as session:
        session.get_one(InboundRoute, number.id).group_id = None
    browser.get(path)
    page = browser.submit(f"form[action='{path}/delete']", follow=True)
    assert "グループ「夜間組」を削除しました" in page.text
    with store.read() as session:
        assert session.scalars(select(Group)).all() == []
        assert session.scalars(select(ListGroupGrant)).all() == []
        assert session.scalars(select(Notice)).one().group_id is None
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert (last.action, last.detail["name"]) == ("group.deleted", "夜間組")
    browser.post(f"{path}/delete", status=404)


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("role", "start"),
    [
        (Role.MANAGER, "/admin/"),
        (Role.SUPERVISOR, "/admin/"),
        (Role.OPERATOR, "/operator/"),
        (Role.BUSINESS, "/reports/"),
        (Role.BACKYARD, "/customers/"),
    ],
)
def test_R_US_1_each_role_lands_where_its_work_is(
    app: Flask, store: Store, role: Role, start: str
) -> None:
    password_hash = generate_password_hash("correct horse", "pbkdf2:sha256:1")
    with store.write() as session:
        make_site(session)
        user = make_user(session, role, password_hash=password_hash)
    browser = Browser(app)
    browser.get("/sign-in")
    signed_in = browser.submit("form.form", login_id=user.login_id, password="correct horse")
    assert signed_in.location == start
