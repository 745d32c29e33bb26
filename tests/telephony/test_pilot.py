"""A campaign's pilot, one rule at a time (R-DL-1 … R-DL-8).

No switch: the test moves calls on as its events would, and the clock as it likes.
"""

import time
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallerNumber,
    CallState,
    Campaign,
    CampaignMode,
    CampaignState,
    Customer,
    CustomerList,
    DncSource,
    DoNotCall,
    ListGrant,
    NumberDirection,
    Operator,
    OperatorState,
    Project,
    Site,
    TrunkHealth,
)
from calltree.services import records
from calltree.services.outcomes import BUSY
from calltree.telephony import endings, joins
from calltree.telephony.timings import Timings
from tests import factories as make
from tests.factories import NOW
from tests.telephony.campaign_world import LINES, World, world


def dial_one(ours: World) -> Attempt:
    """Let the pilot dial one, which leaves for the network."""
    assert ours.pilot.tick() >= 1
    with ours.rows() as session:
        attempt = session.scalars(select(Attempt).order_by(Attempt.id.desc())).first()
        ours.leaves(session, attempt)
        return attempt


@pytest.fixture
def one(store: Store) -> World:
    """One customer, operators who wait, 1:1."""
    ours = world(store, 1, mode=CampaignMode.PROGRESSIVE, multiplier_tenths=None)
    with ours.rows() as session:
        first = session.scalars(select(Customer.id).order_by(Customer.position)).first()
        for customer in session.scalars(select(Customer).where(Customer.id != first)):
            customer.deleted_at = NOW
    return ours


def the_customer(ours: World) -> Customer:
    with ours.rows() as session:
        return session.scalars(select(Customer).where(Customer.deleted_at.is_(None))).one()


def test_R_DL_4_after_an_abandon_an_operator_is_kept_free_and_then_never_again(
    one: World,
) -> None:
    def abandoned() -> None:
        attempt = dial_one(one)
        with one.rows() as session:
            for operator in session.scalars(select(Operator)):
                operator.state, operator.attempt_id = OperatorState.AWAY, None
            session.flush()
            row = session.get_one(Attempt, attempt.id)
            joins.note_answer(session, row, one.now, one.now)
            one.now += timedelta(seconds=2)
            one.ends(session, row)
            assert row.state is CallState.ABANDONED
            for operator in session.scalars(select(Operator)):
                operator.state, operator.since = OperatorState.READY, one.now

    abandoned()
    assert the_customer(one).abandons == 1
    one.now += timedelta(hours=23)  # 9:00 of the next day
    assert one.pilot.tick() == 0
    one.now += timedelta(hours=2)
    assert one.new_pilot().tick() == 1
    with one.rows() as session:
        attempt = session.scalars(select(Attempt).order_by(Attempt.id.desc())).first()
        kept = session.get_one(Operator, attempt.reserved_user_id)
        assert (kept.state, kept.attempt_id) == (OperatorState.OFFERED, attempt.id)
        one.leaves(session, attempt)
        kept.state, kept.attempt_id, kept.leg_state = OperatorState.AWAY, None, "lost"
        for operator in session.scalars(select(Operator)):
            operator.state = OperatorState.AWAY
        session.flush()
        joins.note_answer(session, attempt, one.now, one.now)
        one.ends(session, attempt)
    customer = the_customer(one)
    assert (customer.preview_only, customer.next_try_at) == (True, None)
    with one.rows() as session:
        for operator in session.scalars(select(Operator)):
            operator.state, operator.leg_state = OperatorState.READY, "parked"
    one.now += timedelta(days=7)
    assert one.new_pilot().tick() == 0


def test_R_DL_4_an_operator_kept_free_takes_the_customer_or_waits_again(one: World) -> None:
    with one.rows() as session:
        customer = session.scalars(select(Customer).where(Customer.deleted_at.is_(None))).one()
        customer.abandons, customer.next_try_at = 1, one.now
    attempt = dial_one(one)
    kept = attempt.reserved_user_id
    with one.rows() as session:
        one.ends(session, session.get_one(Attempt, attempt.id), "NO_ANSWER")
        operator = session.get_one(Operator, kept, populate_existing=True)
        assert (operator.state, operator.attempt_id) == (OperatorState.READY, None)
        row = session.get_one(Attempt, attempt.id)
        assert records.of_attempt(session, attempt_id=row.id).user_id is None


