"""The gate's verdicts, one rule at a time."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select

from calltree.db import Store
from calltree.errors import NotAllowed, NotFound
from calltree.models import (
    Attempt,
    Audience,
    CallState,
    ClosedDay,
    CommandKind,
    Customer,
    CustomerHold,
    CustomerList,
    DncSource,
    DoNotCall,
    DoNotCallProject,
    Import,
    ImportState,
    Lease,
    LegState,
    Line,
    Operator,
    OperatorState,
    Origin,
    Project,
    ProjectState,
    Role,
    Site,
    SwitchCommand,
)
from calltree.services import gate, leases
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague


def end_calls(desk: Desk, dialled_at: datetime | None = None) -> None:
    """End every live call, as the switch's ledger writer would."""
    with desk.store.write() as session:
        for attempt in session.scalars(select(Attempt).where(Attempt.ended_at.is_(None))):
            attempt.state, attempt.ended_at = CallState.ENDED, NOW
            attempt.dialled_at = dialled_at
        for line in session.scalars(select(Line)):
            line.released_at = NOW
        for operator in session.scalars(select(Operator)):
            operator.attempt_id, operator.state = None, OperatorState.WRAP_UP


def count(desk: Desk, model: type) -> int:
    with desk.store.read() as session:
        return session.scalar(select(func.count()).select_from(model))


def test_a_yes_takes_line_operator_and_command_together(desk: Desk) -> None:
    told: list[str] = []
    desk.store.publisher = lambda notices: told.extend(notice.topic for notice in notices)

    attempt = desk.press()

    assert (attempt.verdict, attempt.state) == ("allowed", CallState.QUEUED)
    with desk.store.read() as session:
        line = session.scalars(select(Line)).one()
        command = session.scalars(select(SwitchCommand)).one()
        operator = session.get_one(Operator, desk.user_id)
        project = session.get_one(Project, desk.project_id)
        customer = session.get_one(Customer, desk.customer_id)
    assert (line.attempt_id, line.uuid) == (attempt.id, attempt.uuid)
    assert (command.kind, command.attempt_id, command.node) == (
        CommandKind.DIAL,
        attempt.id,
        "main",
    )
    assert command.args["number"] == desk.number
    assert (operator.attempt_id, operator.state) == (attempt.id, OperatorState.DIALLING)
    assert customer.caller_number_id == attempt.caller_number_id == project.main_number_id
    assert {"command", "lines", "operator"} <= set(told)


def test_R_CL_6_a_double_click_or_resent_request_is_one_press(desk: Desk) -> None:
    first = desk.press(press_id="the press")
    again = desk.press(press_id="the press")
    assert again.id == first.id
    assert [count(desk, model) for model in (Attempt, Line, SwitchCommand)] == [1, 1, 1]


def test_R_CL_6_a_refused_press_is_an_attempt_with_its_verdict(desk: Desk) -> None:
    desk.change(Site, 1, lines=0)
    attempt = desk.press()
    assert (attempt.verdict, attempt.state) == ("no_lines", CallState.REFUSED)
    assert attempt.verdict_detail == {"lines": 0}
    assert attempt.ended_at == NOW
    assert [count(desk, model) for model in (Line, SwitchCommand)] == [0, 0]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("110", "emergency"),
        ("118", "emergency"),
        ("119", "emergency"),
        ("117", "short_code"),
        ("177", "short_code"),
        ("104", "short_code"),
        ("0990123456", "prefix_not_allowed"),
        ("0081312345678", "international"),
        ("031234567", "wrong_length"),
        ("03123x5678", "not_digits"),
    ],
)
def test_R_CL_16_only_allowed_prefixes_are_dialled(desk: Desk, number: str, reason: str) -> None:
    desk.change(Customer, desk.customer_id, number=number)
    attempt = desk.press(number=number)
    assert (attempt.verdict, attempt.verdict_detail) == ("number_not_allowed", {"reason": reason})


def test_R_CL_16_a_managers_prefix_is_allowed_and_extra_numbers_are_checked_too(
    desk: Desk,
) -> None:
    with desk.store.write() as session:
        customer = session.get_one(Customer, desk.customer_id)
        make.make_extra_number(session, customer, "0570123456")
    assert desk.verdict(number="0570123456") == "number_not_allowed"
    desk.change(Site, 1, extra_prefixes=["0570"])
    assert desk.verdict(number="0570123456") == "allowed"


