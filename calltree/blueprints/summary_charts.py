"""Small charts of 集計: bars as numbers for an SVG, which needs neither style nor script."""

from __future__ import annotations

from dataclasses import dataclass

from calltree.blueprints.summary_columns import labels
from calltree.services.summaries import Summary
from calltree.services.summary_criteria import Axis

MOST_BARS = 62
HEIGHT = 96
WIDTH = 960
_TICKS = 12
_GAP = 0.3
_BORDER = 40
"""Half of the longest tick."""
_FEWEST = 10
"""Bars that would fill the width; fewer are not drawn wider."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the table: calls, and in front of them connects."""

    x: float
    width: float
    dials: float
    connects: float
    """Heights."""
    title: str
    tick: str
    """What stands under it; empty under most where there are many."""

    @property
    def anchor(self) -> tuple[float, str]:
        """Where the tick is set, and by which end: at the borders a name would be cut off."""
        if self.x < _BORDER:
            return self.x, "start"
        if self.x + self.width > WIDTH - _BORDER:
            return self.x + self.width, "end"
        return self.x + self.width / 2, "middle"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart's bars, and what its highest one counts."""

    bars: list[Bar]
    most: int
    width: int = WIDTH
    height: int = HEIGHT


def chart(table: Summary) -> Chart | None:
    """Draw a table of one axis that has a few lines; None for others."""
    if table.criteria.then or not 1 < len(table.lines) <= MOST_BARS:
        return None
    most = max(line.figures.dials for line in table.lines)
    if not most:
        return None
    step = WIDTH / max(len(table.lines), _FEWEST)
    every = -(-len(table.lines) // _TICKS)
    bars = []
    for place, line in enumerate(table.lines):
        name, figures = labels(table, line)[0], line.figures
        bars.append(
            Bar(
                x=round(place * step + step * _GAP / 2, 1),
                width=round(step * (1 - _GAP), 1),
                dials=round(figures.dials / most * HEIGHT, 1),
                connects=round(figures.connects / most * HEIGHT, 1),
                title=f"{name}  {figures.dials:,} / {figures.connects:,}",
                tick=_short(table, name) if place % every == 0 else "",
            )
        )
    return Chart(bars, most)


def _short(table: Summary, name: str) -> str:
    if table.criteria.by is Axis.DAY:
        return name[5:10]  # 2026/11/24(火) → 11/24
    return name if len(name) <= 8 else name[:7] + "…"
