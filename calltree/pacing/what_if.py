"""What another multiplier would do to a team: the dialling methods that are compared, in one day.

Ours run with the limit's brake as in production; the fixed multiples that other products offer
have none, and other diallers' published rules stand beside them (`peers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from calltree.pacing.outcome import Outcome, compare, outcome
from calltree.pacing.peers import FixedMultiple, Impact, Vicidial
from calltree.pacing.rule import Mode, Rule
from calltree.pacing.scenario import Law, Scenario, steady
from calltree.pacing.simulation import Policy

DAYS = 5
"""A small team's: on one day chance decides more than the method does."""
MOST_OPERATORS = 30
"""With more, a day is as good as with these, and takes much longer to work out."""
DIALS = 20_000
"""About so many are simulated for one method, so that a large team's answer comes as soon."""
LEAST_RATE, SHORTEST_TALK_S = 0.03, 10
"""Below these, most of a day is dialling: neither a team nor a simulator gets far."""
SHORTEST_DAY_H, LONGEST_DAY_H = 1.0, 8.0
RING_S = 20.0
"""A line rings about so long; with three lines each an operator who waits dials so often."""


@dataclass(frozen=True, slots=True)
class Team:
    """What a site says of itself; the rest of the day is the simulator's usual."""

    operators: int
    answer_rate: float
    """The share of dials that somebody or something answers."""
    talk_s: int
    wrap_up_s: int
    lines: int
    limit: float = 0.03

    def __post_init__(self) -> None:
        if not 1 <= self.operators <= MOST_OPERATORS:
            raise ValueError(f"1 to {MOST_OPERATORS} operators")
        if not LEAST_RATE <= self.answer_rate <= 1 or self.lines < 1:
            raise ValueError("too few answers to work with, or no line")
        if self.talk_s < SHORTEST_TALK_S or self.wrap_up_s < 0:
            raise ValueError("talks too short to work with")

    def scenario(self) -> Scenario:
        """A steady day of this team."""
        return Scenario(
            name="",
            operators=steady(self.operators),
            answer_rate=steady(self.answer_rate),
            talk=Law("lognormal", float(self.talk_s)),
            wrap_up=Law("exponential", float(self.wrap_up_s)),
            hours=self.hours,
            fails=min(0.10, 1.0 - self.answer_rate),
            lines=steady(self.lines),
        )

    @property
    def hours(self) -> float:
        """Hours of a simulated day: eight, fewer for a large team or one that dials a lot."""
        busy_s = max(self.talk_s + self.wrap_up_s, 1)
        dials = self.operators * min(3 * 3600 / RING_S, 3600 / busy_s / self.answer_rate)
        return max(SHORTEST_DAY_H, min(LONGEST_DAY_H, DIALS / self.days / dials))

    @property
    def days(self) -> int:
        """Simulated days: large teams have enough calls in fewer."""
        return DAYS if self.operators <= 10 else 3


OURS: Mapping[str, tuple[Mode, str | None]] = {
    "safe": (Mode.PROGRESSIVE, None),
    "standard": (Mode.ADAPTIVE, "2"),
    "bold": (Mode.ADAPTIVE, "3"),
    "fixed_2": (Mode.FIXED, "2"),
    "fixed_3": (Mode.FIXED, "3"),
}
PEERS: Mapping[str, Callable[[int], Policy]] = {
    "multiple_2": lambda _seed: FixedMultiple("2"),
    "multiple_3": lambda _seed: FixedMultiple("3"),
    "vicidial": lambda _seed: Vicidial("hard"),
    "impact": Impact,
}
METHODS = (*OURS, *PEERS)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one method comes to, as a page says it. Shares are between 0 and 1."""

    talks_an_hour: float
    """Joined calls of one operator in an hour."""
    idle_min: float
    """Minutes of an hour in which an operator waits."""
    abandoned: float
    """Mean of the days."""
    worst_day: float
    worst_quarter: float
    dials_an_hour: float
    """Of the whole team."""
    days_over: int
    """Days above the limit."""
    days: int

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, which `Figures(**…)` takes back."""
        return asdict(self)


def try_out(team: Team, method: str, seed: int = 1) -> Figures:
    """Simulate the team's days under one of METHODS; the same seed gives the same figures."""
    scenario = team.scenario()
    if method in OURS:
        mode, multiplier = OURS[method]
        rule = Rule(mode, None if multiplier is None else Decimal(multiplier), team.limit)
        came = compare(scenario, {method: rule}, team.days, seed)[method]
    else:
        came = outcome(scenario, PEERS[method], team.days, seed)
    return _figures(team, came)


def _figures(team: Team, came: Outcome) -> Figures:
    return Figures(
        talks_an_hour=came.joined / team.hours / team.operators,
        idle_min=(1.0 - came.occupancy) * 60.0,
        abandoned=came.abandoned,
        worst_day=came.worst_day,
        worst_quarter=came.worst_quarter,
        dials_an_hour=came.dials / team.hours,
        days_over=came.days_over(team.limit),
        days=came.days,
    )