def test_R_DL_5_a_callback_comes_first_and_to_who_promised_it(store: Store) -> None:
    ours = world(store, 1, mode=CampaignMode.PROGRESSIVE, multiplier_tenths=None)
    with ours.rows() as session:
        last = session.scalars(select(Customer).order_by(Customer.position.desc())).first()
        who = session.scalars(select(Operator.user_id).order_by(Operator.user_id.desc())).first()
        last.dials, last.cycle, last.last_dialled_at = 1, 1, ours.now - timedelta(days=1)
        make.make_task(session, last, user_id=who, due_at=ours.now - timedelta(minutes=1))
        wanted = last.id
    ours.pilot.tick()
    with ours.rows() as session:
        first = session.scalars(select(Attempt).order_by(Attempt.id)).first()
        assert (first.customer_id, first.reserved_user_id) == (wanted, who)


def test_R_DL_5_a_busy_number_is_tried_three_times_twenty_minutes_apart(one: World) -> None:
    dialled = []
    for _ in range(8):
        if one.pilot.tick():
            with one.rows() as session:
                attempt = session.scalars(select(Attempt).order_by(Attempt.id.desc())).first()
                attempt.state, attempt.dialled_at = CallState.DIALLING, one.now
                attempt.hangup_cause = "USER_BUSY"
                endings.end(session, attempt, at=one.now, by="carrier", now=one.now, outcome=BUSY)
            dialled.append((one.now - NOW) // timedelta(minutes=1))
        one.now += timedelta(minutes=10)
        one.pilot = one.new_pilot()
    assert dialled == [0, 20, 40]


def test_R_DL_5_a_refusal_moves_the_customer_on(one: World) -> None:
    with one.rows() as session:
        session.add(
            DoNotCall(
                number=the_number(session), source=DncSource.FORM, note="", created_at=one.now
            )
        )
    assert one.pilot.tick() == 0
    customer = the_customer(one)
    assert customer.last_outcome == "number_banned"
    assert customer.next_try_at > one.now
    for _ in range(3):
        one.new_pilot().tick()
    with one.rows() as session:
        assert session.scalar(select(func.count(Attempt.id))) == 1


def the_number(session: Session) -> str:
    return session.scalars(select(Customer.number).where(Customer.deleted_at.is_(None))).one()


def test_R_DL_6_a_paused_campaign_dials_nobody(one: World) -> None:
    with one.rows() as session:
        session.get_one(Campaign, one.campaign_id).state = CampaignState.PAUSED
    assert one.pilot.tick() == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("project", "campaign_project_stopped"),
        ("list", "campaign_no_lists"),
        ("night", "campaign_outside_hours"),
        ("away", "pacing_nobody_ready"),
        ("lines", "campaign_lines_full"),
        ("done", "campaign_no_numbers"),
        ("later", "campaign_numbers_later"),
        ("no_number", "campaign_no_caller_number"),
        ("no_days", "campaign_never_open"),
        ("no_switch", "campaign_switch_down"),
    ],
)
def test_R_DL_6_one_sentence_says_why_nothing_is_dialled(
    one: World, change: str, code: str
) -> None:
    with one.rows() as session:
        customer = session.scalars(select(Customer).where(Customer.deleted_at.is_(None))).one()
        match change:
            case "project":
                session.scalars(select(Project)).one().state = "stopped"
            case "list":
                session.get_one(CustomerList, one.list_id).enabled = False
            case "night":
                one.now += timedelta(hours=12)
            case "away":
                for operator in session.scalars(select(Operator)):
                    operator.state = OperatorState.AWAY
            case "lines":
                session.get_one(Site, 1).lines_reserved_inbound = LINES
            case "done":
                customer.deleted_at = NOW
            case "no_number":
                session.get_one(
                    CallerNumber, project_of(session).main_number_id
                ).direction = NumberDirection.INBOUND
            case "no_days":
                project_of(session).weekdays = []
            case "no_switch":
                one.nodes = []
            case "later":
                customer.next_try_at = one.now + timedelta(hours=1)
    assert one.pilot.tick() == 0
    assert one.pilot.why.code == code


def project_of(session: Session) -> Project:
    return session.scalars(select(Project)).one()


