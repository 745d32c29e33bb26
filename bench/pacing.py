"""Pacing: days of a call centre simulated with our rule and with others', side by side.

Nothing here is timed but the cost of one decision: with the same `--seed` the figures are the same
on every machine. `--rows` is the days a cell (60; peers get a third of them); every day begins with
an empty memory, as a campaign's first. What is done, and what is demanded of it:

* **cells**: four scenarios × 3, 5, 10, 20 operators, adaptive without a ceiling, limit 3 %: a mean
  abandoned share of 2.7 % at most, 1 day in 100 above 3 % at most, none above 4 %; operators at
  most a point less busy than `WANTED`;
* **days not seen while tuning**: bench/scenarios/*.json with the same teams, the same shares;
* **peers** (fixed multiples, VICIdial's adapt modes, Impact's replay) in such days: none of them
  that abandons as little as ours is as busy, in no cell. Where a peer abandons another share, ours
  is also run under a limit at which both abandon alike: shown, and counted in no verdict;
* **the simulator itself**: progressive, 2× and 3×, without any limit, within a point of the
  published rows that `PUBLISHED` repeats, or no further than rows of so few days, and rounded,
  are uncertain (three standard errors); progressive within a point of what a sum gives;
* **cost**: CPU of one decision for 200 operators and 600 lines, 5 % of a second at most.

`missed` names every clause that is not kept, and the bench fails if there is one. `value` is the
worst cell's mean abandoned share in per cent, seen or unseen, `floor` the 2.7 that is allowed:
**`ratio` ≤ 1**. `--scenario FILE` simulates that day instead: progressive, 2×, 3×, adaptive under
each of them as a ceiling, and without.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from time import process_time
from typing import Any

from bench import Options, Result
from bench._pacing_days import (
    KINDS,
    LIMIT,
    PEERS,
    PUBLISHED,
    PUBLISHED_DAYS,
    TEAMS,
    UNSEEN,
    WANTED,
    Cell,
    days_of,
    kind,
    live_through,
    one_line_each,
    read,
    scaled,
    together,
)
from calltree.pacing.memory import Memory
from calltree.pacing.outcome import Outcome
from calltree.pacing.rule import Mode, Rule, Scene, Share, decide

DAYS = 60
ALLOWED_MEAN, ALLOWED_DAY, ALLOWED_DAYS, NEVER = 2.7, 3.0, 0.01, 4.0
"""Mean of the days' shares; a day's; the part of days above that; no day's. Per cent."""
ALLOWED_LESS = 1.0
"""Points of occupancy below what is wanted."""
ALLOWED_APART = 1.0
"""Points between the simulator and what is known of such days."""
ALLOWED_COST = 5.0
"""Per cent of a second."""
TRIES = 3
"""Limits tried until ours abandons as many as a peer."""
SHARE_OF_LIMIT = 0.87
"""Where days under a limit end."""
LEAST_LIMIT, MOST_LIMIT = 0.0002, 0.6


def shown(came: Outcome) -> str:
    """In per cent: occupancy / abandoned share / that of the worst day."""
    return f"{came.occupancy * 100:.1f} / {came.abandoned * 100:.2f} / {came.worst_day * 100:.2f}"


def over(came: Outcome) -> str:
    """Days beyond what is promised."""
    return f"{came.days_over(0.03)} days over 3, {came.days_over(0.04)} over 4"


def too_many_abandoned(name: str, came: Outcome) -> Iterator[str]:
    """What a cell's days miss of the three clauses about abandoned calls, a sentence each."""
    usual, worst = came.abandoned * 100, came.worst_day * 100
    if usual > ALLOWED_MEAN:
        yield f"{name}: {usual:.2f} % abandoned on average, {ALLOWED_MEAN} allowed"
    above = came.days_over(ALLOWED_DAY / 100)
    if above > ALLOWED_DAYS * came.days:
        yield f"{name}: {above} of {came.days} days above {ALLOWED_DAY} %, 1 in 100 allowed"
    if worst > NEVER:
        yield f"{name}: a day at {worst:.2f} %, none allowed above {NEVER}"


