"""Pacing: days of a call centre simulated with our rule and with others', side by side.

Nothing here is timed but the cost of one decision: with the same `--seed` the figures are the same
on every machine. `--rows` is the days a cell (60; unseen days get a third of them, peers a sixth);
every day begins with an empty memory, as a campaign's first. What is done, in order:

* **the simulator itself**: progressive, 2× and 3×, without any limit, against the published rows
  that `PUBLISHED` repeats;
* **cells**: four scenarios × 3, 5, 10, 20 operators, adaptive without a ceiling, limit 3 %;
* **peers** in such days: VICIdial's adapt modes and Impact's replay (fixed multiples, without a
  limit, are the first rows);
* **days not seen while tuning**: bench/scenarios/*.json with 5, 10 and 20 operators;
* **cost**: CPU of one decision for 200 operators and 600 lines, against a bare loop that multiplies
  as often as the distribution needs.

`value` is the worst cell's mean abandoned share in per cent, `floor` the 2.7 that is allowed:
**`ratio` ≤ 1**. `--scenario FILE` simulates that day instead: progressive, 2×, 3×, adaptive under
each of them as a ceiling, and without.
"""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from time import process_time
from typing import Any

from bench import Options, Result
from calltree.pacing.memory import Memory
from calltree.pacing.outcome import Outcome, outcome
from calltree.pacing.peers import FixedMultiple, Impact, Vicidial
from calltree.pacing.rule import Mode, Rule, Scene, Share, decide
from calltree.pacing.scenario import Law, Scenario, Steps, from_json, steady
from calltree.pacing.simulation import Ours, Policy

DAYS = 60
TEAMS = (3, 5, 10, 20)
UNSEEN = Path(__file__).parent / "scenarios"
ALLOWED_MEAN = 2.7
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
"""Occupancy and abandoned share, per cent, of a few days each, from another simulator."""


def _ours(ceiling: str | None = None) -> Callable[[int], Policy]:
    rule = Rule(Mode.ADAPTIVE, None if ceiling is None else Decimal(ceiling))
    return lambda _seed: Ours(rule)


POLICIES: dict[str, Callable[[int], Policy]] = {
    "adaptive": _ours(),
    "adaptive up to 2x": _ours("2"),
    "adaptive up to 3x": _ours("3"),
    "1x": lambda _seed: FixedMultiple("1"),
    "2x": lambda _seed: FixedMultiple("2"),
    "3x": lambda _seed: FixedMultiple("3"),
    "vicidial hard": lambda _seed: Vicidial("hard"),
    "vicidial average": lambda _seed: Vicidial("average"),
    "vicidial tapered": lambda _seed: Vicidial("tapered"),
    "vicidial hard, available only": lambda _seed: Vicidial("hard", available_only=True),
    "impact": Impact,
}
PEERS = [name for name in POLICIES if name.startswith(("vicidial", "impact"))]


@dataclass(frozen=True)
class Cell:
    """Some days of one scenario under one policy."""

    policy: str
    scenario: Scenario
    days: int
    seed: int


def live_through(cell: Cell) -> Outcome:
    """Simulate a cell's days."""
    came = outcome(cell.scenario, POLICIES[cell.policy], cell.days, cell.seed)
    assert not came.improper
    return came


def shown(came: Outcome) -> str:
    """In per cent: occupancy / abandoned share / that of the worst day."""
    return f"{came.occupancy * 100:.1f} / {came.abandoned * 100:.2f} / {came.worst_day * 100:.2f}"


def over(came: Outcome) -> str:
    """Days beyond what is promised."""
    return f"{came.days_over(0.03)} days over 3, {came.days_over(0.04)} over 4"


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


def cost() -> dict[str, float]:
    """CPU of one decision for 200 operators and 600 lines; all of them free is the worst case."""
    memory = Memory()
    for second in range(400):
        memory.answered(4 + second % 16)
        memory.silent(25)
    scene = Scene(200, 200, [index % 24 + 0.5 for index in range(600)])
    rule, share, times = Rule(Mode.ADAPTIVE), Share(3000, 60), 20
    began = process_time()
    for _ in range(times):
        decide(rule, scene, share, memory)
    decided = (process_time() - began) / times
    began, value = process_time(), 0.0
    for _ in range(600 * 200):
        value = value * 0.5 + 0.25
    bare = process_time() - began
    return {"ms": decided * 1000, "percent_of_a_second": decided * 100, "bare": decided / bare}


