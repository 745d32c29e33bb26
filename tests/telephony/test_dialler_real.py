"""A campaign on a real FreeSWITCH with our configuration and its test carrier."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    CallState,
    CampaignMode,
    CustomerList,
    LegKind,
    LegState,
    OperatorState,
    SystemResult,
)
from calltree.services import campaign_team, operators
from calltree.services.rights import Viewer
from tests import factories as make
from tests.floor import NODE, UNHURRIED, Floor, wait_for
from tests.freeswitch import RenderedSwitch, rendered_switch
from tests.telephony.real_floor import open_real_floor

pytestmark = pytest.mark.freeswitch


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[RenderedSwitch]:
    with rendered_switch(tmp_path, directory_url="http://127.0.0.1:9/", secret="x") as found:
        yield found


@pytest.fixture
def floor(store: Store, switch: RenderedSwitch) -> Iterator[Floor]:
    with open_real_floor(store, switch, replace(UNHURRIED, settle_s=0.01)) as floor:
        yield floor


def operator(floor: Floor, switch: RenderedSwitch) -> Viewer:
    """Somebody whose leg is parked, as their page would have made it."""
    leg = str(uuid.uuid4())
    with floor.store.write() as session:
        user = make.make_user(session, leg_kind=LegKind.DEVICE)
        make.grant(session, session.get_one(CustomerList, floor.list_id), user)
        operators.sign_in(session, user_id=user.id, now=utcnow())
        viewer = Viewer.of(user)
    made = switch.api(
        f"originate {{origination_uuid={leg},park_after_bridge=true,hangup_after_bridge=false,"
        "origination_caller_id_number=0501112222}sofia/gateway/carrier/0399999990 &park"
    )
    assert made == f"+OK {leg}"
    now = utcnow()
    with floor.store.write() as session:
        assert operators.connect_leg(session, user_id=viewer.user_id, uuid=leg, node=NODE, now=now)
        operators.leg_moved(session, user_id=viewer.user_id, uuid=leg, to=LegState.PARKED, now=now)
    return viewer


def states(floor: Floor) -> dict[CallState, Attempt]:
    with floor.store.read() as session:
        rows = session.scalars(select(Attempt).where(Attempt.campaign_id.is_not(None)))
        return {row.state: row for row in rows}


def test_R_DL_3_of_two_who_answer_one_is_joined_and_one_is_apologised_to(
    floor: Floor, switch: RenderedSwitch
) -> None:
    viewer = operator(floor, switch)
    for number in ("0312345010", "0312345020"):
        floor.customer(number)
    with floor.store.write() as session:
        folder = session.get_one(CustomerList, floor.list_id)
        campaign = make.make_campaign(
            session, folder, mode=CampaignMode.FIXED, multiplier_tenths=20, calls_per_second=50
        )
        campaign_team.join(session, viewer=viewer, campaign_id=campaign.id, now=utcnow())
    # A leader that has just begun paces 1:1; this one's thirty seconds are over at once.
    seen = wait_for(
        lambda: {CallState.TALKING, CallState.ABANDONED} <= (seen := states(floor)).keys() and seen,
        "one talks, one was abandoned",
    )
    talking, abandoned = seen[CallState.TALKING], seen[CallState.ABANDONED]
    assert talking.user_id == viewer.user_id
    assert (abandoned.joined_at, abandoned.improper) == (None, False)
    assert floor.record(abandoned).system is SystemResult.ABANDONED
    assert floor.operator_row(viewer.user_id).state is OperatorState.TALKING
    assert floor.operator_row(viewer.user_id).customer_id == talking.customer_id
    switch.api(f"uuid_kill {talking.uuid}")
    assert floor.wait_state(talking, CallState.ENDED).talk_ms > 0
    assert floor.operator_row(viewer.user_id).state is OperatorState.WRAP_UP
    leg = floor.wait_leg(viewer.user_id)
    assert switch.api(f"uuid_exists {leg.leg_uuid}") == "true"
    for call in (talking, abandoned):
        sound = switch.recordings / floor.recording(call).raw_name
        wait_for(sound.is_file, "recorded from the answer on")
    assert floor.lines_open() == 0
