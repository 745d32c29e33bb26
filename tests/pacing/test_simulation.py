"""The simulated day: honest book-keeping, and days that are known from elsewhere."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import mean

import pytest

from bench._pacing_days import KINDS, UNSEEN, kind, one_line_each, read, scaled
from calltree.pacing.outcome import compare
from calltree.pacing.peers import FixedMultiple, Impact, Vicidial
from calltree.pacing.rule import Mode, Rule, round_half_up
from calltree.pacing.scenario import Law, Scenario, from_json, steady
from calltree.pacing.simulation import Day, Ours, Policy, View, simulate

ADAPTIVE = Rule(Mode.ADAPTIVE)
SHORT = replace(kind("A", 5), hours=1.0)


def days(scenario: Scenario, make: Callable[[], Policy], seeds: range) -> list[Day]:
    return [simulate(scenario, make(), seed) for seed in seeds]


def test_the_same_seed_is_the_same_day() -> None:
    first, again, other = (simulate(SHORT, Ours(ADAPTIVE), seed) for seed in (1, 1, 2))
    assert first == again != other


class Watched(Ours):
    """Our rule, looked at while it works."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.counted: Counter[str] = Counter()
        self.answered = self._answered
        self.silent = self._silent

    def lines(self, view: View) -> int:
        wanted = super().lines(view)
        in_flight = len(view.ringing) + view.waiting
        assert wanted >= 0
        if wanted:
            assert self.rule.multiplier is not None
            assert in_flight + wanted <= round_half_up(self.rule.multiplier, view.ready)
            assert view.lines_free is None or wanted <= view.lines_free
        return wanted

    def _answered(self, after_s: float) -> None:
        self.counted["answered"] += 1
        self.memory.answered(after_s)

    def _silent(self, after_s: float) -> None:
        self.counted["silent"] += 1
        self.memory.silent(after_s)


@pytest.mark.parametrize("path", sorted(UNSEEN.glob("*.json")), ids=lambda path: path.stem)
def test_R_DL_1_no_kind_of_day_lifts_the_ceiling(path: Path) -> None:
    policy = Watched(Rule(Mode.ADAPTIVE, Decimal("2.5")))
    day = simulate(scaled(read(path), 8), policy, 3)
    heard = policy.counted
    assert heard["answered"] == sum(answers for answers, _lost in day.quarters)
    assert 0 <= heard["answered"] - day.joined - day.abandoned <= 3, "still waiting at the end"
    assert 0 <= day.dials - heard["answered"] - heard["silent"] <= 20, "still ringing at the end"
    assert day.improper == 0
    assert 0 < day.occupancy < 1


@pytest.mark.parametrize(
    ("multiplier", "name", "team", "occupancy", "share"),
    [
        ("2", "A", 10, 71, 1.0),
        ("2", "B", 10, 69, 0.5),
        ("2", "C", 20, 88, 1.7),
        ("3", "A", 20, 80, 1.1),
        ("3", "D", 5, 62, 1.6),
    ],
)
def test_published_days_come_out_within_a_point(
    multiplier: str, name: str, team: int, occupancy: float, share: float
) -> None:
    came = days(kind(name, team), lambda: FixedMultiple(multiplier), range(5))
    assert abs(mean(day.occupancy for day in came) * 100 - occupancy) < 1.0
    assert abs(mean(day.share for day in came) * 100 - share) < 1.0


@pytest.mark.parametrize("name", sorted(KINDS))
def test_one_line_for_each_is_as_busy_as_a_sum_says(name: str) -> None:
    """No table, no chance: work ÷ (work + the wait for the first dial that is answered)."""
    came = days(kind(name, 20), lambda: FixedMultiple("1"), range(10))
    assert abs(mean(day.occupancy for day in came) - one_line_each(name)) * 100 < 0.5
    assert not any(day.abandoned for day in came)


@pytest.mark.parametrize(("name", "team", "occupancy"), [("C", 3, 82), ("D", 5, 65)])
def test_R_DL_1_adaptive_days_stay_under_the_limit_and_keep_operators_busy(
    name: str, team: int, occupancy: float
) -> None:
    came = days(kind(name, team), lambda: Ours(ADAPTIVE), range(3))
    assert max(day.share for day in came) <= 0.032
    assert mean(day.share for day in came) <= 0.028
    assert mean(day.occupancy for day in came) * 100 > occupancy - 2.5


def test_a_team_of_one_abandons_nobody() -> None:
    assert simulate(kind("A", 1), Ours(ADAPTIVE), 1).abandoned == 0


def test_R_DL_6_a_page_can_ask_what_another_multiplier_would_do() -> None:
    """Fixed ratios are held by the limit as in production: a little of 3× is already too much."""
    morning = replace(kind("C", 5), hours=2.0)
    rules = {"3×": Rule(Mode.FIXED, Decimal(3)), "adaptive": ADAPTIVE}
    came = compare(morning, rules, days=1)
    assert list(came) == ["3×", "adaptive"]
    assert came["3×"].abandoned > came["adaptive"].abandoned
    assert came["3×"].improper == came["adaptive"].improper == 0
    assert came["adaptive"].worst_day == came["adaptive"].shares[0] == came["adaptive"].abandoned
    assert came["3×"].days_over(came["adaptive"].abandoned) == 1


@pytest.mark.parametrize(
    "policy", [Vicidial("hard"), Vicidial("tapered"), Vicidial("average", True), Impact(1)]
)
def test_peers_run_in_the_same_days(policy: Policy) -> None:
    day = simulate(SHORT, policy, 1)
    assert day.joined > 100
    assert day.improper == 0


def test_a_day_is_read_from_json(tmp_path: Path) -> None:
    path = tmp_path / "day.json"
    path.write_text(
        json.dumps(
            {
                "name": "午後",
                "operators": [[0, 6], [3.5, 4]],
                "answer_rate": 0.2,
                "talk": {"law": "lognormal", "mean": 90, "cv": 1.2},
                "wrap_up": {"law": "constant", "mean": 20},
            }
        )
    )
    scenario = read(path)
    assert scenario.operators == ((0.0, 6.0), (3.5, 4.0))
    assert scenario.answer_rate == steady(0.2)
    assert scenario.talk == Law("lognormal", 90, 1.2)


GOOD = {
    "name": "x",
    "operators": 5,
    "answer_rate": 0.2,
    "talk": {"law": "constant", "mean": 60},
    "wrap_up": {"law": "constant", "mean": 10},
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"operatrs": 5}, "operatrs"),
        ({"answer_rate": 1.2}, "between 0 and 1"),
        ({"operators": [[1, 5]]}, "hour 0"),
        ({"talk": {"law": "gauss", "mean": 1}}, "gauss"),
        ({"talk": {"law": "constant", "average": 1}}, "average"),
        ({"answer_to_s": 40}, "ring time"),
    ],
)
def test_a_day_that_cannot_be_is_refused_in_words(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_json({**GOOD, **wrong})
