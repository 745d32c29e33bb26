"""R-CL-6, R-CL-7, R-ST-2, R-ST-5, R-HS-3: records and their results."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    AuditEntry,
    BuiltIn,
    CallRecord,
    Customer,
    CustomerHold,
    DoNotCall,
    ItemKind,
    ItemTarget,
    MemoEntry,
    Operator,
    OperatorState,
    Project,
    RecordCorrection,
    Recording,
    RecordingState,
    RecordKind,
    ResultStatus,
    Role,
    SystemResult,
    Task,
    User,
)
from calltree.services import drafts, records, results
from calltree.services.results import ResultForm
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague

LATER = NOW + timedelta(minutes=1)
TOMORROW = NOW + timedelta(days=1)


def manager_of(desk: Desk) -> Viewer:
    with desk.store.write() as session:
        return Viewer.of(make.make_user(session, Role.MANAGER, name="管理花子"))


def type_in(desk: Desk, memo: str) -> None:
    with desk.store.write() as session:
        drafts.keep(session, user_id=desk.user_id, customer_id=desk.customer_id, memo=memo, now=NOW)


def draft(desk: Desk) -> str | None:
    with desk.store.read() as session:
        found = drafts.find(session, user_id=desk.user_id, customer_id=desk.customer_id)
        return found and found.memo


def memo(desk: Desk) -> list[str]:
    return [entry.text for entry in desk.rows(MemoEntry)]


# --- one press, one record (R-CL-6)


def test_R_CL_6_a_press_that_leaves_is_one_record_however_often_it_is_told(desk: Desk) -> None:
    attempt = desk.press()
    assert desk.rows(CallRecord) == []
    first, again = desk.leaves(attempt), desk.leaves(attempt)
    assert first.id == again.id
    assert len(desk.rows(CallRecord)) == 1
    assert (first.system, first.number, first.kind) == (
        SystemResult.BLANK,
        desk.number,
        RecordKind.OUTBOUND,
    )
    assert desk.operator().record_id == first.id


def test_R_CL_6_saving_again_rewrites_the_record(desk: Desk) -> None:
    record = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    again = desk.save(BuiltIn.PROSPECT, now=LATER)
    assert again.record.id == record.id
    (only,) = desk.rows(CallRecord)
    assert (only.status_id, only.system) == (desk.status_id(BuiltIn.PROSPECT), SystemResult.NONE)
    assert only.saved_at == NOW, "the moment of the first save stays"
    assert desk.rows(RecordCorrection) == []


def test_R_CL_6_the_next_dial_closes_the_record(desk: Desk) -> None:
    first = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    second = desk.calls(now=LATER)
    assert desk.get(CallRecord, first.id).closed_at == LATER
    desk.save(BuiltIn.PROSPECT, now=LATER)
    assert [r.status_id for r in desk.rows(CallRecord)] == [
        desk.status_id(BuiltIn.NO_ANSWER),
        desk.status_id(BuiltIn.PROSPECT),
    ]
    assert second.id != first.id


def test_R_CL_6_dialling_the_same_customer_again_leaves_a_blank(desk: Desk) -> None:
    first = desk.calls()
    type_in(desk, "かけ直し")
    desk.calls(now=LATER)
    blank = desk.get(CallRecord, first.id)
    assert (blank.system, blank.status_id, blank.closed_at) == (SystemResult.BLANK, None, LATER)
    assert blank.memo == "かけ直し"
    assert draft(desk) is None


def test_R_CL_6_leaving_without_a_result_leaves_a_blank_with_the_draft_in_it(desk: Desk) -> None:
    record = desk.calls()
    type_in(desk, "あとで確認")
    desk.leave(LATER)
    blank = desk.get(CallRecord, record.id)
    assert (blank.system, blank.closed_at, blank.memo) == (SystemResult.BLANK, LATER, "あとで確認")
    assert memo(desk) == ["【2026/11/24 10:01 山田太郎 空白】あとで確認"]
    assert draft(desk) is None
    assert desk.rows(CustomerHold) == []
    operator = desk.operator()
    assert (operator.state, operator.record_id, operator.customer_id) == (
        OperatorState.AWAY,
        None,
        None,
    )


def test_R_CL_6_leaving_a_customer_that_was_not_dialled_keeps_the_draft(desk: Desk) -> None:
    type_in(desk, "まだかけていない")
    assert desk.leave() is None
    assert desk.rows(CallRecord) == []
    assert draft(desk) == "まだかけていない"


def test_R_CL_5_leaving_and_saving_are_refused_during_the_call(desk: Desk) -> None:
    desk.leaves(desk.press())
    with pytest.raises(Refused, match="in_a_call"):
        desk.leave()
    with pytest.raises(Refused, match="in_a_call"):
        desk.save(BuiltIn.PROSPECT)


def test_R_CL_5_saving_without_a_status_is_refused(desk: Desk) -> None:
    desk.calls()
    with pytest.raises(Refused) as refused:
        desk.save(None, memo="結果なし")
    assert (refused.value.code, refused.value.field) == ("status_missing", "status")
    assert memo(desk) == []


def test_R_CL_5_nothing_is_saved_for_a_customer_that_was_not_dialled(desk: Desk) -> None:
    with pytest.raises(Refused, match="nothing_dialled"):
        desk.save(BuiltIn.PROSPECT)
    desk.fails()
    with pytest.raises(Refused, match="nothing_dialled"):
        desk.save(BuiltIn.PROSPECT)


def test_R_CL_14_a_saved_result_ends_wrap_up(desk: Desk) -> None:
    desk.calls()
    assert desk.operator().state is OperatorState.WRAP_UP
    desk.save(BuiltIn.NO_ANSWER)
    assert desk.operator().state is OperatorState.BROWSING


# --- memo and draft (R-CL-7)


def test_R_CL_7_each_save_with_text_appends_to_the_memo_and_empties_the_box(desk: Desk) -> None:
    desk.calls()
    type_in(desk, "担当は田中様")
    desk.save(BuiltIn.PROSPECT, memo=" 担当は田中様\n午後に ")
    assert draft(desk) is None
    desk.save(BuiltIn.CALLBACK, now=LATER, memo="3時に再コール")
    assert memo(desk) == [
        "【2026/11/24 10:00 山田太郎 見込】担当は田中様\n午後に",
        "【2026/11/24 10:01 山田太郎 再コール】3時に再コール",
    ]
    (record,) = desk.rows(CallRecord)
    assert record.memo == "担当は田中様\n午後に\n3時に再コール"


def test_R_CL_7_a_save_with_nothing_new_changes_nothing(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT, memo="同じ", callback_at=TOMORROW, prospect_level="A")
    before = [desk.rows(CallRecord)[0].__dict__ | {}, desk.customer().updated_at, memo(desk)]
    again = desk.save(
        BuiltIn.PROSPECT, now=LATER, memo="同じ", callback_at=TOMORROW, prospect_level="A"
    )
    assert not again.changed
    after = [desk.rows(CallRecord)[0].__dict__ | {}, desk.customer().updated_at, memo(desk)]
    for row in (before[0], after[0]):
        row.pop("_sa_instance_state")
    assert before == after
    assert len(desk.rows(Task)) == 1


def test_R_US_3_the_name_inside_a_saved_memo_stays(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT, memo="一")
    desk.change(User, desk.user_id, name="鈴木太郎")
    desk.save(BuiltIn.PROSPECT, memo="二")
    assert memo(desk) == [
        "【2026/11/24 10:00 山田太郎 見込】一",
        "【2026/11/24 10:00 鈴木太郎 見込】二",
    ]


def test_R_CL_7_the_last_typed_text_is_the_draft_and_empty_boxes_leave_none(desk: Desk) -> None:
    type_in(desk, "い")
    type_in(desk, "いろは")
    assert draft(desk) == "いろは"
    type_in(desk, "")
    assert draft(desk) is None


# --- what else a save checks


def test_R_PJ_1_required_items_and_their_kinds(desk: Desk) -> None:
    with desk.store.write() as session:
        project = session.get_one(Project, desk.project_id)
        budget = make.make_item(session, project, name="予算", kind=ItemKind.NUMBER, required=True)
        size = make.make_item(
            session, project, name="規模", kind=ItemKind.CHOICE, choices=["大", "小"],
            target=ItemTarget.CUSTOMER,
        )  # fmt: skip
        met = make.make_item(session, project, name="訪問日", kind=ItemKind.DATE)
    desk.calls()

    def refusal(typed: dict[str, str]) -> tuple[str, str | None]:
        with pytest.raises(Refused) as refused:
            desk.save(BuiltIn.PROSPECT, attributes=typed)
        return refused.value.code, refused.value.field

    assert refusal({}) == ("attribute_missing", f"item-{budget.id}")
    assert refusal({f"{budget.id}": "多め"}) == ("attribute_wrong", f"item-{budget.id}")
    full = {f"{budget.id}": "１,０００", f"{size.id}": "中"}
    assert refusal(full) == ("attribute_wrong", f"item-{size.id}")
    full |= {f"{size.id}": "大", f"{met.id}": "2026/13/1"}
    assert refusal(full) == ("attribute_wrong", f"item-{met.id}")
    desk.save(BuiltIn.PROSPECT, attributes=full | {f"{met.id}": "2026/12/1"})
    assert desk.rows(CallRecord)[0].attributes == {
        f"{budget.id}": "1000",
        f"{met.id}": "2026-12-01",
    }
    assert desk.customer().attributes == {f"{size.id}": "大"}


def test_only_statuses_of_the_projects_pattern_can_be_saved(desk: Desk) -> None:
    with desk.store.write() as session:
        project = session.get_one(Project, desk.project_id)
        own = make.make_status(session, make.get_pattern(session, project), "資料請求")
        retired = make.make_status(
            session, make.get_pattern(session, project), "旧", retired_at=NOW
        )
    desk.calls()
    for wrong in (desk.status_id("アポ"), retired.id, 10**6):
        with desk.store.write() as session, pytest.raises(Refused, match="status_unknown"):
            results.save(
                session, viewer=desk.viewer_in(session), customer_id=desk.customer_id,
                form=ResultForm(status_id=wrong), now=NOW,
            )  # fmt: skip
    desk.save(own.name)
    desk.change(ResultStatus, own.id, retired_at=NOW)
    assert desk.save(own.name, memo="追記").changed, "retired afterwards, still this record's"


def test_level_and_callback_time_are_checked(desk: Desk) -> None:
    desk.calls()
    with pytest.raises(Refused, match="level_unknown"):
        desk.save(BuiltIn.PROSPECT, prospect_level="Z")
    with pytest.raises(Refused, match="callback_past"):
        desk.save(BuiltIn.CALLBACK, callback_at=NOW - timedelta(minutes=1))
    desk.save(BuiltIn.CALLBACK, callback_at=NOW, prospect_level="B")
    assert desk.customer().prospect_level == desk.rows(CallRecord)[0].prospect_level == "B"


# --- effects (R-ST-5)


def open_tasks(desk: Desk) -> list[Task]:
    return desk.rows(Task, Task.done_at.is_(None))


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


# --- 不通 recordings (R-ST-2)


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


# --- corrections, entries, deletion (R-HS-3, R-CL-18)


def test_R_HS_3_a_correction_leaves_a_line_and_keeps_order_time_and_user(desk: Desk) -> None:
    record = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    desk.leave()
    before = desk.get(CallRecord, record.id)
    manager = manager_of(desk)
    desk.correct(record.id, BuiltIn.PROSPECT, now=LATER, viewer=manager, memo="聞き直し")
    after = desk.get(CallRecord, record.id)
    assert (after.id, after.started_at, after.user_id, after.site_day, after.saved_at) == (
        before.id,
        before.started_at,
        before.user_id,
        before.site_day,
        before.saved_at,
    )
    (line,) = desk.rows(RecordCorrection)
    assert (line.user_id, line.at) == (manager.user_id, LATER)
    assert (line.before["status"], line.after["status"]) == ("不通", "見込")
    assert line.after["memo"] == "聞き直し"
    assert memo(desk) == ["【2026/11/24 10:01 管理花子 見込】聞き直し"]


def test_R_HS_3_authors_correct_their_own_only(desk: Desk) -> None:
    record = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    desk.leave()
    with desk.store.write() as session:
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
        stranger = Viewer.of(make.make_user(session))
    with pytest.raises(NotAllowed):
        desk.correct(record.id, BuiltIn.FAX, viewer=supervisor)
    with pytest.raises(NotAllowed):
        desk.correct(record.id, BuiltIn.FAX, viewer=Viewer.of(colleague(desk)))
    with pytest.raises(NotFound):
        desk.correct(record.id, BuiltIn.FAX, viewer=stranger)
    assert desk.correct(record.id, BuiltIn.FAX).changed


def test_R_CL_18_own_blanks_of_today_can_be_repaired(desk: Desk) -> None:
    record = desk.calls()
    with desk.store.read() as session:
        assert records.own_blanks(session, user_id=desk.user_id, now=NOW) == [], "still open"
    desk.leave()
    with desk.store.read() as session:
        assert records.count_own_blanks(session, user_id=desk.user_id, now=NOW) == 1
        assert records.count_own_blanks(session, user_id=desk.user_id, now=TOMORROW) == 0
        assert records.last_of(session, user_id=desk.user_id).id == record.id
    desk.correct(record.id, BuiltIn.PROSPECT, now=LATER)
    with desk.store.read() as session:
        assert records.count_own_blanks(session, user_id=desk.user_id, now=NOW) == 0
    assert len(open_tasks(desk)) == 1


def test_R_CL_18_the_last_record_is_corrected_while_another_call_goes_on(desk: Desk) -> None:
    first = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    desk.leaves(desk.press(now=LATER), LATER)
    desk.correct(first.id, BuiltIn.FAX, now=LATER)
    assert desk.get(CallRecord, first.id).status_id == desk.status_id(BuiltIn.FAX)
    assert desk.operator().state is OperatorState.DIALLING


def test_R_HS_2_a_manual_entry_is_a_record_of_its_own_with_effects(desk: Desk) -> None:
    with desk.store.write() as session:
        entry = results.add_entry(
            session, viewer=desk.viewer_in(session), customer_id=desk.customer_id,
            form=desk.form(BuiltIn.PROSPECT, memo="来社"), now=NOW,
        )  # fmt: skip
    assert (entry.kind, entry.attempt_id, entry.closed_at) == (RecordKind.ENTRY, None, NOW)
    assert memo(desk) == ["【2026/11/24 10:00 山田太郎 見込】来社"]
    assert len(open_tasks(desk)) == 1
    assert desk.customer().last_record_id == entry.id


def test_R_HS_3_only_a_manager_deletes_and_it_is_audited(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT, memo="残る")
    second = recorded(desk, now=LATER)
    desk.save(BuiltIn.NO_ANSWER, now=LATER)
    desk.leave(LATER)
    assert open_tasks(desk) == []
    with pytest.raises(NotAllowed), desk.store.write() as session:
        results.delete_record(
            session, viewer=desk.viewer_in(session), record_id=second.id, now=LATER
        )
    with desk.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        results.delete_record(session, viewer=manager, record_id=second.id, now=LATER)
    assert len(desk.rows(CallRecord)) == 1
    assert len(open_tasks(desk)) == 1, "what it had answered is open again"
    assert desk.customer().last_status_id == desk.status_id(BuiltIn.PROSPECT)
    assert recording(desk) == (RecordingState.HIDDEN, LATER)
    assert [a.action for a in desk.rows(AuditEntry)] == ["record.deleted"]


def test_a_line_error_needs_no_result_and_no_correction(desk: Desk) -> None:
    record = desk.fails()
    assert record.system is SystemResult.LINE_ERROR
    assert desk.operator().record_id is None
    with desk.store.read() as session:
        assert records.count_own_blanks(session, user_id=desk.user_id, now=NOW) == 0
        assert session.scalar(select(Operator.record_id)) is None
    with pytest.raises(Refused, match="line_error_record"):
        desk.correct(record.id, BuiltIn.FAX)
