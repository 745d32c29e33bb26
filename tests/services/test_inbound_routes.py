"""R-IN-1: what a manager sets for a number is checked, told in the audit log, and in force."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    CallerIdForm,
    CallerNumber,
    CallState,
    ClosedDay,
    Group,
    GroupMember,
    Guidance,
    HolidayHours,
    InboundAction,
    InboundClosedDay,
    InboundRefusal,
    LegState,
    Line,
    NumberDirection,
    NumberForm,
    OperatorState,
    Origin,
    Role,
    Situation,
)
from calltree.services import inbound_facts, inbound_fallbacks, inbound_routes
from calltree.services.inbound_routes import RouteDetails
from calltree.services.inbound_rules import Plan, Step
from calltree.services.rights import Viewer
from calltree.text.days import TOKYO, site_day
from tests import factories as make
from tests.factories import NOW
from tests.services.racing import by_threads

TODAY = site_day(NOW)
WEEK = (*["9:00-18:00"] * 5, "", "", "")
PLAIN = RouteDetails(hours=WEEK)


class Office:
    """A site with one number that takes calls, and a manager."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.write() as session:
            make.make_site(session, extra_prefixes=["0570"])
            self.manager = Viewer.of(make.make_user(session, Role.MANAGER))
            number = make.make_caller_number(session)
            self.number_id, self.number = number.id, number.number
            session.add(
                Guidance(name="休業日の案内", sound=b"", length_ms=1, size_bytes=0, created_at=NOW)
            )
            session.flush()
            self.guidance_id = session.scalars(select(Guidance.id)).one()

    def save(self, given: RouteDetails, viewer: Viewer | None = None) -> None:
        with self.store.write() as session:
            inbound_routes.save(
                session,
                viewer=viewer or self.manager,
                number_id=self.number_id,
                given=given,
                today=TODAY,
                now=NOW,
            )

    def step(self, situation: Situation, step: Step) -> None:
        self.save(replace(PLAIN, steps={situation: step}))

    def plan(self, moment: str = "2026-11-24 10:00", caller: str = "09011112222") -> Plan:
        now = datetime.fromisoformat(moment).replace(tzinfo=TOKYO)
        with self.store.read() as session:
            return inbound_facts.plan(session, number=self.number, caller=caller, now=now)

    def add(self, *rows: object) -> None:
        with self.store.write() as session:
            session.add_all(rows)

    def ready(self, **given: object) -> int:
        """Somebody who is 待機; returns the user's id."""
        user = {name: given.pop(name) for name in [*given] if name.startswith("may_")}
        with self.store.write() as session:
            row = make.make_user(session, given.pop("role", Role.OPERATOR), **user)
            make.make_operator(session, row, **({"state": OperatorState.READY} | given))
            return row.id


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def test_R_IN_1_a_number_without_a_route_has_the_usual_one(office: Office) -> None:
    office.ready()
    assert office.plan("2026-11-24 10:00").steps[0].action is InboundAction.RING_ALL
    assert office.plan("2026-11-24 19:00").reason == "after_hours"
    assert office.plan("2026-11-23 10:00").reason == "holiday"
    assert office.plan("2026-11-22 10:00").reason == "weekday_closed"


def test_R_IN_1_a_saved_route_is_in_force_on_the_next_call(office: Office) -> None:
    told = Step(InboundAction.GUIDANCE, guidance_id=office.guidance_id)
    office.save(
        RouteDetails(
            hours=("10-12", "10～12", "", "", "", "", "", "9:00-10:00"),
            holidays=HolidayHours.OWN,
            steps={Situation.CLOSED_DAY: told},
        )
    )
    assert office.plan("2026-11-24 11:00").situation is Situation.ALL_BUSY
    assert office.plan("2026-11-24 12:00").reason == "after_hours"
    assert office.plan("2026-11-23 09:30").situation is Situation.ALL_BUSY
    closed = office.plan("2026-11-25 11:00")
    assert (closed.reason, closed.steps) == ("weekday_closed", (told,))
    with office.store.read() as session:
        shown = inbound_routes.details(session, number_id=office.number_id, today=TODAY)
    assert shown.hours[:3] == ("10:00-12:00", "10:00-12:00", "")
    assert shown.steps[Situation.CLOSED_DAY] == told


