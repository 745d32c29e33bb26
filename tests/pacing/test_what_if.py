"""What another multiple would do: the methods beside each other on one team's day."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calltree.pacing.what_if import LONGEST_DAY_H, METHODS, SHORTEST_DAY_H, Figures, Team, try_out

TEAM = Team(operators=3, answer_rate=0.3, talk_s=180, wrap_up_s=30, lines=20)


def test_R_DL_6_more_lines_talk_more_and_lose_more() -> None:
    came = {method: try_out(TEAM, method) for method in ("safe", "standard", "multiple_3")}
    talks = [found.talks_an_hour for found in came.values()]
    assert talks == sorted(talks)
    assert came["safe"].abandoned == 0
    assert came["standard"].worst_day < 0.04 < came["multiple_3"].abandoned
    assert came["multiple_3"].days_over == came["multiple_3"].days
    assert came["safe"].idle_min > came["multiple_3"].idle_min


def test_a_trial_is_the_same_each_time_and_survives_json() -> None:
    quick = replace(TEAM, operators=1)
    assert try_out(quick, "bold") == try_out(quick, "bold")
    assert Figures(**try_out(quick, "vicidial").to_json()) == try_out(quick, "vicidial")


def test_few_lines_hold_the_boldest_back() -> None:
    few, many = (try_out(replace(TEAM, lines=lines), "multiple_3") for lines in (3, 20))
    assert few.abandoned < many.abandoned / 2


@pytest.mark.parametrize("operators", [1, 3, 10, 11, 30])
@pytest.mark.parametrize("rate", [0.03, 0.2, 1.0])
def test_the_work_of_a_trial_is_bounded(operators: int, rate: float) -> None:
    team = Team(operators=operators, answer_rate=rate, talk_s=10, wrap_up_s=0, lines=1000)
    assert SHORTEST_DAY_H <= team.hours <= LONGEST_DAY_H
    assert operators * team.hours * team.days * 3 * 3600 / 20 < 60_000
    assert team.scenario().answer_rate == ((0.0, rate),)


@pytest.mark.parametrize(
    "wrong", [{"operators": 31}, {"answer_rate": 0.0}, {"talk_s": 1}, {"lines": 0}]
)
def test_what_cannot_be_tried_out_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"operators|answers|talks"):
        replace(TEAM, **wrong)  # type: ignore[arg-type] # what is wrong is the test


def test_every_method_has_a_name_of_its_own() -> None:
    assert len(set(METHODS)) == len(METHODS) == 9
