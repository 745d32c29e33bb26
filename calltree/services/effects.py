"""What a result brings about, and takes back when it changes (R-ST-2, R-ST-5, R-CL-12).

Effects follow the record's present status, so each function here may be called again with the same
record and then changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, exists, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import (
    BuiltIn,
    CallRecord,
    Recording,
    RecordingState,
    ResultStatus,
    Task,
)
from calltree.services import do_not_call

PROMISES = (BuiltIn.PROSPECT, BuiltIn.CALLBACK)
DESTROYED_AFTER = timedelta(minutes=10)
_RECORDING_OF = select(Recording).where(Recording.attempt_id == bindparam("of"))


def bans(status: ResultStatus | None) -> bool:
    """Whether this status enters the customer's numbers into do-not-call (R-DN-2)."""
    return status is not None and (status.built_in is BuiltIn.CLAIM or status.bans_number)


def recording_of(session: Session, *, attempt_id: int) -> Recording | None:
    """Return what was recorded of a call."""
    return session.scalar(_RECORDING_OF, {"of": attempt_id})


def follow_task(
    session: Session,
    *,
    record: CallRecord,
    status: ResultStatus | None,
    status_changed: bool,
    task_user_id: int | None,
    user_id: int,
    now: datetime,
) -> None:
    """Open, change or close the customer's task as the record now has it.

    見込, 再コール, a callback time or 対応依頼 to a user open one, which belongs to that user, else
    to the record's author. A result that promises nothing is the answer to what was promised
    before. An older record changes only the task that it opened itself. A request stands until the
    status changes: a further save need not name the user again.
    """
    if record.customer_id is None or status is None:
        return
    opened = session.scalar(
        select(Task)
        .where(Task.customer_id == record.customer_id, Task.done_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    own = opened is not None and opened.record_id == record.id
    requested = opened is not None and own and opened.due_at is None and not status_changed
    promises = (
        status.built_in in PROMISES
        or record.callback_at is not None
        or task_user_id is not None
        or requested
    )
    if _answered_since(session, record) and not (own and not promises):
        return
    if opened is not None and own and promises:
        opened.due_at = record.callback_at
        opened.user_id = task_user_id or opened.user_id
    else:
        if opened is not None:
            opened.done_at, opened.done_by, opened.done_record_id = now, user_id, record.id
            session.flush()
        if promises:
            session.add(_new_task(record, task_user_id, user_id, now))
    session.flush()
    announce(session, "tasks", user_id=None)


def _new_task(record: CallRecord, task_user_id: int | None, user_id: int, now: datetime) -> Task:
    return Task(
        customer_id=record.customer_id,
        list_id=record.list_id,
        record_id=record.id,
        user_id=task_user_id or record.user_id or user_id,
        created_by=user_id,
        due_at=record.callback_at,
        opened_at=now,
    )


def _answered_since(session: Session, record: CallRecord) -> bool:
    """Whether a later record of the customer has a result."""
    later = exists().where(
        CallRecord.customer_id == record.customer_id,
        CallRecord.status_id.is_not(None),
        CallRecord.id != record.id,
        (CallRecord.started_at > record.started_at)
        | ((CallRecord.started_at == record.started_at) & (CallRecord.id > record.id)),
    )
    return bool(session.scalar(select(later)))


def follow_ban(
    session: Session,
    *,
    record: CallRecord,
    status: ResultStatus | None,
    withdraw: bool,
    user_id: int,
    now: datetime,
) -> None:
    """Make the ban of the record's status, or (`withdraw`) take back the one it made."""
    if bans(status):
        do_not_call.ban_for_record(session, record=record, user_id=user_id, now=now)
    elif withdraw:
        do_not_call.withdraw_for_record(session, record_id=record.id, user_id=user_id, now=now)


def follow_recording(
    session: Session, *, record: CallRecord, status: ResultStatus | None, now: datetime
) -> None:
    """Hide a 不通 recording at once and doom it when the record is closed (R-ST-2).

    Ten minutes after that it is destroyed: until then a change of status brings it back, a later
    correction does not. To be called once more when the recording has been encoded, which may be
    after the result was saved.
    """
    recording = session.scalar(
        select(Recording)
        .where(Recording.record_id == record.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if recording is None or recording.state in (RecordingState.DESTROYED, RecordingState.MISSING):
        return
    if status is not None and status.built_in is BuiltIn.NO_ANSWER:
        if recording.state is not RecordingState.RECORDING:
            recording.state = RecordingState.HIDDEN
        if record.closed_at is not None and recording.destroy_after is None:
            recording.destroy_after = max(record.closed_at, now) + DESTROYED_AFTER
    elif recording.state is RecordingState.HIDDEN and not _due(recording, now):
        encoded = bool(recording.stored_name)
        recording.destroy_after = None
        recording.state = RecordingState.STORED if encoded else RecordingState.STOPPED


def _due(recording: Recording, now: datetime) -> bool:
    return recording.destroy_after is not None and recording.destroy_after <= now
