"""Run migrations through the application's engine.

On SQLite they run with foreign keys off, set before BEGIN: a batch migration copies and drops a
table, and with keys on that was seen to delete the rows of its children. The keys are checked
afterwards, before the commit.
"""

from __future__ import annotations

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import JSON, Connection
from sqlalchemy.schema import SchemaItem

from calltree.db import Base, UtcDateTime

# Search indexes that SQLite or Postgres keep by their own means (calltree/models/search.py).
FOREIGN_TABLES = ("customer_search",)


def include_object(
    _item: SchemaItem, name: str | None, kind: str, reflected: bool, _other: SchemaItem | None
) -> bool:
    """Leave out what the models do not describe as tables."""
    foreign = kind in ("table", "index") and str(name).startswith(FOREIGN_TABLES)
    return not (foreign and reflected)


def render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """Write our own column types by their short names."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "calltree.db.UtcDateTime()"
    if kind == "type" and isinstance(item, JSON):
        return "calltree.db.Json"  # its Postgres variant would be written without its import
    return False


def migrate(connection: Connection) -> None:
    """Run what is asked for in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        include_object=include_object,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


def on_sqlite(connection: Connection) -> None:
    """Switch foreign keys off, migrate, check them, switch them on."""
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            migrate(connection)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise RuntimeError(f"the migration would break {len(broken)} references")
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


with current_app.extensions["migrate"].db.engine.connect() as opened:
    if opened.dialect.name == "sqlite":
        on_sqlite(opened)
    else:
        with opened.begin():
            migrate(opened)
