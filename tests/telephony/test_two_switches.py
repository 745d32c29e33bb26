"""Two switches, one of them lost: its operators are told and go to the other by one press."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from bench._door import Door
from calltree.db import Store, utcnow
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    CallState,
    LegState,
    Line,
    Operator,
    OperatorState,
)
from calltree.services import desk, operators, switch_nodes
from calltree.services.rights import Viewer
from tests import factories as make
from tests.floor import NODE, Floor, open_floor, wait_for
from tests.practice import PracticeSwitch

OTHER = "other"
NODES = (NODE, OTHER)
ANSWERS = "03123450%d0"


@dataclass(frozen=True)
class Behind:
    """A switch that the roles reach through a door, and the test directly."""

    switch: PracticeSwitch
    door: Door

    @property
    def url(self) -> str:
        return self.door.url

    @property
    def recordings(self) -> Path:
        return self.switch.recordings

    def api(self, command: str) -> str:
        return self.switch.api(command)


@contextmanager
def open_door(switch: PracticeSwitch) -> Iterator[Door]:
    door = Door(switch.url)
    try:
        yield door
    finally:
        door.shut()


@pytest.fixture
def floor(store: Store, tmp_path: Path) -> Iterator[Floor]:
    with (
        PracticeSwitch(tmp_path / "one") as one,
        PracticeSwitch(tmp_path / "two") as two,
        open_floor(store, one, other=two) as floor,
    ):
        yield floor


def sit_down(floor: Floor) -> int:
    """Somebody begins the shift; the id, once their telephone has been called."""
    with floor.store.write() as session:
        user = make.make_user(session)
        make.grant(session, session.get_one(make.CustomerList, floor.list_id), user)
        desk.enter(session, viewer=Viewer.of(user), nodes=NODES, now=utcnow())
    floor.wait_leg(user.id)
    return user.id


def lost(floor: Floor, user_id: int) -> switch_nodes.Lost | None:
    with floor.store.read() as session:
        return switch_nodes.lost(session, user_id=user_id, nodes=NODES)


def move(floor: Floor, user_id: int) -> str:
    """The one press."""
    with floor.store.write() as session:
        return switch_nodes.move(session, user_id=user_id, nodes=NODES, now=utcnow())


def talks(floor: Floor, attempt: Attempt) -> Attempt:
    return floor.wait_state(attempt, CallState.TALKING)


def test_R_CL_10_operators_of_a_lost_switch_go_to_the_other_by_one_press(floor: Floor) -> None:
    here, there, talker = sit_down(floor), sit_down(floor), sit_down(floor)
    at = [floor.operator_row(one).leg_node for one in (here, there, talker)]
    assert at == [NODE, OTHER, NODE], "whoever begins gets the emptiest"
    ours = talks(floor, floor.call(talker, ANSWERS % 1))
    theirs = talks(floor, floor.call(there, ANSWERS % 2))
    assert (ours.node, theirs.node) == (NODE, OTHER)
    assert [lost(floor, one) for one in (here, there)] == [None, None]
    with pytest.raises(Refused, match="switch_works"):
        move(floor, here)

    floor.switch.kill()
    wait_for(lambda: not floor.link_up(), "the loss is noticed")
    assert lost(floor, here) == switch_nodes.Lost(can_move=True, in_call=False)
    assert lost(floor, talker) == switch_nodes.Lost(can_move=True, in_call=True)
    assert lost(floor, there) is None
    assert floor.press(here, ANSWERS % 3).verdict == "switch_down"

    assert move(floor, here) == OTHER
    moved = floor.wait_leg(here)
    assert moved.leg_node == OTHER
    assert lost(floor, here) is None
    assert talks(floor, floor.press(here, ANSWERS % 4)).node == OTHER

    assert move(floor, talker) == OTHER
    over = floor.wait_state(ours, CallState.ENDED)
    assert (over.ended_by, over.talk_ms > 0) == ("operator", True)
    assert floor.wait_leg(talker).state is OperatorState.WRAP_UP
    with floor.store.read() as session:
        line = session.scalars(select(Line).where(Line.attempt_id == ours.id)).one()
        assert line.released_at is not None
    assert floor.attempt(theirs).state is CallState.TALKING, "nobody there noticed anything"


@pytest.mark.one_database
def test_what_lived_on_a_switch_that_was_only_cut_off_is_ended_when_it_is_back(
    store: Store, tmp_path: Path
) -> None:
    with (
        PracticeSwitch(tmp_path / "one") as one,
        PracticeSwitch(tmp_path / "two") as two,
        open_door(one) as door,
        open_floor(store, Behind(one, door), other=two) as floor,
    ):
        user_id = sit_down(floor)
        call = talks(floor, floor.call(user_id, ANSWERS % 1))
        left = {call.uuid, floor.operator_row(user_id).leg_uuid}
        door.shut()
        wait_for(lambda: not floor.link_up(), "the loss is noticed")
        move(floor, user_id)
        floor.wait_leg(user_id)
        assert left <= floor.channels(), "they still talk"
        door.open()
        wait_for(floor.link_up, "it is back")
        wait_for(lambda: not left & floor.channels(), "what was left there is over")
        assert floor.operator_row(user_id).leg_node == OTHER
        assert floor.attempt(call).state is CallState.ENDED


@pytest.mark.one_database
def test_with_no_other_switch_there_is_nothing_to_press(floor: Floor) -> None:
    user_id = sit_down(floor)
    for switch in (floor.switch, floor.others[OTHER]):
        switch.kill()
    wait_for(lambda: not any(map(floor.link_up, NODES)), "both are lost")
    assert lost(floor, user_id) == switch_nodes.Lost(can_move=False, in_call=False)
    with pytest.raises(Refused, match="no_other_switch"):
        move(floor, user_id)
    assert floor.operator_row(user_id).leg_state is LegState.PARKED, "as it was left"


@pytest.mark.one_database
def test_a_shift_begins_on_a_switch_that_is_heard_and_standing_by_ends_with_the_move(
    floor: Floor,
) -> None:
    early = sit_down(floor)
    with floor.store.write() as session:
        operators.become_ready(session, user_id=early, now=utcnow())
    floor.switch.kill()
    wait_for(lambda: not floor.link_up(), "the loss is noticed")
    late = sit_down(floor)
    assert floor.operator_row(late).leg_node == OTHER
    move(floor, early)
    row: Operator = floor.operator_row(early)
    assert (row.state, row.leg_node) == (OperatorState.AWAY, OTHER)