def test_R_DL_1_a_leader_that_has_only_just_begun_says_that_it_settles(store: Store) -> None:
    ours = world(store, 1, mode=CampaignMode.ADAPTIVE, multiplier_tenths=30)
    assert ours.new_pilot().told()["why"] == "pacing_settling"
    ours.pilot = ours.new_pilot(settle_s=1e9)
    while ours.pilot.tick():
        pass
    with ours.rows() as session:
        assert ours.in_flight(session) == len(ours.ready(session)) == 3
    assert ours.pilot.why.code == "pacing_settling"


def test_R_DL_4_the_brake_outlives_a_change_of_leader(one: World) -> None:
    with one.rows() as session:
        campaign = session.get_one(Campaign, one.campaign_id)
        for n in range(4):
            session.add(
                Attempt(
                    uuid=f"00000000-0000-0000-0000-{n:012d}",
                    origin="predictive",
                    campaign_id=campaign.id,
                    number=f"0399{n:06d}",
                    verdict="allowed",
                    state=CallState.ABANDONED,
                    created_at=one.now,
                    dialled_at=one.now,
                    answered_at=one.now,
                    ended_at=one.now,
                )
            )
    one.pilot.tick()
    with one.rows() as session:
        assert session.get_one(Campaign, one.campaign_id).braked


def test_R_DL_7_whose_grant_was_taken_away_is_not_dialled_for_from_the_next_tick(
    one: World,
) -> None:
    with one.rows() as session:
        session.execute(delete(ListGrant))
        busy, *waiting = session.scalars(select(Operator).order_by(Operator.user_id)).all()
        busy.state = OperatorState.TALKING
    assert one.pilot.tick() == 0
    assert one.pilot.why.code == "pacing_nobody_ready"
    with one.rows() as session:
        for operator in waiting:
            session.add(operator)
            session.refresh(operator)
            assert (operator.state, operator.campaign_id) == (OperatorState.AWAY, None)
        session.add(busy)
        session.refresh(busy)
        assert (busy.campaign_id, busy.leaves_campaign) == (one.campaign_id, True)


@pytest.fixture
def two_switches(store: Store) -> World:
    """Two operators on the switch main, two on west; 1:1."""
    ours = world(store, 1, mode=CampaignMode.PROGRESSIVE, multiplier_tenths=None)
    with ours.rows() as session:
        make.make_switch(session, nodes={name: {"link_up": True} for name in ("main", "west")})
        folder = session.get_one(CustomerList, ours.list_id)
        user = make.make_user(session)
        make.grant(session, folder, user)
        ready = {"state": OperatorState.READY, "campaign_id": ours.campaign_id}
        make.make_operator(session, user, leg_node="west", **ready)
        session.scalars(select(Operator).order_by(Operator.user_id)).first().leg_node = "west"
    ours.nodes = ["main", "west"]
    return ours


def test_R_DL_1_operators_on_two_switches_are_dialled_for_each_on_their_own(
    two_switches: World,
) -> None:
    ours = two_switches
    while ours.pilot.tick():
        pass
    with ours.rows() as session:
        made = ours.allowed(session)
        assert Counter(attempt.node for attempt in made) == {"main": 2, "west": 2}
        for attempt in made:
            ours.leaves(session, attempt)
            ours.answers(session, attempt)
            taker = session.get_one(Operator, attempt.user_id)
            assert (attempt.state, taker.leg_node) == (CallState.TALKING, attempt.node)


def test_R_DL_8_nobody_is_dialled_for_who_stands_by_on_a_switch_that_is_not_heard(
    two_switches: World,
) -> None:
    ours = two_switches
    ours.nodes = ["main"]
    while ours.pilot.tick():
        pass
    with ours.rows() as session:
        assert [attempt.node for attempt in ours.allowed(session)] == ["main", "main"]


# --- what it says of itself


def alarms(ours: World) -> dict[str, dict[str, object]]:
    return {alarm.code: dict(alarm.values) for alarm in ours.pilot.alarms}


def test_operators_without_a_dial_though_all_is_there_are_an_alarm(one: World) -> None:
    with one.rows() as session:
        project = session.scalars(select(Project)).one()
        make.add_number(session, project, make.make_caller_number(session))
        # Every number has lines left but the one that this customer is shown.
        session.get_one(CallerNumber, project.main_number_id).line_cap = 0
    one.pilot = one.new_pilot(idle_alarm_s=0.0)
    assert one.pilot.tick() == 0
    assert alarms(one)["alarm_idle"]["ready"] == 3
    with one.rows() as session:
        for operator in session.scalars(select(Operator)):
            operator.state = OperatorState.AWAY
    one.pilot.tick()
    assert "alarm_idle" not in alarms(one)


