"""Some simulated days under one policy, and "what would 2× do to us?".

`compare` is what a page asks: the same days under several settings. A day of five operators takes
about 0.3 s of CPU, so it is work for a job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from calltree.pacing.rule import Rule
from calltree.pacing.scenario import Scenario
from calltree.pacing.simulation import Day, Ours, Policy, simulate

ENOUGH_ANSWERS = 30
"""Quarters of an hour with fewer answers have no share worth naming."""
DAYS_A_SEED = 100_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What days came to. Shares are between 0 and 1; numbers of calls are means of a day."""

    days: int
    occupancy: float
    """Talk and 後処理 as a share of the time that operators are there."""
    abandoned: float
    """Mean of the days' abandoned shares."""
    shares: tuple[float, ...]
    """Every day's."""
    worst_quarter: float
    """The highest share of a quarter of an hour."""
    dials: float
    joined: float
    improper: int
    """Abandoned although somebody was free: 0, or the policy is wrong."""

    @property
    def worst_day(self) -> float:
        """The highest share of a day."""
        return max(self.shares)

    def days_over(self, share: float) -> int:
        """How many days ended above it."""
        return sum(each > share for each in self.shares)


def outcome(scenario: Scenario, policy: Callable[[int], Policy], days: int, seed: int) -> Outcome:
    """So many days; `policy` makes a new one for each, from the day's seed."""
    first = seed * DAYS_A_SEED
    return summed([simulate(scenario, policy(day), day) for day in range(first, first + days)])


def summed(days: Sequence[Day]) -> Outcome:
    """The figures of simulated days, one at least."""
    return Outcome(
        days=len(days),
        occupancy=mean(day.occupancy for day in days),
        abandoned=mean(day.share for day in days),
        shares=tuple(day.share for day in days),
        worst_quarter=max(
            (
                lost / answers
                for day in days
                for answers, lost in day.quarters
                if answers >= ENOUGH_ANSWERS
            ),
            default=0.0,
        ),
        dials=mean(day.dials for day in days),
        joined=mean(day.joined for day in days),
        improper=sum(day.improper for day in days),
    )


def compare(
    scenario: Scenario, rules: Mapping[str, Rule], days: int = 5, seed: int = 1
) -> dict[str, Outcome]:
    """The same days under each of several settings, with the limit's brake as in production."""
    return {name: outcome(scenario, _ours(rule), days, seed) for name, rule in rules.items()}


def _ours(rule: Rule) -> Callable[[int], Policy]:
    return lambda _seed: Ours(rule)
