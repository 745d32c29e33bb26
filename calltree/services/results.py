"""Saving, correcting, adding and deleting results (R-CL-6, R-CL-7, R-ST-5, R-HS-3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, Refused
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    Attempt,
    BuiltIn,
    CallRecord,
    Customer,
    CustomerHold,
    MemoEntry,
    Operator,
    Project,
    RecordCorrection,
    Recording,
    RecordingState,
    RecordKind,
    ResultStatus,
    SystemResult,
    Task,
    User,
)
from calltree.services import (
    attributes,
    audit,
    do_not_call,
    drafts,
    effects,
    figures,
    holds,
    operators,
    outbox,
    patterns,
    records,
    scope,
    tasks,
    turns,
)
from calltree.services.rights import Right, Viewer

LONG_TALK_MS = 30_000
"""From here on choosing 不通 says first that the recording will be lost (R-ST-2)."""


@dataclass(frozen=True, slots=True)
class ResultForm:
    """What stands in the result boxes. None where a box was not shown: left as it is."""

    status_id: int | None
    memo: str = ""
    attributes: Mapping[str, Any] | None = None
    """{str(item id): text as typed}; 結果属性 go to the record, 顧客属性 to the customer."""
    prospect_level: str | None = None
    callback_at: datetime | None = None
    task_user_id: int | None = None
    """対応依頼: to whom the task goes; None: to the author."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save did."""

    record: CallRecord
    changed: bool
    """False: there was nothing new, and nothing was written."""


def save(
    session: Session, *, viewer: Viewer, customer_id: int, form: ResultForm, now: datetime
) -> Saved:
    """Save the result of the call just made to the open customer; it never adds a record.

    Until the next dial it rewrites that record. Raises Refused: 'nothing_dialled', 'in_a_call',
    'status_missing', 'status_unknown', 'attribute_missing', 'attribute_wrong', 'level_unknown',
    'callback_past', 'task_user_unknown'.
    """
    if not viewer.may(Right.ADD_RECORDS):
        raise NotAllowed
    turns.take(session, user_id=viewer.user_id)
    record = records.open_record(session, user_id=viewer.user_id)
    if record is None or record.customer_id != customer_id or record.closed_at is not None:
        raise Refused("nothing_dialled")
    holds.touch(session, customer_id=customer_id, user_id=viewer.user_id, now=now)
    _lock(session, record)
    _refuse_live(session, record)
    changed = _write(session, viewer, record, form, now, withdraw=True)
    if changed:
        drafts.discard(session, user_id=viewer.user_id, customer_id=customer_id)
    operators.result_saved(session, user_id=viewer.user_id, now=now)
    return Saved(record, changed)


def correct(
    session: Session,
    *,
    viewer: Viewer,
    record_id: int,
    form: ResultForm,
    withdraw_ban: bool | None = None,
    now: datetime,
) -> Saved:
    """Correct a record: its author, or a manager any (R-HS-3). Order, time and user never change.

    Leaves a line with before and after, except while the author's own record is still open for
    rewriting. Away from a banning status the ban stays unless the customer is still open, or a
    manager says so: Refused 'ask_withdraw_ban' (`count`) asks for `withdraw_ban`. Besides the
    refusals of `save`: 'line_error_record'. Raises NotFound, NotAllowed.
    """
    record = scope.get_record(session, viewer=viewer, record_id=record_id)
    if not scope.may_correct(viewer, record):
        raise NotAllowed
    _lock(session, record)
    _refuse_live(session, record)
    if record.system is SystemResult.LINE_ERROR:
        raise Refused("line_error_record")
    if record.kind is RecordKind.MANUAL:
        raise Refused("manual_record")
    rewriting = record.closed_at is None and record.user_id == viewer.user_id
    withdraw = rewriting or _may_withdraw(session, viewer, record, form, withdraw_ban, now)
    before = facts(session, record)
    changed = _write(session, viewer, record, form, now, withdraw=withdraw)
    if changed and not rewriting:
        line = RecordCorrection(
            record_id=record.id,
            at=now,
            user_id=viewer.user_id,
            before=before,
            after=facts(session, record),
        )
        session.add(line)
        session.flush()
    if rewriting:
        operators.result_saved(session, user_id=viewer.user_id, now=now)
    return Saved(record, changed)


def add_entry(
    session: Session, *, viewer: Viewer, customer_id: int, form: ResultForm, now: datetime
) -> CallRecord:
    """Add 新規履歴作成: a record without a call, counted as 対応数 only. Raises as `save` does."""
    if not viewer.may(Right.ADD_RECORDS):
        raise NotAllowed
    customer = scope.get_customer(session, viewer=viewer, customer_id=customer_id)
    folder = scope.list_of(session, customer)
    record = records.add_entry(
        session, customer=customer, folder=folder, user_id=viewer.user_id, now=now
    )
    _write(session, viewer, record, form, now, withdraw=True)
    return record


