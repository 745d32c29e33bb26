"""An operator is in one state, held by one lock, and every second of it is an interval."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

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
from calltree.services.operators import Move
from tests.factories import make_user

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


@pytest.fixture
def ledger(store):
    """A store with one operator (id 1)."""
    with store.write() as session:
        make_user(session, id=1)
    return store


@pytest.fixture
def attempt(ledger):
    """Give ids of attempts that exist."""

    def make(count=1):
        with ledger.write() as session:
            rows = [
                Attempt(
                    uuid=f"00000000-0000-4000-8000-{n:012d}",
                    origin=Origin.CALL,
                    number=f"031234{n:04d}",
                    verdict="allowed",
                    state=CallState.QUEUED,
                    created_at=NOW,
                )
                for n in range(count)
            ]
            session.add_all(rows)
            session.flush()
            return [row.id for row in rows]

    return make


def _state(ledger):
    with ledger.read() as session:
        return session.get(Operator, 1).state


def _at(seconds):
    return NOW + timedelta(seconds=seconds)


def test_R_CL_14_a_day_of_states_is_a_chain_of_intervals(ledger, attempt):
    [call] = attempt()
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=_at(0))
        operators.open_customer(session, user_id=1, customer_id=7, queue_id=None, now=_at(10))
        assert operators.lock(session, user_id=1, attempt_id=call, now=_at(20))
        assert operators.move(session, user_id=1, by=Move.JOIN, now=_at(25))
        assert operators.unlock(session, user_id=1, attempt_id=call, now=_at(60))
        assert operators.result_saved(session, user_id=1, now=_at(90))
        operators.go_away(session, user_id=1, reason="休憩", now=_at(100))
        operators.sign_out(session, user_id=1, now=_at(200))
    with ledger.read() as session:
        rows = session.scalars(select(OperatorInterval).order_by(OperatorInterval.started_at)).all()
    assert [(row.state, (row.ended_at - row.started_at).seconds) for row in rows] == [
        (OperatorState.AWAY, 10),
        (OperatorState.BROWSING, 10),
        (OperatorState.DIALLING, 5),
        (OperatorState.TALKING, 35),
        (OperatorState.WRAP_UP, 30),
        (OperatorState.BROWSING, 10),
        (OperatorState.AWAY, 100),
    ]
    assert rows[-1].reason == "休憩"


def test_R_CL_14_wrap_up_ends_with_a_result_and_never_by_force(ledger, attempt):
    [call] = attempt()
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=_at(0))
        operators.lock(session, user_id=1, attempt_id=call, now=_at(1))
        operators.unlock(session, user_id=1, attempt_id=call, now=_at(2))
    for refused in (
        lambda s: operators.go_away(s, user_id=1, reason="休憩", now=_at(3)),
        lambda s: operators.become_ready(s, user_id=1, now=_at(3)),
        lambda s: operators.open_customer(s, user_id=1, customer_id=2, queue_id=None, now=_at(3)),
    ):
        with ledger.write() as session, pytest.raises(Refused, match="wrap_up_open"):
            refused(session)
    assert _state(ledger) is OperatorState.WRAP_UP


def test_R_CL_14_ready_needs_a_live_leg_and_ends_when_the_leg_is_lost(ledger):
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=_at(0))
        with pytest.raises(Refused, match="no_leg"):
            operators.become_ready(session, user_id=1, now=_at(1))
        operators.connect_leg(session, user_id=1, uuid="leg-1", node="practice", now=_at(2))
        operators.leg_moved(session, user_id=1, uuid="leg-1", to=LegState.PARKED, now=_at(3))
        operators.become_ready(session, user_id=1, now=_at(4))
    assert _state(ledger) is OperatorState.READY
    with ledger.write() as session:
        assert not operators.leg_moved(
            session, user_id=1, uuid="an-old-leg", to=LegState.LOST, now=_at(5)
        )
        operators.leg_moved(session, user_id=1, uuid="leg-1", to=LegState.LOST, now=_at(6))
    assert _state(ledger) is OperatorState.AWAY


def test_R_CL_14_a_call_cannot_be_left_by_signing_out(ledger, attempt):
    [call] = attempt()
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=_at(0))
        operators.lock(session, user_id=1, attempt_id=call, now=_at(1))
        for leave in (operators.sign_out, operators.close_customer):
            with pytest.raises(Refused, match="in_a_call"):
                leave(session, user_id=1, now=_at(2))


def test_the_lock_belongs_to_the_call_that_took_it(ledger, attempt):
    first, second = attempt(2)
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=_at(0))
        assert operators.lock(session, user_id=1, attempt_id=first, now=_at(1))
        assert not operators.lock(session, user_id=1, attempt_id=second, now=_at(2))
        assert not operators.unlock(session, user_id=1, attempt_id=second, now=_at(3))
        assert session.get(Operator, 1).attempt_id == first


def test_racing_locks_have_one_winner(ledger, attempt):
    ids = attempt(8)
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=_at(0))

    def take(attempt_id):
        with ledger.write() as session:
            return operators.lock(session, user_id=1, attempt_id=attempt_id, now=_at(1))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, ids)) == 1


def test_a_press_refused_after_the_lock_leaves_the_operator_where_they_were(ledger, attempt):
    [call] = attempt()
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=_at(0))
        operators.open_customer(session, user_id=1, customer_id=7, queue_id=None, now=_at(0))
        operators.lock(session, user_id=1, attempt_id=call, now=_at(1))
        operators.unlock(session, user_id=1, attempt_id=call, now=_at(2), by=Move.NO_CALL)
    assert _state(ledger) is OperatorState.BROWSING


def test_two_moves_in_one_moment_leave_one_interval(ledger):
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=NOW)
        operators.go_away(session, user_id=1, reason="会議", now=NOW)
    with ledger.read() as session:
        [row] = session.scalars(select(OperatorInterval)).all()
    assert (row.reason, row.ended_at) == ("会議", None)


def test_an_interval_over_midnight_becomes_two_days(ledger):
    evening = datetime(2026, 11, 22, 14, 59, tzinfo=UTC)  # 23:59 in Tokyo
    midnight = evening + timedelta(minutes=1)
    with ledger.write() as session:
        operators.sign_in(session, user_id=1, now=evening)
        assert operators.split_intervals(session, now=midnight) == 1
        assert operators.split_intervals(session, now=midnight) == 0
    with ledger.read() as session:
        rows = session.scalars(select(OperatorInterval).order_by(OperatorInterval.id)).all()
    assert [(r.site_day.day, r.ended_at) for r in rows] == [(22, midnight), (23, None)]
