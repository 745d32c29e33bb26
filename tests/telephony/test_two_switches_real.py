"""Two real FreeSWITCH processes on loopback with our configuration, one killed in mid-call."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from calltree.db import Store, utcnow
from calltree.models import CallState, LegKind, LegState, OperatorState, Site
from calltree.services import desk, operators, switch_nodes
from calltree.services.rights import Viewer
from tests import factories as make
from tests.floor import NODE, UNHURRIED, Floor, open_floor, wait_for
from tests.freeswitch import OTHER_RTP_PORTS, RTP_PORTS, RenderedSwitch, rendered_switch
from tests.telephony.real_floor import place

pytestmark = pytest.mark.freeswitch

OTHER = "other"
NODES = (NODE, OTHER)
NOBODY = "http://127.0.0.1:9/"


@pytest.fixture
def switches(tmp_path: Path) -> Iterator[dict[str, RenderedSwitch]]:
    for name in NODES:
        (tmp_path / name).mkdir()
    with (
        rendered_switch(
            tmp_path / NODE, directory_url=NOBODY, secret="x", rtp_ports=RTP_PORTS
        ) as one,
        rendered_switch(
            tmp_path / OTHER, directory_url=NOBODY, secret="x", rtp_ports=OTHER_RTP_PORTS
        ) as two,
    ):
        yield {NODE: one, OTHER: two}


@pytest.fixture
def floor(store: Store, switches: dict[str, RenderedSwitch]) -> Iterator[Floor]:
    here, there = place(switches[NODE]), place(switches[OTHER])
    with open_floor(store, here, UNHURRIED, other=there) as floor:
        with store.write() as session:
            session.get_one(Site, 1).practice = False
        yield floor


def sit_down(floor: Floor, switches: dict[str, RenderedSwitch]) -> int:
    """Somebody with a telephone in their page begins the shift."""
    with floor.store.write() as session:
        user = make.make_user(session, leg_kind=LegKind.BROWSER)
        make.grant(session, session.get_one(make.CustomerList, floor.list_id), user)
        desk.enter(session, viewer=Viewer.of(user), nodes=NODES, now=utcnow())
    bring_leg(floor, user.id, switches)
    return user.id


def bring_leg(floor: Floor, user_id: int, switches: dict[str, RenderedSwitch]) -> None:
    """A leg on the operator's switch, as their page would make one."""
    node, leg = floor.operator_row(user_id).leg_node, str(uuid.uuid4())
    made = switches[node].api(
        f"originate {{origination_uuid={leg},park_after_bridge=true,hangup_after_bridge=false,"
        "origination_caller_id_number=0501112222}sofia/gateway/carrier/0399999990 &park"
    )
    assert made == f"+OK {leg}"
    now = utcnow()
    with floor.store.write() as session:
        assert operators.connect_leg(session, user_id=user_id, uuid=leg, node=node, now=now)
        operators.leg_moved(session, user_id=user_id, uuid=leg, to=LegState.PARKED, now=now)


def test_R_CL_10_one_of_two_real_switches_is_killed_and_its_operators_go_on_at_the_other(
    floor: Floor, switches: dict[str, RenderedSwitch]
) -> None:
    here, there = sit_down(floor, switches), sit_down(floor, switches)
    assert [floor.operator_row(one).leg_node for one in (here, there)] == list(NODES)
    ours = floor.wait_state(floor.call(here, "0312345010"), CallState.TALKING)
    theirs = floor.wait_state(floor.call(there, "0312345020"), CallState.TALKING)
    switches[NODE].process.kill()
    wait_for(lambda: not floor.link_up(), "the loss is noticed")
    with floor.store.write() as session:
        seen = switch_nodes.lost(session, user_id=here, nodes=NODES)
        assert seen == switch_nodes.Lost(can_move=True, in_call=True)
        assert switch_nodes.lost(session, user_id=there, nodes=NODES) is None
        assert switch_nodes.move(session, user_id=here, nodes=NODES, now=utcnow()) == OTHER
    assert floor.wait_state(ours, CallState.ENDED).talk_ms > 0
    wait_for(lambda: floor.operator_row(here).state is OperatorState.WRAP_UP, "wrap-up")
    bring_leg(floor, here, switches)
    again = floor.press(here, "0312345030")
    assert floor.wait_state(again, CallState.TALKING).node == OTHER
    assert floor.attempt(theirs).state is CallState.TALKING
