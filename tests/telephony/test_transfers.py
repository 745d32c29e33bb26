"""Handing a call on, through the roles and a switch (R-CL-4, R-CL-8)."""

import uuid

import pytest
from sqlalchemy import select

from calltree.db import utcnow
from calltree.models import (
    CallState,
    CommandKind,
    LegState,
    OperatorState,
    Transfer,
    TransferKind,
    TransferOutcome,
    TransferState,
    User,
)
from calltree.services import operators, transfers
from calltree.services.rights import Viewer
from tests.floor import Floor, wait_for
from tests.practice import BUSY, STAYS
from tests.telephony.listening import does

BLIND, ATTENDED = TransferKind.BLIND, TransferKind.ATTENDED
OUTSIDE = "0312349990"
"""Answers, and stays."""


class Desks:
    """An operator who talks with a customer, and a colleague who waits."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.first, self.second = floor.operator(), floor.operator()
        with floor.store.write() as session:
            operators.become_ready(session, user_id=self.second, now=utcnow())
        self.attempt = floor.call(self.first, STAYS)
        floor.wait_state(self.attempt, CallState.TALKING)
        floor.wait_leg(self.first, LegState.JOINED)

    def press(self, act, user: int | None = None, **given):
        with self.floor.store.write() as session:
            return act(session, user_id=user or self.first, now=utcnow(), **given)

    def viewer(self, session) -> Viewer:
        return Viewer.of(session.get_one(User, self.first))

    def to_colleague(self, kind: TransferKind) -> None:
        with self.floor.store.write() as session:
            transfers.to_operator(
                session, viewer=self.viewer(session), user_id=self.second, kind=kind,
                press_id=str(uuid.uuid4()), now=utcnow(),
            )  # fmt: skip

    def to_number(self, kind: TransferKind, number: str = OUTSIDE) -> None:
        with self.floor.store.write() as session:
            transfers.to_number(
                session, viewer=self.viewer(session), number=number, kind=kind,
                press_id=str(uuid.uuid4()), now=utcnow(),
            )  # fmt: skip

    def transfer(self) -> Transfer:
        with self.floor.store.read() as session:
            return session.scalars(select(Transfer).order_by(Transfer.id.desc())).first()

    def wait(self, state: TransferState) -> Transfer:
        return wait_for(lambda: (row := self.transfer()).state is state and row, f"{state}")

    def wait_outcome(self, outcome: TransferOutcome) -> Transfer:
        return wait_for(lambda: (row := self.transfer()).outcome is outcome and row, f"{outcome}")

    def state(self, user: int) -> OperatorState:
        return self.floor.operator_row(user).state

    def wait_with(self, user: int | None) -> None:
        """The customer talks, and is this operator's."""
        wait_for(lambda: self._with(user), f"the customer is with {user}")

    def _with(self, user: int | None) -> bool:
        row = self.floor.attempt(self.attempt)
        return row.user_id == user and row.state is CallState.TALKING

    def hears_music(self) -> bool:
        return does(self.floor, self.attempt.uuid) == "endless_playback"

    def wait_back(self) -> None:
        """The customer is with the first operator again, and nothing is left of the transfer."""
        leg = self.floor.operator_row(self.first).leg_uuid
        wait_for(lambda: self.partner() == leg, "bridged with the first operator")
        self.wait_with(self.first)
        wait_for(lambda: self.transfer().ended_at, "its leg is over")
        wait_for(lambda: self.floor.lines_open() == 1, "one line")

    def partner(self) -> str:
        """Whom the switch has joined the customer with."""
        told = self.floor.switch.api(f"uuid_dump {self.attempt.uuid} json")
        if not told.startswith("{"):
            return ""
        import json

        said = json.loads(told)
        if said.get("Channel-State") not in ("CS_EXCHANGE_MEDIA", "CS_SOFT_EXECUTE"):
            return ""
        return said.get("variable_signal_bond", "")

    def hang_up(self) -> None:
        self.floor.ask(CommandKind.HANG_UP, self.attempt)
        self.floor.wait_state(self.attempt, CallState.ENDED)

    def nothing_left(self) -> None:
        """No line, no lock, no leg but the operators' own."""
        wait_for(lambda: self.floor.lines_open() == 0, "lines given back")
        for user in (self.first, self.second):
            wait_for(lambda of=user: self.floor.operator_row(of).attempt_id is None, "unlocked")
        own = {self.floor.operator_row(user).leg_uuid for user in (self.first, self.second)}
        wait_for(lambda: self.floor.channels() <= own, "no leg is left")
        assert self.transfer().ended_at is not None


@pytest.fixture
def desks(floor: Floor) -> Desks:
    return Desks(floor)


def test_R_CL_4_blind_to_a_colleague_hands_customer_and_record_over(desks: Desks) -> None:
    desks.to_colleague(BLIND)
    wait_for(desks.hears_music, "music")
    assert desks.state(desks.second) is OperatorState.OFFERED
    desks.press(transfers.answer, desks.second)
    desks.wait_with(desks.second)
    assert desks.transfer().outcome is TransferOutcome.TRANSFERRED
    assert desks.state(desks.second) is OperatorState.TALKING
    assert desks.floor.operator_row(desks.first).attempt_id is None
    assert desks.state(desks.first) is OperatorState.BROWSING
    record = desks.floor.record(desks.attempt)
    assert record.user_id == desks.second
    desks.hang_up()
    assert desks.state(desks.second) is OperatorState.WRAP_UP
    desks.nothing_left()


def test_R_CL_4_R_CL_8_blind_to_a_number_takes_a_line_of_its_own(desks: Desks) -> None:
    desks.to_number(BLIND)
    assert desks.floor.lines_open() == 2
    desks.wait_with(None)
    assert desks.partner() == desks.transfer().uuid
    assert desks.state(desks.first) is OperatorState.WRAP_UP
    assert desks.floor.record(desks.attempt).user_id == desks.first
    assert desks.floor.lines_open() == 2
    desks.floor.switch.api(f"uuid_kill {desks.transfer().uuid}")
    desks.floor.wait_state(desks.attempt, CallState.ENDED)
    desks.nothing_left()


def test_R_CL_4_a_busy_number_brings_the_customer_back(desks: Desks) -> None:
    desks.to_number(BLIND, BUSY)
    desks.wait_outcome(TransferOutcome.BUSY)
    desks.wait_back()
    desks.hang_up()
    desks.nothing_left()
