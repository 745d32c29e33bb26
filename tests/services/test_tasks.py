"""R-CL-12: who sees which tasks, in which tab, and how they go and return."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from calltree.errors import NotAllowed, Refused
from calltree.models import (
    BuiltIn,
    Customer,
    CustomerList,
    DoNotCall,
    DoNotCallProject,
    ListGrant,
    Role,
    Task,
    User,
)
from calltree.services import scope, tasks
from calltree.services.rights import Viewer
from calltree.services.tasks import Tab
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague

HOUR = timedelta(hours=1)


def add(desk: Desk, user_id: int | None, due_at=None) -> int:
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        task = Task(
            customer_id=make.make_customer(session, folder).id,
            list_id=folder.id,
            user_id=user_id,
            due_at=due_at,
            opened_at=NOW,
        )
        session.add(task)
        session.flush()
        return task.id


def shown(desk: Desk, viewer: Viewer, tab: Tab, now=NOW) -> list[int]:
    with desk.store.read() as session:
        rows = tasks.page(session, viewer=viewer, tab=tab, now=now)
        assert tasks.counts(session, viewer=viewer, now=now)[tab] == len(rows)
        return [row.task.id for row in rows]


def test_R_CL_12_tabs_and_badge(desk: Desk) -> None:
    me = desk.viewer()
    overdue = add(desk, me.user_id, NOW - HOUR)
    older = add(desk, me.user_id, NOW - 2 * HOUR)
    due_now = add(desk, me.user_id, NOW)
    future = add(desk, me.user_id, NOW + HOUR)
    free = add(desk, me.user_id)
    assert shown(desk, me, Tab.PAST) == [older, overdue, due_now]
    assert shown(desk, me, Tab.FUTURE) == [future]
    assert shown(desk, me, Tab.FREE) == [free]
    with desk.store.read() as session:
        assert tasks.badge(session, viewer=me, now=NOW) == 3
        assert tasks.badge(session, viewer=me, now=NOW + HOUR) == 4


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        (Role.MANAGER, {"mine", "others", "nobody's"}),
        (Role.SUPERVISOR, {"mine", "others", "nobody's"}),
        (Role.OPERATOR, {"mine", "nobody's"}),
        (Role.BACKYARD, {"mine", "nobody's"}),
        (Role.BUSINESS, set()),
    ],
)
def test_R_CL_12_own_and_unowned_tasks_of_granted_lists(
    desk: Desk, role: Role, sees: set[str]
) -> None:
    other = colleague(desk)
    with desk.store.write() as session:
        user = make.make_user(session, role)
        make.grant(session, session.get_one(CustomerList, desk.list_id), user)
    named = {
        add(desk, user.id): "mine",
        add(desk, other.id): "others",
        add(desk, None): "nobody's",
    }
    assert {named[task] for task in shown(desk, Viewer.of(user), Tab.FREE)} == sees


def test_R_CL_12_a_task_goes_and_returns_with_customer_list_and_grant(desk: Desk) -> None:
    me = desk.viewer()
    task_id = add(desk, me.user_id)
    customer_id = desk.get(Task, task_id).customer_id
    desk.change(Customer, customer_id, deleted_at=NOW)
    assert shown(desk, me, Tab.FREE) == []
    desk.change(Customer, customer_id, deleted_at=None)
    assert shown(desk, me, Tab.FREE) == [task_id]
    desk.change(CustomerList, desk.list_id, enabled=False)
    assert shown(desk, me, Tab.FREE) == []
    desk.change(CustomerList, desk.list_id, enabled=True, deleted_at=NOW)
    assert shown(desk, me, Tab.FREE) == []
    desk.change(CustomerList, desk.list_id, deleted_at=None)
    with desk.store.write() as session:
        session.delete(session.get_one(ListGrant, (desk.list_id, desk.user_id)))
    assert shown(desk, me, Tab.FREE) == []
    with desk.store.write() as session:
        session.add(ListGrant(list_id=desk.list_id, user_id=desk.user_id))
    assert shown(desk, me, Tab.FREE) == [task_id]


def test_R_DN_5_a_banned_customer_leaves_the_tasks_and_returns_on_release(desk: Desk) -> None:
    me = desk.viewer()
    task_id = add(desk, me.user_id)
    number = desk.get(Customer, desk.get(Task, task_id).customer_id).number
    with desk.store.write() as session:
        session.add(DoNotCall(number=number, source="form", created_at=NOW))
    assert shown(desk, me, Tab.FREE) == []
    desk.change(DoNotCall, 1, released_at=NOW)
    assert shown(desk, me, Tab.FREE) == [task_id]


def test_R_DN_1_a_ban_of_another_project_hides_no_task(desk: Desk) -> None:
    me = desk.viewer()
    task_id = add(desk, me.user_id)
    number = desk.get(Customer, desk.get(Task, task_id).customer_id).number
    with desk.store.write() as session:
        elsewhere = make.make_list(session).project_id
        entry = DoNotCall(number=number, all_projects=False, source="form", created_at=NOW)
        session.add(entry)
        session.flush()
        session.add(DoNotCallProject(entry_id=entry.id, project_id=elsewhere))
    assert shown(desk, me, Tab.FREE) == [task_id]
    with desk.store.write() as session:
        session.add(DoNotCallProject(entry_id=entry.id, project_id=desk.project_id))
    assert shown(desk, me, Tab.FREE) == []


def test_R_CL_12_done_rows_are_told_and_not_listed(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    me = desk.viewer()
    (task_id,) = shown(desk, me, Tab.FREE)
    with desk.store.read() as session:
        assert tasks.of_customer(session, customer_id=desk.customer_id).id == task_id
        assert tasks.done_among(session, task_ids=[task_id]) == set()
    desk.save(BuiltIn.NO_ANSWER)
    assert shown(desk, me, Tab.FREE) == []
    with desk.store.read() as session:
        assert tasks.done_among(session, task_ids=[task_id]) == {task_id}


def test_R_CL_12_managers_give_tasks_away_or_to_nobody(desk: Desk) -> None:
    task_id = add(desk, desk.user_id)
    with desk.store.write() as session:
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
        business = make.make_user(session, Role.BUSINESS)

    def assign(viewer: Viewer, user_id: int | None) -> int:
        with desk.store.write() as session:
            return tasks.assign(
                session, viewer=viewer, task_ids=[task_id], user_id=user_id, now=NOW
            )

    with pytest.raises(NotAllowed):
        assign(desk.viewer(), None)
    with pytest.raises(Refused, match="task_user_unknown"):
        assign(supervisor, business.id)
    stranger = colleague(desk)
    with desk.store.write() as session:
        session.execute(delete(ListGrant).where(ListGrant.user_id == stranger.id))
    with pytest.raises(Refused, match="task_user_without_list"):
        assign(supervisor, stranger.id)
    with desk.store.read() as session:
        query = select(User.id).where(scope.sees_list(desk.list_id))
        given = set(session.scalars(query))
    assert {desk.user_id, supervisor.user_id} <= given
    assert not given & {stranger.id, business.id}
    assert assign(supervisor, None) == 1
    assert desk.get(Task, task_id).user_id is None
    assert shown(desk, Viewer.of(colleague(desk)), Tab.FREE) == [task_id]
