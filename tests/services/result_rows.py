"""Rows that results write, and what the tests of results begin with."""

from datetime import timedelta

from calltree.models import (
    CallRecord,
    MemoEntry,
    Recording,
    RecordingState,
    Role,
    Task,
)
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk

LATER = NOW + timedelta(minutes=1)
TOMORROW = NOW + timedelta(days=1)


def manager_of(desk: Desk) -> Viewer:
    with desk.store.write() as session:
        return Viewer.of(make.make_user(session, Role.MANAGER, name="管理花子"))


def memo(desk: Desk) -> list[str]:
    return [entry.text for entry in desk.rows(MemoEntry)]


def open_tasks(desk: Desk) -> list[Task]:
    return desk.rows(Task, Task.done_at.is_(None))


def recorded(desk: Desk, **given: object) -> CallRecord:
    record = desk.calls(**given)
    with desk.store.write() as session:
        session.add(
            Recording(
                attempt_id=record.attempt_id,
                record_id=record.id,
                raw_name="a.wav",
                stored_name="a.mp3",
                state=RecordingState.STORED,
                started_at=NOW,
            )
        )
    return record


def recording(desk: Desk) -> tuple[RecordingState, object]:
    (row,) = desk.rows(Recording)
    return row.state, row.destroy_after
