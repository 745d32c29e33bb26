"""A simulated day: discrete events, seeded, with any policy that says how many lines to dial.

The same seed gives the same day to the last call. Customers, operators and lines are those of a
`Scenario`; the policy is the production rule (`Ours`) or a peer (`peers`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Protocol

from calltree.pacing.memory import Memory
from calltree.pacing.rule import Rule, Scene, Share, decide
from calltree.pacing.scenario import Scenario, at_hour

QUARTER_S = 900.0
HOUR_S = 3600.0


@dataclass(slots=True)
class View:
    """What a policy sees at one moment."""

    now: float
    ready: int
    signed_in: int
    talking: int
    """Lines of customers who are joined."""
    ringing: Sequence[float]
    """Moments of the dials that still ring, oldest first."""
    waiting: int
    joined: int
    abandoned: int
    lines_free: int | None


class Policy(Protocol):
    """How many lines to dial. A new one is made for every day."""

    every_s: float
    """It is asked this often …"""
    on_events: bool
    """… and, if so, whenever an operator gets ready or a line ends."""
    without_ready: bool
    """Whether it may want to dial although nobody is ready."""

    def lines(self, view: View) -> int:
        """New lines now."""

    def answered(self, after_s: float) -> None:
        """Somebody answered."""

    def silent(self, after_s: float) -> None:
        """A line ended unanswered."""

    def handled(self, length_s: float) -> None:
        """An operator finished talk and 後処理, which took so long."""


class Ours:
    """The production rule, fed as the dialler's loop feeds it."""

    every_s = 1.0
    on_events = True
    without_ready = False

    def __init__(self, rule: Rule, memory: Memory | None = None) -> None:
        self.rule = rule
        self.memory = memory if memory is not None else Memory()
        self.answered = self.memory.answered
        self.silent = self.memory.silent

    def handled(self, length_s: float) -> None:
        """How long operators are busy is not asked for: predicting it gained nothing."""

    def lines(self, view: View) -> int:
        """What `decide` says."""
        now = view.now
        scene = Scene(
            view.ready,
            view.signed_in,
            [now - since for since in view.ringing],
            view.waiting,
            view.lines_free,
        )
        decision = decide(self.rule, scene, Share(view.joined, view.abandoned), self.memory)
        self.memory.braked = decision.braked
        return decision.dial


@dataclass(slots=True)
class Day:
    """What a simulated day came to."""

    dials: int = 0
    joined: int = 0
    abandoned: int = 0
    improper: int = 0
    """Abandoned although somebody was free: must stay 0."""
    worked_s: float = 0.0
    """Talk and 後処理, up to the end of the hours."""
    idle_s: float = 0.0
    """待機."""
    quarters: list[list[int]] = field(default_factory=list)
    """(answers, abandoned) of each quarter of an hour."""

    @property
    def occupancy(self) -> float:
        """Talk and 後処理 as a share of the time signed in."""
        there = self.worked_s + self.idle_s
        return self.worked_s / there if there else 0.0

    @property
    def share(self) -> float:
        """Abandoned ÷ (abandoned + joined)."""
        answers = self.joined + self.abandoned
        return self.abandoned / answers if answers else 0.0


