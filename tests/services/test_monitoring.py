"""Listening, whispering, barging in: who may, when, and how it ends (R-WT-1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    CallState,
    CommandKind,
    LegState,
    Monitor,
    MonitorMode,
    Operator,
    OperatorState,
    Origin,
    Role,
    SwitchCommand,
)
from calltree.services import monitoring, operators
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW

NODE = "main"
LEGS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(4)]


@dataclass
class Room:
    """An operator who talks, and people who may want to hear it."""

    store: Store
    operator: int
    attempt: int
    supervisor: Viewer
    colleague: Viewer

    def begin(self, mode: MonitorMode = MonitorMode.LISTEN, who: Viewer | None = None) -> None:
        with self.store.write() as session:
            monitoring.begin(
                session, viewer=who or self.supervisor, user_id=self.operator, mode=mode, now=NOW
            )

    def listens(self, who: Viewer | None = None) -> MonitorMode | None:
        with self.store.read() as session:
            row = monitoring.of(session, user_id=(who or self.supervisor).user_id)
        return row.mode if row else None

    def commands(self) -> list[SwitchCommand]:
        with self.store.read() as session:
            return list(session.scalars(select(SwitchCommand).order_by(SwitchCommand.id)))

    def logged(self) -> list[str]:
        with self.store.read() as session:
            return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


@pytest.fixture
def room(store: Store) -> Room:
    with store.write() as session:
        make.make_site(session)
        user = make.make_user(session)
        attempt = Attempt(
            uuid="10000000-0000-4000-8000-000000000001", origin=Origin.CALL, user_id=user.id,
            number="0312345678", node=NODE, verdict="allowed", state=CallState.TALKING,
            created_at=NOW, dialled_at=NOW, answered_at=NOW, joined_at=NOW,
        )  # fmt: skip
        session.add(attempt)
        session.flush()
        make.make_operator(
            session, user, state=OperatorState.TALKING, attempt_id=attempt.id,
            leg_uuid=LEGS[0], leg_state=LegState.JOINED,
        )  # fmt: skip
        chief = make.make_user(session, Role.SUPERVISOR)
        make.make_operator(session, chief, state=OperatorState.AWAY, leg_uuid=LEGS[1])
        other = make.make_user(session)
        make.make_operator(session, other, state=OperatorState.AWAY, leg_uuid=LEGS[2])
    return Room(store, user.id, attempt.id, Viewer.of(chief), Viewer.of(other))


def why_not(room: Room, mode: MonitorMode = MonitorMode.LISTEN) -> str:
    with pytest.raises(Refused) as refusal:
        room.begin(mode)
    return refusal.value.code


def test_R_WT_1_a_supervisor_listens_whispers_and_barges_in_audited(room: Room) -> None:
    for mode in MonitorMode:
        room.begin(mode)
        assert room.listens() is mode
    first = room.commands()[0]
    assert (first.kind, first.node) == (CommandKind.MONITOR, NODE)
    assert (first.args["uuid"], first.args["of"]) == (LEGS[1], LEGS[0]), "the operator's leg"
    assert room.logged() == ["monitor.listen", "monitor.whisper", "monitor.barge"]


def test_R_US_5_an_operator_listens_only_and_only_if_granted(room: Room) -> None:
    with pytest.raises(NotAllowed):
        room.begin(who=room.colleague)
    granted = Viewer(room.colleague.user_id, "", Role.OPERATOR, "ja")
    room.begin(who=granted)
    assert room.listens(granted) is MonitorMode.LISTEN
    for mode in (MonitorMode.WHISPER, MonitorMode.BARGE):
        with pytest.raises(NotAllowed):
            room.begin(mode, who=granted)
    assert room.listens(granted) is MonitorMode.LISTEN


@pytest.mark.parametrize(
    ("who", "given", "code"),
    [
        ("operator", {"attempt_id": None}, "nobody_talks"),
        ("operator", {"leg_state": LegState.LOST}, "nobody_talks"),
        ("chief", {"leg_state": LegState.CONNECTING}, "monitor_no_leg"),
        ("chief", {"leg_node": "second"}, "monitor_elsewhere"),
        ("chief", {"state": OperatorState.WRAP_UP}, "wrap_up_open"),
        ("chief", {"state": OperatorState.TALKING}, "in_a_call"),
    ],
)
def test_R_WT_1_nobody_listens_to(
    room: Room, who: str, given: dict[str, object], code: str
) -> None:
    with room.store.write() as session:
        of = room.operator if who == "operator" else room.supervisor.user_id
        row = session.get_one(Operator, of)
        for name, value in given.items():
            setattr(row, name, value)
    assert why_not(room) == code
    assert room.listens() is None
    assert room.commands() == []


def test_R_WT_1_a_call_that_only_rings_is_not_listened_to(room: Room) -> None:
    with room.store.write() as session:
        session.get_one(Attempt, room.attempt).state = CallState.RINGING
    assert why_not(room) == "nobody_talks"


def test_R_WT_1_nobody_listens_to_oneself(room: Room) -> None:
    me = Viewer(room.operator, "", Role.SUPERVISOR, "ja")
    with pytest.raises(Refused, match="own_call"):
        room.begin(who=me)


def test_R_WT_1_who_listens_is_given_no_call_and_does_not_stand_by(room: Room) -> None:
    mine = room.supervisor.user_id
    with room.store.write() as session:
        operators.become_ready(session, user_id=mine, now=NOW)
    room.begin()
    with room.store.write() as session:
        assert session.get_one(Operator, mine).state is OperatorState.AWAY
        assert not operators.lock(session, user_id=mine, attempt_id=room.attempt, now=NOW)
        with pytest.raises(Refused, match="monitoring"):
            operators.become_ready(session, user_id=mine, now=NOW)
        operators.leg_moved(session, user_id=mine, uuid=LEGS[1], to=LegState.PARKED, now=NOW)
        assert monitoring.leg_left(session, leg_uuid=LEGS[1], now=NOW)
        operators.become_ready(session, user_id=mine, now=NOW)


def test_R_WT_1_listening_ends_when_the_leg_is_out_of_the_call(room: Room) -> None:
    room.begin()
    later = NOW + timedelta(seconds=90)
    with room.store.write() as session:
        assert not monitoring.leg_left(session, leg_uuid=LEGS[0], now=later), "not a listener's"
        assert not monitoring.leg_left(session, leg_uuid="", now=later)
        assert monitoring.leg_left(session, leg_uuid=LEGS[1], now=later)
        assert not monitoring.leg_left(session, leg_uuid=LEGS[1], now=later), "once"
    assert room.listens() is None
    with room.store.read() as session:
        line = session.scalars(select(AuditEntry).where(AuditEntry.action == "monitor.ended")).one()
    assert (line.user_id, line.object_id) == (room.supervisor.user_id, str(room.operator))
    assert line.detail == {"call": room.attempt, "seconds": 90}


def test_R_WT_1_the_end_of_the_call_takes_everybody_out(room: Room) -> None:
    room.begin(MonitorMode.WHISPER)
    granted = Viewer(room.colleague.user_id, "", Role.OPERATOR, "ja")
    room.begin(who=granted)
    with room.store.write() as session:
        monitoring.call_ended(session, attempt=session.get_one(Attempt, room.attempt), now=NOW)
    ends = [one for one in room.commands() if one.kind is CommandKind.MONITOR_END]
    assert {one.args["uuid"] for one in ends} == {LEGS[1], LEGS[2]}


def test_R_WT_1_ending_twice_asks_and_ends_nothing_else(room: Room) -> None:
    with room.store.write() as session:
        assert monitoring.end(session, user_id=room.supervisor.user_id, now=NOW) is None
    room.begin()
    with room.store.write() as session:
        asked = monitoring.end(session, user_id=room.supervisor.user_id, now=NOW)
        assert asked is not None
        assert asked.args == {"uuid": LEGS[1], "attempt": room.attempt}
    assert room.listens() is MonitorMode.LISTEN, "until the switch says so"


def test_R_WT_1_another_call_is_one_row_and_the_first_is_logged_as_left(room: Room) -> None:
    room.begin(MonitorMode.BARGE)
    with room.store.write() as session:
        user = make.make_user(session)
        second = Attempt(
            uuid="10000000-0000-4000-8000-000000000002", origin=Origin.CALL, user_id=user.id,
            number="0312345679", node=NODE, verdict="allowed", state=CallState.TALKING,
            created_at=NOW, dialled_at=NOW, answered_at=NOW, joined_at=NOW,
        )  # fmt: skip
        session.add(second)
        session.flush()
        make.make_operator(
            session, user, state=OperatorState.TALKING, attempt_id=second.id, leg_uuid=LEGS[3],
            leg_state=LegState.JOINED,
        )  # fmt: skip
        monitoring.begin(
            session, viewer=room.supervisor, user_id=user.id, mode=MonitorMode.LISTEN, now=NOW
        )
    with room.store.read() as session:
        row = session.scalars(select(Monitor)).one()
    assert (row.attempt_id, row.mode) == (second.id, MonitorMode.LISTEN)
    assert room.logged() == ["monitor.barge", "monitor.ended", "monitor.listen"]
