"""What a campaign has learnt: how many answer, when they answer, how bold it may be.

`Memory` is plain numbers. It is fed with what ended, one thing after the other, and knows no clock:
it can be kept anywhere as JSON, or be made again from the ledger by feeding the same rows in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from math import sqrt
from typing import Any

LONGEST_S = 90
"""Ring times are kept by the second up to here."""
WINDOW = 600
"""The answer rate is that of about so many finished dials, newer ones counting more."""
PRIOR_DIALS = 15.0
PRIOR_ANSWERS = 3.0
CAUTION = 0.5
"""The answer rate is taken so many standard errors higher than it looks."""
SHAPE_KEPT = 3000.0
"""When the table of ring times holds so many dials, all its counts are halved."""
SHAPE_PRIOR = 20.0
"""The prior table of ring times weighs as much as so many answers and so many silent dials."""
EARLIEST_S, LATEST_S = 2, 20
"""Before anything is known, answers are taken to come evenly between these."""
REDRAW = 25
"""The ring-time curves are drawn again after so many finished dials."""


@dataclass(slots=True)
class Memory:
    """What is known of one campaign; survives the day, halves what is old."""

    ring_timeout_s: int = 25
    finished: int = 0
    """Dials that have ended or were answered, ever."""
    dials: float = 0.0
    answers: float = 0.0
    """The last dials and answers, each worth less with every newer one (WINDOW)."""
    answered_at: list[float] = field(default_factory=lambda: [0.0] * LONGEST_S)
    silent_until: list[float] = field(default_factory=lambda: [0.0] * LONGEST_S)
    """How many were answered, or ended unanswered, in each second after the dial."""
    braked: bool = False
    """Above the limit: 1:1 until well below it (R-DL-4)."""
    _drawn_at: int = -REDRAW
    _still: list[float] = field(default_factory=list)
    _chances_of: int = -1
    _chances: list[float] = field(default_factory=list)

    def answered(self, after_s: float) -> None:
        """Somebody answered, so many seconds after the dial. Machines that are joined count."""
        self._ended(1.0)
        self.answered_at[_second(after_s)] += 1.0

    def silent(self, after_s: float) -> None:
        """A dial ended without an answer: busy, refused, not in use, rung out."""
        self._ended(0.0)
        self.silent_until[_second(after_s)] += 1.0

    def _ended(self, answer: float) -> None:
        fade = 1.0 - 1.0 / WINDOW
        self.dials = self.dials * fade + 1.0
        self.answers = self.answers * fade + answer
        self.finished += 1

    def answer_rate(self) -> float:
        """The share of recent dials that were answered, with a prior of 3 in 15."""
        return (self.answers + PRIOR_ANSWERS) / (self.dials + PRIOR_DIALS)

    def cautious_rate(self) -> float:
        """The answer rate, higher by what is not known of it: few dials, more caution."""
        rate = self.answer_rate()
        return min(0.99, rate + CAUTION * sqrt(rate * (1.0 - rate) / (self.dials + PRIOR_DIALS)))

    def chance_by_age(self) -> list[float]:
        """The chance that a line of age 0, 1, 2 … s that still rings will be answered."""
        if self._chances_of == self.finished:
            return self._chances
        if self.finished - self._drawn_at >= REDRAW:
            self._draw()
        rate = self.cautious_rate()
        odds = rate / (1.0 - rate)
        self._chances = [odds * still / (1.0 + odds * still) for still in self._still]
        self._chances_of = self.finished
        return self._chances

    def _draw(self) -> None:
        """`_still[a]`: how a wait of a seconds changes the odds of an answer."""
        if sum(self.answered_at) + sum(self.silent_until) > SHAPE_KEPT:
            self.answered_at = [count / 2 for count in self.answered_at]
            self.silent_until = [count / 2 for count in self.silent_until]
        early = self.answered_at.copy()
        for second in range(EARLIEST_S, LATEST_S):
            early[second] += SHAPE_PRIOR / (LATEST_S - EARLIEST_S)
        silent = self.silent_until.copy()
        silent[_second(self.ring_timeout_s)] += SHAPE_PRIOR
        answers, rest = _survival(early), _survival(silent)
        # Beyond the longest silence ever seen nothing rings; the curve stays where it was.
        self._still = [a / r if r > 0.0 else 0.0 for a, r in zip(answers, rest, strict=True)]
        self._drawn_at = self.finished

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain numbers."""
        kept = asdict(self)
        return {name: kept[name] for name in kept if not name.startswith("_")}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Memory:
        """The memory that `to_json` gave. What another version wrote is not read: KeyError."""
        return cls(**{name: kept[name] for name in cls().to_json()})


def remembered(ended: Iterable[tuple[bool, float]], ring_timeout_s: int = 25) -> Memory:
    """A memory made again from the ledger: (answered?, seconds after the dial), oldest first."""
    memory = Memory(ring_timeout_s=ring_timeout_s)
    for answered, after_s in ended:
        if answered:
            memory.answered(after_s)
        else:
            memory.silent(after_s)
    return memory


def _second(after_s: float) -> int:
    return min(LONGEST_S - 1, max(0, int(after_s)))


def _survival(counts: list[float]) -> list[float]:
    """`left[a]`: the share of what is counted at or after second a."""
    left, running = [0.0] * len(counts), 0.0
    for second in range(len(counts) - 1, -1, -1):
        running += counts[second]
        left[second] = running
    return [part / running for part in left]