def test_an_alarm_of_idle_operators_waits_a_minute(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Timings().idle_alarm_s == 60.0
    ours = world(store, 1, mode=CampaignMode.PROGRESSIVE, multiplier_tenths=None)
    with ours.rows() as session:
        make.add_number(session, project_of(session), make.make_caller_number(session))
        session.get_one(CallerNumber, project_of(session).main_number_id).line_cap = 0
    at = 1000.0
    its_clock = SimpleNamespace(monotonic=lambda: at, sleep=time.sleep)
    monkeypatch.setattr("calltree.telephony.dialler.pilot.time", its_clock)
    assert ours.pilot.tick() == 0
    at += 59.9
    assert ours.pilot.tick() == 0
    assert "alarm_idle" not in alarms(ours)
    at += 0.2
    assert ours.pilot.tick() == 0
    assert alarms(ours)["alarm_idle"]["ready"] == 3


def add_call(session: Session, ours: World, n: int, **given: object) -> None:
    values: dict[str, object] = {
        "uuid": f"00000000-0000-0000-0000-{n:012d}",
        "origin": "predictive",
        "campaign_id": ours.campaign_id,
        "number": "0399000001",
        "verdict": "allowed",
        "state": CallState.ABANDONED,
        "created_at": ours.now,
        "dialled_at": ours.now,
        "answered_at": ours.now,
        "ended_at": ours.now + timedelta(seconds=30),
    }
    session.add(Attempt(**(values | given)))


def test_a_call_without_an_end_a_number_twice_and_an_improper_abandon_are_alarms(
    one: World,
) -> None:
    with one.rows() as session:
        add_call(session, one, 1, improper=True)
        add_call(session, one, 2, dialled_at=one.now + timedelta(seconds=10))
        old = one.now - timedelta(minutes=4)
        add_call(
            session, one, 3, number="0399000003", state=CallState.RINGING, created_at=old,
            dialled_at=old, answered_at=None, ended_at=None,
        )  # fmt: skip
    one.pilot.tick()
    found = alarms(one)
    assert {code: values["count"] for code, values in found.items()} == {
        "alarm_leaked": 1,
        "alarm_duplicate": 1,
        "alarm_improper": 1,
    }


def test_a_trunk_left_alone_is_an_alarm_of_the_campaign(one: World) -> None:
    with one.rows() as session:
        session.add(
            TrunkHealth(
                gateway="carrier", state="open", wait_s=15, cause="GATEWAY_DOWN",
                until=one.now + timedelta(seconds=15),
            )
        )  # fmt: skip
    assert one.pilot.tick() == 0
    assert one.pilot.why.code == "campaign_trunk_down"
    assert set(alarms(one)) == {"alarm_trunk"}


def test_R_DL_4_an_abandon_is_improper_when_somebody_was_free(one: World) -> None:
    """The rule itself: nobody of ours makes one, so the rows are set by hand."""
    attempt = dial_one(one)
    with one.rows() as session:
        row = session.get_one(Attempt, attempt.id)
        row.state, row.answered_at = CallState.ANSWERED, one.now
        one.now += timedelta(seconds=3)
        one.ends(session, row)
        assert (row.state, row.improper) == (CallState.ABANDONED, True)


def test_R_DL_3_a_join_given_up_that_came_about_after_all_is_whose_leg_it_was(one: World) -> None:
    attempt = dial_one(one)
    with one.rows() as session:
        row = session.get_one(Attempt, attempt.id)
        one.answers_unjoined(session, row)
        meant, other = session.scalars(select(Operator).order_by(Operator.user_id)).all()[:2]
        assert row.user_id == meant.user_id
        joins.joined(session, row, leg=other.leg_uuid, answered=True, at=one.now, now=one.now)
        session.refresh(meant)
        session.refresh(other)
        assert (row.user_id, other.state) == (other.user_id, OperatorState.TALKING)
        assert (meant.state, meant.attempt_id) == (OperatorState.READY, None)
