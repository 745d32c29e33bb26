"""What fails `bench pacing`: each clause of the promise by its own sentence."""

import sys
from dataclasses import replace

import pytest

from bench import Result
from bench.__main__ import main
from bench._pacing_days import Cell, kind
from bench.pacing import Match, off, too_idle, too_many_abandoned
from calltree.pacing.outcome import Outcome


def came(*shares: float, busy: float = 70.0) -> Outcome:
    """Days that ended at these shares; all in per cent."""
    return Outcome(
        days=len(shares),
        occupancy=busy / 100,
        abandoned=sum(shares) / len(shares) / 100,
        shares=tuple(share / 100 for share in shares),
        worst_quarter=0.0,
        dials=1.0,
        joined=1.0,
        improper=0,
    )


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ([2.7] * 60, []),
        ([2.71] * 60, ["2.71 % abandoned on average"]),
        ([2.0] * 199 + [3.1], []),
        ([2.0] * 59 + [3.1], ["1 of 60 days above 3.0 %"]),
        ([2.0] * 199 + [4.1], ["a day at 4.10 %"]),
        ([2.8] * 59 + [4.1], ["2.82 % abandoned", "1 of 60 days", "a day at 4.10 %"]),
    ],
)
def test_each_limit_on_abandoned_calls_has_its_sentence(
    shares: list[float], said: list[str]
) -> None:
    missed = list(too_many_abandoned("A5", came(*shares)))
    assert len(missed) == len(said)
    for sentence, part in zip(missed, said, strict=True):
        assert sentence.startswith("A5: ")
        assert part in sentence


def test_a_point_less_busy_is_allowed_and_no_more() -> None:
    assert list(too_idle("B20", came(2.0, busy=84.0), 85)) == []
    assert list(too_idle("B20", came(2.0, busy=83.9), 85)) == ["B20: 83.9 % busy, 85 wanted"]


def test_a_peer_outdoes_us_only_by_being_as_busy_and_abandoning_no_more() -> None:
    ours, cell = came(2.0, busy=70), Cell("adaptive", kind("A", 5), 1, 1)
    outdone = {
        (lost, busy): Match("peer A5", came(lost, busy=busy), cell, ours).outdone
        for lost in (1.9, 2.1)
        for busy in (69.9, 70.0)
    }
    assert [where for where, beaten in outdone.items() if beaten] == [(1.9, 70.0)]


def test_who_abandons_otherwise_is_met_under_a_limit_of_that_share() -> None:
    cell = Cell("adaptive", kind("A", 5), 1, 1)
    match = Match("peer A5", came(8.7, busy=75), cell, came(2.0, busy=70))
    nearer = match.under_another_limit()
    assert nearer == replace(cell, limit=pytest.approx(0.10))
    match.take(nearer, came(9.0, busy=76))
    assert not match.won, "busier, but by abandoning more"
    assert match.under_another_limit().limit < nearer.limit


def test_a_published_figure_may_be_off_by_what_few_days_and_rounding_explain() -> None:
    apart, chance = off([17.0, 18.0, 19.0], 16)
    assert (apart, chance) == (2.0, True)
    assert off([17.9, 18.0, 18.1], 16) == (pytest.approx(2.0), False)


def test_a_missed_clause_is_said_and_fails_the_bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = iter([{}, {"missed": ["A5: 2.71 % abandoned"]}])
    monkeypatch.setattr(
        "bench.pacing.run", lambda _options: Result(2.0, "%", 2.7, 0.9, 60, next(results))
    )
    monkeypatch.setattr(sys, "argv", ["bench", "pacing", "--json"])
    assert main() == 0
    assert capsys.readouterr().err == ""
    assert main() == 1
    assert capsys.readouterr().err == "pacing: missed: A5: 2.71 % abandoned\n"
