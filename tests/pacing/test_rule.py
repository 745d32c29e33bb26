"""How many lines to dial: what holds in every scene, and the numbers of the rules."""

from dataclasses import replace
from decimal import Decimal
from itertools import product
from math import isclose, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calltree.pacing.memory import Memory, remembered
from calltree.pacing.risk import all_taken, nobody_free, ring_another
from calltree.pacing.rule import (
    Mode,
    Rule,
    Scene,
    Share,
    accepted_risk,
    decide,
    over_limit,
    round_half_up,
)
from calltree.pacing.words import SENTENCES, say
from calltree.services import sentences

MULTIPLIERS = st.decimals("1", "9.99", places=2)
LEFT = st.none() | st.integers(0, 40)
SCENES = st.builds(
    Scene,
    ready=st.integers(0, 40),
    signed_in=st.integers(0, 80),
    ringing=st.lists(st.floats(0, 120), max_size=60),
    waiting=st.integers(0, 6),
    lines_free=LEFT,
    dials_left=LEFT,
    numbers_left=LEFT,
    settling=st.booleans(),
)
FREELY = st.builds(
    Scene,
    ready=st.integers(1, 25),
    signed_in=st.just(40),
    ringing=st.lists(st.floats(0, 40), max_size=50),
)
"""Nothing from outside limits these."""
RULES = st.one_of(
    st.builds(Rule, st.just(Mode.PREVIEW)),
    st.builds(Rule, st.just(Mode.PROGRESSIVE)),
    st.builds(Rule, st.just(Mode.FIXED), MULTIPLIERS),
    st.builds(Rule, st.just(Mode.ADAPTIVE), st.none() | MULTIPLIERS),
)
SHARES = st.builds(Share, st.integers(0, 5000), st.integers(0, 200))
ENDED = st.lists(st.tuples(st.booleans(), st.floats(0, 60)), max_size=150)
MEMORIES = st.builds(remembered, ENDED)
ADAPTIVE = Rule(Mode.ADAPTIVE)
QUIET = Share(400, 0)


