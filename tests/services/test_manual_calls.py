"""R-CL-13: calls by hand go through the one gate and are shown on their own page only."""

import uuid
from datetime import timedelta

import pytest

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    CustomerHold,
    DoNotCall,
    Line,
    NumberDirection,
    OperatorState,
    Project,
    ProjectState,
    RecordKind,
    Role,
    User,
)
from calltree.services import history, manual_calls, operators, records
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague

TYPED, NUMBER = "090-1234-0001", "09012340001"


def press(desk: Desk, number: str = TYPED, user: User | None = None, **given: object) -> Attempt:
    viewer = Viewer.of(user) if user else desk.viewer()
    asked = {"caller_number_id": None, "press_id": str(uuid.uuid4()), "confirmed": False}
    asked |= {"now": NOW} | given
    with desk.store.write() as session:
        return manual_calls.dial(
            session, viewer=viewer, number=number, **(asked | {"now": NOW} | given)
        )


def called(desk: Desk, number: str = TYPED, user: User | None = None) -> CallRecord:
    """Press, dial, talk, hang up: as the switch's writer ends a call that needs no result."""
    attempt = press(desk, number, user, confirmed=True)
    assert attempt.verdict == "allowed", attempt.verdict
    desk.leaves(attempt)
    record = desk.ends(attempt, talk_ms=5000)
    with desk.store.write() as session:
        user_id = user.id if user else desk.user_id
        operators.move(session, user_id=user_id, by=operators.Move.SAVE_RESULT, now=NOW)
    return record


def shown(desk: Desk, viewer: Viewer, number: str = "") -> list[int]:
    with desk.store.read() as session:
        return [one.record.id for one in manual_calls.page(session, viewer=viewer, number=number)]


def test_R_CL_13_a_typed_number_is_dialled_with_line_and_record_and_leaves_the_customer(
    desk: Desk,
) -> None:
    record = called(desk)
    assert (record.kind, record.number, record.customer_id) == (RecordKind.MANUAL, NUMBER, None)
    assert desk.operator().customer_id is None
    assert desk.rows(CustomerHold) == []
    assert len(desk.rows(Line)) == 1
    with desk.store.read() as session:
        kept = session.get_one(CallRecord, record.id)
        assert not records.needs_result(kept)
        asked = HistoryCriteria(span=Span.ALL)
        page = history.page(session, viewer=desk.viewer(), criteria=asked, now=NOW)
        assert page.rows == []


@pytest.mark.parametrize(
    ("number", "verdict"),
    [("110", "number_not_allowed"), ("010-1-212-555-0100", "number_not_allowed")],
)
def test_R_CL_16_the_gate_refuses_by_hand_too_and_the_customer_stays(
    desk: Desk, number: str, verdict: str
) -> None:
    assert press(desk, number).verdict == verdict
    assert desk.operator().customer_id == desk.customer_id
    with pytest.raises(Refused, match="number_empty"):
        press(desk, "  ")


def test_R_CL_9_a_banned_number_is_not_dialled_by_hand(desk: Desk) -> None:
    with desk.store.write() as session:
        session.add(DoNotCall(number=NUMBER, source="form", created_at=NOW))
    assert press(desk).verdict == "number_banned"


def test_R_CL_15_the_question_of_the_gap_is_asked_and_answered(desk: Desk) -> None:
    called(desk)
    assert press(desk).verdict == "ask_gap"
    assert press(desk, confirmed=True).verdict == "allowed"


def test_R_CL_6_a_resent_press_is_one_call(desk: Desk) -> None:
    press_id = str(uuid.uuid4())
    first = press(desk, press_id=press_id)
    assert press(desk, press_id=press_id).id == first.id


def test_R_CL_13_an_unsaved_result_is_saved_first(desk: Desk) -> None:
    desk.calls()
    with pytest.raises(Refused, match="wrap_up_open"):
        press(desk)
    desk.save(BuiltIn.FAX)
    assert press(desk).verdict == "allowed"


def test_R_CL_13_caller_numbers_are_those_of_projects_one_has_lists_in(desk: Desk) -> None:
    with desk.store.write() as session:
        further = make.make_caller_number(session, label="支店")
        inbound = make.make_caller_number(session, direction=NumberDirection.INBOUND)
        project = session.get_one(Project, desk.project_id)
        make.add_number(session, project, further)
        make.add_number(session, project, inbound)
        other = session.get_one(Project, make.make_list(session).project_id)
        foreign = other.main_number_id
        main = project.main_number_id
    with desk.store.read() as session:
        mine = {one.id for one in manual_calls.callers(session, viewer=desk.viewer())}
    assert mine == {main, further.id}
    assert press(desk, caller_number_id=foreign).verdict in {
        "no_caller_number",
        "caller_number_foreign",
    }
    attempt = press(desk, caller_number_id=further.id)
    assert (attempt.verdict, attempt.caller_number_id) == ("allowed", further.id)
    desk.change(Project, desk.project_id, state=ProjectState.STOPPED)
    with desk.store.read() as session:
        assert manual_calls.callers(session, viewer=desk.viewer()) == []


def test_R_CL_13_an_operator_sees_own_calls_and_managers_all(desk: Desk) -> None:
    other = colleague(desk)
    mine, theirs = called(desk), called(desk, "090-1234-0002", other)
    with desk.store.write() as session:
        boss = Viewer.of(make.make_user(session, Role.SUPERVISOR))
        clerk = Viewer.of(make.make_user(session, Role.BACKYARD))
    assert shown(desk, clerk) == []
    assert shown(desk, desk.viewer()) == [mine.id]
    assert shown(desk, Viewer.of(other)) == [theirs.id]
    assert shown(desk, boss) == [theirs.id, mine.id]
    assert shown(desk, boss, "０９０－１２３４－０００１") == [mine.id]
    with desk.store.read() as session, pytest.raises(NotFound):
        manual_calls.get(session, viewer=Viewer.of(other), record_id=mine.id)


def test_R_CL_13_its_author_writes_the_memo(desk: Desk) -> None:
    other = colleague(desk)
    record = called(desk)

    def write(viewer: Viewer) -> None:
        with desk.store.write() as session:
            manual_calls.save_memo(
                session, viewer=viewer, record_id=record.id, memo=" 折り返し ", now=NOW
            )

    write(desk.viewer())
    assert desk.get(CallRecord, record.id).memo == "折り返し"
    with pytest.raises((NotFound, NotAllowed)):
        write(Viewer.of(other))


def test_R_US_5_whoever_is_restricted_does_not_dial_by_hand(desk: Desk) -> None:
    desk.change(User, desk.user_id, may_dial_manually=False)
    with pytest.raises(NotAllowed):
        press(desk)
    assert desk.operator().state is OperatorState.BROWSING


def test_R_CL_13_the_last_decision_is_found_among_many(desk: Desk) -> None:
    refused = press(desk, "110", now=NOW + timedelta(seconds=1))
    with desk.store.read() as session:
        found = manual_calls.last_attempt(session, user_id=desk.user_id)
        assert found is not None
        assert found.id == refused.id
        assert manual_calls.last_attempt(session, user_id=desk.user_id + 99) is None