def test_R_LS_9_a_number_that_is_not_the_customers_is_not_dialled_in_their_name(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.press(number="0399998888")
    assert count(desk, Attempt) == 0


def ban(store: Store, number: str, *projects: int, **given: object) -> None:
    with store.write() as session:
        entry = DoNotCall(
            number=number,
            all_projects=not projects,
            source=DncSource.FORM,
            created_at=NOW,
            **given,
        )
        session.add(entry)
        session.flush()
        session.add_all(DoNotCallProject(entry_id=entry.id, project_id=p) for p in projects)


def test_R_CL_9_a_do_not_call_number_is_never_dialled(desk: Desk) -> None:
    ban(desk.store, desk.number)
    assert desk.verdict() == "number_banned"
    assert desk.verdict(origin=Origin.NEXT) == "number_banned"
    assert desk.verdict(origin=Origin.PROGRESSIVE) == "number_banned"
    assert desk.verdict(origin=Origin.MANUAL, customer_id=None) == "number_banned"
    assert desk.verdict(confirmed=True) == "number_banned"


def test_R_DN_1_scope_expiry_and_release_decide(desk: Desk) -> None:
    with desk.store.write() as session:
        other_project = make.make_project(session).id
    ban(desk.store, desk.number, other_project)
    ban(desk.store, desk.number, expires_at=NOW)
    ban(desk.store, desk.number, released_at=NOW)
    with desk.store.read() as session:
        assert gate.can_dial(session, request=desk.request(), now=NOW).allowed
    ban(desk.store, desk.number, desk.project_id, expires_at=NOW + timedelta(days=1))
    assert desk.verdict() == "number_banned"


def test_R_CL_2_a_customer_somebody_else_has_open_is_not_dialled(desk: Desk) -> None:
    other = colleague(desk)
    attempt = desk.press(user_id=other.id)
    assert (attempt.verdict, attempt.verdict_detail) == ("customer_held", {"name": "山田太郎"})
    later = NOW + timedelta(seconds=61)
    assert desk.verdict(now=later, user_id=other.id) == "allowed"


def test_R_LS_2_a_list_taken_away_is_not_dialled(desk: Desk) -> None:
    desk.change(CustomerList, desk.list_id, enabled=False)
    assert desk.verdict() == "list_unavailable"
    desk.change(CustomerList, desk.list_id, enabled=True, deleted_at=NOW)
    assert desk.verdict() == "list_unavailable"
    desk.change(CustomerList, desk.list_id, deleted_at=None)
    desk.change(Project, desk.project_id, state=ProjectState.STOPPED)
    assert desk.verdict() == "project_stopped"


def test_a_customer_in_the_bin_or_of_an_undone_import_is_not_dialled(desk: Desk) -> None:
    desk.change(Customer, desk.customer_id, deleted_at=NOW)
    assert desk.verdict() == "customer_gone"
    with desk.store.write() as session:
        undone = Import(
            state=ImportState.UNDONE,
            project_id=desk.project_id,
            user_id=desk.user_id,
            filename="a.csv",
            stored_name="a",
            created_at=NOW,
        )
        session.add(undone)
        session.flush()
        customer = session.get_one(Customer, desk.customer_id)
        customer.deleted_at, customer.import_id = None, undone.id
    assert desk.verdict() == "customer_gone"


def test_R_PJ_4_main_number_unless_another_of_the_project_is_picked(desk: Desk) -> None:
    with desk.store.write() as session:
        project = session.get_one(Project, desk.project_id)
        further = make.make_caller_number(session)
        foreign = make.make_caller_number(session)
        make.add_number(session, project, further)
    assert desk.verdict(caller_number_id=foreign.id) == "caller_number_foreign"
    assert desk.press(caller_number_id=further.id).caller_number_id == further.id
    end_calls(desk)
    assert desk.press().caller_number_id == further.id, "the customer keeps the last used"
    end_calls(desk)
    desk.change(type(further), further.id, retired_at=NOW)
    assert desk.press().caller_number_id == project.main_number_id
    end_calls(desk)
    desk.change(type(further), project.main_number_id, retired_at=NOW)
    assert desk.verdict() == "no_caller_number"


def tokyo(hour: int, minute: int = 0, day: int = 24) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) - timedelta(hours=9)


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (tokyo(9), "allowed"),
        (tokyo(8, 59), "ask_hours"),
        (tokyo(20), "ask_hours"),
        (tokyo(21), "outside_site_hours"),
        (tokyo(7, 59), "outside_site_hours"),
        (tokyo(10, day=22), "ask_hours"),  # a Sunday
        (tokyo(10, day=23), "ask_hours"),  # 勤労感謝の日
        (tokyo(10, day=25), "ask_hours"),  # a closed day of the site's own
    ],
)
def test_R_PJ_5_outside_hours_a_press_asks_and_beyond_the_bound_is_refused(
    desk: Desk, now: datetime, verdict: str
) -> None:
    with desk.store.write() as session:
        session.add(ClosedDay(day=tokyo(12, day=25).date(), name="創立記念日"))
        session.get_one(CustomerHold, desk.customer_id).renewed_at = now
    assert desk.verdict(now=now, origin=Origin.NEXT) == verdict
    if verdict == "ask_hours":
        assert desk.verdict(now=now, origin=Origin.PROGRESSIVE) == "outside_hours"
        assert desk.verdict(now=now, confirmed=True) == "allowed"


