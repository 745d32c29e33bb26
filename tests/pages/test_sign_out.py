"""Ending sessions from elsewhere (R-US-6)."""

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.models import AuditEntry, OperatorState, Role, User
from tests.factories import make_operator, make_site, make_user

pytestmark = pytest.mark.one_database


@pytest.fixture
def house(store: Store) -> dict[Role, User]:
    with store.write() as session:
        make_site(session)
        return {role: make_user(session, role) for role in Role}


def _ended(browser: object) -> bool:
    return browser.get("/password", status=(200, 303)).status == 303


def test_R_US_6_a_manager_signs_a_user_out_everywhere(store: Store, browser_of, house) -> None:
    operator = house[Role.OPERATOR]
    first, second = browser_of(operator), browser_of(operator)
    manager = browser_of(house[Role.MANAGER])
    manager.get(f"/admin/users/{operator.id}/password")
    answer = manager.submit(f"form[action$='/{operator.id}/sign-out']", follow=True)
    assert "すべての端末からログアウトしました" in answer.text
    assert _ended(first)
    assert _ended(second)
    assert not _ended(manager)
    with store.read() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "user.signed_out"))
        assert (entry.user_id, entry.object_id) == (house[Role.MANAGER].id, str(operator.id))


def test_R_US_6_one_signs_oneself_out_everywhere_else(browser_of, house) -> None:
    for role in Role:
        here, there = browser_of(house[role]), browser_of(house[role])
        here.get("/password")
        here.submit("form[action='/sign-out-elsewhere']")
        assert not _ended(here)
        assert _ended(there)


def test_R_US_6_a_manager_who_signs_themselves_out_stays_here(browser_of, house) -> None:
    here, there = browser_of(house[Role.MANAGER]), browser_of(house[Role.MANAGER])
    here.get("/admin/")
    here.post(f"/admin/users/{house[Role.MANAGER].id}/sign-out")
    assert not _ended(here)
    assert _ended(there)


def test_R_US_6_a_supervisor_signs_operators_out_only(browser_of, house) -> None:
    supervisor = browser_of(house[Role.SUPERVISOR])
    supervisor.get("/admin/")
    for role in (Role.MANAGER, Role.BUSINESS, Role.BACKYARD):
        supervisor.post(f"/admin/users/{house[role].id}/sign-out", status=403)
    supervisor.post(f"/admin/users/{house[Role.OPERATOR].id}/sign-out")
    operator = browser_of(house[Role.OPERATOR])
    operator.post(f"/admin/users/{house[Role.OPERATOR].id}/sign-out", status=403)


def test_R_US_6_nobody_is_signed_out_of_a_call_by_another(store: Store, browser_of, house) -> None:
    operator = house[Role.OPERATOR]
    with store.write() as session:
        make_operator(session, operator, state=OperatorState.TALKING)
    theirs, manager = browser_of(operator), browser_of(house[Role.MANAGER])
    manager.get("/admin/")
    manager.post(f"/admin/users/{operator.id}/sign-out")
    assert not _ended(theirs)
    assert "通話" in manager.get(f"/admin/users/{operator.id}/password").text


def test_R_US_5_a_changed_restriction_is_in_the_log(browser_of, house) -> None:
    manager, operator = browser_of(house[Role.MANAGER]), house[Role.OPERATOR]
    page = manager.get(f"/admin/users/{operator.id}")
    data = page.values("main form.form")
    data.pop("may_dial_manually")
    manager.post(f"/admin/users/{operator.id}", data)
    page = manager.get("/admin/users/audit")
    assert "手動発信：はい → いいえ" in page.text