def _together(cells: list[Cell]) -> list[Outcome]:
    with ProcessPoolExecutor() as processes:
        return list(processes.map(live_through, cells))


def _one_day(options: Options, path: Path) -> Result:
    scenario, days = read(path), options.rows or 20
    names = ["1x", "2x", "3x", "adaptive up to 2x", "adaptive up to 3x", "adaptive"]
    came = _together([Cell(name, scenario, days, options.seed) for name in names])
    extra = {name: shown(each) for name, each in zip(names, came, strict=True)}
    own = came[-1].abandoned * 100
    return Result(
        value=own,
        unit="% abandoned",
        floor=ALLOWED_MEAN,
        ratio=own / ALLOWED_MEAN,
        n=days,
        extra={"occupancy / abandoned / worst day": extra},
    )


def _own_days(days: int, seed: int) -> tuple[dict[str, Any], dict[tuple[str, int], Outcome]]:
    keys = [(name, team) for name in KINDS for team in TEAMS]
    came = dict(
        zip(
            keys,
            _together([Cell("adaptive", kind(*key), days, seed) for key in keys]),
            strict=True,
        )
    )
    lines = {}
    for (name, team), each in came.items():
        wanted = WANTED[name][TEAMS.index(team)]
        lines[f"{name}{team}"] = (
            f"{shown(each)}, {each.occupancy * 100 - wanted:+.1f} of {wanted}, {over(each)}"
        )
    return lines, came


def _published(days: int, seed: int) -> dict[str, str]:
    cells = [(policy, name, team) for policy in PUBLISHED for name in KINDS for team in TEAMS]
    came = _together([Cell(policy, kind(name, team), days, seed) for policy, name, team in cells])
    lines: dict[str, str] = {}
    for (policy, name, team), each in zip(cells, came, strict=True):
        occupancy, share = PUBLISHED[policy][name][TEAMS.index(team)]
        lines[f"{policy} {name}{team}"] = (
            f"{each.occupancy * 100:.1f} / {each.abandoned * 100:.1f} for {occupancy} / {share}"
        )
    return lines


def _peers(days: int, seed: int, own: dict[tuple[str, int], Outcome]) -> dict[str, str]:
    """Each peer's cells; AHEAD where it abandons no more than we do and works as much."""
    cells = [(peer, name, team) for peer in PEERS for name in KINDS for team in TEAMS]
    came = _together([Cell(peer, kind(name, team), days, seed) for peer, name, team in cells])
    lines = {}
    for (peer, name, team), each in zip(cells, came, strict=True):
        mine = own[name, team]
        ahead = each.abandoned <= mine.abandoned and each.occupancy >= mine.occupancy
        lines[f"{peer} {name}{team}"] = shown(each) + (" AHEAD" if ahead else "")
    return lines


def _unseen(days: int, seed: int) -> dict[str, str]:
    cells = [
        Cell("adaptive", scaled(read(path), team), days, seed)
        for path in sorted(UNSEEN.glob("*.json"))
        for team in (5, 10, 20)
    ]
    return {
        cell.scenario.name: (
            f"{shown(each)}, {over(each)}, worst quarter {each.worst_quarter * 100:.0f}"
        )
        for cell, each in zip(cells, _together(cells), strict=True)
    }


def run(options: Options) -> Result:
    """Everything, or one scenario's file."""
    if options.scenario is not None:
        return _one_day(options, Path(options.scenario))
    days, seed = options.rows or DAYS, options.seed
    fewer = max(1, days // 6)
    lines, own = _own_days(days, seed)
    worst = max(each.abandoned for each in own.values()) * 100
    return Result(
        value=worst,
        unit="% abandoned",
        floor=ALLOWED_MEAN,
        ratio=worst / ALLOWED_MEAN,
        n=days,
        extra={
            "adaptive: occupancy / abandoned / worst day": lines,
            "unseen days": _unseen(max(1, days // 3), seed),
            "peers": _peers(fewer, seed, own),
            "the simulator against published rows": _published(fewer, seed),
            "one decision, 200 operators and 600 lines": cost(),
        },
    )