class Simulation:
    """One day being simulated."""

    def __init__(self, scenario: Scenario, policy: Policy, seed: int) -> None:
        self.scenario, self.policy, self.random = scenario, policy, Random(seed)
        self.talk, self.wrap_up = scenario.talk.draw(), scenario.wrap_up.draw()
        self.machine_talk = scenario.machine_talk.draw()
        self.patience = scenario.patience.draw() if scenario.patience else None
        self.work_before_break = scenario.breaks.draw() if scenario.breaks else None
        self.break_length = scenario.break_length.draw()
        self.end = scenario.hours * HOUR_S
        self.day = Day(quarters=[[0, 0] for _ in range(int(-(-self.end // QUARTER_S)))])
        self.events: list[tuple[float, int, Callable[[int], None], int]] = []
        self.number = 0
        self.now = 0.0
        self.ringing: dict[int, float] = {}
        """Line → moment of its dial."""
        self.waiting: dict[int, float] = {}
        """Line → moment of its answer."""
        self.ready: dict[int, float] = {}
        """Operator → ready since; who waits longest is first."""
        self.busy = 0
        self.begun: dict[int, float] = {}
        """Operator → moment of the join."""
        self.busy_lines = 0
        self.next_break: dict[int, float] = {}
        self.wanted = 0
        self.people = 0
        """Who has come and not gone home, on a break or not."""
        self.newest = 0
        self.rate = 0.0
        self.lines_there: int | None = None

    def run(self) -> Day:
        """Simulate from the first tick to the end of the hours."""
        scenario = self.scenario
        steps = (*scenario.operators, *scenario.answer_rate, *(scenario.lines or ()))
        for hour in sorted({hour for hour, _value in steps}):
            self.at(hour * HOUR_S, self.change, 0)
        events, end, every = self.events, self.end, self.policy.every_s
        tick = 0.0
        while True:
            if events and events[0][0] <= tick:
                self.now, _number, do, what = heappop(events)
                if self.now >= end:
                    break
                do(what)
            elif tick < end:
                self.now = tick
                tick += every
                self.ask()
            else:
                break
        self.day.idle_s += sum(end - since for since in self.ready.values())
        return self.day

    def at(self, moment: float, do: Callable[[int], None], what: int) -> None:
        """Let something happen later; of two at one moment the first asked for is first."""
        self.number += 1
        heappush(self.events, (moment, self.number, do, what))

    def ask(self) -> None:
        """Ask the policy, and dial."""
        if not self.ready and not self.policy.without_ready:
            return
        free = None
        if self.lines_there is not None:
            taken = len(self.ringing) + len(self.waiting) + self.busy_lines
            free = max(0, self.lines_there - taken)
        view = View(
            self.now,
            len(self.ready),
            len(self.ready) + self.busy,
            self.busy_lines,
            list(self.ringing.values()),
            len(self.waiting),
            self.day.joined,
            self.day.abandoned,
            free,
        )
        wanted = self.policy.lines(view)
        for _ in range(wanted if free is None else min(wanted, free)):
            self.dial()

    def dial(self) -> None:
        """Dial one number; what becomes of it is drawn at once."""
        scenario, draw = self.scenario, self.random.random
        self.day.dials += 1
        line = self.number + 1
        self.ringing[line] = self.now
        chance = draw()
        if chance < self.rate:
            span = scenario.answer_to_s - scenario.answer_from_s
            self.at(self.now + scenario.answer_from_s + span * draw(), self.answer, line)
        elif chance < self.rate + scenario.fails:
            self.at(self.now + scenario.fails_within_s * draw(), self.silent, line)
        else:
            self.at(self.now + scenario.ring_timeout_s, self.silent, line)

    def silent(self, line: int) -> None:
        """A line ends without an answer."""
        self.policy.silent(self.now - self.ringing.pop(line))
        if self.policy.on_events:
            self.ask()

    def answer(self, line: int) -> None:
        """Somebody answers: the operator who waits longest is joined, or the customer waits."""
        self.policy.answered(self.now - self.ringing.pop(line))
        self.day.quarters[int(self.now // QUARTER_S)][0] += 1
        if self.ready:
            self.join()
            return
        self.waiting[line] = self.now
        wait = self.scenario.hold_s
        if self.patience is not None:
            wait = min(wait, self.patience(self.random))
        self.at(self.now + wait, self.give_up, line)

    def give_up(self, line: int) -> None:
        """Nobody came in time."""
        if self.waiting.pop(line, None) is None:
            return
        self.day.abandoned += 1
        self.day.quarters[int(self.now // QUARTER_S)][1] += 1
        self.day.improper += bool(self.ready)
        if self.policy.on_events:
            self.ask()

    def join(self) -> None:
        """The operator who waits longest takes a call."""
        operator = next(iter(self.ready))
        self.day.idle_s += self.now - self.ready.pop(operator)
        self.day.joined += 1
        draw = self.random
        if self.scenario.machines and draw.random() < self.scenario.machines:
            talk = self.machine_talk(draw)
        else:
            talk = self.talk(draw)
        talk += self.scenario.transfer_s
        length = talk + self.wrap_up(draw)
        self.begun[operator] = self.now
        self.day.worked_s += min(length, self.end - self.now)
        self.busy += 1
        self.busy_lines += 1
        self.at(self.now + talk, self.hang_up, 0)
        self.at(self.now + length, self.finish, operator)

    def hang_up(self, _what: int) -> None:
        """The customer's line is free; the operator writes."""
        self.busy_lines -= 1

    def finish(self, operator: int) -> None:
        """後処理 is done: on to the next customer, to a break, or home."""
        self.busy -= 1
        self.policy.handled(self.now - self.begun.pop(operator))
        if self.people > self.wanted:
            self.people -= 1
        elif self.work_before_break is not None and self.now >= self.next_break[operator]:
            self.at(self.now + self.break_length(self.random), self.come_back, operator)
        else:
            self.get_ready(operator)

    def come_back(self, operator: int) -> None:
        """A break is over."""
        if self.people > self.wanted:
            self.people -= 1
        else:
            self.set_break(operator)
            self.get_ready(operator)

    def set_break(self, operator: int) -> None:
        """When this operator will want a break."""
        if self.work_before_break is not None:
            self.next_break[operator] = self.now + self.work_before_break(self.random)

    def get_ready(self, operator: int) -> None:
        """待機; a customer who waits already is joined at once."""
        self.ready[operator] = self.now
        if self.waiting:
            del self.waiting[next(iter(self.waiting))]
            self.join()
        elif self.policy.on_events:
            self.ask()

    def change(self, _what: int) -> None:
        """The hour brings more or fewer people, lines or answers."""
        hour, scenario = self.now / HOUR_S, self.scenario
        self.rate = at_hour(scenario.answer_rate, hour)
        self.lines_there = int(at_hour(scenario.lines, hour)) if scenario.lines else None
        self.wanted = int(at_hour(scenario.operators, hour))
        while self.people > self.wanted and self.ready:
            _operator, since = self.ready.popitem()
            self.day.idle_s += self.now - since
            self.people -= 1
        while self.people < self.wanted:
            self.people += 1
            self.newest += 1
            self.set_break(self.newest)
            self.get_ready(self.newest)


def simulate(scenario: Scenario, policy: Policy, seed: int) -> Day:
    """One day."""
    return Simulation(scenario, policy, seed).run()
