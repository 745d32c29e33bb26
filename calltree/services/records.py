"""Call records: one per dial, call or manual entry, and the one result of each (R-CL-6, R-CL-7).

A record is opened with 空白 in the transaction that takes the dial. Until its operator dials again
or leaves, a save rewrites it; from then on a save is a correction and leaves a line (R-HS-3).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    CallRecord,
    Customer,
    CustomerHold,
    CustomerList,
    Draft,
    MemoEntry,
    Operator,
    Origin,
    RecordKind,
    ResultStatus,
    SystemResult,
    User,
)
from calltree.services import drafts, effects, figures, holds, operators, outbox, outcomes, turns
from calltree.services.outcomes import Outcome
from calltree.services.rights import Right, Viewer
from calltree.text.days import TOKYO, site_day

BLANK_NAME = "空白"
REPAIRED = timedelta(days=31)
"""How far back 空白 is looked for one after another; older ones are found by the search."""

# Built once: every call asks both, more than once.
_OF_ATTEMPT = select(CallRecord).where(CallRecord.attempt_id == bindparam("of"))
_LIVE = select(Attempt.id).where(Attempt.user_id == bindparam("of"), Attempt.ended_at.is_(None))

_KINDS = {
    Origin.MANUAL: RecordKind.MANUAL,
    Origin.TEST: RecordKind.MANUAL,
    Origin.PREDICTIVE: RecordKind.PREDICTIVE,
    Origin.PROGRESSIVE: RecordKind.PREDICTIVE,
    Origin.INBOUND: RecordKind.INBOUND,
}


def open_for_attempt(session: Session, *, attempt: Attempt, now: datetime) -> CallRecord:
    """Open the one record of an attempt that leaves for the network now.

    The operator's previous record is closed by it (空白 if it had no result). A second call for
    the same attempt returns the record it has.
    """
    existing = of_attempt(session, attempt_id=attempt.id)
    if existing is not None:
        return existing
    operator = None
    if attempt.user_id is not None:
        operator = operators.ensure(session, user_id=attempt.user_id, now=now)
        if operator.record_id is not None:
            close_record(session, user_id=attempt.user_id, now=now)
    record = _new(session, attempt, now)
    session.add(record)
    figures.settle(session, record=record, now=now, is_new=True)
    if operator is not None:
        operator.record_id = record.id
    session.flush()
    _tell(session, record)
    return record


def open_for_caller(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """Open the record of a call that comes in now: nobody's, no customer's and counted nowhere yet.

    It is written with what else is written of the call, of which there is none so far.
    """
    record = _new(session, attempt, now)
    record.counts_dial = record.counts_connect = record.counts_conversion = False
    session.add(record)


def _new(session: Session, attempt: Attempt, now: datetime) -> CallRecord:
    started_at = attempt.dialled_at or now
    kind = _KINDS.get(attempt.origin, RecordKind.OUTBOUND)
    return CallRecord(
        kind=kind,
        attempt_id=attempt.id,
        customer_id=attempt.customer_id,
        list_id=attempt.list_id,
        project_id=attempt.project_id,
        user_id=attempt.user_id,
        number=attempt.number,
        caller_number_id=attempt.caller_number_id,
        cycle=_cycle(session, attempt.list_id),
        started_at=started_at,
        site_day=site_day(started_at),
        # 手動発信 asks for no result, so it can never be a 空白.
        system=SystemResult.NONE if kind is RecordKind.MANUAL else SystemResult.BLANK,
    )


def of_attempt(session: Session, *, attempt_id: int) -> CallRecord | None:
    """Return the record of an attempt, if it left for the network."""
    return session.scalar(_OF_ATTEMPT, {"of": attempt_id})


def give_to(session: Session, *, attempt: Attempt, user_id: int, now: datetime) -> None:
    """Make a プレディコール or inbound record that of the operator who was joined to it."""
    record = of_attempt(session, attempt_id=attempt.id)
    if record is None or record.user_id == user_id:
        return
    close_record(session, user_id=user_id, now=now)
    record.user_id = user_id
    operators.ensure(session, user_id=user_id, now=now).record_id = record.id
    figures.settle(session, record=record, now=now)
    _tell(session, record)


def call_ended(
    session: Session, *, attempt: Attempt, outcome: Outcome, now: datetime
) -> CallRecord:
    """Note how the call ended: its talk time, 回線エラー, 放棄, or 自動発信's own result.

    A line error counts nowhere, is nobody's last status and needs no result; a result that was
    saved before the end was known stays. Opens the record of a dial of which nothing was heard
    before.
    """
    record = open_for_attempt(session, attempt=attempt, now=now)
    record.talk_ms = attempt.talk_ms
    before = record.status_id, record.system
    if record.status_id is None and record.system is SystemResult.BLANK:
        if outcome.line_error:
            record.system = SystemResult.LINE_ERROR
            _let_go_of(session, record, now)
        elif outcome.abandoned:
            record.system = SystemResult.ABANDONED
        elif outcome is outcomes.MISSED:
            record.system = SystemResult.MISSED
            record.saved_at = record.closed_at = now
        elif record.kind is RecordKind.INBOUND and record.user_id is None:
            record.system = SystemResult.NONE  # forwarded: nobody of ours has a result to save
            record.saved_at = record.closed_at = now
        elif record.user_id is None and outcome.proposed is not None:
            record.status_id = built_in_id(session, outcome)
            record.system = SystemResult.NONE
            record.saved_at = record.closed_at = now
    if before != (record.status_id, record.system):
        figures.settle(session, record=record, now=now)
    if record.status_id is not None and record.status_id != before[0]:
        name = session.get_one(ResultStatus, record.status_id).name
        outbox.status_saved(session, record=record, status=name, corrected=False, now=now)
    recording = effects.recording_of(session, attempt_id=attempt.id)
    if recording is not None and recording.record_id is None:
        recording.record_id = record.id
    _tell(session, record)
    return record


def built_in_id(session: Session, outcome: Outcome) -> int | None:
    """Return the id of the status that the outcome proposes."""
    return session.scalar(select(ResultStatus.id).where(ResultStatus.built_in == outcome.proposed))


def _let_go_of(session: Session, record: CallRecord, now: datetime) -> None:
    """Close a record that needs no result, so that its operator is free to dial again."""
    record.closed_at = now
    if record.user_id is None:
        return
    operator = session.get(Operator, record.user_id, populate_existing=True)
    if operator is not None and operator.record_id == record.id:
        operator.record_id = None


def open_record(session: Session, *, user_id: int) -> CallRecord | None:
    """Return the record that this operator's next save rewrites."""
    record_id = session.scalar(select(Operator.record_id).where(Operator.user_id == user_id))
    return session.get(CallRecord, record_id) if record_id is not None else None


