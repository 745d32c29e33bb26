"""The rows of a checked file as customers that nobody sees yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import insert, inspect, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from calltree.db import Base
from calltree.models import Customer, CustomerList, ExtraNumber, Import
from calltree.services import import_updates
from calltree.services.import_analysis import Analysis
from calltree.services.import_check import GIVEN_CHARACTERS, Action, Extra
from calltree.services.import_writing import Claim
from calltree.text.folding import fold_cells


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file that changes something."""

    index: int
    action: int
    given: str
    cells: list[str]
    texts: dict[str, str]
    """Of a row to UPDATE: header → text."""


def write(claim: Claim, found: Analysis) -> None:
    """Write every good row, with its extra numbers, and what 更新 will overwrite."""
    plan = found.ready[1]
    with claim.write() as session:
        list_id, first = _reserve(session, claim.import_id, len(plan.rows))
    writer = _Writer(claim, found, list_id, first)
    lines = _lines(found)
    while batch := list(islice(lines, claim.pace.rows)):
        writer.write(batch)


def _reserve(session: Session, import_id: int, count: int) -> tuple[int, int]:
    """Set places in the list aside, so that rows added by hand meanwhile stand behind."""
    given = session.get_one(Import, import_id)
    after = session.execute(
        update(CustomerList)
        .where(CustomerList.id == given.list_id)
        .values(next_position=CustomerList.next_position + count)
        .returning(CustomerList.id, CustomerList.next_position)
    ).one()
    return after.id, after.next_position - count


def _lines(found: Analysis) -> Iterator[Line]:
    layout, plan = found.ready
    phone = layout.phone or 0
    overwrites = _merged(found)
    takes = layout.takes
    for index, (_, cells) in enumerate(found.sheet.rows()):
        action = plan.actions[index]
        if action == Action.ADD:
            taken = [cells[place] if place >= 0 else "" for place in takes]
            for place, text in overwrites.get(index, {}).items():
                taken[place] = text
            yield Line(index, action, cells[phone][:GIVEN_CHARACTERS], taken, {})
        elif action == Action.UPDATE:
            texts = {
                name: cells[place]
                for name, place in zip(layout.columns, takes, strict=True)
                if place >= 0 and cells[place].strip()
            }
            yield Line(index, action, "", [], texts)


def _merged(found: Analysis) -> dict[int, dict[int, str]]:
    """For rows of the file that a later row of the same number overwrites: place → text."""
    layout, plan = found.ready
    if not plan.into:
        return {}
    merged: dict[int, dict[int, str]] = {}
    for index, (_, cells) in enumerate(found.sheet.rows()):
        if index in plan.into:
            texts = merged.setdefault(plan.into[index], {})
            for place, source in enumerate(layout.takes):
                if source >= 0 and cells[source].strip():
                    texts[place] = cells[source]
    return merged


class _Writer:
    def __init__(self, claim: Claim, found: Analysis, list_id: int, first: int) -> None:
        self._claim = claim
        self._layout, self._plan = found.ready
        self._list_id = list_id
        self._first = first
        self._now = claim.clock()

    def write(self, batch: list[Line]) -> None:
        added = [line for line in batch if line.action == Action.ADD]
        updated = [line for line in batch if line.action == Action.UPDATE]
        rows = [self._row(line) for line in added]
        extras = {
            self._first + line.index: self._plan.extras[line.index]
            for line in added
            if line.index in self._plan.extras
        }
        with self._claim.write(rows_done=batch[-1].index + 1) as session:
            if rows:
                _insert(session, rows)
            if extras:
                self._add_extras(session, extras)
            if updated:
                import_updates.plan(
                    session,
                    import_id=self._claim.import_id,
                    list_id=self._list_id,
                    columns=self._layout.columns,
                    wanted=[(self._plan.existing[line.index], line.texts) for line in updated],
                )

    def _row(self, line: Line) -> dict[str, Any]:
        return {
            **DEFAULTS,
            "list_id": self._list_id,
            "import_id": self._claim.import_id,
            "position": self._first + line.index,
            "number_given": line.given,
            "number": self._plan.numbers[line.index],
            "cells": line.cells,
            "folded": fold_cells(line.cells),
            "attributes": {},
            "created_at": self._now,
            "updated_at": self._now,
        }

    def _add_extras(self, session: Session, extras: dict[int, tuple[Extra, ...]]) -> None:
        ids = session.execute(
            select(Customer.position, Customer.id).where(
                Customer.list_id == self._list_id,
                Customer.position.in_(extras),
                Customer.import_id == self._claim.import_id,
            )
        ).all()
        session.execute(
            insert(ExtraNumber),
            [
                {
                    "customer_id": customer_id,
                    "number_given": given,
                    "number": number,
                    "label": label,
                    "position": place,
                }
                for position, customer_id in ids
                for place, (given, number, label) in enumerate(extras[position])
            ],
        )


DEFAULTS = {
    column.name: column.default.arg
    for column in inspect(Customer).columns
    if isinstance(column.default, ScalarElementColumnDefault)
}
"""What the model gives a new row: COPY knows nothing of it."""


def _insert(session: Session, rows: list[dict[str, Any]]) -> None:
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.execute(insert(Base.metadata.tables[Customer.__tablename__]), rows)
        return
    names = list(rows[0])
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY customers ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            row["cells"] = json.dumps(row["cells"], ensure_ascii=False)
            row["attributes"] = "{}"
            copy.write_row(list(row.values()))
