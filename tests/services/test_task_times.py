"""R-CL-12: reminders, other times, who is behind, and times that may be promised."""

from datetime import datetime, timedelta

import pytest

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import ClosedDay, CustomerList, Project, Role, Task, User
from calltree.services import callback_times, task_reminders, tasks
from calltree.services.rights import Viewer
from calltree.services.tasks import Tab, Whose
from calltree.text.days import TOKYO
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague
from tests.services.racing import by_threads

HOUR = timedelta(hours=1)


def add(desk: Desk, user_id: int | None, due_at: datetime | None) -> int:
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        task = Task(
            customer_id=make.make_customer(session, folder).id,
            list_id=folder.id,
            user_id=user_id,
            due_at=due_at,
            opened_at=NOW - 10 * HOUR,
        )
        session.add(task)
        session.flush()
        return task.id


def reminded(desk: Desk, viewer: Viewer, now: datetime = NOW, most: int = 9) -> list[int]:
    with desk.store.read() as session:
        found = task_reminders.due(session, viewer=viewer, now=now, most=most)
        return [row.task.id for row in found]


def close(desk: Desk, viewer: Viewer, *task_ids: int) -> None:
    with desk.store.write() as session:
        task_reminders.close(session, viewer=viewer, task_ids=task_ids, now=NOW)


def reschedule(desk: Desk, viewer: Viewer, task_id: int, due_at: datetime | None) -> None:
    with desk.store.write() as session:
        tasks.reschedule(session, viewer=viewer, task_id=task_id, due_at=due_at, now=NOW)


def supervisor(desk: Desk) -> Viewer:
    with desk.store.write() as session:
        return Viewer.of(make.make_user(session, Role.SUPERVISOR))


def test_R_CL_12_one_is_reminded_of_own_tasks_and_of_anyones_when_they_are_due(desk: Desk) -> None:
    me, other = desk.viewer(), Viewer.of(colleague(desk))
    mine = add(desk, me.user_id, NOW)
    anyones = add(desk, None, NOW - HOUR)
    theirs = add(desk, other.user_id, NOW - HOUR)
    add(desk, me.user_id, None)
    soon = add(desk, me.user_id, NOW + HOUR)
    add(desk, me.user_id, NOW - 9 * HOUR)
    assert reminded(desk, me) == [anyones, mine]
    assert {*reminded(desk, other)} == {theirs, anyones}
    assert reminded(desk, supervisor(desk)) == [anyones]
    assert soon in reminded(desk, me, NOW + HOUR)
    assert reminded(desk, me, most=1) == [anyones]


def test_R_CL_12_a_closed_reminder_stays_closed_until_another_time(desk: Desk) -> None:
    me, other = desk.viewer(), Viewer.of(colleague(desk))
    task_id = add(desk, None, NOW - HOUR)
    close(desk, me, task_id)
    close(desk, me, task_id)
    assert reminded(desk, me) == []
    assert reminded(desk, other) == [task_id]
    reschedule(desk, me, task_id, NOW + HOUR)
    assert reminded(desk, me) == []
    assert reminded(desk, me, NOW + HOUR) == [task_id]
    desk.change(Task, task_id, done_at=NOW)
    assert reminded(desk, me, NOW + HOUR) == []


def test_R_CL_12_nobody_closes_the_reminder_of_a_task_they_do_not_see(desk: Desk) -> None:
    other = colleague(desk)
    task_id = add(desk, other.id, NOW - HOUR)
    close(desk, desk.viewer(), task_id)
    assert reminded(desk, Viewer.of(other)) == [task_id]


def test_R_CL_12_two_pages_close_one_reminder_at_once(desk: Desk, database_url: str) -> None:
    me = desk.viewer()
    task_id = add(desk, me.user_id, NOW)

    def press(store, _n: int) -> str:
        with store.write() as session:
            task_reminders.close(session, viewer=me, task_ids=[task_id], now=NOW)
        return "closed"

    assert by_threads(database_url, press, range(4)) == ["closed"] * 4
    assert reminded(desk, me) == []


def test_R_CL_12_a_task_gets_another_time_or_none(desk: Desk) -> None:
    me, other = desk.viewer(), colleague(desk)
    mine, theirs = add(desk, me.user_id, NOW), add(desk, other.id, NOW)
    reschedule(desk, me, mine, NOW + HOUR)
    assert desk.get(Task, mine).due_at == NOW + HOUR
    reschedule(desk, me, mine, None)
    assert desk.get(Task, mine).due_at is None
    with pytest.raises(Refused, match="callback_past"):
        reschedule(desk, me, mine, NOW)
    with pytest.raises(NotFound):
        reschedule(desk, me, theirs, NOW + HOUR)
    reschedule(desk, supervisor(desk), theirs, NOW + HOUR)
    assert desk.get(Task, theirs).due_at == NOW + HOUR
    desk.change(Task, theirs, done_at=NOW)
    with pytest.raises(Refused, match="task_done"):
        reschedule(desk, supervisor(desk), theirs, NOW + 2 * HOUR)


