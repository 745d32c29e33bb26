"""R-US-1, R-LS-2, R-HS-5: which rows each role may see."""

import pytest
from sqlalchemy import select

from calltree.errors import NotFound
from calltree.models import (
    BuiltIn,
    CallRecord,
    Customer,
    CustomerList,
    Import,
    ImportState,
    Project,
    ProjectRecipient,
    ProjectState,
    Recording,
    Role,
)
from calltree.services import scope
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk


def someone(desk: Desk, role: Role, *, granted: bool = False, **given: object) -> Viewer:
    with desk.store.write() as session:
        user = make.make_user(session, role, **given)
        if granted:
            make.grant(session, session.get_one(CustomerList, desk.list_id), user)
        return Viewer.of(user)


def sees_customer(desk: Desk, viewer: Viewer) -> bool:
    with desk.store.read() as session:
        try:
            scope.get_customer(session, viewer=viewer, customer_id=desk.customer_id)
        except NotFound:
            return False
        return True


def plays(desk: Desk, viewer: Viewer) -> bool:
    with desk.store.read() as session:
        condition = scope.recordings_played(session, viewer=viewer)
        return session.scalar(select(CallRecord.id).where(condition)) is not None


@pytest.mark.parametrize(
    ("role", "granted", "sees"),
    [
        (Role.MANAGER, False, True),
        (Role.SUPERVISOR, False, True),
        (Role.OPERATOR, False, False),
        (Role.OPERATOR, True, True),
        (Role.BACKYARD, False, False),
        (Role.BACKYARD, True, True),
        (Role.BUSINESS, True, False),
    ],
)
def test_R_US_1_customers_by_role(desk: Desk, role: Role, granted: bool, sees: bool) -> None:
    assert sees_customer(desk, someone(desk, role, granted=granted)) is sees


def test_R_LS_2_an_operator_needs_a_grant_and_an_enabled_list(desk: Desk) -> None:
    operator = someone(desk, Role.OPERATOR, granted=True)
    backyard = someone(desk, Role.BACKYARD, granted=True)
    desk.change(CustomerList, desk.list_id, enabled=False)
    assert not sees_customer(desk, operator)
    assert sees_customer(desk, backyard), "granted lists, enabled or not"
    desk.change(CustomerList, desk.list_id, enabled=True)
    assert sees_customer(desk, operator), "disabling keeps the grants"


def test_R_US_5_a_group_is_granted_lists_at_once(desk: Desk) -> None:
    operator = someone(desk, Role.OPERATOR)
    assert not sees_customer(desk, operator)
    with desk.store.write() as session:
        user = session.get_one(make.User, operator.user_id)
        make.make_group(session, user, lists=(session.get_one(CustomerList, desk.list_id),))
    assert sees_customer(desk, operator)


def test_R_PJ_2_a_stopped_projects_lists_are_seen_and_not_offered_for_dialling(desk: Desk) -> None:
    operator = someone(desk, Role.OPERATOR, granted=True)
    desk.change(Project, desk.project_id, state=ProjectState.STOPPED)
    assert sees_customer(desk, operator)
    with desk.store.read() as session:
        assert session.scalar(select(CustomerList.id).where(scope.lists_dialled(operator))) is None


def test_R_LS_7_rows_of_an_unfinished_or_undone_import_exist_for_nobody(desk: Desk) -> None:
    manager = someone(desk, Role.MANAGER)
    with desk.store.write() as session:
        upload = Import(
            state=ImportState.RUNNING, project_id=desk.project_id, user_id=desk.user_id,
            filename="a.csv", stored_name="a", created_at=NOW,
        )  # fmt: skip
        session.add(upload)
        session.flush()
        session.get_one(Customer, desk.customer_id).import_id = upload.id
    assert not sees_customer(desk, manager)
    desk.change(Import, 1, state=ImportState.PUBLISHED)
    assert sees_customer(desk, manager)
    desk.change(Import, 1, state=ImportState.UNDONE)
    assert not sees_customer(desk, manager)


def test_R_HS_5_business_sees_what_is_reported_to_them_and_nothing_else(desk: Desk) -> None:
    business, stranger = someone(desk, Role.BUSINESS), someone(desk, Role.BUSINESS)
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    assert not sees_customer(desk, business), "default: nobody"
    prospect = desk.status_id(BuiltIn.PROSPECT)
    desk.change(Project, desk.project_id, reporting=True, reported_status_ids=[prospect])
    with desk.store.write() as session:
        session.add(ProjectRecipient(project_id=desk.project_id, user_id=business.user_id))
    assert sees_customer(desk, business)
    assert not sees_customer(desk, stranger)
    assert not plays(desk, business)
    desk.change(Project, desk.project_id, reports_recordings=True)
    assert plays(desk, business)
    desk.save(BuiltIn.FAX)
    assert not sees_customer(desk, business), "that status is not reported"


def test_R_RC_4_who_plays_a_recording(desk: Desk) -> None:
    record = desk.calls()
    assert plays(desk, desk.viewer())
    assert plays(desk, someone(desk, Role.SUPERVISOR))
    assert plays(desk, someone(desk, Role.BACKYARD, granted=True))
    assert not plays(desk, someone(desk, Role.BACKYARD))
    assert not plays(desk, someone(desk, Role.OPERATOR, granted=True)), "own only"
    desk.change(make.User, desk.user_id, may_play_recordings=False)
    assert not plays(desk, desk.viewer())
    with desk.store.write() as session:
        recording = Recording(
            attempt_id=record.attempt_id, record_id=record.id, raw_name="a", started_at=NOW
        )
        session.add(recording)
    manager = someone(desk, Role.MANAGER)
    with desk.store.read() as session:
        assert scope.get_recording(session, viewer=manager, recording_id=recording.id)
        with pytest.raises(NotFound):
            scope.get_recording(session, viewer=desk.viewer(), recording_id=recording.id)


def test_R_US_1_records_of_others_customers_are_not_found(desk: Desk) -> None:
    record = desk.calls()
    stranger, friend = (
        someone(desk, Role.OPERATOR),
        someone(desk, Role.OPERATOR, granted=True),
    )
    with desk.store.read() as session:
        assert scope.get_record(session, viewer=friend, record_id=record.id).id == record.id
        with pytest.raises(NotFound):
            scope.get_record(session, viewer=stranger, record_id=record.id)
        with pytest.raises(NotFound):
            scope.get_list(session, viewer=stranger, list_id=desk.list_id)
