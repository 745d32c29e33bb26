"""Handing a call on: who may, what it takes, what becomes of states (R-CL-4, R-CL-8, R-RC-3)."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, select

from calltree.db import Store
from calltree.errors import NotFound, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    CallState,
    CommandKind,
    DncSource,
    DoNotCall,
    LegState,
    Line,
    Operator,
    OperatorState,
    Origin,
    PauseEnd,
    Recording,
    RecordingPause,
    SwitchCommand,
    Transfer,
    TransferKind,
    TransferOutcome,
    User,
)
from calltree.services import (
    gate,
    presses,
    recording_pauses,
    transfer_colleagues,
    transfer_facts,
    transfer_moves,
    transfers,
)
from calltree.services.gate import DialRequest
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.racing import by_threads

OUTSIDE = "0312349990"
BLIND = TransferKind.BLIND


@dataclass
class Room:
    """An operator who talks with a customer of a list, and a colleague of the same list."""

    store: Store
    first: int
    second: int
    attempt: int
    list_id: int

    def to_number(self, number: str = OUTSIDE, press_id: str | None = None) -> Transfer:
        with self.store.write() as session:
            viewer = Viewer.of(session.get_one(User, self.first))
            return transfers.to_number(
                session, viewer=viewer, number=number, kind=BLIND, press_id=press_id, now=NOW
            )

    def to_colleague(self, kind: TransferKind = BLIND) -> Transfer:
        with self.store.write() as session:
            viewer = Viewer.of(session.get_one(User, self.first))
            return transfers.to_operator(
                session, viewer=viewer, user_id=self.second, kind=kind, press_id=None, now=NOW
            )

    def why_not(self, act, **given) -> str:
        with pytest.raises(Refused) as refusal:
            act(**given)
        return refusal.value.code

    def operator(self, user_id: int) -> Operator:
        with self.store.read() as session:
            return session.get_one(Operator, user_id)

    def rows(self, model: type) -> list:
        with self.store.read() as session:
            return list(session.scalars(select(model)))


def talks(session, folder, number: str) -> tuple[int, int]:
    """An operator who talks with a new customer; their id and the call's."""
    user = make.make_user(session)
    make.grant(session, folder, user)
    customer = make.make_customer(session, folder, number=number)
    attempt = Attempt(
        uuid=str(uuid.uuid4()), origin=Origin.CALL, user_id=user.id, customer_id=customer.id,
        list_id=folder.id, project_id=folder.project_id, number=number, node="main",
        verdict="allowed", state=CallState.TALKING, created_at=NOW, dialled_at=NOW,
        answered_at=NOW, joined_at=NOW,
    )  # fmt: skip
    session.add(attempt)
    session.flush()
    session.add(Line(attempt_id=attempt.id, uuid=attempt.uuid, kind="outbound", taken_at=NOW))
    make.make_operator(
        session, user, state=OperatorState.TALKING, attempt_id=attempt.id,
        customer_id=customer.id, leg_uuid=str(uuid.uuid4()), leg_state=LegState.JOINED,
    )  # fmt: skip
    return user.id, attempt.id


@pytest.fixture
def room(store: Store) -> Room:
    with store.write() as session:
        make.make_site(session)
        make.make_switch(session)
        folder = make.make_list(session)
        first, attempt = talks(session, folder, "0312345678")
        second = make.make_user(session)
        make.grant(session, folder, second)
        make.make_operator(session, second, state=OperatorState.READY, leg_uuid=str(uuid.uuid4()))
        return Room(store, first, second.id, attempt, folder.id)


def test_R_CL_8_a_transfer_to_a_number_takes_a_line_and_gives_it_back(room: Room) -> None:
    transfer = room.to_number()
    assert sorted(line.kind for line in room.rows(Line)) == ["outbound", "transfer"]
    with room.store.write() as session:
        row = session.get_one(Transfer, transfer.id)
        transfer_moves.target_gone(session, row, TransferOutcome.BUSY, now=NOW)
    held = {line.kind: line.released_at for line in room.rows(Line)}
    assert held == {"outbound": None, "transfer": NOW}
    assert room.rows(SwitchCommand)[-1].args["step"] == "back"


def test_R_CL_4_a_press_sent_twice_is_one_transfer(room: Room) -> None:
    assert room.to_number(press_id="one").id == room.to_number(press_id="one").id
    assert len(room.rows(Transfer)) == 1
    assert room.why_not(room.to_number) == "transfer_under_way"


def test_R_CL_16_R_CL_9_targets_have_the_gates_rules(room: Room) -> None:
    assert room.why_not(room.to_number, number="110") == "number_not_allowed"
    with room.store.write() as session:
        session.add(
            DoNotCall(number=OUTSIDE, all_projects=True, source=DncSource.FORM, created_at=NOW)
        )
    assert room.why_not(room.to_number) == "number_banned"
    assert room.rows(Transfer) == []
    assert len(room.rows(Line)) == 1


