"""R-CL-14 under disorder: the moves of an operator lost, repeated and out of order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    CallState,
    LegState,
    Operator,
    OperatorInterval,
    OperatorState,
    Origin,
)
from calltree.services import operators
from calltree.services.operators import MOVES, Move
from tests import factories as make
from tests.factories import NOW

IN_CALL = (OperatorState.OFFERED, OperatorState.DIALLING, OperatorState.TALKING)
DIALLED, OFFERED = 1, 2
"""The ids of two calls: one that the operator dials, one that they are offered."""

Press = Callable[[Session, datetime], object]


def asked(does: Callable[..., object], **given_: Any) -> Press:
    return lambda session, now: does(session, user_id=1, now=now, **given_)


def taken(call: int, by: Move) -> Press:
    return asked(operators.lock, attempt_id=call, by=by)


def given_back(call: int, by: Move) -> Press:
    return asked(operators.unlock, attempt_id=call, by=by)


# What is pressed and heard in a day, in its order, with the move that each makes.
A_DAY: list[tuple[Move, Press]] = [
    (Move.SIGN_IN, asked(operators.sign_in)),
    (Move.OPEN_CUSTOMER, asked(operators.open_customer, customer_id=7, queue_id=None)),
    (Move.DIAL, taken(DIALLED, Move.DIAL)),
    (Move.NO_CALL, given_back(DIALLED, Move.NO_CALL)),
    (Move.DIAL, taken(DIALLED, Move.DIAL)),
    (Move.JOIN, asked(operators.move, by=Move.JOIN)),
    (Move.END_CALL, given_back(DIALLED, Move.END_CALL)),
    (Move.SAVE_RESULT, asked(operators.result_saved)),
    (Move.CLOSE_CUSTOMER, asked(operators.close_customer)),
    (Move.BECOME_READY, asked(operators.become_ready)),
    (Move.OFFER, taken(OFFERED, Move.OFFER)),
    (Move.WITHDRAW, given_back(OFFERED, Move.WITHDRAW)),
    (Move.OFFER, taken(OFFERED, Move.OFFER)),
    (Move.JOIN, asked(operators.move, by=Move.JOIN)),
    (Move.END_CALL, given_back(OFFERED, Move.END_CALL)),
    (Move.SAVE_RESULT, asked(operators.result_saved)),
    (Move.GO_AWAY, asked(operators.go_away, reason="休憩")),
    (Move.SIGN_OUT, asked(operators.sign_out)),
]


@st.composite
def disturbed_days(draw: st.DrawFn) -> list[tuple[int, Move, Press]]:
    """A day with some of it lost, some twice, some late; each after so many seconds."""
    late = st.one_of(st.just(0), st.integers(0, 6))
    kept = [
        (place + draw(late), move, press)
        for place, (move, press) in enumerate(A_DAY)
        for _ in range(draw(st.sampled_from((1, 1, 1, 2, 0))))
    ]
    in_order = sorted(kept, key=lambda one: one[0])
    return [(draw(st.integers(0, 2)), move, press) for _place, move, press in in_order]


class UndoneError(Exception):
    """What was tried is rolled back."""


@pytest.fixture
def ledger(store: Store) -> Store:
    """One operator (id 1), signed out, who could hear; two calls."""
    with store.write() as session:
        make.make_site(session)
        user = make.make_user(session, id=1)
        session.add_all(
            Attempt(
                id=call,
                uuid=f"00000000-0000-4000-8000-{call:012d}",
                origin=Origin.CALL,
                number=f"031234567{call}",
                verdict="allowed",
                state=CallState.QUEUED,
                created_at=NOW,
            )
            for call in (DIALLED, OFFERED)
        )
        make.make_operator(
            session, user, state=OperatorState.SIGNED_OUT, leg_state=LegState.PARKED, since=NOW
        )
    return store


def row_of(session: Session) -> dict[str, Any]:
    return dict(session.execute(select(Operator.__table__)).mappings().one())


def intervals_of(session: Session) -> list[dict[str, Any]]:
    every = select(OperatorInterval.__table__).order_by(OperatorInterval.started_at)
    return [dict(row) for row in session.execute(every).mappings()]


def pressed(session: Session, press: Press, now: datetime) -> bool:
    """Whether it was not refused, in words or by False."""
    try:
        return press(session, now) is not False
    except Refused:
        return False


@settings(max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))
@given(day=disturbed_days())
def test_R_CL_14_no_disorder_of_moves_makes_an_impossible_state(
    ledger: Store, day: list[tuple[int, Move, Press]]
) -> None:
    with pytest.raises(UndoneError), ledger.write() as session:
        live_through(session, day)


def live_through(session: Session, day: list[tuple[int, Move, Press]]) -> NoReturn:
    now = NOW
    for seconds, move, press in day:
        now += timedelta(seconds=seconds)
        before, chain = row_of(session), intervals_of(session)
        accepted = pressed(session, press, now)
        session.flush()
        after = row_of(session)
        target = MOVES[move].get(before["state"])
        if not accepted or target is None:
            assert (after, intervals_of(session)) == (before, chain), move
        else:
            assert after["state"] == target, move
            held = {before["attempt_id"], after["attempt_id"]}
            assert len(held - {None}) <= 1, "taken from another call"
        assert_possible(after, intervals_of(session), now)
    raise UndoneError


def assert_possible(row: dict[str, Any], chain: list[dict[str, Any]], now: datetime) -> None:
    """A lock in a call and in no other state; a gapless chain that ends in the row's state."""
    assert (row["attempt_id"] is not None) == (row["state"] in IN_CALL), row
    for earlier, later in itertools.pairwise(chain):
        assert earlier["ended_at"] is not None
        assert earlier["started_at"] < earlier["ended_at"] <= later["started_at"]
    running = [one for one in chain if one["ended_at"] is None]
    if row["state"] is OperatorState.SIGNED_OUT:
        assert running == []
        return
    [last] = running
    assert last is chain[-1]
    assert (last["state"], last["reason"]) == (row["state"], row["reason"])
    assert last["started_at"] == row["since"] <= now


def test_R_CL_14_only_a_lock_leads_into_a_call_and_only_the_calls_end_out_of_it() -> None:
    """By the table alone, whoever makes the moves."""
    ends = {Move.END_CALL, Move.NO_CALL, Move.WITHDRAW}
    ways = [(move, a, b) for move, table in MOVES.items() for a, b in table.items()]
    into = {move for move, a, b in ways if a not in IN_CALL and b in IN_CALL}
    out_of = {move for move, a, b in ways if a in IN_CALL and b not in IN_CALL}
    assert (into, out_of) == ({Move.DIAL, Move.OFFER}, ends)
    talking = {a for _, a, b in ways if b is OperatorState.TALKING}
    assert talking == {OperatorState.OFFERED, OperatorState.DIALLING}
    assert {a for _, a, b in ways if b is OperatorState.WRAP_UP} == set(IN_CALL)