def too_idle(name: str, came: Outcome, wanted: float) -> Iterator[str]:
    """Whether operators wait more than they should."""
    busy = came.occupancy * 100
    if busy < wanted - ALLOWED_LESS:
        yield f"{name}: {busy:.1f} % busy, {wanted} wanted"


def ahead(ours: Outcome, peer: Outcome) -> bool:
    """As busy, and abandoning no more."""
    return ours.occupancy >= peer.occupancy and ours.abandoned <= peer.abandoned


@dataclass
class Match:
    """A peer's days, and ours that come nearest to the same abandoned share from below."""

    name: str
    peer: Outcome
    cell: Cell
    ours: Outcome
    at_limit: Outcome = field(init=False)
    """Ours under the usual limit."""

    def __post_init__(self) -> None:
        self.at_limit = self.ours

    @property
    def outdone(self) -> bool:
        """Whether the peer abandons as little as ours under the usual limit, and is as busy."""
        return ahead(self.peer, self.at_limit)

    @property
    def won(self) -> bool:
        """Whether ours is ahead, at one share or the other."""
        return ahead(self.ours, self.peer)

    def under_another_limit(self) -> Cell:
        """Our days again, to abandon as many as the peer does and no more."""
        now, then = self.ours.abandoned, self.peer.abandoned
        if self.cell.limit == LIMIT:
            limit = then / SHARE_OF_LIMIT
        else:
            limit = self.cell.limit * (0.98 * then / now if now else 1.5)
        return replace(self.cell, limit=min(MOST_LIMIT, max(LEAST_LIMIT, limit)))

    def take(self, cell: Cell, ours: Outcome) -> None:
        """Keep the days under another limit; the next try begins from them."""
        self.cell, self.ours = cell, ours

    def __str__(self) -> str:
        mine = f"ours {shown(self.ours)} under {self.cell.limit * 100:.2f} %"
        return f"{shown(self.peer)}, {mine}" + ("" if self.won else " behind")


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


@dataclass
class Findings:
    """The tables, and what in them is not as it must be."""

    extra: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)


def _own_days(days: int, seed: int, found: Findings) -> list[Outcome]:
    keys = [(name, team) for name in KINDS for team in TEAMS]
    came = together(live_through, [Cell("adaptive", kind(*key), days, seed) for key in keys])
    lines = found.extra["adaptive: occupancy / abandoned / worst day"] = {}
    for (name, team), each in zip(keys, came, strict=True):
        cell, wanted = f"{name}{team}", WANTED[name][TEAMS.index(team)]
        lines[cell] = (
            f"{shown(each)}, {each.occupancy * 100 - wanted:+.1f} of {wanted}, {over(each)}"
        )
        found.missed += [*too_many_abandoned(cell, each), *too_idle(cell, each, wanted)]
    return came


def _unseen(days: int, seed: int, found: Findings) -> list[Outcome]:
    cells = [
        Cell("adaptive", scaled(read(path), team), days, seed)
        for path in sorted(UNSEEN.glob("*.json"))
        for team in TEAMS
    ]
    came = together(live_through, cells)
    lines = found.extra["unseen days"] = {}
    for cell, each in zip(cells, came, strict=True):
        name = cell.scenario.name
        lines[name] = f"{shown(each)}, {over(each)}, worst quarter {each.worst_quarter * 100:.0f}"
        found.missed += too_many_abandoned(name, each)
    return came


def _peers(days: int, seed: int, found: Findings) -> None:
    """Every peer in every cell, against ours where both abandon alike."""
    own = [Cell("adaptive", kind(name, team), days, seed) for name in KINDS for team in TEAMS]
    theirs = [replace(cell, policy=peer) for peer in PEERS for cell in own]
    came = together(live_through, own + theirs)
    mine = dict(
        zip([cell.scenario.name for cell in own], zip(own, came, strict=False), strict=True)
    )
    matches = [
        Match(f"{cell.policy} {cell.scenario.name}", each, *mine[cell.scenario.name])
        for cell, each in zip(theirs, came[len(own) :], strict=True)
    ]
    for _ in range(TRIES):
        open_ones = [match for match in matches if not match.won]
        cells = [match.under_another_limit() for match in open_ones]
        for match, cell, each in zip(open_ones, cells, together(live_through, cells), strict=True):
            match.take(cell, each)
    found.extra["peers"] = {match.name: str(match) for match in matches}
    found.missed += [
        f"{match.name}: {shown(match.peer)}, ours {shown(match.at_limit)}"
        for match in matches
        if match.outdone
    ]


