"""A call centre's year: 20 users, 40 lists, and the ledger of all their days (issue 4).

`Year.begin` makes people, projects and empty lists; `fill` adds a span of days with its customers:
each list's import, each operator's day call by call, and what a saved result leaves behind, written
in bulk but as the services would leave it: flags and counters of `services.figures`, open and done
tasks, bans after which nobody is dialled, sounds kept and destroyed, memos, corrections, intervals
without a gap, the audit log. Left out is what the nights sweep away (events and commands of the
switch). The same seed and span give the same rows.
"""

import random
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select

from bench._columns import NUMBERED
from bench._kinds import KINDS, Kind, Result
from bench._people import People, settle_in
from bench._sheets import sheets
from bench._span import Span
from calltree.db import Store
from calltree.models import ResultStatus, SystemResult
from calltree.services import figures, search
from calltree.services.effects import PROMISES, bans

BARE_FROM = 10_000
"""Records from which indexes had better be made afterwards."""


@dataclass
class Year:
    """The site's people and lists, and how far its ids have come."""

    store: Store
    draw: random.Random
    people: People
    ids: dict[type[Any], int] = field(default_factory=dict)
    results: dict[Kind, Result] = field(default_factory=dict)

    @classmethod
    def begin(cls, store: Store, *, seed: int, now: datetime) -> "Year":
        """Make the site, its people, its projects and their empty lists."""
        draw = random.Random(seed)
        return cls(store, draw, settle_in(store, draw, now))

    def __post_init__(self) -> None:
        with self.store.read() as session:
            known = {row.name: row for row in session.scalars(select(ResultStatus))}
        for kind in KINDS:
            status = known.get(kind.status)
            system = SystemResult(kind.status) if status is None else SystemResult.NONE
            self.results[kind] = Result(
                status.id if status else None,
                system,
                kind.status,
                figures.counts_of(kind.kind, status, system),
                status is not None and status.built_in in PROMISES,
                bans(status),
            )

    def fill(self, *, rows: int, first: date, until: datetime) -> None:
        """Write `rows` records from the morning of `first` until this moment, and their customers.

        Whoever works does so from nine to six on weekdays.
        """
        with self.store.read() as session:
            for model in NUMBERED:
                self.ids[model] = session.scalar(select(func.max(model.id))) or 0
        with sheets(self.store, bare=rows >= BARE_FROM) as sheet:
            Span(self, sheet, rows, first, until).write()
        more = True
        while more:  # as the nights do
            with self.store.write() as session:
                more = search.merge_index(session, pages=2_000)

    def next(self, model: type[Any]) -> int:
        """The next id of a table."""
        self.ids[model] += 1
        return self.ids[model]
