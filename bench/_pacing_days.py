"""The days that `bench pacing` simulates, who lives through them, and published rows."""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from calltree.pacing.outcome import DAYS_A_SEED, Outcome, outcome
from calltree.pacing.peers import FixedMultiple, Impact, Vicidial
from calltree.pacing.rule import Mode, Rule
from calltree.pacing.scenario import Law, Scenario, Steps, from_json, steady
from calltree.pacing.simulation import Day, Ours, Policy, simulate

TEAMS = (3, 5, 10, 20)
UNSEEN = Path(__file__).parent / "scenarios"
LIMIT = 0.03
KINDS = {"A": (0.3, 60, 15), "B": (0.2, 90, 20), "C": (0.3, 180, 30), "D": (0.1, 90, 20)}
"""Answer rate, talk (lognormal, cv 1), 後処理 (exponential)."""
WANTED = {
    "A": (64, 69, 76, 82),
    "B": (64, 69, 77, 85),
    "C": (82, 83, 86, 89),
    "D": (56, 65, 76, 83),
}
"""Occupancy with 3, 5, 10, 20 operators, in per cent."""
PUBLISHED: dict[str, dict[str, tuple[tuple[float, float], ...]]] = {
    "1x": {
        "A": ((53, 0), (53, 0), (54, 0), (54, 0)),
        "B": ((51, 0), (51, 0), (52, 0), (52, 0)),
        "C": ((78, 0), (77, 0), (77, 0), (77, 0)),
        "D": ((34, 0), (35, 0), (34, 0), (34, 0)),
    },
    "2x": {
        "A": ((71, 8.0), (71, 3.8), (71, 1.0), (71, 0.1)),
        "B": ((68, 5.7), (69, 2.7), (69, 0.5), (69, 0)),
        "C": ((87, 13), (87, 8.9), (87, 5.6), (88, 1.7)),
        "D": ((51, 0.8), (52, 0.3), (51, 0), (51, 0)),
    },
    "3x": {
        "A": ((79, 18), (80, 13), (80, 5.1), (80, 1.1)),
        "B": ((77, 14), (78, 8.7), (78, 3.5), (78, 0.3)),
        "C": ((91, 25), (91, 22), (92, 15), (91, 7.0)),
        "D": ((62, 3.8), (62, 1.6), (62, 0.2), (60, 0)),
    },
}
"""Occupancy and abandoned share, per cent, rounded, of a few days each, of another simulator."""
PUBLISHED_DAYS = 2
"""As many as the rows' own scatter speaks for: about 1.8 (docs/performance.md)."""

PEERS: dict[str, Callable[[int], Policy]] = {
    "2x": lambda _seed: FixedMultiple("2"),
    "3x": lambda _seed: FixedMultiple("3"),
    "vicidial hard": lambda _seed: Vicidial("hard"),
    "vicidial average": lambda _seed: Vicidial("average"),
    "vicidial tapered": lambda _seed: Vicidial("tapered"),
    "vicidial hard, available only": lambda _seed: Vicidial("hard", available_only=True),
    "impact": Impact,
}
CEILINGS = {"adaptive": None, "adaptive up to 2x": Decimal(2), "adaptive up to 3x": Decimal(3)}


T = TypeVar("T")


@dataclass(frozen=True)
class Cell:
    """Some days of one scenario under one policy; `limit` is the share that ours keeps to."""

    policy: str
    scenario: Scenario
    days: int
    seed: int
    limit: float = LIMIT


def _policy(cell: Cell) -> Callable[[int], Policy]:
    if cell.policy == "1x":
        return lambda _seed: FixedMultiple("1")
    if cell.policy in PEERS:
        return PEERS[cell.policy]
    rule = Rule(Mode.ADAPTIVE, CEILINGS[cell.policy], limit=cell.limit)
    return lambda _seed: Ours(rule)


def live_through(cell: Cell) -> Outcome:
    """Simulate a cell's days."""
    came = outcome(cell.scenario, _policy(cell), cell.days, cell.seed)
    assert not came.improper
    return came


def days_of(cell: Cell) -> list[Day]:
    """A cell's days, one by one."""
    first, make = cell.seed * DAYS_A_SEED, _policy(cell)
    return [simulate(cell.scenario, make(day), day) for day in range(first, first + cell.days)]


def together(simulated: Callable[[Cell], T], cells: list[Cell]) -> list[T]:
    """Simulate cells on every core; what comes out is in their order."""
    with ProcessPoolExecutor() as processes:
        return list(processes.map(simulated, cells))


def kind(name: str, team: int) -> Scenario:
    """One of the four steady days."""
    rate, talk, wrap_up = KINDS[name]
    return Scenario(
        f"{name}{team}",
        steady(team),
        steady(rate),
        Law("lognormal", talk),
        Law("exponential", wrap_up),
    )


def one_line_each(name: str) -> float:
    """Occupancy of such a day with one line for each ready operator: a sum, whatever the team.

    An operator works, then waits for the first of their dials that is answered: a dial that fails
    takes 2 s on average, one that rings out 25, one that is answered 12. The next one is made at a
    full second: half a second later after work and after what failed, at once after a ring-out.
    """
    rate, talk, wrap_up = KINDS[name]
    day = kind(name, 1)
    answered = (day.answer_from_s + day.answer_to_s) / 2
    failed, rung_out = day.fails / rate, (1 - rate - day.fails) / rate  # of each for one answer
    waiting = 0.5 + failed * (day.fails_within_s / 2 + 0.5) + rung_out * day.ring_timeout_s
    return (talk + wrap_up) / (talk + wrap_up + waiting + answered)


def scaled(scenario: Scenario, team: int) -> Scenario:
    """A day written for ten operators, with another team and its share of the lines."""

    def part(steps: Steps) -> Steps:
        return tuple((hour, float(max(1, round(value * team / 10)))) for hour, value in steps)

    return replace(
        scenario,
        name=f"{scenario.name} {team}",
        operators=part(scenario.operators),
        lines=part(scenario.lines) if scenario.lines else None,
    )


def read(path: Path) -> Scenario:
    """A scenario's file."""
    return from_json(json.loads(path.read_text()))