def test_R_CL_12_managers_see_who_is_behind_and_by_how_much(desk: Desk) -> None:
    other = colleague(desk)
    add(desk, desk.user_id, NOW - HOUR)
    add(desk, desk.user_id, NOW - 3 * HOUR)
    add(desk, other.id, NOW - 2 * HOUR)
    add(desk, None, NOW - 4 * HOUR)
    add(desk, other.id, NOW + HOUR)
    boss = supervisor(desk)
    with desk.store.read() as session:
        behind = tasks.overdue(session, viewer=boss, now=NOW)
        assert [(row.user_id, row.overdue, row.oldest) for row in behind] == [
            (None, 1, NOW - 4 * HOUR),
            (desk.user_id, 2, NOW - 3 * HOUR),
            (other.id, 1, NOW - 2 * HOUR),
        ]
        with pytest.raises(NotAllowed):
            tasks.overdue(session, viewer=desk.viewer(), now=NOW)


def test_R_CL_12_a_list_shows_everybodys_ones_own_or_nobodys(desk: Desk) -> None:
    me, other = desk.viewer(), colleague(desk)
    mine, theirs, anyones = (
        add(desk, user_id, NOW - HOUR) for user_id in (me.user_id, other.id, None)
    )

    def shown(viewer: Viewer, who: Whose | int) -> set[int]:
        with desk.store.read() as session:
            rows = tasks.page(session, viewer=viewer, tab=Tab.PAST, now=NOW, who=who)
            counted = tasks.counts(session, viewer=viewer, now=NOW, who=who)
            assert counted[Tab.PAST] == len(rows)
            return {row.task.id for row in rows}

    boss = supervisor(desk)
    assert shown(boss, Whose.EVERYBODY) == {mine, theirs, anyones}
    assert shown(boss, other.id) == {theirs}
    assert shown(me, Whose.EVERYBODY) == {mine, anyones}
    assert shown(me, me.user_id) == {mine}
    assert shown(me, Whose.NOBODY) == {anyones}
    assert shown(me, other.id) == set()


def offered(desk: Desk, now: str, user_id: int | None = None) -> list[str]:
    """Times as they are proposed to the desk's operator at a moment in Tokyo; moved ones with *."""
    moment = datetime.fromisoformat(now).replace(tzinfo=TOKYO)
    with desk.store.read() as session:
        project = session.get_one(Project, desk.project_id)
        found = callback_times.offered(
            session, project=project, user_id=user_id or desk.user_id, now=moment
        )
    assert len({one.at for one in found}) == len(found)
    return [f"{one.at.astimezone(TOKYO):%m-%d %H:%M}{'*' * one.moved}" for one in found]


def test_R_CL_12_callbacks_are_proposed_inside_the_projects_hours(desk: Desk) -> None:
    assert offered(desk, "2026-11-24 10:07") == [
        "11-24 11:07", "11-24 17:00", "11-25 10:00", "11-25 14:00",
    ]  # fmt: skip
    assert offered(desk, "2026-11-24 19:30") == ["11-25 09:00*", "11-25 10:00", "11-25 14:00"]
    assert offered(desk, "2026-11-27 18:00")[1:] == ["11-30 09:00*"]
    with desk.store.write() as session:
        session.add(ClosedDay(day=datetime(2026, 11, 25, tzinfo=TOKYO).date()))
    assert offered(desk, "2026-11-24 18:30")[1:] == ["11-26 09:00*"]


def test_R_CL_12_two_callbacks_are_not_proposed_for_one_time(desk: Desk) -> None:
    five = datetime(2026, 11, 24, 17, 0, tzinfo=TOKYO)
    add(desk, desk.user_id, five)
    add(desk, desk.user_id, five + timedelta(minutes=20))
    assert offered(desk, "2026-11-24 10:00")[1] == "11-24 17:45*"
    assert offered(desk, "2026-11-24 10:00", colleague(desk).id)[1] == "11-24 17:00"
    with desk.store.write() as session:
        for task in session.query(Task):
            task.done_at = NOW
        assert session.get(User, desk.user_id)
    assert offered(desk, "2026-11-24 10:00")[1] == "11-24 17:00"
