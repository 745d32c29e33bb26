"""Exports as tables, and the records they tell of."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import (
    CallRecord,
    Customer,
    MemoEntry,
    Role,
)
from calltree.services import exports, figures
from calltree.services.criteria import Criteria
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.rights import Viewer
from calltree.text.sheets_out import CsvTable
from tests.factories import (
    NOW,
    make_record,
    make_site,
    make_user,
    viewer_of,
)

TOKYO = ZoneInfo("Asia/Tokyo")
ALL = HistoryCriteria(span=Span.ALL)


@contextmanager
def floor(store: Store) -> Iterator[tuple[Session, Viewer]]:
    with store.write() as session:
        make_site(session)
        yield session, viewer_of(make_user(session, Role.MANAGER))


def said(session: Session, customer: Customer, **given: Any) -> CallRecord:
    """A saved record that counts."""
    record = make_record(session, customer, **given)
    figures.settle(session, record=record, now=NOW)
    return record


def memo(session: Session, customer: Customer, text: str) -> None:
    session.add(MemoEntry(customer_id=customer.id, at=NOW, text=text))
    session.flush()


def sheet_of(sheet: exports.Sheet) -> list[list[str]]:
    """The table after its way through a file, as a person opens it."""
    data = b"".join(CsvTable().chunks(sheet.header, sheet.rows))
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def customers(store: Store, viewer: Viewer, **given: Any) -> list[list[str]]:
    values: dict[str, Any] = {"criteria": Criteria(), "zone": TOKYO, "now": NOW}
    return sheet_of(exports.customers(store.read, viewer=viewer, **(values | given)))


def records(store: Store, viewer: Viewer, **given: Any) -> list[list[str]]:
    values: dict[str, Any] = {"criteria": ALL, "zone": TOKYO, "now": NOW}
    return sheet_of(exports.records(store.read, viewer=viewer, **(values | given)))


def columns(table: list[list[str]], *wanted: str) -> list[tuple[str, ...]]:
    places = [table[0].index(name) for name in wanted]
    return [tuple(row[place] for place in places) for row in table[1:]]