def test_R_CL_4_a_colleague_is_locked_and_refused_while_busy(room: Room) -> None:
    room.to_colleague()
    asked = room.operator(room.second)
    assert (asked.attempt_id, asked.state) == (room.attempt, OperatorState.OFFERED)
    with room.store.write() as session:
        folder = session.get_one(make.CustomerList, room.list_id)
        third, _ = talks(session, folder, "0312340000")
        viewer = Viewer.of(session.get_one(User, third))
        with pytest.raises(Refused) as refusal:
            transfers.to_operator(
                session, viewer=viewer, user_id=room.second, kind=BLIND, press_id=None, now=NOW
            )
    assert refusal.value.code == "transfer_colleague_busy"


def test_R_CL_4_only_colleagues_who_may_see_the_customer_are_offered(room: Room) -> None:
    with room.store.write() as session:
        stranger = make.make_user(session)
        make.make_operator(session, stranger, state=OperatorState.READY)
    with room.store.read() as session:
        attempt = session.get_one(Attempt, room.attempt)
        offered = transfer_colleagues.of(session, attempt=attempt, user_id=room.first)
    assert [(one.user_id, one.free) for one in offered] == [(room.second, True)]


def test_R_CL_4_nobody_answers_in_time_and_the_colleague_waits_again(room: Room) -> None:
    room.to_colleague()
    twenty, five = timedelta(seconds=20), timedelta(seconds=5)
    with room.store.write() as session:
        transfer_moves.sweep(session, ring=twenty, settle=five, now=NOW + twenty)
    assert room.rows(Transfer)[0].outcome is TransferOutcome.OPEN
    with room.store.write() as session:
        transfer_moves.sweep(session, ring=twenty, settle=five, now=NOW + timedelta(seconds=21))
    assert room.rows(Transfer)[0].outcome is TransferOutcome.NO_ANSWER
    asked = room.operator(room.second)
    assert (asked.attempt_id, asked.state) == (None, OperatorState.READY)


def parks(room: Room) -> Transfer:
    with room.store.write() as session:
        viewer = Viewer.of(session.get_one(User, room.first))
        return transfers.to_anybody(session, viewer=viewer, press_id="one", now=NOW)


def takes(store: Store, argument: tuple[int, int]) -> str:
    user_id, transfer_id = argument
    try:
        with store.write() as session:
            transfers.take(session, user_id=user_id, transfer_id=transfer_id, now=NOW)
    except Refused as refused:
        return refused.code
    return "taken"


def test_R_CL_4_of_many_who_take_a_parked_customer_one_has_them(
    room: Room, database_url: str
) -> None:
    with room.store.write() as session:
        folder = session.get_one(make.CustomerList, room.list_id)
        third = make.make_user(session)
        make.grant(session, folder, third)
        make.make_operator(session, third, state=OperatorState.BROWSING, leg_uuid="b" * 36)
        stranger = make.make_user(session)
        make.make_operator(session, stranger, state=OperatorState.READY, leg_uuid="c" * 36)
        third_id, stranger_id = third.id, stranger.id
    parked = parks(room)
    with room.store.read() as session:
        offered = transfer_facts.offered_to(session, user_id=stranger_id)
        assert offered is not None
        assert not transfer_colleagues.may_take(session, transfer=offered, user_id=stranger_id)
    with pytest.raises(NotFound):
        takes(room.store, (stranger_id, parked.id))
    told = by_threads(database_url, takes, [(room.second, parked.id), (third_id, parked.id)])
    assert sorted(told) == ["taken", "transfer_gone"]
    (row,) = room.rows(Transfer)
    locked = [user for user in (room.second, third_id) if room.operator(user).attempt_id]
    assert locked == [row.to_user_id]
    assert takes(room.store, (room.first, parked.id)) == "transfer_gone"


def test_R_CL_4_nobody_takes_a_parked_customer_and_they_come_back(room: Room) -> None:
    parks(room)
    ring, settle = timedelta(seconds=20), timedelta(seconds=5)
    with room.store.write() as session:
        transfer_moves.sweep(session, ring=ring, settle=settle, now=NOW + 4 * ring)
    (row,) = room.rows(Transfer)
    assert (row.outcome, row.ended_at) == (TransferOutcome.NO_ANSWER, NOW + 4 * ring)
    assert room.rows(SwitchCommand)[-1].args["step"] == "back"
    assert len(room.rows(Line)) == 1
    assert room.operator(room.first).attempt_id == room.attempt


def test_R_CL_4_hold_waits_for_the_transfer(room: Room) -> None:
    room.to_colleague()
    with room.store.write() as session, pytest.raises(Refused) as refusal:
        presses.hold(session, user_id=room.first, now=NOW)
    assert refusal.value.code == "transfer_under_way"


def recorded(room: Room) -> None:
    with room.store.write() as session:
        session.add(Recording(attempt_id=room.attempt, raw_name="2026/11/24/a.wav", started_at=NOW))