def needs_result(record: CallRecord) -> bool:
    """Whether leaving now would leave 空白 behind; leaving and closing warn first then."""
    return record.status_id is None and record.system is SystemResult.BLANK


def leaves_blank(session: Session, *, user_id: int) -> bool:
    """Whether this operator would leave 空白 by going on now; they are asked first then."""
    record = open_record(session, user_id=user_id)
    return record is not None and needs_result(record)


def in_call(session: Session, *, user_id: int) -> bool:
    """Whether this operator's call has not ended yet."""
    return session.scalar(_LIVE, {"of": user_id}) is not None


def close_record(session: Session, *, user_id: int, now: datetime) -> CallRecord | None:
    """Close the operator's open record: the next dial, or leaving.

    Without a result it stays 空白, and what was being typed is saved into it (R-CL-6). A 不通
    recording is doomed from here (R-ST-2). Returns the record, None if none was open.
    """
    record = open_record(session, user_id=user_id)
    if record is None:
        return None
    if needs_result(record) and record.customer_id is not None:
        _save_draft_into(session, record, user_id, now)
    record.closed_at = record.closed_at or now
    operators.ensure(session, user_id=user_id, now=now).record_id = None
    status = session.get(ResultStatus, record.status_id) if record.status_id else None
    effects.follow_recording(session, record=record, status=status, now=now)
    session.flush()
    _tell(session, record)
    announce(session, "figures", user_id=user_id)  # their 空白 of today
    return record


def leave(
    session: Session, *, user_id: int, keep_hold_on: int | None = None, now: datetime
) -> CallRecord | None:
    """Leave the open customer: close the record, give the hold back, end 閲覧中 or 後処理.

    Raises Refused 'in_a_call' during a call. What was typed without any dial stays a draft.
    `keep_hold_on`: the customer that is being opened instead.
    """
    if in_call(session, user_id=user_id):
        raise Refused("in_a_call")
    turns.take(session, user_id=user_id)
    held = session.scalars(
        select(CustomerHold.customer_id).where(CustomerHold.user_id == user_id)
    ).all()
    for customer_id in set(held) - {keep_hold_on}:
        holds.release(session, customer_id=customer_id, user_id=user_id)
    record = close_record(session, user_id=user_id, now=now)
    operators.close_customer(session, user_id=user_id, now=now)
    return record


def _save_draft_into(session: Session, record: CallRecord, user_id: int, now: datetime) -> None:
    customer_id = record.customer_id
    if customer_id is None:
        return
    draft = drafts.find(session, user_id=user_id, customer_id=customer_id)
    if draft is None or not draft.memo.strip():
        return
    append_memo(
        session, record=record, text=draft.memo, result=BLANK_NAME, user_id=user_id, now=now
    )
    drafts.discard(session, user_id=user_id, customer_id=customer_id)


def keep_drafts(session: Session, *, user_id: int, now: datetime) -> None:
    """Turn what a user who goes was typing into 空白 records of their customers (R-US-4).

    Nobody was dialled, so it is an entry (手入力), found and repaired as every 空白 is. Boxes
    without a memo leave nothing.
    """
    typed = session.scalars(
        select(Draft).where(Draft.user_id == user_id).order_by(Draft.customer_id)
    ).all()
    for draft in typed:
        if draft.memo.strip():
            _entry_of(session, draft, now)
        session.delete(draft)
    session.flush()


