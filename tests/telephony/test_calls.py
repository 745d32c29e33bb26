"""Whatever is lost, doubled or reordered on the way, a call's state stays a legal one."""

from hypothesis import given
from hypothesis import strategies as st

from calltree.models.calls import LIVE_STATES, TERMINAL_STATES, CallState
from calltree.telephony.calls import MOVES, Heard, next_state

A_CALL = [
    Heard.SENT,
    Heard.RINGS,
    Heard.SOUND,
    Heard.JOINED_EARLY,
    Heard.ANSWERED_JOINED,
    Heard.HELD,
    Heard.JOINED,
    Heard.LEG_LOST,
    Heard.JOINED,
    Heard.ENDED,
]
ENDS = (Heard.ENDED, Heard.FAILED, Heard.ABANDONED)


def run(events, state=CallState.QUEUED):
    seen = [state]
    for heard in events:
        state = next_state(state, heard) or state
        seen.append(state)
    return seen


@st.composite
def disturbed(draw):
    """A call's events with some lost, some twice, in any order."""
    kept = [heard for heard in A_CALL for _ in range(draw(st.integers(0, 2)))]
    return draw(st.permutations(kept))


def test_a_call_in_order_goes_through_its_states():
    assert run(A_CALL) == [
        CallState.QUEUED,
        CallState.DIALLING,
        CallState.RINGING,
        CallState.EARLY,
        CallState.EARLY,
        CallState.TALKING,
        CallState.HELD,
        CallState.TALKING,
        CallState.ANSWERED,
        CallState.TALKING,
        CallState.ENDED,
    ]


@given(disturbed(), st.sampled_from(ENDS))
def test_after_the_hangup_a_call_is_terminal_whatever_came_before(events, end):
    assert run([*events, end])[-1] in TERMINAL_STATES


@given(st.lists(st.sampled_from(Heard)), st.sampled_from(TERMINAL_STATES))
def test_nothing_leaves_a_terminal_state(events, state):
    assert set(run(events, state)) == {state}


@given(st.lists(st.sampled_from([h for h in Heard if "JOINED" not in h.name])))
def test_talking_is_entered_by_a_bridge_only(events):
    assert CallState.TALKING not in run(events)


@given(disturbed())
def test_every_step_is_one_of_the_table(events):
    state = CallState.QUEUED
    for heard in events:
        after = next_state(state, heard)
        assert after is None or after == MOVES[heard][state]
        state = after or state


@given(st.sampled_from(LIVE_STATES), st.sampled_from(Heard))
def test_hearing_the_same_twice_is_hearing_it_once(state, heard):
    once = next_state(state, heard) or state
    assert (next_state(once, heard) or once) == once