def save_manual_memo(
    session: Session, *, viewer: Viewer, record_id: int, memo: str, now: datetime
) -> CallRecord:
    """Keep the memo of a hand-dialled call (R-CL-13); its author or a manager. Ends 後処理."""
    record = scope.get_record(session, viewer=viewer, record_id=record_id)
    if record.kind is not RecordKind.MANUAL or not scope.may_correct(viewer, record):
        raise NotAllowed
    _refuse_live(session, record)
    record.memo = memo.strip()
    record.saved_at = record.saved_at or now
    if record.user_id == viewer.user_id:
        operators.result_saved(session, user_id=viewer.user_id, now=now)
    return record


def delete_record(session: Session, *, viewer: Viewer, record_id: int, now: datetime) -> None:
    """Delete a record for good (MGR), with its figures and its recording; audited.

    The customer's memo is text and stays, and so does a ban. The task it opened is closed, the one
    it answered is open again. Raises NotFound, NotAllowed, Refused 'in_a_call'.
    """
    if not viewer.may(Right.DELETE_RECORDS):
        raise NotAllowed
    record = scope.get_record(session, viewer=viewer, record_id=record_id)
    _refuse_live(session, record)
    figures.forget(session, record=record, now=now)
    _undo_tasks(session, record, viewer.user_id, now)
    session.execute(
        update(MemoEntry).where(MemoEntry.record_id == record.id).values(record_id=None)
    )
    session.execute(
        update(Recording)
        .where(Recording.record_id == record.id, Recording.destroyed_at.is_(None))
        .values(state=RecordingState.HIDDEN, destroy_after=now)
    )
    session.execute(
        update(Recording).where(Recording.record_id == record.id).values(record_id=None)
    )
    session.execute(delete(RecordCorrection).where(RecordCorrection.record_id == record.id))
    session.execute(update(Operator).where(Operator.record_id == record.id).values(record_id=None))
    audit.note(
        session,
        viewer=viewer,
        action="record.deleted",
        kind="record",
        object_id=record.id,
        now=now,
        result=result_name(session, record),
        started_at=record.started_at.isoformat(),
    )
    session.delete(record)
    session.flush()


def warns_no_answer(record: CallRecord, status: ResultStatus) -> bool:
    """Whether choosing this status should first say that a long call's recording is lost."""
    return status.built_in is BuiltIn.NO_ANSWER and record.talk_ms >= LONG_TALK_MS


def result_name(session: Session, record: CallRecord) -> str:
    """Name a record's result as every page and export shows it, system results included."""
    if record.status_id is None:
        return SYSTEM_RESULT_NAMES.get(record.system, "")
    return session.get_one(ResultStatus, record.status_id).name


def facts(session: Session, record: CallRecord) -> dict[str, Any]:
    """Give what a correction may change, as its line keeps it: names and text, no ids."""
    return {
        "status": result_name(session, record),
        "prospect_level": record.prospect_level,
        "callback_at": record.callback_at.isoformat() if record.callback_at else None,
        "attributes": dict(record.attributes),
        "memo": record.memo,
    }


def corrections_of(session: Session, *, record_id: int) -> list[RecordCorrection]:
    """Return the lines that corrections left, oldest first."""
    return list(
        session.scalars(
            select(RecordCorrection)
            .where(RecordCorrection.record_id == record_id)
            .order_by(RecordCorrection.id)
        )
    )


def _write(
    session: Session,
    viewer: Viewer,
    record: CallRecord,
    form: ResultForm,
    now: datetime,
    *,
    withdraw: bool,
) -> bool:
    """Bring the record to what the form says, with all effects; False if it says nothing new."""
    status = _status(session, record, form)
    values = _values(session, record, form, now)
    customer = session.get(Customer, record.customer_id) if record.customer_id else None
    of_call, of_customer = _attributes(session, record, customer, form)
    text = _new_text(session, record, form)
    news = (
        text
        or status.id != record.status_id
        or any(getattr(record, name) != value for name, value in values.items())
        or of_call != record.attributes
        or (customer is not None and of_customer != customer.attributes)
        or _asks_another(session, record, form)
    )
    if not news:
        return False
    status_changed, again = status.id != record.status_id, record.status_id is not None
    record.status_id, record.system = status.id, SystemResult.NONE
    record.saved_at = record.saved_at or now
    record.attributes = of_call
    for name, value in values.items():
        setattr(record, name, value)
    if customer is not None:
        customer.attributes = of_customer
        if form.prospect_level is not None:
            customer.prospect_level = form.prospect_level
    by = viewer.user_id
    records.append_memo(session, record=record, text=text, result=status.name, user_id=by, now=now)
    figures.settle(session, record=record, now=now)
    effects.follow_task(
        session,
        record=record,
        status=status,
        status_changed=status_changed,
        task_user_id=form.task_user_id,
        user_id=by,
        now=now,
    )
    effects.follow_ban(
        session, record=record, status=status, withdraw=withdraw, user_id=by, now=now
    )
    effects.follow_recording(session, record=record, status=status, now=now)
    session.flush()
    if status_changed:
        outbox.status_saved(session, record=record, status=status.name, corrected=again, now=now)
    return True


