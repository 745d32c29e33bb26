"""R-CL-6, R-CL-7: one press is one record; what a save keeps and checks."""

from datetime import timedelta

import pytest

from calltree.errors import Refused
from calltree.models import (
    BuiltIn,
    CallRecord,
    CustomerHold,
    ItemKind,
    ItemTarget,
    OperatorState,
    Project,
    RecordCorrection,
    RecordKind,
    ResultStatus,
    SystemResult,
    Task,
    User,
)
from calltree.services import drafts, results
from calltree.services.results import ResultForm
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk
from tests.services.result_rows import LATER, TOMORROW, memo


def type_in(desk: Desk, memo: str) -> None:
    with desk.store.write() as session:
        drafts.keep(session, user_id=desk.user_id, customer_id=desk.customer_id, memo=memo, now=NOW)


def draft(desk: Desk) -> str | None:
    with desk.store.read() as session:
        found = drafts.find(session, user_id=desk.user_id, customer_id=desk.customer_id)
        return found and found.memo


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
