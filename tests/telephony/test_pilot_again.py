"""What a campaign's pilot does after a first try, after a change, and at its end (R-DL-4, 5, 6)."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.models import (
    Attempt,
    BuiltIn,
    CallerNumber,
    CallState,
    Campaign,
    CampaignList,
    CampaignMode,
    CampaignState,
    Customer,
    CustomerList,
    Operator,
    OperatorState,
    Project,
    Role,
    SwitchCommand,
    User,
)
from calltree.services import campaign_team, campaigns, results
from calltree.services.results import ResultForm
from calltree.services.rights import Viewer
from calltree.telephony import ledger
from tests import factories as make
from tests.telephony.campaign_world import World, world


@pytest.fixture
def ours(store: Store) -> World:
    """Customers, three operators who wait, 1:1."""
    return world(store, 1, mode=CampaignMode.PROGRESSIVE, multiplier_tenths=None)


def keep_one(ours: World) -> None:
    with ours.rows() as session:
        for customer in session.scalars(select(Customer).order_by(Customer.position)).all()[1:]:
            customer.deleted_at = ours.now


def dial(ours: World) -> list[int]:
    """Let the pilot dial as many as it likes, all of which leave for the network."""
    while ours.pilot.tick():
        pass
    with ours.rows() as session:
        made = [a for a in ours.allowed(session) if a.state is CallState.QUEUED]
        for attempt in made:
            ours.leaves(session, attempt)
        return [attempt.id for attempt in made]


def test_R_DL_5_a_voicemail_saved_as_not_reached_is_dialled_again(ours: World) -> None:
    keep_one(ours)
    (call,) = dial(ours)
    with ours.rows() as session:
        attempt = session.get_one(Attempt, call)
        ours.answers(session, attempt)
        ours.ends(session, attempt)
        user = session.get_one(User, attempt.user_id)
        results.save(
            session,
            viewer=Viewer.of(user),
            customer_id=attempt.customer_id,
            form=ResultForm(status_id=make.built_in(session, BuiltIn.NO_ANSWER).id),
            now=ours.now,
        )
        assert campaign_team.wait_for_next(session, user_id=user.id, now=ours.now)
    ours.now += timedelta(hours=2, minutes=59)
    assert not dial(ours)
    ours.now += timedelta(minutes=1)
    ours.pilot = ours.new_pilot()
    assert len(dial(ours)) == 1


def test_R_DL_4_a_number_abandoned_in_one_list_has_an_operator_kept_free_in_the_other(
    ours: World,
) -> None:
    keep_one(ours)
    with ours.rows() as session:
        first = session.scalars(select(Customer).where(Customer.deleted_at.is_(None))).one()
        folder = session.get_one(CustomerList, ours.list_id)
        make.make_customer(session, folder, number=first.number)
        first.deleted_at = ours.now
        at = ours.now - timedelta(hours=25)
        session.add(
            Attempt(
                uuid="00000000-0000-0000-0000-000000000001", origin="predictive",
                campaign_id=ours.campaign_id, customer_id=first.id, number=first.number,
                verdict="allowed", state=CallState.ABANDONED, created_at=at, dialled_at=at,
                answered_at=at, ended_at=at,
            )
        )  # fmt: skip
    (call,) = dial(ours)
    with ours.rows() as session:
        attempt = session.get_one(Attempt, call)
        assert attempt.number == first.number
        assert session.get_one(Operator, attempt.reserved_user_id).attempt_id == call


@pytest.mark.parametrize(("project_s", "campaign_s", "rings_s"), [(20, 40, 40), (45, 15, 45)])
def test_R_DL_6_a_campaigns_call_rings_no_shorter_than_it_says(
    ours: World, project_s: int, campaign_s: int, rings_s: int
) -> None:
    with ours.rows() as session:
        session.scalars(select(Project)).one().ring_time_s = project_s
        session.get_one(Campaign, ours.campaign_id).minimum_ring_s = campaign_s
    call, *_ = dial(ours)
    with ours.rows() as session:
        command = session.scalars(
            select(SwitchCommand).where(SwitchCommand.attempt_id == call)
        ).one()
        assert command.args["ring_time_s"] == rings_s
        assert ledger.ring_time_s(session, session.get_one(Attempt, call)) == rings_s


def stop(ours: World) -> None:
    with ours.rows() as session:
        chief = make.viewer_of(make.make_user(session, Role.SUPERVISOR))
        campaigns.stop(session, viewer=chief, campaign_id=ours.campaign_id, now=ours.now)


def team(ours: World) -> list[tuple[OperatorState, int | None]]:
    with ours.rows() as session:
        found = session.scalars(select(Operator).order_by(Operator.user_id))
        return sorted((row.state, row.campaign_id) for row in found)


def test_R_DL_6_a_stopped_campaign_serves_who_rings_still(ours: World) -> None:
    first, second, third = dial(ours)
    stop(ours)
    assert team(ours) == [(OperatorState.READY, ours.campaign_id)] * 3
    with ours.rows() as session:
        ours.ends(session, session.get_one(Attempt, first), "NO_ANSWER")
    assert team(ours) == [(OperatorState.READY, ours.campaign_id)] * 3
    with ours.rows() as session:
        ours.answers(session, session.get_one(Attempt, second))
        assert session.get_one(Attempt, second).state is CallState.TALKING
        ours.ends(session, session.get_one(Attempt, third), "USER_BUSY")
        talks = session.scalars(select(Operator).where(Operator.campaign_id.is_not(None))).one()
        assert (talks.state, talks.leaves_campaign) == (OperatorState.TALKING, True)
        away = session.scalars(select(Operator.state).where(Operator.campaign_id.is_(None)))
        assert set(away) == {OperatorState.AWAY}


def test_R_DL_6_a_campaign_started_again_while_the_last_line_rings_keeps_its_operators(
    ours: World,
) -> None:
    keep_one(ours)
    (call,) = dial(ours)
    stop(ours)
    with ours.rows() as session:
        session.get_one(Campaign, ours.campaign_id).state = CampaignState.RUNNING
        session.flush()
        ours.ends(session, session.get_one(Attempt, call), "NO_ANSWER")
    assert team(ours) == [(OperatorState.READY, ours.campaign_id)] * 3


def test_R_DL_6_nobody_of_a_list_taken_out_meanwhile_is_dialled(ours: World) -> None:
    assert ours.pilot.tick()
    assert ours.pilot._leads, "somebody must be in hand"
    with ours.rows() as session:
        for attempt in ours.allowed(session):
            ours.leaves(session, attempt)
            ours.ends(session, attempt, "USER_BUSY")
        folder = session.get_one(CustomerList, ours.list_id)
        other = make.make_list(session, session.get_one(Project, folder.project_id))
        make.grant(session, other, *session.scalars(select(User)))
        make.make_customer(session, other)
        session.scalars(select(CampaignList)).one().list_id = other.id
        before = {attempt.id for attempt in ours.allowed(session)}
    ours.now += timedelta(seconds=1)
    dial(ours)
    with ours.rows() as session:
        made = [a for a in ours.allowed(session) if a.id not in before]
        assert [attempt.list_id for attempt in made] == [other.id]


def test_R_CL_8_one_numbers_lines_being_full_leaves_the_others_customers_to_dial(
    ours: World,
) -> None:
    with ours.rows() as session:
        project = session.scalars(select(Project)).one()
        second = make.make_caller_number(session)
        make.add_number(session, project, second)
        session.get_one(CallerNumber, project.main_number_id).line_cap = 0
        customers = session.scalars(select(Customer).order_by(Customer.position)).all()
        customers[1].caller_number_id = customers[2].caller_number_id = second.id
        wanted = [customers[1].id, customers[2].id]
    assert ours.pilot.tick() == 2
    with ours.rows() as session:
        assert [attempt.customer_id for attempt in ours.allowed(session)] == wanted
