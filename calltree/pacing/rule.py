"""How many lines to dial now: one pure function, `decide`, for every dialling mode (R-DL-1, 4, 8).

Nothing here knows a clock, a database or a switch. The dialler's loop, the simulator and the page
"what would 2× do to us?" all call this function.

**The adaptive rule.** Every line that rings is a coin whose chance falls with its age (`memory`).
One more line is dialled while the chance that its customer would find nobody free, because as many
customers as there are operators answered before, is at most the accepted risk. The accepted risk
follows the day's account: how many more may be abandoned before the limit is reached
(`accepted_risk`). The manager's multiplier is a ceiling over all of it. One line for each ready
operator is always allowed: nobody can be abandoned so while the operators stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from calltree.pacing.memory import LONGEST_S, Memory
from calltree.pacing.risk import all_taken, nobody_free, ring_another

PSEUDO_ANSWERS = 50
PSEUDO_SHARE = 0.6
"""The share is smoothed with so many answers at this part of the limit (R-DL-4)."""
RETURN_SHARE = 0.9
"""1:1 for being over the limit ends below this part of it."""
LEARNING_DIALS = 30
"""Fewer finished dials than this and the answer rate is not known: 1:1."""
SMALLEST_TEAM = 3
"""Fewer operators than this have no crowd that evens out chance: adaptive dials 1:1."""
MINIMUM_RING_S = 15
"""Ringing shorter than this and hanging up is a ワン切り; nothing may set it lower."""

RESERVE_CALLS = 4.0
RESERVE_SHARE = 0.13
"""The account is even while so many abandoned calls are left below the limit: four, or this part
of what the limit allows on a long day. A day so steered ends near 0.87 × limit."""
EVEN_RISK = 2.0
"""The accepted risk with an even account, as a multiple of the limit: 6 % for 3 %."""
LEAST_RISK, MOST_RISK = 0.0005, 0.4
LINES_EACH = 20
"""Without a ceiling of the manager's: no more lines than this for each ready operator."""


class Mode(StrEnum):
    """R-DL-1. 2× and 3× are FIXED with that multiplier."""

    PREVIEW = "preview"
    PROGRESSIVE = "progressive"
    FIXED = "fixed"
    ADAPTIVE = "adaptive"


@dataclass(frozen=True, slots=True)
class Rule:
    """A campaign's settings. Seconds; `limit` is a share (0.03)."""

    mode: Mode
    multiplier: Decimal | None = None
    """FIXED: k. ADAPTIVE: the ceiling, None for no other ceiling than the lines."""
    limit: float = 0.03
    minimum_ring_s: int = MINIMUM_RING_S
    ring_timeout_s: int = 25

    def __post_init__(self) -> None:
        if self.mode is Mode.FIXED and self.multiplier is None:
            raise ValueError("a fixed ratio needs its multiplier")
        if self.multiplier is not None and not (
            self.multiplier.is_finite() and self.multiplier >= 1
        ):
            raise ValueError("a multiplier is 1 or more")
        if not 0 < self.limit < 1:
            raise ValueError("the limit is a share between 0 and 1")
        if self.minimum_ring_s < MINIMUM_RING_S or self.ring_timeout_s < self.minimum_ring_s:
            raise ValueError("customers are let ring for 15 s at least")


@dataclass(frozen=True, slots=True)
class Scene:
    """What is so at this moment, counted from rows."""

    ready: int
    """Operators in 待機, reserved for nobody."""
    signed_in: int
    """Operators who work in this campaign now: ready, in a call, in 後処理."""
    ringing: Sequence[float]
    """Of each line dialled and not yet answered: seconds since its dial. Queued ones too."""
    waiting: int = 0
    """Customers who answered and are not joined, nor is an operator reserved for them."""
    lines_free: int | None = None
    """How many more lines the gate would give; None where nothing limits them."""
    dials_left: int | None = None
    """How many dials the trunk's calls per second still allow now."""
    numbers_left: int | None = None
    """Customers who may be dialled now, if so few that it matters."""
    settling: bool = False
    """The loop has just taken over: it paces 1:1 until it has heard enough."""

    @property
    def in_flight(self) -> int:
        """Lines ringing, or answered and not joined (R-DL-1)."""
        return len(self.ringing) + self.waiting


