"""R-ST-5, R-CL-12, R-ST-2: what a result does to tasks, bans and recordings."""

from datetime import timedelta

import pytest

from calltree.errors import Refused
from calltree.models import (
    BuiltIn,
    Customer,
    CustomerHold,
    DoNotCall,
    RecordingState,
    ResultStatus,
    Task,
)
from calltree.services import results
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague
from tests.services.result_rows import LATER, TOMORROW, manager_of, open_tasks, recorded, recording


@pytest.mark.parametrize("promise", [BuiltIn.PROSPECT, BuiltIn.CALLBACK])
def test_R_ST_5_a_task_opens_and_closes_with_the_status(desk: Desk, promise: BuiltIn) -> None:
    record = desk.calls()
    desk.save(promise, callback_at=TOMORROW)
    (task,) = open_tasks(desk)
    assert (task.record_id, task.user_id, task.due_at) == (record.id, desk.user_id, TOMORROW)
    desk.save(promise, callback_at=None)
    (same,) = open_tasks(desk)
    assert (same.id, same.due_at) == (task.id, None)
    desk.save(BuiltIn.NO_ANSWER)
    assert open_tasks(desk) == []
    desk.save(promise)
    assert len(open_tasks(desk)) == 1


def test_R_CL_12_a_callback_time_or_a_request_to_a_user_opens_a_task_too(desk: Desk) -> None:
    other = colleague(desk)
    desk.calls()
    desk.save(BuiltIn.FAX, task_user_id=other.id)
    (task,) = open_tasks(desk)
    assert (task.user_id, task.created_by) == (other.id, desk.user_id)
    desk.save(BuiltIn.FAX, memo="追記")
    assert len(open_tasks(desk)) == 1, "the request stands"
    desk.save(BuiltIn.NO_ANSWER)
    assert open_tasks(desk) == []
    desk.save(BuiltIn.NO_ANSWER, callback_at=TOMORROW)
    assert open_tasks(desk)[0].user_id == desk.user_id
    desk.save(BuiltIn.NO_ANSWER)
    assert open_tasks(desk) == []


