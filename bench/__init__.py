"""Measurements: `python -m bench NAME`, one module a bench, each with `run(options) -> Result`.

A bench measures its own floor in the same run, so that its ratio holds on any machine. Its module's
docstring says what is done, what the floor is, and which way the ratio goes.
"""

import json
from dataclasses import dataclass, field
from typing import Any


class NotHere(SystemExit):
    """What a bench needs is not on this machine; the reason in a sentence."""


@dataclass(frozen=True)
class Options:
    """What may be asked of every bench; each has its own default for `rows` and `database`.

    `scenario` is a JSON file, for `pacing` alone.
    """

    rows: int | None = None
    seed: int = 1
    database: str | None = None
    scenario: str | None = None


@dataclass(frozen=True)
class Result:
    """`value` and `floor` in `unit`, over `n` units of work; `ratio` is the figure with a bound."""

    value: float
    unit: str
    floor: float
    ratio: float
    n: int
    extra: dict[str, Any] = field(default_factory=dict)
    """Further figures; `missed`, where a bench has several clauses, names those not kept."""

    @property
    def missed(self) -> list[str]:
        """The clauses that are not kept, a sentence each; the bench fails if there is one."""
        return list(self.extra.get("missed", ()))

    def line(self, bench: str) -> str:
        """The one line of JSON that ends a bench's output."""
        return json.dumps(
            {
                "bench": bench,
                "value": round(self.value, 3),
                "unit": self.unit,
                "floor": round(self.floor, 3),
                "ratio": round(self.ratio, 3),
                "n": self.n,
                "extra": self.extra,
            },
            ensure_ascii=False,
        )
