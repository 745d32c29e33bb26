"""The statements behind the exports' pages, made once for each kind of database.

Each takes one parameter, the page's ids: a JSON text on SQLite, an array on Postgres. So the text
of a statement is the same for every page, and its plan begins at the ids.

Rows come as the driver gives them, no row objects, no conversions: those would cost more than all
the rest of an export. For that every column is plain on both databases: moments are text in UTC
(2026-11-22 05:30:05), JSON is text, enums are their values.
"""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    Text,
    and_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import InstrumentedAttribute, Session

from calltree.models import CallRecord, Customer, ExtraNumber, MemoEntry, Recording, Task
from calltree.services.figures import DIALLED
from calltree.text.sheets_out import CELL_CHARACTERS

Query = Select[*tuple[Any, ...]]
# For one transaction. The last two because a plan that cannot avoid what is switched off looks so
# dear that each page would be compiled, and because workers start slower than a page is read.
_BY_INDEX = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', true)"
    for name, value in {
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
    }.items()
)


@dataclass(frozen=True, slots=True)
class Statements:
    """What a page asks; `services.exports` reads the columns by their places."""

    customers: Query
    memos: Query
    """(customer id, memo): entries oldest first, one line break between."""
    extras: Query
    most_extras: Query
    long_memos: Query
    """Customers whose memo does not fit into one cell."""
    records: Query


def begin_at(session: Session, ids: array[int]) -> dict[str, object]:
    """Give the one parameter of every statement, and have the session's statements begin at it.

    Postgres would else read whole tables for each page of a few thousand rows.
    """
    given = json.dumps(ids.tolist())
    if _is_sqlite(session):
        return {"ids": given}
    session.connection().exec_driver_sql(_BY_INDEX)
    return {"ids": f"{{{given[1:-1]}}}"}


def rows(session: Session, statement: Select[Any] | Query, given: dict[str, object]) -> list[Any]:
    """Run a statement and give its rows as plain tuples."""
    result = session.connection().execute(statement, given)
    return list(result.cursor.fetchall())


def of(session: Session) -> Statements:
    """Return the statements for the session's database."""
    return _statements(_is_sqlite(session))


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _among(wanted: InstrumentedAttribute[Any], sqlite: bool) -> ColumnElement[bool]:
    if sqlite:
        each = func.json_each(bindparam("ids")).table_valued(column("value", Integer))
        return wanted.in_(select(each.c.value))
    # Postgres reads the text of an array; the driver takes ten times as long to write one itself.
    return wanted == func.any(cast(bindparam("ids", type_=String), ARRAY(BigInteger)))


def _utc(moment: InstrumentedAttribute[Any], sqlite: bool) -> ColumnElement[Any]:
    if sqlite:
        return type_coerce(moment, String)
    return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24:MI:SS")


def _json(kept: InstrumentedAttribute[Any], sqlite: bool) -> ColumnElement[Any]:
    return type_coerce(kept, String) if sqlite else cast(kept, Text)


@cache
def _statements(sqlite: bool) -> Statements:
    extras = (
        select(func.count().label("figure"))
        .where(_among(ExtraNumber.customer_id, sqlite))
        .group_by(ExtraNumber.customer_id)
        .subquery()
    )
    length = func.sum(func.length(MemoEntry.text) + 1) - 1  # a line break between
    long_memos = (
        select(MemoEntry.customer_id)
        .where(_among(MemoEntry.customer_id, sqlite))
        .group_by(MemoEntry.customer_id)
        .having(length >= CELL_CHARACTERS)
    )
    return Statements(
        customers=_customers(sqlite),
        memos=_memos(sqlite),
        extras=select(ExtraNumber.customer_id, ExtraNumber.number)
        .where(_among(ExtraNumber.customer_id, sqlite))
        .order_by(ExtraNumber.customer_id, ExtraNumber.position, ExtraNumber.id),
        most_extras=select(func.max(extras.c.figure)),
        long_memos=long_memos,
        records=_records(sqlite),
    )


def _memos(sqlite: bool) -> Query:
    wanted = _among(MemoEntry.customer_id, sqlite)
    if not sqlite:
        between: ColumnElement[str] = aggregate_order_by(literal_column("chr(10)"), MemoEntry.id)
        return (
            select(MemoEntry.customer_id, func.string_agg(MemoEntry.text, between))
            .where(wanted)
            .group_by(MemoEntry.customer_id)
        )
    # SQLite joins in the order in which rows come, and keeps a subquery's order for that.
    entries = (
        select(MemoEntry.customer_id, MemoEntry.text)
        .where(wanted)
        .order_by(MemoEntry.customer_id, MemoEntry.id)
        .subquery()
    )
    return select(
        entries.c.customer_id, func.group_concat(entries.c.text, literal_column("char(10)"))
    ).group_by(entries.c.customer_id)


def _customers(sqlite: bool) -> Query:
    """Customers with who dialled them last and the open task's time."""
    last_dial = and_(
        CallRecord.customer_id == Customer.id,
        CallRecord.started_at == Customer.last_dialled_at,
        CallRecord.kind.in_(DIALLED),
    )
    return (
        select(
            Customer.id,
            Customer.number,
            _json(Customer.cells, sqlite),
            _json(Customer.attributes, sqlite),
            Customer.prospect_level,
            Customer.last_status_id,
            Customer.last_system,
            Customer.cycle,
            Customer.dials,
            Customer.connects,
            _utc(Customer.last_dialled_at, sqlite),
            CallRecord.user_id,
            _utc(Task.due_at, sqlite),
            Customer.short_note,
        )
        .outerjoin(CallRecord, last_dial)
        .outerjoin(Task, and_(Task.customer_id == Customer.id, Task.done_at.is_(None)))
        .where(_among(Customer.id, sqlite))
    )


def _records(sqlite: bool) -> Query:
    return (
        select(
            CallRecord.id,
            CallRecord.kind,
            _utc(CallRecord.started_at, sqlite),
            CallRecord.talk_ms,
            CallRecord.project_id,
            CallRecord.list_id,
            CallRecord.customer_id,
            Customer.number,
            CallRecord.number,
            CallRecord.caller_number_id,
            CallRecord.user_id,
            CallRecord.status_id,
            CallRecord.system,
            _json(CallRecord.attributes, sqlite),
            CallRecord.memo,
            Recording.state,
            Recording.destroyed_reason,
            _utc(Recording.destroyed_at, sqlite),
        )
        .outerjoin(Customer, Customer.id == CallRecord.customer_id)
        .outerjoin(Recording, Recording.record_id == CallRecord.id)
        .where(_among(CallRecord.id, sqlite))
    )