@dataclass(frozen=True, slots=True)
class Share:
    """Abandoned share of one campaign and site day (R-DL-4)."""

    joined: int = 0
    abandoned: int = 0

    @property
    def answers(self) -> int:
        """What it is a share of."""
        return self.joined + self.abandoned

    @property
    def raw(self) -> float | None:
        """Abandoned ÷ (abandoned + joined); None before the first answer."""
        return self.abandoned / self.answers if self.answers else None

    def smoothed(self, limit: float) -> float:
        """The share with 50 pseudo-answers at 0.6 × limit: the mean of a beta posterior."""
        pseudo = PSEUDO_ANSWERS * PSEUDO_SHARE * limit
        return (self.abandoned + pseudo) / (self.answers + PSEUDO_ANSWERS)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and why."""

    dial: int
    """So many new lines now."""
    ceiling: int
    """Lines in flight that this scene allows in all, whatever else limits them."""
    reason: str
    """A code of `words.SENTENCES`."""
    values: Mapping[str, str | int] = field(default_factory=dict)
    """What the sentence is filled with."""
    braked: bool = False
    """To be kept as `Memory.braked`: whether the limit holds the campaign at 1:1."""


def round_half_up(multiplier: Decimal, ready: int) -> int:
    """Lines for so many ready operators, as BlueBean counts: 1.5 × 1 … 5 is 2, 3, 5, 6, 8."""
    return int((multiplier * ready).to_integral_value(ROUND_HALF_UP))


def over_limit(share: Share, limit: float, braked: bool) -> bool:
    """Whether a campaign is held at 1:1: from above the limit until below 0.9 × limit."""
    return share.smoothed(limit) > (limit * RETURN_SHARE if braked else limit)


def calls_left(share: Share, limit: float) -> float:
    """How many more customers may be abandoned before the smoothed share reaches the limit."""
    pseudo = PSEUDO_ANSWERS * (1.0 - PSEUDO_SHARE)
    return limit * (share.answers + pseudo) - share.abandoned


def accepted_risk(share: Share, limit: float) -> float:
    """The chance of finding nobody that one more customer may be exposed to.

    It goes with the square of what is left of the day's account, in reserves: much left, bolder;
    nothing left, as good as 1:1. So the day's share is steered towards the limit from below, and a
    campaign is seldom held at 1:1 for having crossed it. A new day begins with little left.
    """
    reserve = max(RESERVE_CALLS, RESERVE_SHARE * limit * share.answers)
    left = max(0.0, calls_left(share, limit)) / reserve
    return min(MOST_RISK, max(LEAST_RISK, EVEN_RISK * limit * left * left))


def decide(rule: Rule, scene: Scene, share: Share, memory: Memory) -> Decision:
    """How many lines to dial now. The same inputs give the same answer; nothing is changed."""
    braked = over_limit(share, rule.limit, memory.braked)
    if rule.mode is Mode.PREVIEW:
        return Decision(0, 0, "pacing_preview", braked=braked)
    if scene.ready <= 0:
        return Decision(0, 0, "pacing_nobody_ready", braked=braked)
    held = _held_at_one_each(rule, scene, share, memory, braked)
    if held is not None:
        bound = held
    elif rule.multiplier is not None:
        bound = _Bound(
            round_half_up(rule.multiplier, scene.ready),
            "pacing_multiplier",
            {"multiplier": f"{rule.multiplier.normalize():f}"},
        )
    else:
        bound = _Bound(LINES_EACH * scene.ready, "pacing_multiplier", {"multiplier": LINES_EACH})
    ceiling = bound.lines
    bound = _outer_bound(scene, bound)
    if rule.mode is Mode.ADAPTIVE and held is None:
        bound = _within_risk(scene, share, memory, rule.limit, bound)
    dial = max(0, bound.lines - scene.in_flight)
    values = {
        "dial": dial,
        "ready": scene.ready,
        "in_flight": scene.in_flight,
        "ceiling": ceiling,
        **bound.values,
    }
    return Decision(dial, ceiling, bound.reason, values, braked)


@dataclass(frozen=True, slots=True)
class _Bound:
    """At most so many lines in flight, and what says so."""

    lines: int
    reason: str
    values: Mapping[str, str | int] = field(default_factory=dict)


def _held_at_one_each(
    rule: Rule, scene: Scene, share: Share, memory: Memory, braked: bool
) -> _Bound | None:
    """One line for each ready operator: by mode, or because more would be a gamble now."""
    if rule.mode is Mode.PROGRESSIVE:
        return _Bound(scene.ready, "pacing_progressive")
    if braked:
        return _Bound(
            scene.ready,
            "pacing_over_limit",
            {
                "abandoned": share.abandoned,
                "answers": share.answers,
                "smoothed": percent(share.smoothed(rule.limit)),
                "below": percent(rule.limit * RETURN_SHARE),
            },
        )
    if scene.settling:
        return _Bound(scene.ready, "pacing_settling")
    if rule.mode is Mode.FIXED:
        return None
    if scene.signed_in < SMALLEST_TEAM:
        return _Bound(scene.ready, "pacing_small_team", {"team": SMALLEST_TEAM})
    if memory.finished < LEARNING_DIALS:
        return _Bound(
            scene.ready,
            "pacing_learning",
            {"finished": memory.finished, "needed": LEARNING_DIALS},
        )
    return None


def _outer_bound(scene: Scene, bound: _Bound) -> _Bound:
    """The tightest of the mode's bound, the lines, the trunk's calls per second, the numbers."""
    outer = (
        ("pacing_no_lines", scene.lines_free),
        ("pacing_dial_rate", scene.dials_left),
        ("pacing_no_numbers", scene.numbers_left),
    )
    for reason, left in outer:
        if left is not None and scene.in_flight + left < bound.lines:
            bound = _Bound(scene.in_flight + max(0, left), reason)
    return bound


def _within_risk(scene: Scene, share: Share, memory: Memory, limit: float, bound: _Bound) -> _Bound:
    """As many lines as the accepted risk allows, and the bound at most."""
    if scene.in_flight >= bound.lines:
        return bound
    free = scene.ready - scene.waiting
    if free <= 0:
        return _Bound(scene.in_flight, "pacing_waiting", {"waiting": scene.waiting})
    by_age = memory.chance_by_age()
    new = by_age[0]  # two clocks differ, or a line hangs: taken for the likeliest to be answered
    ringing = [by_age[int(age)] if 0.0 <= age < LONGEST_S else new for age in scene.ringing]
    chances = all_taken(free, ringing)
    accepted, lines, risk = accepted_risk(share, limit), scene.in_flight, nobody_free(chances)
    while lines < bound.lines and risk <= accepted:
        ring_another(chances, new)
        lines, risk = lines + 1, nobody_free(chances)
    if lines == bound.lines:
        return bound
    return _Bound(lines, "pacing_risk", {"risk": percent(risk), "accepted": percent(accepted)})


def percent(share: float) -> str:
    """A share as the sentence prints it: 0.0275 is 2.8."""
    return f"{share * 100:.1f}"
