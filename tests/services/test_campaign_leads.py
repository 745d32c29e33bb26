"""Whom a campaign dials next, and whom again (R-DL-5, R-DL-6)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import BuiltIn, Campaign, Customer, CustomerList, Project
from calltree.services import campaign_leads
from tests import factories as make
from tests.factories import NOW

HOUR = timedelta(hours=1)


@dataclass
class Ground:
    session: Session
    campaign: Campaign
    lists: list[CustomerList]

    def customer(self, folder: int = 0, **given: object) -> Customer:
        return make.make_customer(self.session, self.lists[folder], **given)

    def called(self, result: int, ago: timedelta, folder: int = 0, **given: object) -> Customer:
        """One whom a person dialled and saved so."""
        of_call = {"cycle": 1, "dials": 1, "last_dialled_at": NOW - ago, "last_status_id": result}
        return self.customer(folder, **of_call | given)

    def ids(self) -> list[int]:
        return [folder.id for folder in self.lists]

    def next(self, most: int = 9, now: datetime = NOW) -> list[int]:
        leads = campaign_leads.next_leads(
            self.session,
            campaign=self.campaign,
            lists=self.ids(),
            places=campaign_leads.Places(),
            most=most,
            now=now,
        )
        return [lead.customer_id for lead in leads]

    def due(self) -> datetime | None:
        return campaign_leads.next_due(
            self.session, campaign=self.campaign, lists=self.ids(), now=NOW
        )

    def left(self) -> dict[int, int]:
        return campaign_leads.count_left(self.session, campaign=self.campaign, lists=self.ids())


@pytest.fixture
def ground(store: Store) -> Ground:
    """A campaign over two lists, at ten in the morning."""
    with store.write() as session:
        make.make_site(session)
        project = make.make_project(session)
        lists = [make.make_list(session, project) for _ in range(2)]
        campaign = make.make_campaign(session, *lists)
        session.flush()
        yield Ground(session, campaign, lists)


def no_answer(ground: Ground) -> int:
    return make.built_in(ground.session, BuiltIn.NO_ANSWER).id


def test_R_DL_5_who_was_not_reached_by_hand_is_dialled_again(ground: Ground) -> None:
    evening = ground.called(no_answer(ground), timedelta(hours=16))
    this_morning = ground.called(no_answer(ground), timedelta(hours=1))
    ground.called(no_answer(ground), timedelta(hours=16), dials=3)
    ground.called(make.built_in(ground.session, BuiltIn.NOT_IN_USE).id, timedelta(hours=16))
    assert ground.next() == [evening.id]
    assert ground.left() == {2: 2}
    assert ground.due() == NOW + 2 * HOUR  # noon is three hours later in another part of the day
    assert ground.next(now=NOW + 2 * HOUR) == [evening.id, this_morning.id]
    ground.campaign.other_part, ground.campaign.no_answer_min = False, 30
    assert ground.next() == [evening.id, this_morning.id]


def test_R_DL_5_a_new_round_of_the_list_begins_with_all_its_tries(ground: Ground) -> None:
    ground.lists[0].cycle = 2
    before = ground.called(no_answer(ground), timedelta(days=30), dials=3)
    assert ground.next() == [before.id]
    assert ground.left() == {3: 1}


def test_R_DL_6_a_chosen_result_is_called_again_after_its_wait(ground: Ground) -> None:
    project = ground.session.get_one(Project, ground.campaign.project_id)
    pattern = make.get_pattern(ground.session, project)
    chosen = make.make_status(ground.session, pattern, "検討中")
    other = make.make_status(ground.session, pattern, "お断り")
    ground.campaign.again_status_ids, ground.campaign.again_min = [chosen.id], 120
    long_ago = ground.called(chosen.id, 3 * HOUR)
    lately = ground.called(chosen.id, HOUR)
    ground.called(other.id, 3 * HOUR)
    assert ground.next() == [long_ago.id]
    assert ground.due() == lately.last_dialled_at + 2 * HOUR
    assert ground.left() == {2: 2}


def test_R_DL_5_lists_in_their_order_and_in_each_the_next_try_before_the_new_ones(
    ground: Ground,
) -> None:
    other = ground.customer(1)
    fresh = ground.customer(0)
    again = ground.called(no_answer(ground), timedelta(hours=16))
    due = ground.called(no_answer(ground), HOUR, next_try_at=NOW - timedelta(minutes=1))
    other_again = ground.called(no_answer(ground), timedelta(hours=16), folder=1)
    assert ground.next() == [due.id, again.id, fresh.id, other_again.id, other.id]
    assert ground.next(most=3) == [due.id, again.id, fresh.id]


@pytest.mark.parametrize("first", [True, False])
def test_R_DL_5_callbacks_come_first_unless_the_campaign_says_otherwise(
    ground: Ground, first: bool
) -> None:
    ground.campaign.callbacks_first = first
    fresh = ground.customer()
    promised = ground.customer(1, cycle=1, dials=1, last_dialled_at=NOW - timedelta(days=1))
    make.make_task(ground.session, promised, due_at=NOW - timedelta(minutes=1))
    assert ground.next() == ([promised.id, fresh.id] if first else [fresh.id])


def test_R_DL_5_main_numbers_alone_are_dialled(ground: Ground) -> None:
    customer = ground.customer()
    make.make_extra_number(ground.session, customer, "0398765432")
    leads = campaign_leads.next_leads(
        ground.session, campaign=ground.campaign, lists=ground.ids(),
        places=campaign_leads.Places(), most=9, now=NOW,
    )  # fmt: skip
    assert [lead.number for lead in leads] == [customer.number]
