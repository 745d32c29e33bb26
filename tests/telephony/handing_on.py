"""Two operators, of whom one hands a call on, on a switch of either kind (R-CL-4)."""

import json
import uuid
from typing import Any

from sqlalchemy import select

from calltree.db import utcnow
from calltree.models import (
    CallState,
    CommandKind,
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
from tests.practice import STAYS
from tests.telephony.listening import does

BLIND, ATTENDED = TransferKind.BLIND, TransferKind.ATTENDED
OUTSIDE = "0312349990"
"""Answers, and stays."""


class Desks:
    """An operator who talks with a customer, and a colleague who waits."""

    def __init__(self, floor: Floor, first: int, second: int) -> None:
        self.floor = floor
        self.first, self.second = first, second
        with floor.store.write() as session:
            operators.become_ready(session, user_id=self.second, now=utcnow())
        self.attempt = floor.call(self.first, STAYS)
        floor.wait_state(self.attempt, CallState.TALKING)

    def press(self, act: Any, user: int | None = None, **given: Any) -> Any:
        with self.floor.store.write() as session:
            return act(session, user_id=user or self.first, now=utcnow(), **given)

    def viewer(self, session: Any) -> Viewer:
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

    def park(self) -> Transfer:
        with self.floor.store.write() as session:
            return transfers.to_anybody(
                session, viewer=self.viewer(session), press_id=str(uuid.uuid4()), now=utcnow()
            )

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
