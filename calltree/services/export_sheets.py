"""What both exports share: the layout of a table, and how values are written in it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from json import loads
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import (
    SYSTEM_RESULT_NAMES,
    AttributeItem,
    CustomerList,
    ItemKind,
    ItemTarget,
    Project,
    ProjectItem,
    ResultStatus,
    User,
)
from calltree.services import names
from calltree.text.sheets_out import split_cell

PAGE = 4000
"""Rows of one read session: some 50 ms of it. They are read in the table's order."""
SCAN = 20_000
"""Rows looked through at once while ids are collected."""
LONG = 100
"""Memos of more than one cell that are read at once."""
KNOWN = 65_536
"""Hours (or minutes) of which the local time is kept."""
YES = "あり"

Reader = Callable[[], AbstractContextManager[Session]]
Row = Sequence[str]


@dataclass(slots=True)
class Sheet:
    """A table on its way out: the header is known, the rows come as they are read."""

    title: str
    header: list[str]
    rows: Iterator[Row]
    expected: int
    """Rows found when it began; those deleted meanwhile are missing."""


@dataclass(slots=True)
class Layout:
    """Which cells a row has: every possible one in order, and which of them were chosen."""

    header: list[str]
    chosen: list[int] | None
    """None: all."""
    memo_cells: int = 1

    def pick(self, rows: Iterable[Row]) -> Iterator[Row]:
        if self.chosen is None:
            return iter(rows)
        if len(self.chosen) == 1:
            only = self.chosen[0]
            return ([row[only]] for row in rows)
        return map(itemgetter(*self.chosen), rows)

    @property
    def names(self) -> list[str]:
        return self.header if self.chosen is None else [self.header[i] for i in self.chosen]


def layout_of(parts: Sequence[tuple[str, Sequence[str]]], chosen: Collection[str]) -> Layout:
    """Lay out (name to choose by, header cells); nothing chosen means everything."""
    header = [cell for _, cells in parts for cell in cells]
    if not chosen:
        return Layout(header, None)
    groups = [group for group, cells in parts for _ in cells]
    wanted = [place for place, group in enumerate(groups) if group in chosen]
    return Layout(header, wanted or None)


def items_by_name(
    session: Session, target: ItemTarget, projects: set[int] | None
) -> dict[str, list[AttributeItem]]:
    """Attribute items by name; retired ones too, for what was written in them stays.

    One name may stand for a retired item and its successor.
    """
    query = (
        select(AttributeItem)
        .join(ProjectItem, ProjectItem.item_id == AttributeItem.id)
        .where(AttributeItem.target == target)
        .order_by(ProjectItem.project_id, ProjectItem.position, AttributeItem.id)
    )
    if projects is not None:
        query = query.where(ProjectItem.project_id.in_(projects))
    found: dict[str, list[AttributeItem]] = {}
    for item in session.scalars(query):
        same = found.setdefault(item.name, [])
        if item not in same:
            same.append(item)
    return found


def result_names(
    statuses: dict[int, str], chosen: Iterable[int | None], system: Iterable[str]
) -> list[str]:
    """Name results: the status where one is saved, else what the system says."""
    return [
        _SYSTEM_NAMES.get(word, "") if status_id is None else statuses.get(status_id, "")
        for status_id, word in zip(chosen, system, strict=True)
    ]


_SYSTEM_NAMES = {result.value: name for result, name in SYSTEM_RESULT_NAMES.items()}


def item_columns(
    items: Sequence[list[AttributeItem]], kept: Sequence[str]
) -> Iterable[Sequence[str]]:
    """Give a column for each name, from rows' attributes as JSON; most rows have none."""
    if set(kept) == {"{}"}:
        return [[""] * len(kept)] * len(items)
    nothing = [""] * len(items)
    rows = [nothing if text == "{}" else _item_values(items, text) for text in kept]
    return zip(*rows, strict=True)


def _item_values(items: Sequence[list[AttributeItem]], text: str) -> list[str]:
    kept = loads(text)
    return [
        next((text for item in same if (text := _value(item, kept.get(str(item.id))))), "")
        for same in items
    ]


def _value(item: AttributeItem, value: Any) -> str:
    if value in (None, False):
        return ""
    if item.kind is ItemKind.CHECK:
        return YES
    return str(value)


def names_of(
    session: Session, table: type[Project | CustomerList | User | ResultStatus]
) -> dict[int, str]:
    return {row[0]: row[1] for row in session.execute(select(table.id, table.name))}


def slices(ids: array[int], size: int) -> Iterator[array[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def memo_header(cells: int) -> list[str]:
    return [names.MEMO_COLUMN, *(f"{names.MEMO_COLUMN}{n}" for n in range(2, cells + 1))]


def memo_columns(texts: Sequence[str], cells: int) -> Iterable[Sequence[str]]:
    """Give メモ, メモ2, …: as many columns as the longest memo needs."""
    if cells == 1:
        return [texts]
    pieces = ([*split_cell(text), *[""] * cells][:cells] for text in texts)
    return zip(*pieces, strict=True)


class LocalClock:
    """Turns moments in UTC, as text, into 2026/11/22 14:30:05 in the site's zone.

    A calendar is slow and calls crowd into the same hours: each is worked out once. Where clocks
    differ from UTC by parts of an hour, each minute.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        offsets = (datetime(2026, month, 1, tzinfo=zone).utcoffset() for month in (1, 7))
        whole = all(not offset or offset.seconds % 3600 == 0 for offset in offsets)
        self.zone = zone
        self.kept, self.form = (13, "%Y/%m/%d %H") if whole else (16, "%Y/%m/%d %H:%M")
        self.known: dict[str, str] = {}

    def __call__(self, utc: str) -> str:
        return self.column([utc])[0]

    def column(self, moments: Iterable[str | None]) -> list[str]:
        """Turn all of them; where there is none, nothing stands."""
        kept, known = self.kept, self.known
        shown = []
        for utc in moments:
            if not utc:
                shown.append("")
                continue
            beginning = known.get(utc[:kept])
            if beginning is None:
                beginning = self._learn(utc[:kept])
            shown.append(beginning + utc[kept:19])
        return shown

    def _learn(self, beginning: str) -> str:
        if len(self.known) >= KNOWN:
            self.known.clear()
        moment = datetime.fromisoformat(beginning if self.kept == 16 else f"{beginning}:00")
        shown = f"{moment.replace(tzinfo=UTC).astimezone(self.zone):{self.form}}"
        self.known[beginning] = shown
        return shown