def _status(session: Session, record: CallRecord, form: ResultForm) -> ResultStatus:
    if form.status_id is None:
        raise Refused("status_missing", field="status")
    status = session.get(ResultStatus, form.status_id)
    if status is not None and status.id == record.status_id:
        return status  # retired or of a former pattern, but chosen when it was not
    pattern_id = session.scalar(select(Project.pattern_id).where(Project.id == record.project_id))
    if status is None or status.id not in {s.id for s in patterns.offered(session, pattern_id)}:
        raise Refused("status_unknown", field="status")
    return status


def _values(
    session: Session, record: CallRecord, form: ResultForm, now: datetime
) -> dict[str, Any]:
    values: dict[str, Any] = {"callback_at": form.callback_at}
    minute = now.replace(second=0, microsecond=0)  # people choose minutes
    changed = form.callback_at != record.callback_at
    if changed and form.callback_at is not None and form.callback_at < minute:
        raise Refused("callback_past", field="callback_at")
    if form.prospect_level is not None:
        levels = session.scalar(
            select(Project.prospect_levels).where(Project.id == record.project_id)
        )
        if form.prospect_level not in ("", record.prospect_level, *(levels or [])):
            raise Refused("level_unknown", field="prospect_level")
        values["prospect_level"] = form.prospect_level
    if form.task_user_id is not None:
        user = session.get(User, form.task_user_id)
        known = user is not None and user.deleted_at is None
        if not known or user is None or not Viewer.of(user).may(Right.SEE_TASKS):
            raise Refused("task_user_unknown", field="task_user_id")
        if record.list_id is not None and not tasks.may_be_given(
            session, user=user, list_id=record.list_id
        ):
            raise Refused("task_user_without_list", field="task_user_id")
    return values


def _attributes(
    session: Session, record: CallRecord, customer: Customer | None, form: ResultForm
) -> tuple[dict[str, Any], dict[str, Any]]:
    of_customer = dict(customer.attributes) if customer else {}
    if form.attributes is None or record.project_id is None:
        return dict(record.attributes), of_customer
    return attributes.read(
        session,
        project_id=record.project_id,
        typed=form.attributes,
        of_call=dict(record.attributes),
        of_customer=of_customer,
    )


def _new_text(session: Session, record: CallRecord, form: ResultForm) -> str:
    """The memo box, unless the very same text was the last saved to this record (a resent save)."""
    text = form.memo.strip()
    newest = session.scalar(
        select(MemoEntry.text)
        .where(MemoEntry.record_id == record.id)
        .order_by(MemoEntry.id.desc())
        .limit(1)
    )
    repeated = newest is not None and newest.partition("】")[2] == text
    return "" if repeated else text


def _asks_another(session: Session, record: CallRecord, form: ResultForm) -> bool:
    """Whether 対応依頼 names somebody who does not have this record's task yet."""
    if form.task_user_id is None:
        return False
    has = exists().where(
        Task.record_id == record.id, Task.done_at.is_(None), Task.user_id == form.task_user_id
    )
    return not session.scalar(select(has))


def _lock(session: Session, record: CallRecord) -> None:
    """Let a resent save wait for the first one and see what it wrote (Postgres)."""
    session.refresh(record, with_for_update=True)


def _refuse_live(session: Session, record: CallRecord) -> None:
    if record.attempt_id is None:
        return
    live = select(Attempt.id).where(Attempt.id == record.attempt_id, Attempt.ended_at.is_(None))
    if session.scalar(live) is not None:
        raise Refused("in_a_call")


def _may_withdraw(
    session: Session,
    viewer: Viewer,
    record: CallRecord,
    form: ResultForm,
    answer: bool | None,
    now: datetime,
) -> bool:
    """Whether the ban this record made goes with its status: R-ST-5's "later only a manager"."""
    status = session.get(ResultStatus, form.status_id) if form.status_id else None
    made = do_not_call.made_by(session, record_id=record.id, now=now)
    if not made or effects.bans(status):
        return False
    if _is_still_open(session, viewer, record):
        return True
    if not viewer.may(Right.RELEASE_BANS):
        return False
    if answer is None:
        raise Refused("ask_withdraw_ban", count=len(made))
    return answer


def _is_still_open(session: Session, viewer: Viewer, record: CallRecord) -> bool:
    """Whether the viewer has not left the customer since this record's call."""
    mine = exists().where(
        CustomerHold.customer_id == record.customer_id,
        CustomerHold.user_id == viewer.user_id,
        CustomerHold.taken_at <= record.started_at,
    )
    return record.user_id == viewer.user_id and bool(session.scalar(select(mine)))


def _undo_tasks(session: Session, record: CallRecord, user_id: int, now: datetime) -> None:
    opened = session.scalars(select(Task).where(Task.record_id == record.id)).all()
    for task in opened:
        task.record_id = None
        if task.done_at is None:
            task.done_at, task.done_by = now, user_id
    session.flush()
    standing = exists().where(Task.customer_id == record.customer_id, Task.done_at.is_(None))
    if session.scalar(select(standing)):
        return
    answered = session.scalar(
        select(Task).where(Task.done_record_id == record.id).order_by(Task.id.desc()).limit(1)
    )
    if answered is not None:
        answered.done_at = answered.done_by = answered.done_record_id = None
    session.flush()
