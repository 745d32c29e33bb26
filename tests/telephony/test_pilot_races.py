"""Two campaigns over one list, people who press CALL, and a ban, all at the same time (R-DL-8)."""

import itertools
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import (
    Attempt,
    Campaign,
    CampaignMode,
    Customer,
    CustomerList,
    DncSource,
    DoNotCall,
    Operator,
    OperatorState,
    Origin,
)
from calltree.services import gate
from calltree.services.gate import DialRequest
from calltree.telephony.dialler.pilot import Ground, Pilot
from calltree.telephony.timings import Timings
from tests import factories as make
from tests.factories import NOW
from tests.services.racing import by_threads
from tests.telephony.campaign_world import World, lines_open, world

LINES = 2
ROUNDS = 6
MANY = 30
BEGAN = time.monotonic()


def clock() -> datetime:
    """Everybody's, so that what was asked after the ban is known."""
    return NOW + timedelta(seconds=time.monotonic() - BEGAN)


def act(store: Store, argument: tuple[str, int]) -> list[datetime]:
    """One contestant's rounds; the one who bans tells when its ban stood."""
    role, one = argument
    told = []
    turn = {"pilot": piloted, "press": pressed, "carrier": ended, "ban": banned}[role]
    for step in turn(store, one):
        told += [step] if isinstance(step, datetime) else []
        with store.read() as session:
            assert lines_open(session) <= LINES
    return told


def piloted(store: Store, campaign_id: int) -> Iterator[object]:
    ground = Ground(
        read=store.read, write=store.write, epoch=1, clock=clock, began=0.0,
        timings=Timings(second_s=1e-6, settle_s=0.0), nodes=lambda: ["main"],
    )  # fmt: skip
    pilot = Pilot(campaign_id, ground)
    for _ in range(2 * ROUNDS):
        yield pilot.tick()


def pressed(store: Store, user_id: int) -> Iterator[object]:
    """CALL for each customer in turn, whoever may have them; a refusal is an answer."""
    with store.read() as session:
        rows = session.execute(select(Customer.id, Customer.number)).all()
    for customer_id, number in rows[:: MANY // ROUNDS]:
        request = DialRequest(
            origin=Origin.CALL, number=number, user_id=user_id, customer_id=customer_id
        )
        with store.write() as session:
            gate.take_turn(session)
            yield gate.ask(session, request=request, now=clock()).verdict


def ended(store: Store, campaign_id: int) -> Iterator[object]:
    """The carrier: who is dialled is busy, and the line is free again."""
    ours = World(store, random.Random(1), campaign_id, 0)
    for _ in range(2 * ROUNDS):
        with store.write() as session:
            gate.take_turn(session)
            ours.now = clock()
            live = select(Attempt).where(Attempt.ended_at.is_(None)).order_by(Attempt.id)
            for attempt in session.scalars(live):
                ours.leaves(session, attempt)
                ours.ends(session, attempt, "USER_BUSY")
        yield None


def banned(store: Store, customer_id: int) -> Iterator[object]:
    with store.write() as session:
        number = session.get_one(Customer, customer_id).number
        session.add(DoNotCall(number=number, source=DncSource.FORM, note="", created_at=clock()))
    yield clock()


def second_campaign(session: Session, list_id: int) -> Campaign:
    folder = session.get_one(CustomerList, list_id)
    campaign = make.make_campaign(
        session, folder, mode=CampaignMode.PROGRESSIVE, calls_per_second=50
    )
    for _ in range(3):
        user = make.make_user(session)
        make.grant(session, folder, user)
        make.make_operator(session, user, state=OperatorState.READY, campaign_id=campaign.id)
    return campaign


def test_R_DL_8_campaigns_presses_and_a_ban_at_once_cross_no_bound(
    store: Store, database_url: str
) -> None:
    ours = world(store, 1, mode=CampaignMode.PROGRESSIVE, multiplier_tenths=None)
    with ours.rows() as session:
        make.make_site(session, lines=LINES)
        other = second_campaign(session, ours.list_id).id
        folder = session.get_one(CustomerList, ours.list_id)
        for _ in range(MANY - 12):
            make.make_customer(session, folder)
        pressers = []
        for _ in range(2):
            user = make.make_user(session)
            make.grant(session, folder, user)
            make.make_operator(session, user)
            pressers.append(user.id)
        soon = session.scalars(select(Customer).order_by(Customer.position).offset(8)).first()
        wanted, number = soon.id, soon.number
    contestants = [
        *(("pilot", one) for one in (ours.campaign_id, other)),
        *(("press", one) for one in pressers),
        ("carrier", ours.campaign_id),
        ("ban", wanted),
    ]
    told = by_threads(database_url, act, contestants)
    (stood,) = told[-1]
    with ours.rows() as session:
        made = ours.allowed(session)
        by = {attempt.campaign_id for attempt in made}
        assert by >= {ours.campaign_id, other}, "both campaigns dialled"
        late = [a for a in made if a.number == number and a.created_at > stood]
        assert not late
        by_number: dict[str, list[Attempt]] = {}
        for attempt in made:
            by_number.setdefault(attempt.number, []).append(attempt)
        for dials in by_number.values():
            automatic = [dial for dial in dials if dial.campaign_id is not None]
            assert len(automatic) <= 1, "within the gap"
            for before, after in itertools.pairwise(dials):
                assert before.ended_at is not None, "dialled twice at once"
                assert before.ended_at <= after.created_at
        live = {attempt.id for attempt in made if attempt.ended_at is None}
        locks = session.scalars(select(Operator.attempt_id).where(Operator.attempt_id.is_not(None)))
        assert set(locks) <= live
