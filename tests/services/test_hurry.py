"""A site whose clocks run faster dials again sooner, in its own minutes."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, select

from calltree.db import Store
from calltree.models import Attempt, CampaignMode, Customer
from calltree.services import campaign_dialling, outcomes, redialling
from calltree.services.campaign_leads import Lead
from tests import factories as make
from tests.factories import NOW

RATE = 4


@pytest.fixture
def hurried(database_url: str) -> Iterator[Store]:
    engine = create_engine(database_url)
    yield Store(engine, clock_rate=RATE)
    engine.dispose()


def test_redialling_and_the_gap_follow_the_one_clock_rate(hurried: Store) -> None:
    with hurried.write() as session:
        make.make_site(session, min_gap_min=60)
        make.make_switch(session)
        folder = make.make_list(session, make.make_project(session))
        campaign = make.make_campaign(
            session, folder, mode=CampaignMode.PROGRESSIVE, no_answer_min=30, other_part=False
        )
        customer = make.make_customer(session, folder)
        lead = Lead(customer.id, customer.number)

        def dial(minutes: float) -> tuple[str, Attempt | None]:
            now = NOW + timedelta(minutes=minutes)
            return campaign_dialling.dial(
                session, campaign=campaign, lead=lead, node="main", epoch=1, now=now
            )

        verdict, attempt = dial(0)
        assert verdict == "allowed"
        assert attempt is not None
        assert customer.next_try_at == NOW + redialling.IN_HAND / RATE
        attempt.dialled_at = attempt.ended_at = NOW
        attempt.state = "ended"
        redialling.call_ended(session, attempt=attempt, outcome=outcomes.NO_ANSWER, now=NOW)
        assert customer.next_try_at == NOW + timedelta(minutes=30) / RATE
        session.flush()
        assert dial(8)[0] == "too_soon"  # 32 of the site's minutes of its 60
        due = NOW + timedelta(minutes=15)
        assert session.scalars(select(Customer.next_try_at)).one() == due
        assert dial(15)[0] == "allowed"
