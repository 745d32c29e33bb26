"""The breaker of a trunk, for every order in which calls can leave and end."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from calltree.services import breaker
from calltree.services.breaker import Breaker, BreakerState, Sign
from tests.factories import NOW

SIGNS = st.sampled_from(Sign)
STEPS = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(["dial", "end probe", "end other"]), SIGNS),
    max_size=60,
)


def shut() -> Breaker:
    return breaker.heard(Breaker(), Sign.DOWN, probe=False, now=NOW)


@given(STEPS)
def test_one_probe_at_a_time_and_nothing_during_a_wait(steps: list[tuple[int, str, Sign]]) -> None:
    """Calls leave only when admitted; whatever ends in between."""
    now, state, probes = NOW, Breaker(), 0
    for seconds, what, sign in steps:
        now += timedelta(seconds=seconds)
        if what == "dial":
            admitted = breaker.admits(state, now)
            if state.state is BreakerState.OPEN and state.until is not None:
                assert admitted == (now >= state.until)
            if state.state is BreakerState.HALF_OPEN and state.probe_since is not None:
                assert admitted == (now - state.probe_since >= breaker.PROBE_LOST)
            if admitted:
                state = breaker.let_through(state, now)
                if state.state is BreakerState.HALF_OPEN:
                    probes = 1
                    assert not breaker.admits(state, now), "a second probe"
        elif what == "end probe" and probes:
            state, probes = breaker.heard(state, sign, probe=True, now=now), 0
        else:
            before = state
            state = breaker.heard(state, sign, probe=False, now=now)
            if before.state is not BreakerState.CLOSED:
                assert state == before, "a call of before the fault is no news"
        assert 0 < state.wait_s <= breaker.LONGEST_WAIT_S
        if state.state is BreakerState.OPEN:
            assert state.until is not None
            assert state.until - now <= timedelta(seconds=breaker.LONGEST_WAIT_S)
            assert breaker.admits(state, now + timedelta(seconds=breaker.LONGEST_WAIT_S)), (
                "for ever"
            )
        if state.state is BreakerState.CLOSED:
            assert breaker.admits(state, now)
            assert state.faults < breaker.FAULTS


@given(st.lists(SIGNS, max_size=40))
def test_a_closed_trunk_opens_exactly_after_faults_in_a_row_or_no_channel(
    signs: list[Sign],
) -> None:
    state, row = Breaker(), 0
    for sign in signs:
        state = breaker.heard(state, sign, probe=False, now=NOW)
        row = {Sign.FAULT: row + 1, Sign.WORKED: 0}.get(sign, row)
        if sign is Sign.DOWN or row >= breaker.FAULTS:
            assert state.state is BreakerState.OPEN
            return
        assert state.state is BreakerState.CLOSED


def test_faults_far_apart_are_no_row() -> None:
    state, now = Breaker(), NOW
    for _n in range(50):
        state = breaker.heard(state, Sign.FAULT, probe=False, now=now)
        now += breaker.WITHIN + timedelta(seconds=1)
    assert state.state is BreakerState.CLOSED


def test_the_wait_doubles_with_each_probe_that_fails_and_begins_anew_after_one_that_works() -> None:
    state, now, waits = shut(), NOW, []
    for _n in range(8):
        assert state.until is not None
        waits.append((state.until - now).total_seconds())
        now = state.until
        state = breaker.heard(breaker.let_through(state, now), Sign.FAULT, probe=True, now=now)
    assert waits == [15, 30, 60, 120, 240, 300, 300, 300]
    assert state.until is not None
    state = breaker.heard(breaker.let_through(state, state.until), Sign.WORKED, probe=True, now=now)
    assert state == Breaker()


def test_a_probe_that_was_hung_up_by_us_lets_the_next_one_try_at_once() -> None:
    state = shut()
    assert state.until is not None
    probing = breaker.let_through(state, state.until)
    told = breaker.heard(probing, Sign.NOTHING, probe=True, now=state.until)
    assert breaker.admits(told, state.until)
    assert told.state is BreakerState.HALF_OPEN
