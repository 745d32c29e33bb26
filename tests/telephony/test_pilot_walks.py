"""A campaign's pilot over days of chance: what may never happen (R-DL-1 … R-DL-8)."""

import itertools
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallState,
    Campaign,
    CampaignMode,
    CampaignState,
)
from calltree.pacing.rule import round_half_up
from calltree.telephony.pacing import remembered
from calltree.text.days import TOKYO
from tests.factories import NOW
from tests.telephony.campaign_world import LINES, World, lines_open, world

STEPS = (5, 60, 600, 1800, 5400, 10_800)
"""Seconds between two looks; with most nights cut short some four days in all."""
CEILINGS = {CampaignMode.FIXED: 15, CampaignMode.ADAPTIVE: 20, CampaignMode.PROGRESSIVE: None}


@pytest.mark.parametrize(
    ("mode", "seed"),
    [
        # on Postgres one with a ceiling and one without: their statements are the others' too
        pytest.param(CampaignMode.FIXED, 1, marks=pytest.mark.one_database),
        (CampaignMode.PROGRESSIVE, 2),
        (CampaignMode.ADAPTIVE, 1),
        pytest.param(CampaignMode.ADAPTIVE, 2, marks=pytest.mark.one_database),
    ],
)
def test_R_DL_1_and_R_DL_8_days_of_chance_cross_no_bound(
    store: Store, seed: int, mode: CampaignMode
) -> None:
    tenths = CEILINGS[mode]
    ours = world(
        store, seed, mode=mode, multiplier_tenths=tenths, max_tries=20, limit_thousandths=300
    )
    if mode is CampaignMode.ADAPTIVE:  # as one that has dialled for an hour: few answer
        ours.pilot.memory = remembered([(n % 4 == 0, 8.0) for n in range(200)], 30)
    k = Decimal(tenths or 10) / 10
    bold, looks = 0, Counter[str]()
    for _ in range(60):
        ours.now += timedelta(seconds=ours.draw.choice(STEPS))
        if ours.now.astimezone(TOKYO).hour >= 20 and ours.draw.random() < 0.7:
            ours.now += timedelta(hours=12)
        ours.goes_on()
        with ours.rows() as session:
            if ours.draw.random() < 0.05:
                ours.bans(session)
            pauses_or_goes_on(session, ours)
            paused = session.get_one(Campaign, ours.campaign_id).state is CampaignState.PAUSED
            before, ready = ours.in_flight(session), len(ours.ready(session))
        dialled = ours.pilot.tick()
        with ours.rows() as session:
            if not ready or paused or not is_open(ours.now):
                assert dialled == 0
            if ready and 9 <= ours.now.astimezone(TOKYO).hour < 20:
                looks["paused" if paused else day_of_the_week(ours.now)] += 1
            assert ours.in_flight(session) <= max(before, round_half_up(k, ready))
            bold += ours.in_flight(session) > ready > 0
            assert lines_open(session) <= LINES
    assert bold or mode is CampaignMode.PROGRESSIVE, "chance never dialled more than one each"
    assert looks.keys() >= {"paused", "Tue", "Wed", "Thu", "Fri"}, "chance left a day out"
    with ours.rows() as session:
        made = ours.allowed(session)
        assert len(made) > 10, "chance left nothing to look at"
        assert all(is_open(attempt.created_at) for attempt in made)
        assert {day_of_the_week(attempt.created_at) for attempt in made} >= {"Tue", "Wed"}
        for attempt in made:
            banned = ours.banned.get(attempt.number)
            assert banned is None or attempt.created_at <= banned
        look_at_gaps(made)


def is_open(moment: datetime) -> bool:
    """In the words of a calendar: Tuesday to Friday 9–20, on no closed day, in Tokyo."""
    local = moment.astimezone(TOKYO)
    return 9 <= local.hour < 20 and day_of_the_week(moment) in ("Tue", "Wed", "Fri")


def day_of_the_week(moment: datetime) -> str:
    """The walk begins on a Tuesday; its Thursday is closed, and it ends by Sunday night."""
    assert moment - NOW < timedelta(days=6)
    return f"{moment.astimezone(TOKYO):%a}"


def pauses_or_goes_on(session: Session, ours: World) -> None:
    campaign = session.get_one(Campaign, ours.campaign_id)
    if campaign.state is CampaignState.PAUSED:
        campaign.state = ours.draw.choice([CampaignState.PAUSED, CampaignState.RUNNING])
    elif ours.draw.random() < 0.08:
        campaign.state = CampaignState.PAUSED


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