def test_R_IN_1_closed_days_of_the_site_and_of_the_number(office: Office) -> None:
    office.add(ClosedDay(day=date(2026, 12, 29), name="年末年始"))
    own = {date(2026, 12, 1): "棚卸し", TODAY - timedelta(days=1): "過ぎた日"}
    office.save(replace(PLAIN, closed_days=own))
    assert (office.plan("2026-12-29 14:00").reason, office.plan("2026-12-29 14:00").name) == (
        "closed_day",
        "年末年始",
    )
    assert office.plan("2026-12-01 14:00").name == "棚卸し"
    office.save(replace(PLAIN, observes_closed_days=False))
    assert office.plan("2026-12-29 14:00").situation is Situation.ALL_BUSY
    assert office.plan("2026-12-01 14:00").situation is Situation.ALL_BUSY
    with office.store.read() as session:
        assert session.query(InboundClosedDay).count() == 0


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({}, True),
        ({"state": OperatorState.BROWSING}, False),
        ({"leg_state": LegState.LOST}, False),
        ({"may_answer_inbound": False}, False),
        ({"may_answer_inbound": False, "role": Role.SUPERVISOR}, True),
    ],
)
def test_R_US_5_it_rings_only_where_somebody_waits_and_may_answer(
    office: Office, given: dict[str, object], taken: bool
) -> None:
    office.ready(**given)
    assert (office.plan().situation is Situation.OPEN) is taken


def test_R_IN_1_a_route_rings_its_group_alone(office: Office) -> None:
    user_id = office.ready()
    with office.store.write() as session:
        group = Group(name="受電チーム")
        session.add(group)
        session.flush()
        group_id = group.id
    office.save(replace(PLAIN, group_id=group_id))
    assert office.plan().reason == "nobody_ready"
    office.add(GroupMember(group_id=group_id, user_id=user_id))
    assert office.plan().reason == "open"


def test_R_CL_8_a_call_that_finds_every_line_taken_is_busy(office: Office) -> None:
    office.ready()
    with office.store.write() as session:
        make.make_site(session, lines=2)
        for n in range(2):
            attempt = Attempt(
                uuid=f"uuid{n}", origin=Origin.CALL, number=f"090{n:08}", verdict="allowed",
                state=CallState.TALKING, created_at=NOW,
            )  # fmt: skip
            session.add(attempt)
            session.flush()
            line = Line(attempt_id=attempt.id, uuid=f"uuid{n}", taken_at=NOW)
            line.caller_number_id = office.number_id if n else None
            session.add(line)
    assert office.plan().reason == "no_lines"
    with office.store.write() as session:
        make.make_site(session, lines=3)
    assert office.plan().reason == "open"
    with office.store.write() as session:
        session.get_one(CallerNumber, office.number_id).line_cap = 1
    assert office.plan().reason == "no_lines"


def test_R_IN_1_refused_and_withheld_callers(office: Office) -> None:
    office.ready()
    office.add(InboundRefusal(number="09011112222", created_at=NOW))
    assert office.plan().reason == "caller_refused"
    assert office.plan(caller="09033334444").reason == "open"
    assert office.plan(caller="").reason == "open"
    office.step(Situation.WITHHELD, Step(InboundAction.REFUSE))
    assert office.plan(caller="").reason == "withheld"


def test_R_PJ_4_a_number_for_calls_out_takes_none(office: Office) -> None:
    with office.store.write() as session:
        session.get_one(CallerNumber, office.number_id).direction = NumberDirection.OUTBOUND
    assert office.plan().reason == "not_inbound"
    with office.store.read() as session:
        assert inbound_routes.numbers(session) == []


WRONG = [
    ({"hours": ("18-9", *WEEK[1:])}, "opening_reversed", "hours_0"),
    ({"hours": (*WEEK[:7], "夕方")}, "opening_unreadable", "hours_7"),
    ({"hours": ("",) * 8}, "route_never_open", "hours_0"),
    ({"group_id": 999}, "group_gone", "group_id"),
]
WRONG_STEPS = [
    (Step(InboundAction.RING_ALL, seconds=20), "inbound_action", "action"),
    (Step(InboundAction.GUIDANCE), "guidance_missing", "guidance_id"),
    (Step(InboundAction.VOICEMAIL, guidance_id=999, seconds=60), "guidance_gone", "guidance_id"),
    (Step(InboundAction.VOICEMAIL, seconds=5), "seconds_range", "seconds"),
    (Step(InboundAction.FORWARD, seconds=30), "forward_missing", "forward_to"),
    (Step(InboundAction.FORWARD, forward_to="03-12", seconds=30), "forward_missing", "forward_to"),
    (
        Step(InboundAction.FORWARD, forward_to="0990123456", seconds=30),
        "number_not_allowed",
        "forward_to",
    ),
]


