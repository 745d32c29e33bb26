"""A campaign's pilot over days of chance: what may never happen (R-DL-1 … R-DL-8)."""

import itertools
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import (
    Attempt,
    CallState,
    CampaignMode,
    CustomerList,
    Project,
    Site,
)
from calltree.pacing.rule import round_half_up
from calltree.services import hours
from calltree.telephony.pacing import remembered
from calltree.text.hours import HoursVerdict, hours_verdict
from tests.telephony.campaign_world import LINES, World, lines_open, world

CEILINGS = {CampaignMode.FIXED: 15, CampaignMode.ADAPTIVE: 20, CampaignMode.PROGRESSIVE: None}


@pytest.mark.parametrize(
    ("mode", "seed"),
    [
        (CampaignMode.FIXED, 1),
        (CampaignMode.PROGRESSIVE, 2),
        (CampaignMode.ADAPTIVE, 1),
        (CampaignMode.ADAPTIVE, 2),
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
    bold = 0
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
            bold += ours.in_flight(session) > ready > 0
            assert lines_open(session) <= LINES
    assert bold or mode is CampaignMode.PROGRESSIVE, "chance never dialled more than one each"
    with ours.rows() as session:
        made = ours.allowed(session)
        assert len(made) > 10, "chance left nothing to look at"
        look_at_hours(session, ours, made)
        for attempt in made:
            banned = ours.banned.get(attempt.number)
            assert banned is None or attempt.created_at <= banned
        look_at_gaps(made)


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
