"""R-DN-1, R-DN-2, R-DN-4, R-DN-5."""

from datetime import timedelta

import pytest

from calltree.errors import NotAllowed, Refused
from calltree.models import AuditEntry, BuiltIn, DncSource, DoNotCall, Project, Role
from calltree.services import do_not_call
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk

NUMBER = "0312340001"


@pytest.fixture
def manager(desk: Desk) -> Viewer:
    with desk.store.write() as session:
        return Viewer.of(make.make_user(session, Role.MANAGER))


def add(desk: Desk, viewer: Viewer, *numbers: str, **given: object) -> do_not_call.Counted:
    with desk.store.write() as session:
        return do_not_call.add(session, viewer=viewer, numbers=numbers, now=NOW, **given)


def is_banned(desk: Desk, project_id: int | None, now=NOW, number: str = NUMBER) -> bool:
    with desk.store.read() as session:
        return do_not_call.is_banned(session, number=number, project_id=project_id, now=now)


def release(desk: Desk, viewer: Viewer, reason: str = "本人からの申し出") -> int:
    with desk.store.write() as session:
        ids = [entry.id for entry in session.query(DoNotCall)]
        return do_not_call.release(session, viewer=viewer, entry_ids=ids, reason=reason, now=NOW)


def test_R_DN_1_a_number_is_entered_as_people_write_it(desk: Desk, manager: Viewer) -> None:
    counted = add(desk, manager, "０３−1234-0001", "+81 3 1234 0001", "12", "", "03-1234-0002")
    assert counted == do_not_call.Counted(added=2, existing=0, invalid=["12"])
    (first, _) = desk.rows(DoNotCall)
    assert (first.number, first.source, first.user_id, first.created_at) == (
        NUMBER,
        DncSource.FORM,
        manager.user_id,
        NOW,
    )
    assert is_banned(desk, desk.project_id)
    assert is_banned(desk, None)
    assert add(desk, manager, NUMBER) == do_not_call.Counted(added=0, existing=1)


def test_R_DN_1_scope_of_chosen_projects(desk: Desk, manager: Viewer) -> None:
    with desk.store.write() as session:
        other = make.make_project(session)
    add(desk, manager, NUMBER, project_ids=[other.id])
    assert is_banned(desk, other.id)
    assert not is_banned(desk, desk.project_id)
    assert not is_banned(desk, None)
    assert add(desk, manager, NUMBER, project_ids=[other.id]).existing == 1
    assert add(desk, manager, NUMBER, project_ids=[other.id, desk.project_id]).added == 1
    assert is_banned(desk, desk.project_id)
    assert add(desk, manager, NUMBER).added == 1, "全案件 says more"
    assert is_banned(desk, None)


def test_R_DN_1_expiry(desk: Desk, manager: Viewer) -> None:
    tomorrow = NOW + timedelta(days=1)
    add(desk, manager, NUMBER, expires_at=tomorrow)
    assert is_banned(desk, None)
    assert not is_banned(desk, None, tomorrow)
    assert add(desk, manager, NUMBER).added == 1, "for ever says more"
    assert is_banned(desk, None, tomorrow)
    assert add(desk, manager, NUMBER, expires_at=tomorrow).existing == 1
    with pytest.raises(Refused, match="ban_expiry_past"):
        add(desk, manager, NUMBER, expires_at=NOW)


def test_R_DN_2_an_own_status_so_set_bans_like_a_claim(desk: Desk) -> None:
    with desk.store.write() as session:
        project = session.get_one(Project, desk.project_id)
        make.make_status(session, make.get_pattern(session, project), "お断り2", bans_number=True)
    desk.calls()
    desk.save("お断り2")
    assert is_banned(desk, None, number=desk.number)
    desk.save(BuiltIn.NO_ANSWER)
    assert not is_banned(desk, None, number=desk.number)


def test_R_DN_4_only_a_manager_releases_with_a_reason_and_it_is_audited(
    desk: Desk, manager: Viewer
) -> None:
    add(desk, manager, NUMBER, "0312340002")
    with desk.store.write() as session:
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
    for viewer in (supervisor, desk.viewer()):
        with pytest.raises(NotAllowed):
            release(desk, viewer)
    with pytest.raises(Refused, match="reason_required"):
        release(desk, manager, "  ")
    assert release(desk, manager) == 2
    assert release(desk, manager) == 0
    assert not is_banned(desk, None)
    released = [e for e in desk.rows(AuditEntry) if e.action == "do_not_call.released"]
    assert [entry.detail["reason"] for entry in released] == ["本人からの申し出"] * 2
    assert all(NUMBER not in str(entry.detail) for entry in released)
    assert len(desk.rows(DoNotCall)) == 2, "released, never removed"


def test_R_DN_1_operators_enter_by_status_only(desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        add(desk, desk.viewer(), NUMBER)


def test_R_DN_5_in_force_for_the_very_next_press_and_a_ringing_call_goes_on(
    desk: Desk, manager: Viewer
) -> None:
    attempt = desk.press()
    desk.leaves(attempt)
    add(desk, manager, desk.number)
    assert desk.get(type(attempt), attempt.id).ended_at is None
    desk.ends(attempt)
    assert desk.verdict() == "number_banned"