def test_R_CL_12_a_later_result_that_promises_nothing_does_the_task(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    later = NOW + timedelta(hours=2)
    desk.change(CustomerHold, desk.customer_id, renewed_at=later, touched_at=later)
    second = desk.calls(now=later)
    assert len(open_tasks(desk)) == 1, "only a result does it, not the dial"
    desk.save(BuiltIn.NO_ANSWER, now=later)
    (done,) = desk.rows(Task)
    assert (done.done_at, done.done_by, done.done_record_id) == (later, desk.user_id, second.id)


def test_R_CL_12_a_new_promise_replaces_the_older_one(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    second = desk.calls(now=LATER)
    desk.save(BuiltIn.CALLBACK, now=LATER)
    (task,) = open_tasks(desk)
    assert task.record_id == second.id
    assert len(desk.rows(Task)) == 2


def test_R_ST_5_an_older_record_changes_only_its_own_task(desk: Desk) -> None:
    first = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    desk.calls(now=LATER)
    desk.save(BuiltIn.FAX, now=LATER)
    desk.correct(first.id, BuiltIn.PROSPECT, now=LATER)
    assert open_tasks(desk) == [], "the customer was answered since"


def test_R_ST_5_a_claim_bans_every_number_and_withdraws_while_open(desk: Desk) -> None:
    with desk.store.write() as session:
        customer = session.get_one(Customer, desk.customer_id)
        make.make_extra_number(session, customer, "09011112222")
    record = desk.calls()
    desk.save(BuiltIn.CLAIM)
    entries = desk.rows(DoNotCall)
    assert {entry.number for entry in entries} == {desk.number, "09011112222"}
    assert all(entry.all_projects and entry.record_id == record.id for entry in entries)
    assert desk.verdict() == "number_banned"
    desk.save(BuiltIn.NO_ANSWER)
    assert all(entry.released_at == NOW for entry in desk.rows(DoNotCall))
    assert desk.verdict() == "allowed"


def test_R_ST_5_the_ban_of_somebody_else_is_not_withdrawn(desk: Desk) -> None:
    with desk.store.write() as session:
        session.add(DoNotCall(number=desk.number, source="form", created_at=NOW))
    with desk.store.write() as session:
        session.get_one(DoNotCall, 1).released_at = NOW
    desk.calls()
    with desk.store.write() as session:
        session.get_one(DoNotCall, 1).released_at = None
    desk.save(BuiltIn.CLAIM)
    assert len(desk.rows(DoNotCall)) == 1
    desk.save(BuiltIn.NO_ANSWER)
    assert desk.rows(DoNotCall)[0].released_at is None


def test_R_ST_5_later_only_a_manager_withdraws_the_ban_and_is_asked(desk: Desk) -> None:
    record = desk.calls()
    desk.save(BuiltIn.CLAIM)
    desk.leave(LATER)
    desk.correct(record.id, BuiltIn.NO_ANSWER, now=LATER)
    assert desk.rows(DoNotCall)[0].released_at is None, "the author may correct, not release"
    desk.correct(record.id, BuiltIn.CLAIM, now=LATER)
    manager = manager_of(desk)
    with pytest.raises(Refused, match="ask_withdraw_ban"):
        desk.correct(record.id, BuiltIn.NO_ANSWER, now=LATER, viewer=manager)
    desk.correct(record.id, BuiltIn.FAX, now=LATER, viewer=manager, withdraw_ban=False)
    assert desk.rows(DoNotCall)[0].released_at is None
    desk.correct(record.id, BuiltIn.NO_ANSWER, now=LATER, viewer=manager, withdraw_ban=True)
    assert desk.rows(DoNotCall)[0].released_at == LATER


def test_R_ST_2_a_no_answer_recording_is_hidden_and_doomed_when_the_record_closes(
    desk: Desk,
) -> None:
    recorded(desk)
    desk.save(BuiltIn.NO_ANSWER)
    assert recording(desk) == (RecordingState.HIDDEN, None)
    desk.leave(LATER)
    assert recording(desk) == (RecordingState.HIDDEN, LATER + timedelta(minutes=10))


def test_R_ST_2_a_change_before_its_destruction_keeps_it_and_a_later_one_does_not(
    desk: Desk,
) -> None:
    record = recorded(desk)
    desk.save(BuiltIn.NO_ANSWER)
    desk.save(BuiltIn.PROSPECT)
    assert recording(desk) == (RecordingState.STORED, None)
    desk.save(BuiltIn.NO_ANSWER)
    desk.leave(LATER)
    doom = LATER + timedelta(minutes=10)
    desk.correct(record.id, BuiltIn.PROSPECT, now=doom - timedelta(seconds=1))
    assert recording(desk) == (RecordingState.STORED, None)
    desk.correct(record.id, BuiltIn.NO_ANSWER, now=LATER)
    assert recording(desk) == (RecordingState.HIDDEN, doom)
    desk.correct(record.id, BuiltIn.PROSPECT, now=doom)
    assert recording(desk) == (RecordingState.HIDDEN, doom)


def test_R_ST_2_a_correction_to_no_answer_dooms_it_from_then_on(desk: Desk) -> None:
    record = recorded(desk)
    desk.save(BuiltIn.PROSPECT)
    desk.leave(NOW)
    desk.correct(record.id, BuiltIn.NO_ANSWER, now=LATER)
    assert recording(desk) == (RecordingState.HIDDEN, LATER + timedelta(minutes=10))


@pytest.mark.parametrize(("talk_ms", "warns"), [(29_999, False), (30_000, True)])
def test_R_ST_2_a_long_talk_is_warned_of(desk: Desk, talk_ms: int, warns: bool) -> None:
    record = desk.calls(talk_ms=talk_ms)
    no_answer = desk.get(ResultStatus, desk.status_id(BuiltIn.NO_ANSWER))
    prospect = desk.get(ResultStatus, desk.status_id(BuiltIn.PROSPECT))
    assert results.warns_no_answer(record, no_answer) is warns
    assert not results.warns_no_answer(record, prospect)
