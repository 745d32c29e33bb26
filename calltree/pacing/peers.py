"""Other diallers' published rules, rebuilt, to be run beside ours in the same simulated days.

Each is written from its documentation or its source as published, not from measurements of it;
what was not published is left at the simplest reading. Times of day are seconds from the start.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from random import Random

from calltree.pacing.rule import round_half_up
from calltree.pacing.simulation import View


class _Peer:
    """What peers have in common: they do not learn from single lines unless they say so."""

    every_s = 1.0
    on_events = False
    without_ready = False

    def answered(self, after_s: float) -> None:
        """Somebody answered."""

    def silent(self, after_s: float) -> None:
        """A line ended unanswered."""

    def handled(self, length_s: float) -> None:
        """An operator finished talk and 後処理."""


class FixedMultiple(_Peer):
    """BlueBean, and the replaced product's 2× and 3×: total lines = round(k × free operators).

    https://bluebean365.jp/faq/predictive-call-calculation-method
    """

    def __init__(self, multiplier: str) -> None:
        self.multiplier = Decimal(multiplier)

    def lines(self, view: View) -> int:
        """New lines now."""
        in_flight = len(view.ringing) + view.waiting
        return max(0, round_half_up(self.multiplier, view.ready) - in_flight)


class Vicidial(_Peer):
    """VICIdial's ADAPT_HARD_LIMIT, ADAPT_AVERAGE and ADAPT_TAPERED.

    AST_VDauto_dial.pl and AST_VDadapt.pl: every 2.5 s `round(level × agents)` less the calls under
    way is placed; agents are those ready and those whose customer is still there, or (available
    only) those ready. Every 15 s the level grows by (mean(ready) − mean(waiting)) ÷ mean(agents);
    while the day's share (looked at every minute, from 50 answers on) is above the limit it is then
    set to 1 (hard), halved (average), or shrunk by how much of the shift is over (tapered). More
    than 20 calls in a minute, over half of them dropped, halve it too.
    """

    every_s = 2.5
    limit = 0.03
    most = 3.0
    shift_s = 8 * 3600.0

    def __init__(self, adapt: str = "hard", available_only: bool = False) -> None:
        if adapt not in ("hard", "average", "tapered"):
            raise ValueError(f"no such adapt mode: {adapt}")
        self.adapt, self.available_only = adapt, available_only
        self.without_ready = not available_only
        self.level = 1.0
        self.samples: deque[tuple[int, int, int]] = deque(maxlen=15)
        self.next_adapt, self.next_check = 15.0, 60.0
        self.minute = (0, 0)
        self.over = False

    def lines(self, view: View) -> int:
        """New lines now."""
        agents = view.ready if self.available_only else view.ready + view.talking
        self.samples.append((view.ready, view.waiting, view.ready + view.talking))
        if view.now >= self.next_adapt:
            self.next_adapt = view.now + 15.0
            self._adapt(view.now)
        if view.now >= self.next_check:
            self.next_check = view.now + 60.0
            self._check(view)
        under_way = len(view.ringing) + view.waiting
        if not self.available_only:
            under_way += view.talking
        return max(0, round(self.level * agents) - under_way)

    def _adapt(self, now: float) -> None:
        ready, waiting, agents = (sum(each) for each in zip(*self.samples, strict=True))
        change = (ready - waiting) / agents if agents else 0.0
        self.level = min(self.most, max(1.0, self.level * (1.0 + change)))
        if self.over and self.adapt == "hard":
            self.level = 1.0
        elif self.over and self.adapt == "average":
            self.level = max(1.0, self.level / 2.0)
        elif self.over:
            self.level = max(1.0, self.level * (1.0 - now / self.shift_s))

    def _check(self, view: View) -> None:
        answers = view.joined + view.abandoned
        calls, dropped = answers - self.minute[0], view.abandoned - self.minute[1]
        self.minute = (answers, view.abandoned)
        if calls > 20 and dropped * 2 > calls:
            self.level = max(1.0, self.level / 2.0)
        self.over = answers > 50 and view.abandoned / answers > self.limit


class Impact(_Peer):
    """Impact Dialing: replays its last 100 attempts at six levels every minute, keeps the best.

    app/models/predictive.rb, simulated_values.rb: four minutes in steps of a second; among levels
    from 1 to 1 ÷ answer rate the one with the most talk whose abandoned share is below the limit.
    1 below five operators or 50 attempts. Above the limit the level is taken × 0.75. Each second:
    level × available − ringing − presented.
    """

    limit = 0.03
    steps = 240

    def __init__(self, seed: int = 0) -> None:
        self.random = Random(seed)
        self.attempts: deque[tuple[bool, int]] = deque(maxlen=100)
        self.lengths: deque[int] = deque(maxlen=100)
        self.next_replay = 60.0
        self.level = 1.0

    def answered(self, after_s: float) -> None:
        """Somebody answered."""
        self.attempts.append((True, max(1, round(after_s))))

    def silent(self, after_s: float) -> None:
        """A line ended unanswered."""
        self.attempts.append((False, max(1, round(after_s))))

    def handled(self, length_s: float) -> None:
        """An operator finished talk and 後処理."""
        self.lengths.append(max(1, round(length_s)))

    def lines(self, view: View) -> int:
        """New lines now."""
        if view.now >= self.next_replay:
            self.next_replay = view.now + 60.0
            self.level = self._best(view.signed_in)
        level = self.level
        answers = view.joined + view.abandoned
        if answers and view.abandoned / answers > self.limit:
            level = max(1.0, level * 0.75)
        return max(0, round(level * view.ready) - len(view.ringing) - view.waiting)

    def _best(self, agents: int) -> float:
        if agents < 5 or len(self.attempts) < 50 or not self.lengths:
            return 1.0
        answers = sum(answered for answered, _ring in self.attempts)
        if not answers:
            return 1.0
        highest = len(self.attempts) / answers
        best, most = 1.0, -1
        for part in range(6):
            level = 1.0 + (highest - 1.0) * part / 5
            used, share = self._replay(agents, level)
            if used > most and share < self.limit:
                best, most = level, used
        return best

    def _replay(self, agents: int, level: float) -> tuple[int, float]:
        """Operator seconds used, and the abandoned share, of four minutes at a level."""
        free, ringing, used, joined, abandoned = agents, 0, 0, 0, 0
        ends: list[list[bool]] = [[] for _ in range(self.steps)]
        back = [0] * self.steps
        draw, lengths = self.random.choice, list(self.lengths)
        attempts = list(self.attempts)
        for now in range(self.steps):
            free += back[now]
            for answered in ends[now]:
                ringing -= 1
                if answered and free:
                    free, joined, length = free - 1, joined + 1, draw(lengths)
                    used += min(length, self.steps - now)
                    if now + length < self.steps:
                        back[now + length] += 1
                elif answered:
                    abandoned += 1
            for _ in range(max(0, round(level * free) - ringing)):
                answered, ring = draw(attempts)
                ringing += 1
                if now + ring < self.steps:
                    ends[now + ring].append(answered)
        return used, abandoned / (joined + abandoned) if joined else 0.0
