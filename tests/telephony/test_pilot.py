"""A campaign's pilot over days of chance: what may never happen, whatever comes (R-DL-1 … R-DL-8).

No switch: the test moves calls on as its events would, and the clock as it likes.
"""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallerNumber,
    CallState,
    Campaign,
    CampaignMode,
    CampaignState,
    ClosedDay,
    Customer,
    CustomerList,
    DncSource,
    DoNotCall,
    Line,
    Operator,
    OperatorState,
    Project,
    Site,
    TrunkHealth,
)
from calltree.pacing.rule import round_half_up
from calltree.services import campaign_answers, hours, operators, records
from calltree.services.outcomes import BUSY
from calltree.telephony import endings, ledger
from calltree.telephony.dialler.pilot import Ground, Pilot
from calltree.telephony.timings import Timings
from calltree.text.hours import HoursVerdict, hours_verdict
from tests import factories as make
from tests.factories import NOW

LINES = 4
LIVE = (CallState.TALKING, CallState.HELD)


@dataclass
class World:
    """A campaign with customers and operators, and whoever moves them."""

    store: Store
    draw: random.Random
    campaign_id: int
    list_id: int
    now: datetime = NOW
    banned: dict[str, datetime] = field(default_factory=dict)
    pilot: Pilot = field(init=False)

    def __post_init__(self) -> None:
        self.pilot = self.new_pilot()

    def new_pilot(self, **timings: float) -> Pilot:
        ground = Ground(
            read=self.store.read,
            write=self.store.write,
            epoch=1,
            timings=replace(Timings(), **({"second_s": 1e-6, "settle_s": 0.0} | timings)),
            clock=lambda: self.now,
            nodes=lambda: ["main"],
            began=0.0,
        )
        return Pilot(self.campaign_id, ground)

    @contextmanager
    def rows(self) -> Iterator[Session]:
        with self.store.write() as session:
            yield session

    def ready(self, session: Session) -> list[Operator]:
        return list(session.scalars(select(Operator).where(Operator.state == OperatorState.READY)))

    def in_flight(self, session: Session) -> int:
        """Ringing, or answered and not joined, with no operator kept free."""
        return session.scalar(
            select(func.count(Attempt.id)).where(
                Attempt.ended_at.is_(None),
                Attempt.state.not_in(LIVE),
                Attempt.user_id.is_(None),
                Attempt.reserved_user_id.is_(None),
            )
        )

    def allowed(self, session: Session) -> list[Attempt]:
        return list(
            session.scalars(
                select(Attempt)
                .where(Attempt.verdict == "allowed")
                .order_by(Attempt.created_at, Attempt.id)
            )
        )

    # --- what the outside does

    def leaves(self, session: Session, attempt: Attempt) -> None:
        attempt.state, attempt.dialled_at = CallState.RINGING, self.now
        records.open_for_attempt(session, attempt=attempt, now=self.now)

    def answers_unjoined(self, session: Session, attempt: Attempt) -> int | None:
        ledger.note_answer(session, attempt, self.now, self.now)
        return campaign_answers.assign(session, attempt=attempt, now=self.now)

    def answers(self, session: Session, attempt: Attempt) -> None:
        user_id = self.answers_unjoined(session, attempt)
        if user_id is not None:
            leg = session.get_one(Operator, user_id).leg_uuid
            ledger.joined(session, attempt, leg=leg, answered=True, at=self.now, now=self.now)

    def ends(self, session: Session, attempt: Attempt, cause: str = "NORMAL_CLEARING") -> None:
        attempt.hangup_cause = cause
        if attempt.answered_at is None and cause == "NORMAL_CLEARING":
            attempt.hangup_cause = "NO_ANSWER"
        endings.end(session, attempt, at=self.now, by="carrier", now=self.now)

    def goes_on(self) -> None:
        """Every call under way may move, every operator may change their mind."""
        with self.rows() as session:
            for attempt in session.scalars(select(Attempt).where(Attempt.ended_at.is_(None))):
                if attempt.state is CallState.QUEUED:
                    self.leaves(session, attempt)
                elif attempt.state is CallState.RINGING:
                    what = self.draw.choice(["rings", "answers", "answers", "busy", "silent"])
                    if what == "answers":
                        self.answers(session, attempt)
                    elif what != "rings":
                        self.ends(session, attempt, "USER_BUSY" if what == "busy" else "NO_ANSWER")
                elif self.draw.random() < 0.6:
                    self.ends(session, attempt)
            for operator in session.scalars(select(Operator)):
                self.works(session, operator)

    def works(self, session: Session, operator: Operator) -> None:
        user_id, now = operator.user_id, self.now
        if operator.state is OperatorState.WRAP_UP:
            records.close_record(session, user_id=user_id, now=now)
            operators.result_saved(session, user_id=user_id, now=now)
            records.leave(session, user_id=user_id, now=now)
            operators.become_ready(session, user_id=user_id, now=now)
        elif operator.state is OperatorState.READY and self.draw.random() < 0.2:
            operators.go_away(session, user_id=user_id, reason="休憩", now=now)
        elif operator.state is OperatorState.AWAY and self.draw.random() < 0.5:
            operators.become_ready(session, user_id=user_id, now=now)

    def bans(self, session: Session) -> None:
        number = self.draw.choice(session.scalars(select(Customer.number)).all())
        session.add(DoNotCall(number=number, source=DncSource.FORM, note="", created_at=self.now))
        self.banned.setdefault(number, self.now)


