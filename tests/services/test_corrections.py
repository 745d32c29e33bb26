"""R-HS-3, R-CL-18: records corrected, added by hand and deleted."""

import pytest
from sqlalchemy import select

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    AuditEntry,
    BuiltIn,
    CallRecord,
    Operator,
    OperatorState,
    RecordCorrection,
    RecordingState,
    RecordKind,
    Role,
    SystemResult,
)
from calltree.services import records, results
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague
from tests.services.result_rows import (
    LATER,
    TOMORROW,
    manager_of,
    memo,
    open_tasks,
    recorded,
    recording,
)

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