def _entry_of(session: Session, draft: Draft, now: datetime) -> None:
    customer = session.get_one(Customer, draft.customer_id)
    folder = session.get_one(CustomerList, customer.list_id)
    record = add_entry(session, customer=customer, folder=folder, user_id=draft.user_id, now=now)
    record.system = SystemResult.BLANK
    append_memo(
        session, record=record, text=draft.memo, result=BLANK_NAME, user_id=draft.user_id, now=now
    )
    _tell(session, record)


def add_entry(
    session: Session, *, customer: Customer, folder: CustomerList, user_id: int, now: datetime
) -> CallRecord:
    """Add a record without a call (手入力), closed and yet without a result."""
    record = CallRecord(
        kind=RecordKind.ENTRY,
        customer_id=customer.id,
        list_id=folder.id,
        project_id=folder.project_id,
        user_id=user_id,
        number=customer.number,
        cycle=folder.cycle,
        started_at=now,
        site_day=site_day(now),
        closed_at=now,
    )
    session.add(record)
    session.flush()
    return record


def append_memo(
    session: Session, *, record: CallRecord, text: str, result: str, user_id: int, now: datetime
) -> MemoEntry | None:
    """Append 【2026/11/22 14:30 山田太郎 見込】text to the customer's memo (R-CL-7).

    The name is written as it is now and stays so (R-US-3). None when there is no text.
    """
    text = text.strip()
    if not text:
        return None
    record.memo = f"{record.memo}\n{text}" if record.memo else text
    if record.customer_id is None:
        return None
    entry = MemoEntry(
        customer_id=record.customer_id,
        record_id=record.id,
        user_id=user_id,
        at=now,
        text=f"【{_moment(now)} {_name(session, user_id)} {result}】{text}",
    )
    session.add(entry)
    session.flush()
    return entry


def memo_of(session: Session, *, customer_id: int) -> list[MemoEntry]:
    """Return a customer's memo, oldest first."""
    return list(
        session.scalars(
            select(MemoEntry).where(MemoEntry.customer_id == customer_id).order_by(MemoEntry.id)
        )
    )


def last_of(session: Session, *, user_id: int) -> CallRecord | None:
    """Return 直前の通話: the newest closed record of this user with a customer (R-CL-18)."""
    return session.scalar(
        select(CallRecord)
        .where(
            CallRecord.user_id == user_id,
            CallRecord.closed_at.is_not(None),
            CallRecord.kind.in_(figures.DIALLED),
        )
        .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
        .limit(1)
    )


def own_blanks(session: Session, *, user_id: int, now: datetime) -> list[CallRecord]:
    """Return the user's 空白 of today that no save can still rewrite, oldest first (R-CL-18)."""
    return list(
        session.scalars(
            select(CallRecord)
            .where(*_own_blank(user_id, now))
            .order_by(CallRecord.started_at, CallRecord.id)
        )
    )


def count_own_blanks(session: Session, *, user_id: int, now: datetime) -> int:
    """Count them, for the badge and for sign-out."""
    return session.scalar(select(func.count(CallRecord.id)).where(*_own_blank(user_id, now))) or 0


def next_blank(session: Session, *, viewer: Viewer, other_than: int, now: datetime) -> int | None:
    """Return the newest other 空白 of the last month that the viewer may repair (R-HS-3)."""
    query = select(CallRecord.id).where(
        CallRecord.started_at >= now - REPAIRED,
        CallRecord.status_id.is_(None),
        CallRecord.system == SystemResult.BLANK,
        CallRecord.kind != RecordKind.MANUAL,
        CallRecord.closed_at.is_not(None),
        CallRecord.id != other_than,
    )
    if not viewer.may(Right.CORRECT_ANY_RECORD):
        query = query.where(CallRecord.user_id == viewer.user_id)
    return session.scalar(
        query.order_by(CallRecord.started_at.desc(), CallRecord.id.desc()).limit(1)
    )


def _own_blank(user_id: int, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        CallRecord.user_id == user_id,
        CallRecord.site_day == site_day(now),
        CallRecord.system == SystemResult.BLANK,
        CallRecord.closed_at.is_not(None),
    )


def history_of(session: Session, *, customer: Customer, limit: int = 50) -> list[CallRecord]:
    """Return the customer's own records, newest first."""
    return list(
        session.scalars(
            select(CallRecord)
            .where(CallRecord.customer_id == customer.id)
            .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
            .limit(limit)
        )
    )


def _cycle(session: Session, list_id: int | None) -> int:
    if list_id is None:
        return 0
    return session.scalars(select(CustomerList.cycle).where(CustomerList.id == list_id)).one()


def _moment(now: datetime) -> str:
    return f"{now.astimezone(TOKYO):%Y/%m/%d %H:%M}"


def _name(session: Session, user_id: int) -> str:
    return session.get_one(User, user_id).name


def _tell(session: Session, record: CallRecord) -> None:
    if record.user_id is not None:
        announce(session, "operator", user_id=record.user_id)