def world(store: Store, seed: int, **given: object) -> World:
    draw = random.Random(seed)
    with store.write() as session:
        make.make_site(session, lines=LINES)
        make.make_switch(session)
        project = make.make_project(session)
        folder = make.make_list(session, project)
        for _ in range(12):
            make.make_customer(session, folder)
        session.add(ClosedDay(day=(NOW + timedelta(days=2)).date(), name="棚卸"))
        values = {"mode": CampaignMode.FIXED, "multiplier_tenths": 15, "calls_per_second": 50}
        campaign = make.make_campaign(session, folder, **(values | given))
        for _ in range(3):
            user = make.make_user(session)
            make.grant(session, folder, user)
            make.make_operator(session, user, state=OperatorState.READY, campaign_id=campaign.id)
        return World(store, draw, campaign.id, folder.id)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mode", [CampaignMode.FIXED, CampaignMode.PROGRESSIVE])
def test_R_DL_1_and_R_DL_8_days_of_chance_cross_no_bound(
    store: Store, seed: int, mode: CampaignMode
) -> None:
    tenths = 15 if mode is CampaignMode.FIXED else None
    ours = world(store, seed, mode=mode, multiplier_tenths=tenths, max_tries=20)
    k = Decimal("1.5") if tenths else Decimal(1)
    for _ in range(60):
        step = ours.draw.choice([5, 20, 60, 300, 1800, 5400])
        ours.now += timedelta(seconds=step)
        ours.goes_on()
        with ours.rows() as session:
            if ours.draw.random() < 0.05:
                ours.bans(session)
            before, ready = ours.in_flight(session), len(ours.ready(session))
        dialled = ours.pilot.tick()
        with ours.rows() as session:
            if not ready:
                assert dialled == 0
            assert ours.in_flight(session) <= max(before, round_half_up(k, ready))
            assert lines_open(session) <= LINES
    with ours.rows() as session:
        made = ours.allowed(session)
        assert len(made) > 10, "chance left nothing to look at"
        look_at_hours(session, ours, made)
        for attempt in made:
            banned = ours.banned.get(attempt.number)
            assert banned is None or attempt.created_at <= banned
        look_at_gaps(made)


def lines_open(session: Session) -> int:
    return session.scalar(select(func.count(Line.id)).where(Line.released_at.is_(None)))


def look_at_hours(session: Session, ours: World, made: list[Attempt]) -> None:
    folder = session.get_one(CustomerList, ours.list_id)
    rules = hours.rules_of(
        session,
        site=session.get_one(Site, 1),
        project=session.get_one(Project, folder.project_id),
    )
    assert {hours_verdict(rules, attempt.created_at) for attempt in made} == {HoursVerdict.OPEN}


def look_at_gaps(made: list[Attempt]) -> None:
    """One number: never twice at once, never sooner than its gap, and rarely after 放棄."""
    by_number: dict[str, list[Attempt]] = {}
    for attempt in made:
        by_number.setdefault(attempt.number, []).append(attempt)
    for dials in by_number.values():
        abandoned = 0
        for last, attempt in itertools.pairwise(dials):
            assert last.ended_at is not None
            assert last.ended_at <= attempt.created_at
            never_rang = last.hangup_cause == "USER_BUSY" and last.ringing_at is None
            gap = timedelta(minutes=20 if never_rang else 60)
            assert attempt.created_at - (last.dialled_at or last.created_at) >= gap
            if last.state is CallState.ABANDONED:
                abandoned += 1
                assert attempt.created_at - last.ended_at >= timedelta(hours=24)
            elif last.joined_at is not None:
                abandoned = 0
            assert abandoned < 2
            assert attempt.reserved_user_id is not None or not abandoned


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
            ledger.note_answer(session, row, one.now, one.now)
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
        ledger.note_answer(session, attempt, one.now, one.now)
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
            case "later":
                customer.next_try_at = one.now + timedelta(hours=1)
    assert one.pilot.tick() == 0
    assert one.pilot.why.code == code


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
        ledger.joined(session, row, leg=other.leg_uuid, answered=True, at=one.now, now=one.now)
        session.refresh(meant)
        session.refresh(other)
        assert (row.user_id, other.state) == (other.user_id, OperatorState.TALKING)
        assert (meant.state, meant.attempt_id) == (OperatorState.READY, None)
