"""A day in a call centre to be simulated, and how one is written as JSON.

Every duration is in seconds, every moment of the day in hours from its start, every share a number
between 0 and 1. `docs/reference/pacing-scenarios.md` lists the fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import log, sqrt
from random import Random
from typing import Any

Draw = Callable[[Random], float]


@dataclass(frozen=True, slots=True)
class Law:
    """A distribution of durations. `cv` is standard deviation ÷ mean (lognormal only)."""

    law: str
    mean: float
    cv: float = 1.0
    shape: float = 2.2
    """pareto: the smaller, the heavier the tail; above 1."""

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise ValueError(f"unknown law {self.law}: one of {', '.join(sorted(LAWS))}")
        if self.mean < 0 or self.cv < 0 or self.shape <= 1:
            raise ValueError("a mean and a cv are 0 or more, a shape is above 1")

    def draw(self) -> Draw:
        """A function that draws one duration."""
        return LAWS[self.law](self)


def _lognormal(law: Law) -> Draw:
    if law.mean == 0:
        return _constant(law)
    spread = log(1.0 + law.cv * law.cv)
    middle, sigma = log(law.mean) - spread / 2.0, sqrt(spread)
    return lambda random: random.lognormvariate(middle, sigma)


def _exponential(law: Law) -> Draw:
    return lambda random: random.expovariate(1.0) * law.mean


def _constant(law: Law) -> Draw:
    return lambda _random: law.mean


def _uniform(law: Law) -> Draw:
    return lambda random: random.random() * 2.0 * law.mean


def _pareto(law: Law) -> Draw:
    least = law.mean * (law.shape - 1.0) / law.shape
    return lambda random: least * random.paretovariate(law.shape)


LAWS: dict[str, Callable[[Law], Draw]] = {
    "lognormal": _lognormal,
    "exponential": _exponential,
    "constant": _constant,
    "uniform": _uniform,
    "pareto": _pareto,
}

Steps = tuple[tuple[float, float], ...]
"""(hour, value) in order: the value holds from that hour on; the first hour is 0."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of day."""

    name: str
    operators: Steps
    """How many work."""
    answer_rate: Steps
    """The share of dials that somebody or something answers."""
    talk: Law
    wrap_up: Law
    hours: float = 8.0
    answer_from_s: float = 4.0
    answer_to_s: float = 20.0
    """Answers come evenly between these, counted from the dial."""
    ring_timeout_s: float = 25.0
    fails: float = 0.10
    """The share of dials that end by themselves (busy, not in use) within `fails_within_s`."""
    fails_within_s: float = 4.0
    hold_s: float = 2.0
    """An answered customer whom nobody takes within this is abandoned …"""
    patience: Law | None = None
    """… or hangs up earlier, which is abandoned as well."""
    transfer_s: float = 0.0
    """From the operator's being reserved to their hearing each other; the operator is busy."""
    machines: float = 0.0
    """The share of answers that are machines; they are joined and take `machine_talk`."""
    machine_talk: Law = Law("constant", 8.0)
    breaks: Law | None = None
    """Work between two short breaks of one operator; a break begins after a 後処理."""
    break_length: Law = Law("lognormal", 300.0, 0.5)
    lines: Steps | None = None
    """Lines there are; None: as many as wanted."""

    def __post_init__(self) -> None:
        for steps in (self.operators, self.answer_rate, self.lines):
            if steps is None:
                continue
            if not steps or steps[0][0] != 0 or list(steps) != sorted(steps):
                raise ValueError("steps begin at hour 0 and go on in order")
        if not all(0 <= rate <= 1 for _hour, rate in self.answer_rate):
            raise ValueError("an answer rate is between 0 and 1")
        if self.answer_from_s > self.answer_to_s or self.answer_to_s > self.ring_timeout_s:
            raise ValueError("answers come before the ring time is over")


def from_json(given: dict[str, Any]) -> Scenario:
    """Read a scenario; a plain number stands for steps. ValueError says what is wrong."""
    known = {each.name for each in fields(Scenario)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"unknown fields: {', '.join(unknown)}")
    try:
        return Scenario(**{name: _value(name, value) for name, value in given.items()})
    except TypeError as wrong:
        raise ValueError(str(wrong)) from wrong


def _value(name: str, value: Any) -> Any:
    if name in ("operators", "answer_rate", "lines") and value is not None:
        steps = [[0, value]] if isinstance(value, int | float) else value
        return tuple((float(hour), float(number)) for hour, number in steps)
    if isinstance(value, dict):
        return Law(**value)
    return value


def steady(steps: float) -> Steps:
    """The same all day."""
    return ((0.0, float(steps)),)


def at_hour(steps: Steps, hour: float) -> float:
    """What holds at that hour."""
    value = steps[0][1]
    for since, step in steps:
        if since <= hour:
            value = step
    return value
