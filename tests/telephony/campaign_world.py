"""A campaign's world without a switch: a test moves calls on as its events would, and the clock."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallState,
    CampaignMode,
    ClosedDay,
    Customer,
    DncSource,
    DoNotCall,
    Line,
    Operator,
    OperatorState,
)
from calltree.services import campaign_answers, operators, records
from calltree.telephony import endings, joins
from calltree.telephony.dialler.pilot import Ground, Pilot
from calltree.telephony.timings import Timings
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
    nodes: list[str] = field(default_factory=lambda: ["main"])
    """The switches that are heard."""
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
            nodes=lambda: self.nodes,
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
        joins.note_answer(session, attempt, self.now, self.now)
        return campaign_answers.assign(session, attempt=attempt, now=self.now)

    def answers(self, session: Session, attempt: Attempt) -> None:
        user_id = self.answers_unjoined(session, attempt)
        if user_id is not None:
            leg = session.get_one(Operator, user_id).leg_uuid
            joins.joined(session, attempt, leg=leg, answered=True, at=self.now, now=self.now)

    def ends(self, session: Session, attempt: Attempt, cause: str = "NORMAL_CLEARING") -> None:
        attempt.hangup_cause = cause
        if attempt.answered_at is None and cause == "NORMAL_CLEARING":
            attempt.hangup_cause = "NO_ANSWER"
        endings.end(session, attempt, at=self.now, by="carrier", now=self.now)

    def goes_on(self) -> None:
        """Every call under way may move, every operator may change their mind."""
        with self.rows() as session:
            for attempt in session.scalars(
                select(Attempt).where(Attempt.ended_at.is_(None)).order_by(Attempt.id)
            ):
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
            for operator in session.scalars(select(Operator).order_by(Operator.user_id)):
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
        number = self.draw.choice(
            session.scalars(select(Customer.number).order_by(Customer.id)).all()
        )
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


def lines_open(session: Session) -> int:
    return session.scalar(select(func.count(Line.id)).where(Line.released_at.is_(None)))