def taught(rate: float = 0.2, dials: int = 600) -> Memory:
    """A memory of so many dials, answered evenly between 4 and 20 s."""
    every = round(1 / rate)
    return remembered(
        (True, 4 + index // every % 16) if index % every == 0 else (False, 25.0)
        for index in range(dials)
    )


@given(RULES, SCENES, SHARES, MEMORIES)
def test_R_DL_8_nobody_ready_means_no_new_dial(
    rule: Rule, scene: Scene, share: Share, memory: Memory
) -> None:
    assert decide(rule, replace(scene, ready=0), share, memory).dial == 0


@given(RULES, SCENES, SHARES, MEMORIES)
def test_R_DL_1_the_multiplier_is_a_ceiling_over_lines_in_flight(
    rule: Rule, scene: Scene, share: Share, memory: Memory
) -> None:
    decision = decide(rule, scene, share, memory)
    assert decision.dial >= 0
    if decision.dial and rule.multiplier is not None:
        in_flight = scene.in_flight + decision.dial
        assert in_flight <= decision.ceiling <= round_half_up(rule.multiplier, scene.ready)


@given(RULES, SCENES, SHARES, MEMORIES)
def test_R_CL_8_no_more_than_lines_trunk_and_numbers_give(
    rule: Rule, scene: Scene, share: Share, memory: Memory
) -> None:
    dial = decide(rule, scene, share, memory).dial
    for left in (scene.lines_free, scene.dials_left, scene.numbers_left):
        assert left is None or dial <= left


@given(RULES, SCENES, SHARES, MEMORIES)
def test_R_DL_6_every_decision_is_one_sentence(
    rule: Rule, scene: Scene, share: Share, memory: Memory
) -> None:
    sentence = say(decide(rule, scene, share, memory))
    assert sentence.endswith(".")
    assert "%(" not in sentence


@given(RULES, SCENES, SHARES, ENDED)
def test_a_decision_changes_nothing_and_comes_out_the_same_again(
    rule: Rule, scene: Scene, share: Share, ended: list[tuple[bool, float]]
) -> None:
    memory = remembered(ended)
    before = memory.to_json()
    first = decide(rule, scene, share, memory)
    assert memory.to_json() == before
    assert decide(rule, scene, share, memory) == first
    assert decide(rule, scene, share, Memory.from_json(before)).dial == first.dial


@given(SCENES, SHARES, MEMORIES)
def test_R_DL_1_progressive_is_one_line_for_each_ready_operator(
    scene: Scene, share: Share, memory: Memory
) -> None:
    decision = decide(Rule(Mode.PROGRESSIVE), scene, share, memory)
    assert scene.in_flight + decision.dial <= max(scene.in_flight, scene.ready)


@pytest.mark.parametrize(
    ("multiplier", "lines"),
    [("1.5", [2, 3, 5, 6, 8]), ("2", [2, 4, 6, 8, 10]), ("3", [3, 6, 9, 12, 15])],
)
def test_R_DL_1_fixed_ratio_rounds_half_up_as_bluebean_does(
    multiplier: str, lines: list[int]
) -> None:
    rule = Rule(Mode.FIXED, Decimal(multiplier))
    dialled = [decide(rule, Scene(n, n, ()), Share(), Memory()).dial for n in range(1, 6)]
    assert dialled == lines


def test_R_DL_1_a_multiplier_is_no_binary_fraction() -> None:
    """2.3 × 5 is 11.5 and so 12; as a float it is a little less."""
    assert round_half_up(Decimal("2.3"), 5) == 12


@given(FREELY, SHARES, MEMORIES)
def test_adaptive_never_dials_less_than_one_line_for_each_ready_operator(
    scene: Scene, share: Share, memory: Memory
) -> None:
    decision = decide(ADAPTIVE, scene, share, memory)
    assert scene.in_flight + decision.dial >= scene.ready


@given(FREELY, st.sampled_from([1, 2]), SHARES)
def test_adaptive_with_one_or_two_operators_is_one_to_one(
    scene: Scene, team: int, share: Share
) -> None:
    small = replace(scene, ready=team, signed_in=team)
    decision = decide(ADAPTIVE, small, share, taught())
    assert scene.in_flight + decision.dial <= max(scene.in_flight, team)


@given(FREELY, st.lists(st.tuples(st.booleans(), st.floats(0, 60)), max_size=29))
def test_adaptive_is_one_to_one_until_the_answer_rate_is_known(
    scene: Scene, ended: list[tuple[bool, float]]
) -> None:
    decision = decide(ADAPTIVE, scene, Share(), remembered(ended))
    assert scene.in_flight + decision.dial <= max(scene.in_flight, scene.ready)


@given(st.sampled_from([ADAPTIVE, Rule(Mode.FIXED, Decimal(3))]), FREELY)
def test_a_loop_that_has_just_begun_paces_one_to_one(rule: Rule, scene: Scene) -> None:
    decision = decide(rule, replace(scene, settling=True), QUIET, taught())
    assert scene.in_flight + decision.dial <= max(scene.in_flight, scene.ready)


@given(FREELY, SHARES, st.integers(1, 50))
def test_more_abandoned_never_means_more_lines(scene: Scene, share: Share, more: int) -> None:
    worse = Share(share.joined - min(more, share.joined), share.abandoned + more)
    memory = taught()
    bold, timid = (decide(ADAPTIVE, scene, each, memory).dial for each in (share, worse))
    assert timid <= bold or worse.answers > share.answers


@given(FREELY, SHARES)
def test_one_operator_more_never_means_fewer_lines(scene: Scene, share: Share) -> None:
    memory, more = taught(), replace(scene, ready=scene.ready + 1)
    assert decide(ADAPTIVE, more, share, memory).dial >= decide(ADAPTIVE, scene, share, memory).dial


@given(FREELY, st.integers(1, 25), SHARES)
def test_operators_who_leave_while_lines_ring_stop_new_dials_and_cut_none(
    scene: Scene, gone: int, share: Share
) -> None:
    left = replace(scene, ready=max(0, scene.ready - gone))
    before = decide(ADAPTIVE, scene, share, taught())
    after = decide(ADAPTIVE, left, share, taught())
    assert 0 <= after.dial <= before.dial


def test_customers_who_wait_take_the_operators_there_are() -> None:
    decision = decide(ADAPTIVE, Scene(2, 10, (), waiting=2), QUIET, taught())
    assert (decision.dial, decision.reason) == (0, "pacing_waiting")


@given(
    st.integers(1, 6),
    st.lists(st.floats(0.01, 0.99), max_size=7),
    st.floats(0.01, 0.99),
)
def test_the_chance_of_finding_nobody_is_exact(
    free: int, lines: list[float], another: float
) -> None:
    """Against every possible outcome of every line, counted one by one."""

    def counted(chances: list[float]) -> float:
        return sum(
            prod(q if answers else 1 - q for q, answers in zip(chances, outcome, strict=True))
            for outcome in product((0, 1), repeat=len(chances))
            if sum(outcome) >= free
        )

    chances = all_taken(free, lines)
    assert isclose(nobody_free(chances), counted(lines), abs_tol=1e-9)
    ring_another(chances, another)
    assert isclose(nobody_free(chances), counted([*lines, another]), abs_tol=1e-9)


def test_a_lower_answer_rate_means_more_lines() -> None:
    scene = Scene(5, 10, ())
    few, many = (decide(ADAPTIVE, scene, QUIET, taught(rate)).dial for rate in (0.1, 0.5))
    assert few > 2 * many > 10


def test_lines_that_ring_long_count_for_little() -> None:
    """After 22 s hardly anybody answers, so those lines leave room for others."""
    young, old = (
        decide(ADAPTIVE, Scene(3, 10, [age] * 8), QUIET, taught()).dial for age in (5.0, 22.0)
    )
    assert old > young


@pytest.mark.parametrize("age", [-3.0, 90.0, 4000.0])
def test_a_line_of_an_age_that_cannot_be_counts_as_a_new_one(age: float) -> None:
    odd, new = (decide(ADAPTIVE, Scene(3, 10, [a] * 4), QUIET, taught()).dial for a in (age, 0.0))
    assert odd == new


def test_R_DL_4_the_share_is_smoothed_with_fifty_answers_at_six_tenths_of_the_limit() -> None:
    assert Share(0, 0).raw is None
    assert isclose(Share(0, 0).smoothed(0.03), 0.018)
    assert Share(97, 3).raw == 0.03
    assert isclose(Share(97, 3).smoothed(0.03), 3.9 / 150)


def test_R_DL_4_above_the_limit_it_is_one_to_one_until_below_nine_tenths() -> None:
    scene, memory, bad = Scene(6, 12, ()), taught(), Share(940, 60)
    for rule in (ADAPTIVE, Rule(Mode.FIXED, Decimal(2))):
        held = decide(rule, scene, bad, memory)
        assert (held.dial, held.reason, held.braked) == (6, "pacing_over_limit", True)
    between = Share(1000, 29)  # smoothed 2.77 %
    assert not over_limit(between, 0.03, braked=False)
    assert over_limit(between, 0.03, braked=True)
    assert not over_limit(Share(1000, 27), 0.03, braked=True)


def test_R_DL_4_the_risk_falls_to_nothing_before_the_limit_is_reached() -> None:
    risks = [accepted_risk(Share(1000 - lost, lost), 0.03) for lost in range(0, 31, 3)]
    assert risks == sorted(risks, reverse=True)
    assert risks[0] > 0.2 > 0.002 > risks[-1]


def test_a_day_begins_carefully() -> None:
    morning, later = accepted_risk(Share(), 0.03), accepted_risk(Share(200, 2), 0.03)
    assert morning < 0.01 < later


@pytest.mark.parametrize("minimum", [-1, 0, 14])
def test_R_DL_5_no_setting_lets_customers_ring_shorter_than_15_s(minimum: int) -> None:
    with pytest.raises(ValueError, match="15 s"):
        Rule(Mode.ADAPTIVE, minimum_ring_s=minimum)
    with pytest.raises(ValueError, match="15 s"):
        Rule(Mode.ADAPTIVE, ring_timeout_s=minimum)


@pytest.mark.parametrize("multiplier", ["0.99", "0", "-2", "NaN", "Infinity"])
def test_a_multiplier_below_one_is_refused(multiplier: str) -> None:
    with pytest.raises(ValueError, match="multiplier"):
        Rule(Mode.FIXED, Decimal(multiplier))


def test_a_fixed_ratio_without_its_multiplier_is_refused() -> None:
    with pytest.raises(ValueError, match="multiplier"):
        Rule(Mode.FIXED)


def test_every_reason_has_its_sentence_and_every_sentence_its_reason() -> None:
    memory, many = taught(), Scene(6, 12, ())
    fixed = Rule(Mode.FIXED, Decimal("1.5"))
    cases = [
        (Rule(Mode.PREVIEW), many, QUIET),
        (Rule(Mode.PROGRESSIVE), many, QUIET),
        (fixed, many, QUIET),
        (ADAPTIVE, many, QUIET),
        (ADAPTIVE, replace(many, ready=0), QUIET),
        (ADAPTIVE, replace(many, waiting=6), QUIET),
        (ADAPTIVE, many, Share(90, 10)),
        (ADAPTIVE, replace(many, settling=True), QUIET),
        (ADAPTIVE, replace(many, signed_in=2), QUIET),
        (fixed, replace(many, lines_free=1), QUIET),
        (fixed, replace(many, dials_left=1), QUIET),
        (fixed, replace(many, numbers_left=1), QUIET),
    ]
    reasons = {decide(rule, scene, share, memory).reason for rule, scene, share in cases}
    reasons.add(decide(ADAPTIVE, many, QUIET, Memory()).reason)
    assert reasons == set(SENTENCES)
    assert reasons <= set(sentences.SENTENCES), "pages can say them in the reader's language"


def test_the_sentence_tells_the_numbers() -> None:
    decision = decide(Rule(Mode.FIXED, Decimal("1.50")), Scene(3, 9, [4.0]), QUIET, Memory())
    assert say(decision) == (
        "3 operators wait and 1 lines are under way; 4 more: at most 5 lines (1.5×)."
    )