@pytest.mark.parametrize(("changed", "code", "field"), WRONG)
def test_R_IN_1_what_cannot_be_set_is_refused_by_its_field(
    office: Office, changed: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        office.save(replace(PLAIN, **changed))
    assert (refused.value.code, refused.value.field) == (code, field)


@pytest.mark.parametrize(("step", "code", "column"), WRONG_STEPS)
def test_R_CL_16_a_step_that_cannot_be_is_refused_by_its_field(
    office: Office, step: Step, code: str, column: str
) -> None:
    with pytest.raises(Refused) as refused:
        office.step(Situation.AFTER_HOURS, step)
    assert refused.value.field == f"after_hours_{column}"
    assert refused.value.code == code


def test_R_IN_4_what_the_switch_does_alone_follows_the_closed_hours(office: Office) -> None:
    def alone() -> inbound_fallbacks.Fallback:
        with office.store.read() as session:
            (one,) = inbound_fallbacks.fallbacks(session)
        return one

    office.ready()
    assert alone() == inbound_fallbacks.Fallback(office.number), "the site's own sound"
    night = Step(InboundAction.FORWARD, forward_to="0355556666", seconds=40)
    office.step(Situation.AFTER_HOURS, night)
    with office.store.write() as session:
        trunk = make.make_trunk(
            session, number_form=NumberForm.E164, caller_id_form=CallerIdForm.ANONYMOUS
        )
        gateway = trunk.gateway
    target = alone()
    assert (target.gateway, target.forward_to, target.seconds) == (gateway, "+81355556666", 40)
    assert target.caller_id == f"+81{office.number[1:]}"
    assert target.caller_id_form is CallerIdForm.ANONYMOUS


def test_R_CL_16_it_forwards_to_allowed_numbers_that_are_not_ours(office: Office) -> None:
    night = "2026-11-24 20:00"
    office.step(
        Situation.AFTER_HOURS, Step(InboundAction.FORWARD, forward_to="03-5555-6666", seconds=30)
    )
    assert office.plan(night).steps[0].forward_to == "0355556666"
    with pytest.raises(Refused, match="forward_own"):
        office.step(
            Situation.AFTER_HOURS,
            Step(InboundAction.FORWARD, forward_to=office.number, seconds=30),
        )
    assert office.plan(night).steps[0].forward_to == "0355556666"


def test_R_US_7_the_audit_log_has_before_and_after_of_what_changed(office: Office) -> None:
    office.save(PLAIN)
    office.save(PLAIN)
    step = Step(InboundAction.QUEUE, seconds=90, tells_position=True)
    office.save(replace(PLAIN, hours=("8:00-18:00", *WEEK[1:]), steps={Situation.OPEN: step}))
    with office.store.read() as session:
        lines = list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [line.action for line in lines] == ["inbound.hours_saved", "inbound.step_saved"]
    before, after = lines[0].detail["changed"]["hours"]
    assert (before[0], after[0]) == ("09:00-18:00", "08:00-18:00")
    assert lines[1].detail["situation"] == "open"
    assert lines[1].detail["changed"] == {
        "action": ["ring_all", "queue"],
        "seconds": [20, 90],
        "tells_position": [False, True],
    }


def test_R_US_1_only_a_manager_sets_routes(office: Office) -> None:
    with office.store.write() as session:
        supervisor = Viewer.of(make.make_user(session, Role.SUPERVISOR))
    with pytest.raises(NotAllowed):
        office.save(PLAIN, supervisor)
    office.number_id = 999
    with pytest.raises(NotFound):
        office.save(PLAIN)


def test_R_IN_1_managers_who_save_one_number_at_once_both_succeed(
    office: Office, database_url: str
) -> None:
    def save(store: Store, hour: int) -> str:
        with store.write() as session:
            inbound_routes.save(
                session,
                viewer=office.manager,
                number_id=office.number_id,
                given=replace(PLAIN, hours=(f"{hour}:00-18:00", *WEEK[1:])),
                today=TODAY,
                now=NOW,
            )
        return "saved"

    assert by_threads(database_url, save, [6, 7, 8, 9]) == ["saved"] * 4
