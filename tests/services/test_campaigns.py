"""Campaigns: who may change and run them, who may join, what their page is told."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    CallState,
    Campaign,
    CampaignList,
    CampaignMode,
    CampaignState,
    CustomerList,
    Operator,
    OperatorState,
    Origin,
    Preset,
    Project,
    Role,
    User,
)
from calltree.services import campaign_facts, campaign_team, campaigns, operators
from calltree.services.campaigns import CampaignDetails
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk


def viewer(session: Session, role: Role) -> Viewer:
    return make.viewer_of(make.make_user(session, role))


def details(project_id: int, **given: object) -> CampaignDetails:
    return replace(CampaignDetails(name="秋の架電", project_id=project_id), **given)


def test_R_DL_6_a_manager_makes_a_campaign_and_a_supervisor_runs_it(desk: Desk) -> None:
    with desk.store.write() as session:
        manager, supervisor = viewer(session, Role.MANAGER), viewer(session, Role.SUPERVISOR)
        wanted = details(desk.project_id)
        with pytest.raises(NotAllowed):
            campaigns.save(session, viewer=supervisor, campaign_id=None, details=wanted, now=NOW)
        made = campaigns.save(session, viewer=manager, campaign_id=None, details=wanted, now=NOW)
        campaigns.set_lists(
            session, viewer=manager, campaign_id=made.id, lists=[(desk.list_id, True)], now=NOW
        )
        assert (made.mode, made.multiplier_tenths) == (CampaignMode.ADAPTIVE, 20)
        assert made.state is CampaignState.STOPPED
        campaigns.start(session, viewer=supervisor, campaign_id=made.id, now=NOW)
        campaigns.pause(session, viewer=supervisor, campaign_id=made.id, now=NOW)
        campaigns.stop(session, viewer=supervisor, campaign_id=made.id, now=NOW)
        said = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
        assert said == ["campaign.saved", "campaign.lists_set", *["campaign.state_set"] * 3]
        operator = viewer(session, Role.OPERATOR)
        with pytest.raises(NotAllowed):
            campaigns.start(session, viewer=operator, campaign_id=made.id, now=NOW)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"name": " "}, "campaign_name_missing"),
        ({"limit_thousandths": 0}, "campaign_range"),
        ({"minimum_ring_s": 14}, "campaign_range"),
        ({"preset": Preset.CUSTOM, "mode": CampaignMode.FIXED}, "campaign_multiplier_missing"),
    ],
)
def test_R_DL_6_a_form_that_cannot_be_is_refused(
    desk: Desk, wrong: dict[str, object], code: str
) -> None:
    with desk.store.write() as session:
        manager = viewer(session, Role.MANAGER)
        with pytest.raises(Refused) as refused:
            campaigns.save(
                session,
                viewer=manager,
                campaign_id=None,
                details=details(desk.project_id, **wrong),
                now=NOW,
            )
        assert refused.value.code == code


def test_R_DL_1_a_supervisor_changes_the_multiplier_alone(desk: Desk) -> None:
    with desk.store.write() as session:
        campaign = make.make_campaign(session, session.get_one(CustomerList, desk.list_id))
        supervisor = viewer(session, Role.SUPERVISOR)
        for tenths, mode, preset in (
            (30, CampaignMode.ADAPTIVE, Preset.BOLD),
            (25, CampaignMode.ADAPTIVE, Preset.CUSTOM),
            (None, CampaignMode.ADAPTIVE, Preset.CUSTOM),
        ):
            campaigns.set_multiplier(
                session, viewer=supervisor, campaign_id=campaign.id, tenths=tenths, now=NOW
            )
            assert (campaign.mode, campaign.preset) == (mode, preset)
            assert campaign.multiplier_tenths == tenths
        project = session.get_one(Project, campaign.project_id)
        assert campaigns.rule(campaign, project).multiplier is None
        with pytest.raises(NotAllowed):
            campaigns.set_multiplier(
                session, viewer=desk.viewer(), campaign_id=campaign.id, tenths=30, now=NOW
            )


def test_R_DL_7_one_joins_a_running_campaign_whose_lists_are_all_granted(desk: Desk) -> None:
    with desk.store.write() as session:
        mine = session.get_one(CustomerList, desk.list_id)
        project = session.get_one(Project, desk.project_id)
        foreign = make.make_list(session, project)
        both = make.make_campaign(session, mine, foreign)
        stopped = make.make_campaign(session, mine, state=CampaignState.STOPPED)
        good = make.make_campaign(session, mine)
        empty = make.make_campaign(session, project_id=desk.project_id)
        off = make.make_campaign(session, make.make_list(session, project, enabled=False))
        operator = Viewer.of(session.get_one(User, desk.user_id))
        assert campaign_team.offered(session, viewer=operator) == [good]
        for campaign, code in (
            (both, "campaign_not_granted"),
            (empty, "campaign_not_granted"),
            (off, "campaign_not_granted"),
            (stopped, "campaign_not_running"),
        ):
            with pytest.raises(Refused) as refused:
                campaign_team.join(session, viewer=operator, campaign_id=campaign.id, now=NOW)
            assert refused.value.code == code
        campaign_team.join(session, viewer=operator, campaign_id=good.id, now=NOW)
        row = session.get_one(Operator, desk.user_id, populate_existing=True)
        assert (row.state, row.campaign_id) == (OperatorState.READY, good.id)
        assert row.customer_id is None


@pytest.mark.parametrize("last", [False, True])
def test_R_DL_7_save_and_wait_goes_on_until_this_call_was_the_last(desk: Desk, last: bool) -> None:
    with desk.store.write() as session:
        campaign = make.make_campaign(session, session.get_one(CustomerList, desk.list_id))
        operator = Viewer.of(session.get_one(User, desk.user_id))
        campaign_team.join(session, viewer=operator, campaign_id=campaign.id, now=NOW)
        row = session.get_one(Operator, desk.user_id, populate_existing=True)
        row.state = OperatorState.WRAP_UP
        session.flush()
        with pytest.raises(Refused) as refused:
            campaign_team.wait_for_next(session, user_id=desk.user_id, now=NOW)
        assert refused.value.code == "wrap_up_open"
        operators.result_saved(session, user_id=desk.user_id, now=NOW)
        campaign_team.leave_after_call(session, user_id=desk.user_id, wanted=last)
        stays = campaign_team.wait_for_next(session, user_id=desk.user_id, now=NOW)
        row = session.get_one(Operator, desk.user_id, populate_existing=True)
        assert stays is not last
        assert row.state is (OperatorState.AWAY if last else OperatorState.READY)
        assert row.campaign_id == (None if last else campaign.id)


def test_R_DL_7_who_lost_a_grant_does_not_wait_for_the_next_one(desk: Desk) -> None:
    with desk.store.write() as session:
        mine = session.get_one(CustomerList, desk.list_id)
        campaign = make.make_campaign(session, mine)
        operator = Viewer.of(session.get_one(User, desk.user_id))
        campaign_team.join(session, viewer=operator, campaign_id=campaign.id, now=NOW)
        assert campaign_team.ungranted(session, campaign_id=campaign.id) == []
        chief = make.make_operator(
            session, make.make_user(session, Role.SUPERVISOR), campaign_id=campaign.id
        )
        session.add(
            CampaignList(
                campaign_id=campaign.id,
                list_id=make.make_list(session, session.get_one(Project, desk.project_id)).id,
                position=1,
            )
        )
        session.flush()
        assert campaign_team.ungranted(session, campaign_id=campaign.id) == [desk.user_id]
        assert chief.user_id != desk.user_id
        assert not campaign_team.wait_for_next(session, user_id=desk.user_id, now=NOW)
        row = session.get_one(Operator, desk.user_id, populate_existing=True)
        assert (row.state, row.campaign_id) == (OperatorState.AWAY, None)


def test_R_DL_7_a_stopped_campaign_lets_its_operators_go(desk: Desk) -> None:
    with desk.store.write() as session:
        campaign = make.make_campaign(session, session.get_one(CustomerList, desk.list_id))
        busy = make.make_operator(
            session,
            make.make_user(session),
            campaign_id=campaign.id,
            state=OperatorState.TALKING,
        )
        operator = Viewer.of(session.get_one(User, desk.user_id))
        campaign_team.join(session, viewer=operator, campaign_id=campaign.id, now=NOW)
        manager = viewer(session, Role.MANAGER)
        campaigns.stop(session, viewer=manager, campaign_id=campaign.id, now=NOW)
        row = session.get_one(Operator, desk.user_id, populate_existing=True)
        assert (row.state, row.campaign_id) == (OperatorState.AWAY, None)
        session.refresh(busy)
        assert (busy.campaign_id, busy.leaves_campaign) == (campaign.id, True)


def attempt(session: Session, campaign: Campaign, n: int, **given: object) -> Attempt:
    values: dict[str, object] = {
        "uuid": f"00000000-0000-0000-0000-{n:012d}",
        "origin": Origin.PREDICTIVE,
        "campaign_id": campaign.id,
        "number": f"0312{n:06d}",
        "verdict": "allowed",
        "state": CallState.ENDED,
        "created_at": NOW,
        "dialled_at": NOW,
        "ended_at": NOW,
    }
    row = Attempt(**(values | given))
    session.add(row)
    session.flush()
    return row


def test_R_DL_4_the_abandoned_share_is_of_one_campaign_and_site_day(store: Store) -> None:
    with store.write() as session:
        folder = make.make_list(session)
        campaign, other = (make.make_campaign(session, folder) for _ in range(2))
        joined = {"answered_at": NOW, "joined_at": NOW}
        abandoned = {"answered_at": NOW, "state": CallState.ABANDONED}
        for n in range(8):
            attempt(session, campaign, n, **joined)
        for n in range(8, 10):
            attempt(session, campaign, n, **abandoned)
        attempt(session, campaign, 10)  # rang out
        attempt(session, other, 11, **abandoned)
        yesterday = NOW - timedelta(days=1)
        attempt(session, campaign, 12, **abandoned | {"dialled_at": yesterday})
        facts = campaign_facts.of(session, campaign=campaign, now=NOW)
        assert (facts.day.joined, facts.day.abandoned, facts.day.dials) == (8, 2, 11)
        assert facts.raw_share == 0.2
        assert facts.smoothed_share == pytest.approx((2 + 50 * 0.6 * 0.03) / 60)


def test_R_DL_6_the_sentence_says_when_nothing_drives_the_campaign(store: Store) -> None:
    with store.write() as session:
        campaign = make.make_campaign(session, make.make_list(session))

        def why(state: CampaignState) -> str:
            campaign.state = state
            return campaign_facts.of(session, campaign=campaign, now=NOW).why.code

        assert why(CampaignState.STOPPED) == "campaign_stopped"
        assert why(CampaignState.PAUSED) == "campaign_paused"
        assert why(CampaignState.RUNNING) == "campaign_loop_dead"
        assert [a.code for a in campaign_facts.alarms(session, now=NOW)] == ["alarm_loop"]
        told = {"why": "pacing_nobody_ready", "values": {}}
        make.make_switch(session, dialler={"ticked_at": NOW.isoformat(), str(campaign.id): told})
        assert why(CampaignState.RUNNING) == "pacing_nobody_ready"
        assert campaign_facts.alarms(session, now=NOW) == []


def ends_at(store: Store, tries: list[tuple[int, int]], now: datetime) -> datetime | None:
    """Of a campaign that began an hour before noon and dials one a minute; a quarter answers."""
    with store.write() as session:
        make.make_site(session)
        noon = NOW + timedelta(hours=2)
        folder = make.make_list(session, make.make_project(session))
        campaign = make.make_campaign(session, folder, state_since=noon - timedelta(hours=1))
        for n in range(60):
            at = now - timedelta(minutes=n)
            attempt(session, campaign, n, dialled_at=at, answered_at=None if n % 4 else at)
        told = {"why": "pacing_nobody_ready", "values": {}, "tries_left": tries}
        make.make_switch(session, dialler={"ticked_at": now.isoformat(), str(campaign.id): told})
        facts = campaign_facts.of(session, campaign=campaign, now=now)
        assert facts.left == sum(count for _left, count in tries)
        return facts.ends_at


def test_R_DL_6_the_end_is_projected_with_the_tries_that_are_left(store: Store) -> None:
    now = NOW + timedelta(hours=2)
    end = ends_at(store, [(1, 10), (3, 20)], now)
    # 31 dials in half an hour; three tries at a quarter answered are 1 + ¾ + 9⁄16 dials.
    wanted = timedelta(minutes=30) * ((10 + 20 * 2.3125) / 31)
    assert end is not None
    assert abs(end - now - wanted) < timedelta(seconds=1)


def test_R_DL_6_the_projected_end_is_within_the_hours(store: Store) -> None:
    now = NOW + timedelta(hours=9)  # 19:00 of a Tuesday, closed from 20:00 to 9:00
    end = ends_at(store, [(1, 93)], now)
    assert end is not None
    assert abs(end - now - timedelta(hours=13, minutes=90)) < timedelta(seconds=1)


def test_R_DL_6_nothing_left_has_no_end(store: Store) -> None:
    assert ends_at(store, [], NOW + timedelta(hours=2)) is None
