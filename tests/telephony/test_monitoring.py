"""A supervisor's leg in an operator's call, through the roles and a switch (R-WT-1)."""

import pytest

from calltree.db import utcnow
from calltree.models import CallState, CommandKind, LegState, MonitorMode, Role
from calltree.services import monitoring
from calltree.services.rights import Viewer
from calltree.telephony import commands
from tests.floor import Floor, wait_for
from tests.practice import STAYS
from tests.telephony.listening import HEARD, does, heard_by

SUPERVISOR_HZ = 900.0
LOUD = 100


class Listening:
    """An operator who talks, and a supervisor whose leg is in that call."""

    def __init__(self, floor: Floor, mode: MonitorMode = MonitorMode.LISTEN) -> None:
        self.floor = floor
        self.operator, self.supervisor = floor.operator(), floor.operator()
        self.attempt = floor.call(self.operator, STAYS)
        floor.wait_state(self.attempt, CallState.TALKING)
        floor.wait_leg(self.operator, LegState.JOINED)
        self.leg = floor.operator_row(self.supervisor).leg_uuid
        self.set(mode)

    def set(self, mode: MonitorMode) -> None:
        who = Viewer(self.supervisor, "", Role.SUPERVISOR, "ja")
        with self.floor.store.write() as session:
            command = monitoring.begin(
                session, viewer=who, user_id=self.operator, mode=mode, now=utcnow()
            )
        wait_for(lambda: self.floor.command(command.id).done_at, "served")
        assert self.floor.command(command.id).failure == ""
        wait_for(lambda: does(self.floor, self.leg) == "eavesdrop", "in the call")

    def is_over(self) -> bool:
        with self.floor.store.read() as session:
            return monitoring.of(session, user_id=self.supervisor) is None

    def wait_over(self) -> None:
        wait_for(self.is_over, "out of the call")

    def goes_on(self) -> bool:
        return self.floor.attempt(self.attempt).state is CallState.TALKING


def test_R_WT_1_a_supervisor_hears_a_call_and_leaves_it(floor: Floor) -> None:
    there = Listening(floor)
    for mode in (MonitorMode.WHISPER, MonitorMode.BARGE, MonitorMode.LISTEN):
        there.set(mode)
    with floor.store.write() as session:
        monitoring.end(session, user_id=there.supervisor, now=utcnow())
    there.wait_over()
    assert does(floor, there.leg) == "park"
    assert floor.operator_row(there.supervisor).leg_state is LegState.PARKED
    assert there.goes_on()


def test_R_WT_1_listening_ends_with_the_call(floor: Floor) -> None:
    there = Listening(floor)
    floor.ask(CommandKind.HANG_UP, there.attempt)
    floor.wait_state(there.attempt, CallState.ENDED)
    there.wait_over()
    assert does(floor, there.leg) == "park", "an operator alone is not listened to"


@pytest.mark.one_database
def test_R_WT_1_a_reload_of_the_supervisors_page_ends_it_and_the_call_goes_on(floor: Floor) -> None:
    there = Listening(floor, MonitorMode.BARGE)
    floor.switch.api(f"uuid_kill {there.leg}")
    there.wait_over()
    wait_for(lambda: floor.operator_row(there.supervisor).leg_uuid != there.leg, "another leg")
    another = floor.wait_leg(there.supervisor).leg_uuid
    assert does(floor, another) == "park"
    assert there.goes_on()


@pytest.mark.one_database
def test_R_WT_1_a_leg_that_listens_without_a_row_is_taken_out(floor: Floor) -> None:
    """An order that the ledger lost: nobody may hear a call that nobody knows of."""
    there = Listening(floor)
    with floor.store.write() as session:
        assert monitoring.leg_left(session, leg_uuid=there.leg, now=utcnow())
    wait_for(lambda: does(floor, there.leg) == "park", "taken out by reconcile")
    assert there.goes_on()


@pytest.mark.one_database
def test_R_WT_1_a_row_whose_leg_does_not_listen_is_forgotten(floor: Floor) -> None:
    there = Listening(floor)
    floor.switch.order("lose 50")  # its PARK too
    floor.switch.api(commands.park(there.leg))
    there.wait_over()
    wait_for(
        lambda: floor.operator_row(there.supervisor).leg_state is LegState.PARKED, "known as parked"
    )


@pytest.mark.one_database
def test_R_WT_1_who_hears_the_supervisor(floor: Floor) -> None:
    there = Listening(floor)
    legs = floor.operator_row(there.operator).leg_uuid, there.attempt.uuid
    for mode, operator_hears, customer_hears in HEARD:
        there.set(mode)
        operators, customers = heard_by(floor, *legs, hertz=SUPERVISOR_HZ)
        assert (operators > LOUD, customers > LOUD) == (operator_hears, customer_hears), mode
