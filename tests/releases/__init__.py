"""What sites of earlier releases have in their tables: one file for each revision people came from.

A file is what `tests/pages/world.py` made on that release, as plain values. It is read without the
models, which know later tables and columns than the release did.

    python -m tests.releases      # keeps the present one, before the next migration is written
"""

import base64
import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Date, DateTime, LargeBinary, MetaData, Table, Time, select, text

FOLDER = Path(__file__).parent
OURS_ALONE = ("alembic_version", "customer_search")
"""The revision itself, and the search index, which triggers keep."""


def revisions() -> list[str]:
    """Those of which a site was kept."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def tables(connection: Connection) -> dict[str, Table]:
    """The tables as they are in this database, referenced ones first."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _of: not name.startswith(OURS_ALONE))
    return {table.name: table for table in found.sorted_tables}


def read(connection: Connection, table: Table) -> list[dict[str, Any]]:
    """All rows, as they stand in a file."""
    rows = connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def load(connection: Connection, revision: str) -> dict[str, list[dict[str, Any]]]:
    """Fill the empty tables of that revision; gives what was in the file."""
    kept: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / f"{revision}.json").read_text())
    there = tables(connection)
    for name, table in there.items():
        if rows := kept.get(name):
            connection.execute(table.insert(), [_typed(table, row) for row in rows])
        if connection.dialect.name == "postgresql" and "id" in table.columns:
            _count_on(connection, table)
    assert kept.keys() <= there.keys()
    return kept


def _count_on(connection: Connection, table: Table) -> None:
    """Let the next row's id follow the last one's, as it would have."""
    connection.execute(
        text(
            f"SELECT setval(s, greatest((SELECT max(id) FROM {table.name}), 1)) "
            f"FROM pg_get_serial_sequence('{table.name}', 'id') s WHERE s IS NOT NULL"
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (
            (value if value.tzinfo is None else value.astimezone(UTC))
            .replace(tzinfo=None)
            .isoformat()
        )
    if isinstance(value, date | time):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _typed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {name: _read(table.columns[name].type, value) for name, value in row.items()}


def _read(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if kind.timezone else moment
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    if isinstance(kind, Time):
        return time.fromisoformat(value)
    return base64.b64decode(value) if isinstance(kind, LargeBinary) else value
