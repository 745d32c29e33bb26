"""How likely is it that more customers answer than operators are free? Exact, and cheap.

Lines answer independently with unequal chances, so the number of answers is a sum of unequal coin
flips. Only "fewer answers than free operators" is ever asked for: the distribution is kept up to
there and no further, one short step for each line.
"""

from __future__ import annotations

from collections.abc import Iterable

Chances = list[float]
"""`chances[j]` is the chance of exactly j answers, for j below the number of free operators."""


def no_lines(free: int) -> Chances:
    """The distribution when nothing rings: no answer, for certain. `free` is at least 1."""
    return [1.0] + [0.0] * (free - 1)


def ring_another(chances: Chances, answers: float) -> None:
    """Take one more line, which will be answered with the chance `answers`, into account."""
    hangs = 1.0 - answers
    for j in range(len(chances) - 1, 0, -1):
        chances[j] = chances[j] * hangs + chances[j - 1] * answers
    chances[0] *= hangs


def all_taken(free: int, lines: Iterable[float]) -> Chances:
    """The distribution for lines that ring already."""
    if free == 1:  # the commonest case, and only "nobody answers" matters
        nobody = 1.0
        for answers in lines:
            nobody *= 1.0 - answers
        return [nobody]
    chances = no_lines(free)
    filled = 1
    for answers in lines:
        if answers <= 0.0:
            continue
        hangs = 1.0 - answers
        if filled < free:
            filled += 1
        j = filled - 1
        while j:
            chances[j] = chances[j] * hangs + chances[j - 1] * answers
            j -= 1
        chances[0] *= hangs
    return chances


def nobody_free(chances: Chances) -> float:
    """The chance that one more customer who answers finds every operator taken."""
    return max(0.0, 1.0 - sum(chances))