def test_R_PJ_6_the_site_bound_is_for_consumers_only(desk: Desk) -> None:
    desk.change(Project, desk.project_id, audience=Audience.B2B)
    assert desk.verdict(now=tokyo(22)) == "ask_hours"
    desk.change(Project, desk.project_id, audience=Audience.B2C)
    assert desk.verdict(now=tokyo(22), confirmed=True) == "outside_site_hours"


def test_R_CL_15_a_press_within_the_gap_asks_once_and_names_who_called(desk: Desk) -> None:
    other = colleague(desk)
    desk.press()
    end_calls(desk, dialled_at=NOW)
    with desk.store.write() as session:
        twin = make.make_customer(session, make.make_list(session), number=desk.number)
        make.grant(session, session.get_one(CustomerList, twin.list_id), other)
    later = NOW + timedelta(minutes=5)
    elsewhere = {"user_id": other.id, "customer_id": twin.id}

    attempt = desk.press(now=later, **elsewhere)

    assert attempt.verdict == "ask_gap"
    assert attempt.verdict_detail["minutes"] == 5
    assert attempt.verdict_detail["name"] == "山田太郎"
    assert desk.verdict(now=later, **elsewhere, origin=Origin.PROGRESSIVE) == "too_soon"
    assert desk.verdict(now=later, **elsewhere, confirmed=True) == "allowed"


def test_R_CL_15_not_for_the_same_operator_on_the_same_open_customer(desk: Desk) -> None:
    desk.press()
    end_calls(desk, dialled_at=NOW)
    assert desk.verdict(now=NOW + timedelta(seconds=30)) == "allowed"
    end_calls(desk, dialled_at=NOW)
    reopened = NOW + timedelta(minutes=1)
    desk.change(
        CustomerHold, desk.customer_id, taken_at=reopened, renewed_at=reopened, touched_at=reopened
    )
    assert desk.verdict(now=reopened) == "ask_gap"


def test_R_CL_15_the_gap_ends(desk: Desk) -> None:
    other = colleague(desk)
    desk.press()
    end_calls(desk, dialled_at=NOW)
    later = NOW + timedelta(minutes=60)
    assert desk.verdict(now=later, user_id=other.id) == "allowed"


def test_both_questions_are_asked_at_once(desk: Desk) -> None:
    desk.press()
    evening = tokyo(20, 5)
    end_calls(desk, dialled_at=evening - timedelta(minutes=5))
    desk.change(
        CustomerHold, desk.customer_id, taken_at=evening, renewed_at=evening, touched_at=evening
    )
    attempt = desk.press(now=evening)
    codes = [question["code"] for question in attempt.verdict_detail["asks"]]
    assert (attempt.verdict, codes) == ("ask_hours", ["ask_hours", "ask_gap"])
    assert desk.verdict(now=evening, confirmed=True) == "allowed"


def test_R_CL_8_lines_are_counted_from_the_yes_until_the_end(desk: Desk) -> None:
    other = colleague(desk)
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        second = make.make_customer(session, folder)
    desk.change(Site, 1, lines=1)
    desk.press()
    elsewhere = {"user_id": other.id, "customer_id": second.id, "number": second.number}
    assert desk.verdict(**elsewhere) == "no_lines"
    with desk.store.read() as session:
        assert gate.lines_in_use(session).total == 1
    end_calls(desk)
    assert desk.verdict(**elsewhere) == "allowed"


def test_R_CL_8_reserve_cap_and_predictive_ceiling(desk: Desk) -> None:
    desk.change(Site, 1, lines=2, lines_reserved_inbound=2)
    assert desk.verdict() == "no_lines"
    desk.change(Site, 1, lines_reserved_inbound=1, lines_max_predictive=0)
    predictive = {"origin": Origin.PREDICTIVE, "user_id": None, "node": "main"}
    with desk.store.write() as session:
        session.delete(session.get_one(CustomerHold, desk.customer_id))
        project = session.get_one(Project, desk.project_id)
    assert desk.verdict(**predictive) == "no_lines_predictive"
    number = make.CallerNumber
    desk.change(number, project.main_number_id, line_cap=0)
    assert desk.verdict() == "no_lines_number"
    desk.change(number, project.main_number_id, line_cap=1)
    assert desk.verdict() == "allowed"