def off(ours: list[float], published: float) -> tuple[float, bool]:
    """Points between our days' mean and a published figure, and whether chance may explain them.

    Figures are in per cent. What was published is the mean of a few days, which differ as ours do,
    rounded, to whole points if it is whole.
    """
    apart = mean(ours) - published
    rounding = 0.05 if published % 1 else 0.5
    error = stdev(ours) / PUBLISHED_DAYS**0.5 if len(ours) > 1 else 0.0
    return apart, abs(apart) <= 3 * error + rounding


def _published(days: int, seed: int, found: Findings) -> None:
    keys = [(policy, name, team) for policy in PUBLISHED for name in KINDS for team in TEAMS]
    cells = [Cell(policy, kind(name, team), days, seed) for policy, name, team in keys]
    lines, beyond = {}, {}
    for (policy, name, team), lived in zip(keys, together(days_of, cells), strict=True):
        row = PUBLISHED[policy][name][TEAMS.index(team)]
        busy = [day.occupancy * 100 for day in lived]
        lost = [day.share * 100 for day in lived]
        line = f"{mean(busy):.1f} / {mean(lost):.1f} for {row[0]} / {row[1]}"
        if policy == "1x":
            line += f", {(summed := one_line_each(name) * 100):.1f} by the sum"
            if abs(mean(busy) - summed) > ALLOWED_APART:
                found.missed.append(f"1x {name}{team}: {mean(busy):.2f} % busy for {summed:.2f}")
        lines[f"{policy} {name}{team}"] = line
        for what, ours, published in (("busy", busy, row[0]), ("abandoned", lost, row[1])):
            apart, chance = off(ours, published)
            if abs(apart) <= ALLOWED_APART:
                continue
            said = f"{policy} {name}{team}: {apart:+.2f} points {what}"
            beyond[f"{policy} {name}{team} {what}"] = f"{apart:+.2f}"
            if not chance:
                found.missed.append(f"{said} from {published}")
    found.extra["the simulator against published rows"] = lines
    found.extra["of these beyond a point"] = beyond


def _one_day(options: Options, path: Path) -> Result:
    scenario, days = read(path), options.rows or 20
    names = ["1x", "2x", "3x", "adaptive up to 2x", "adaptive up to 3x", "adaptive"]
    came = together(live_through, [Cell(name, scenario, days, options.seed) for name in names])
    extra: dict[str, Any] = {
        "occupancy / abandoned / worst day": {
            name: shown(each) for name, each in zip(names, came, strict=True)
        }
    }
    if missed := list(too_many_abandoned(scenario.name, came[-1])):
        extra["missed"] = missed
    return _result(came[-1:], days, extra)


def _result(came: list[Outcome], days: int, extra: dict[str, Any]) -> Result:
    worst = max(each.abandoned for each in came) * 100
    return Result(
        value=worst,
        unit="% abandoned",
        floor=ALLOWED_MEAN,
        ratio=worst / ALLOWED_MEAN,
        n=days,
        extra=extra,
    )


def run(options: Options) -> Result:
    """Everything, or one scenario's file."""
    if options.scenario is not None:
        return _one_day(options, Path(options.scenario))
    days, seed, found = options.rows or DAYS, options.seed, Findings()
    came = _own_days(days, seed, found) + _unseen(days, seed, found)
    _peers(max(1, days // 3), seed, found)
    _published(days, seed, found)
    spent = found.extra["one decision, 200 operators and 600 lines"] = cost()
    if spent["percent_of_a_second"] > ALLOWED_COST:
        found.missed.append(f"one decision: {spent['percent_of_a_second']:.1f} % of a second")
    return _result(came, days, {**found.extra, "missed": found.missed})