def test_R_RC_3_a_pause_is_asked_for_once_audited_and_ends_by_itself(room: Room) -> None:
    recorded(room)
    for _ in range(2):
        with room.store.write() as session:
            recording_pauses.begin(session, user_id=room.first, now=NOW)
    with room.store.write() as session:
        recording_pauses.confirmed(session, attempt_id=room.attempt, now=NOW)
    late = NOW + recording_pauses.LONGEST
    with room.store.write() as session:
        recording_pauses.sweep(session, now=late)
    (pause,) = room.rows(RecordingPause)
    assert (pause.ended_at, pause.ended_by) == (late, PauseEnd.LIMIT)
    kinds = [command.kind for command in room.rows(SwitchCommand)]
    assert kinds == [CommandKind.RECORD_PAUSE, CommandKind.RECORD_GO_ON]
    logged = [entry.action for entry in room.rows(AuditEntry)]
    assert logged == ["recording.paused", "recording.went_on"]
    with room.store.read() as session:
        recording = session.scalars(select(Recording)).one()
        assert recording_pauses.marks(session, recording=recording) == [(0, 120_000)]
        again = recording_pauses.to_be_heard_again(session, node="main")
    assert [file for _channel, file in again] == ["2026/11/24/a.wav"], "told again on a new link"


def test_R_RC_3_a_pause_is_a_request_until_the_switch_has_said_yes(room: Room) -> None:
    recorded(room)
    with room.store.write() as session:
        recording_pauses.begin(session, user_id=room.first, now=NOW)
    assert room.rows(RecordingPause)[0].ended_by is PauseEnd.REQUESTED
    assert not room.rows(AuditEntry), "nothing has paused yet"
    settle, silent = timedelta(seconds=5), NOW + timedelta(seconds=6)
    for untold in (False, True):  # a link that was lost with the answer
        with room.store.write() as session:
            recording_pauses.ask_unanswered_again(
                session, node="main", settle=settle, untold=untold, now=silent
            )
    for _ in range(2):
        with room.store.write() as session:
            recording_pauses.confirmed(session, attempt_id=room.attempt, now=silent)
    with room.store.write() as session:
        recording_pauses.ask_unanswered_again(
            session, node="main", settle=settle, untold=False, now=silent + settle
        )
    assert [row.kind for row in room.rows(SwitchCommand)] == [CommandKind.RECORD_PAUSE] * 3
    (pause,) = room.rows(RecordingPause)
    assert (pause.ended_by, pause.began_at) == (PauseEnd.OPEN, silent), "silent since the answer"
    assert [entry.action for entry in room.rows(AuditEntry)] == ["recording.paused"]


def test_R_RC_3_a_pause_that_was_refused_is_no_silence(room: Room) -> None:
    recorded(room)
    with room.store.write() as session:
        recording_pauses.begin(session, user_id=room.first, now=NOW)
    with room.store.write() as session:
        recording_pauses.refused(session, attempt_id=room.attempt, now=NOW + timedelta(seconds=2))
    with room.store.write() as session:  # never answered
        recording_pauses.begin(session, user_id=room.first, now=NOW)
        recording_pauses.go_on(session, user_id=room.first, now=NOW + timedelta(seconds=9))
    with room.store.read() as session:
        recording = session.scalars(select(Recording)).one()
        assert recording_pauses.marks(session, recording=recording) == []
    assert room.rows(AuditEntry)[0].action == "recording.pause_refused"


# --- many at once


def _act(store: Store, argument: tuple[str, int, int, str]) -> str:
    what, user_id, customer_id, number = argument
    try:
        with store.write() as session:
            if what == "transfer":
                viewer = Viewer.of(session.get_one(User, user_id))
                transfers.to_number(
                    session, viewer=viewer, number=number, kind=BLIND, press_id=None, now=NOW
                )
                return "allowed"
            request = DialRequest(
                origin=Origin.CALL, number=number, user_id=user_id, customer_id=customer_id
            )
            return gate.ask(session, request=request, now=NOW).verdict
    except Refused as refused:
        return refused.code


@pytest.fixture
def racing_store(database_url: str) -> Iterator[Store]:
    engine = create_engine(database_url)
    yield Store(engine)
    engine.dispose()


def test_R_CL_8_transfers_and_dials_share_what_is_not_kept_for_callers(
    racing_store: Store, database_url: str
) -> None:
    arguments: list[tuple[str, int, int, str]] = []
    with racing_store.write() as session:
        make.make_site(session, lines=9, lines_reserved_inbound=2)
        make.make_switch(session)
        folder = make.make_list(session)
        for n in range(4):
            user_id, _ = talks(session, folder, f"03123456{n:02}")
            arguments.append(("transfer", user_id, 0, f"03987654{n:02}"))
            user = make.make_user(session)
            make.grant(session, folder, user)
            customer = make.make_customer(session, folder)
            make.make_operator(session, user, customer_id=customer.id)
            arguments.append(("dial", user.id, customer.id, customer.number))
    verdicts = by_threads(database_url, _act, arguments)
    # nine, four of which are taken, two of which are kept
    assert Counter(verdicts) == {"allowed": 3, "no_lines": 5}
    with racing_store.read() as session:
        assert gate.lines_in_use(session).free_outbound == 0
        assert gate.lines_in_use(session).free_inbound == 2
