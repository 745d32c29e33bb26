"""kill -9 of the switch role while calls are handed on: nobody is lost, no customer in silence.

One customer hears music while two operators talk about them, one talks with two operators at once,
of one the colleague leaves while nobody of ours listens. What the practice switch played to each
customer is the witness.
"""

import pytest
from sqlalchemy import select

from calltree.db import utcnow
from calltree.models import (
    Attempt,
    CallState,
    Line,
    Operator,
    OperatorState,
    Transfer,
    TransferOutcome,
    TransferState,
)
from calltree.services import operators, transfers
from tests.faults.site import running_site
from tests.floor import wait_for
from tests.telephony.handing_on import ATTENDED, Desks
from tests.telephony.incoming import SILENT_S, Lobby
from tests.telephony.listening import does


class Taken(Desks):
    """One operator with somebody who called in, and the colleague whom they consult."""

    def __init__(self, lobby: Lobby) -> None:
        self.floor = lobby.floor
        self.first = lobby.ready()
        self.channel = lobby.calls()
        self.attempt = lobby.arrived(self.channel)
        lobby.answer(self.first, self.attempt)
        self.floor.wait_state(self.attempt, CallState.TALKING)
        self.second = self.floor.operator()
        with self.floor.store.write() as session:
            operators.become_ready(session, user_id=self.second, now=utcnow())
        self.to_colleague(ATTENDED)
        self.press(transfers.answer, self.second)
        self.wait(TransferState.CONSULTING)

    def transfer(self) -> Transfer:
        with self.floor.store.read() as session:
            of = Transfer.attempt_id == self.attempt.id
            return session.scalars(select(Transfer).where(of)).one()

    def leg(self, user: int) -> str:
        return self.floor.operator_row(user).leg_uuid


@pytest.mark.one_database
def test_R_CL_4_a_kill_in_mid_transfer_loses_nobody_and_leaves_no_customer_in_silence(
    tmp_path, database_url
):
    with running_site(tmp_path, database_url) as floor:
        lobby = Lobby(floor)
        consulting, three, left = (Taken(lobby) for _ in range(3))
        three.press(transfers.three_way)
        three.wait(TransferState.THREE_WAY)
        wait_for(lambda: does(floor, three.leg(three.first)) == "eavesdrop", "all three talk")
        floor.site.kill("switch")
        assert consulting.hears_music()
        floor.switch.api(f"uuid_kill {left.leg(left.second)}")
        floor.lease_runs_out()
        floor.site.start("switch")
        wait_for(floor.link_up, "the next leader", patience_s=120)

        left.wait_with(left.first)
        wait_for(lambda: left.partner() == left.leg(left.first), "joined with the first one")
        assert left.wait_outcome(TransferOutcome.TARGET_LEFT).ended_at
        assert does(floor, three.leg(three.first)) == "eavesdrop", "they talk on"
        for desks in (consulting, three):
            desks.press(transfers.complete)
            desks.wait_with(desks.second)
            wait_for(lambda of=desks: of.partner() == of.leg(of.second), "joined")
            wait_for(lambda of=desks: of.floor.operator_row(of.first).attempt_id is None, "free")
        wait_for(lambda: does(floor, three.leg(three.first)) == "park", "out of the three")

        for desks in (consulting, three, left):
            floor.switch.order(f"leave {desks.channel}")
        wait_for(floor.settled, "every call is over")
        for desks in (consulting, three, left):
            heard = lobby.heard(desks.channel)
            assert lobby.longest_silence_s(desks.channel) < SILENT_S, heard
        with floor.store.read() as session:
            assert not session.scalars(select(Line.id).where(Line.released_at.is_(None))).all()
            assert set(session.scalars(select(Operator.attempt_id))) == {None}
            assert None not in session.scalars(select(Transfer.ended_at)).all()
            assert None not in session.scalars(select(Attempt.ended_at)).all()
        assert consulting.state(consulting.second) is OperatorState.WRAP_UP