def test_R_CL_8_inbound_calls_use_up_their_own_reserve(desk: Desk) -> None:
    lines = gate.LinesInUse(total=2, inbound=2, predictive=0, limit=4, reserved_inbound=2)
    assert (lines.free_outbound, lines.free_inbound) == (2, 2)
    lines = gate.LinesInUse(total=2, inbound=0, predictive=0, limit=4, reserved_inbound=2)
    assert (lines.free_outbound, lines.free_inbound) == (0, 2)


def test_R_CL_8_a_person_talks_to_one_customer_and_a_number_rings_once(desk: Desk) -> None:
    other = colleague(desk)
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        second = make.make_customer(session, folder)
        twin = make.make_customer(session, folder, number=desk.number)
    desk.press()
    assert desk.verdict(customer_id=second.id, number=second.number) == "in_a_call"
    attempt = desk.press(user_id=other.id, customer_id=twin.id)
    assert (attempt.verdict, attempt.verdict_detail) == ("number_in_call", {"name": "山田太郎"})


def test_an_answer_of_the_gate_costs_few_statements(desk: Desk) -> None:
    said: list[str] = []
    event.listen(desk.store.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    with desk.store.read() as session:
        assert gate.can_dial(session, request=desk.request(), now=NOW).allowed
    assert 0 < len([text for text in said if not text.startswith("BEGIN")]) <= 6


@pytest.mark.parametrize(
    "leg", [LegState.NONE, LegState.CONNECTING, LegState.JOINED, LegState.LOST]
)
def test_without_a_leg_that_is_alive_and_unjoined_nothing_is_dialled(
    desk: Desk, leg: LegState
) -> None:
    desk.change(Operator, desk.user_id, leg_state=leg)
    assert desk.verdict() == "no_leg"


def test_R_DL_8_nothing_is_dialled_while_the_switch_is_not_heard(desk: Desk) -> None:
    desk.change(Lease, "switch", note={"nodes": {"main": {"link_up": False}}})
    assert desk.verdict() == "switch_down"
    desk.change(Lease, "switch", note={"nodes": {"main": {"link_up": True}}})
    desk.change(Lease, "switch", until=datetime(2020, 1, 1, tzinfo=UTC))
    assert desk.verdict() == "switch_down"


def test_a_leader_that_was_replaced_dials_nothing(desk: Desk) -> None:
    with pytest.raises(leases.LeaseLost):
        desk.press(epoch=7)
    assert count(desk, Attempt) == 0


def test_who_may_not_dial_is_turned_away(desk: Desk) -> None:
    with desk.store.write() as session:
        backyard = make.make_user(session, Role.BACKYARD)
        restricted = make.make_user(session, may_dial_manually=False)
    with pytest.raises(NotAllowed):
        desk.press(user_id=backyard.id)
    with pytest.raises(NotAllowed):
        desk.press(user_id=restricted.id, customer_id=None, origin=Origin.MANUAL)


def test_R_CL_13_a_hand_dialled_call_uses_a_number_of_a_project_one_has_lists_in(
    desk: Desk,
) -> None:
    with desk.store.write() as session:
        foreign = make.make_project(session)
        own = session.get_one(Project, desk.project_id)
    by_hand = {"origin": Origin.MANUAL, "customer_id": None, "number": "0355556666"}
    assert (
        desk.verdict(**by_hand, caller_number_id=foreign.main_number_id) == "caller_number_foreign"
    )
    attempt = desk.press(**by_hand, caller_number_id=own.main_number_id)
    assert (attempt.verdict, attempt.project_id) == ("allowed", own.id)


def test_what_cannot_be_mended_is_said_first(desk: Desk) -> None:
    desk.change(Site, 1, lines=0)
    desk.change(Operator, desk.user_id, leg_state=LegState.NONE)
    assert desk.verdict() == "no_leg"
    assert desk.verdict(now=tokyo(22)) == "outside_site_hours"
    ban(desk.store, desk.number)
    assert desk.verdict(now=tokyo(22)) == "number_banned"
    desk.change(CustomerList, desk.list_id, enabled=False)
    assert desk.verdict(now=tokyo(22)) == "list_unavailable"
