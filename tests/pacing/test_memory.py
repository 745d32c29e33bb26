"""What a campaign learns from the calls that ended."""

import json

from hypothesis import given
from hypothesis import strategies as st

from calltree.pacing.memory import Memory, remembered

ENDED = st.lists(st.tuples(st.booleans(), st.floats(0, 200)), max_size=200)


@given(ENDED)
def test_what_is_kept_as_json_learns_on_as_if_it_had_not_been(
    ended: list[tuple[bool, float]],
) -> None:
    half = len(ended) // 2
    kept = Memory.from_json(json.loads(json.dumps(remembered(ended[:half]).to_json())))
    for answered, after_s in ended[half:]:
        (kept.answered if answered else kept.silent)(after_s)
    assert kept.to_json() == remembered(ended).to_json()


@given(ENDED)
def test_chances_are_chances_whatever_was_heard(ended: list[tuple[bool, float]]) -> None:
    chances = remembered(ended).chance_by_age()
    assert all(0.0 <= chance < 1.0 for chance in chances)


def test_the_first_guess_is_three_answers_in_fifteen() -> None:
    assert Memory().answer_rate() == 0.2


def test_few_calls_are_trusted_less_than_many() -> None:
    """The same share of answers; the caution over it shrinks as calls come in."""
    few, many = (remembered([(True, 8.0), (False, 25.0)] * n) for n in (10, 500))
    assert few.cautious_rate() - few.answer_rate() > 3 * (many.cautious_rate() - many.answer_rate())


def test_a_changed_answer_rate_is_followed_within_a_window() -> None:
    memory = remembered([(index % 10 == 0, 10.0) for index in range(3000)])
    assert abs(memory.answer_rate() - 0.1) < 0.02
    for index in range(1200):
        (memory.answered if index % 2 else memory.silent)(10.0)
    assert abs(memory.answer_rate() - 0.5) < 0.06


def test_a_line_that_still_rings_is_less_and_less_likely_to_be_answered() -> None:
    memory = remembered(
        [(index % 4 == 0, 4 + index % 64 / 4 if index % 4 == 0 else 25.0) for index in range(4000)]
    )
    chances = memory.chance_by_age()
    assert chances[0] > chances[10] > chances[18] > chances[22]
    assert chances[22] < 0.01


def test_ring_times_are_learnt_and_not_assumed() -> None:
    """Where everybody answers after 18 s, a line of 15 s is as good as a new one."""
    late = remembered([(True, 18.0), (False, 25.0)] * 1000).chance_by_age()
    assert late[15] > 0.9 * late[0]
    early = remembered([(True, 5.0), (False, 25.0)] * 1000).chance_by_age()
    assert early[15] < 0.1 * early[0]


def test_the_table_of_ring_times_forgets_and_stays_small() -> None:
    memory = Memory()
    for _ in range(400):
        for index in range(25):
            (memory.silent if index % 3 else memory.answered)(10.0)
        memory.chance_by_age()
    assert sum(memory.answered_at) + sum(memory.silent_until) < 3100
