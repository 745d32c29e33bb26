"""Writing many rows at once: COPY on Postgres, executemany on SQLite, past the mapper.

A row is a tuple in the order of the names given, its texts without backslash, tab or line break;
columns that are not named stand as the model's own default leaves them. Moments are written by
`moment`, JSON by `Sheets.json`, truth as 0 and 1.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Index, Table, inspect, text

from calltree.db import Base, Store
from calltree.models.search import POSTGRES_STATEMENTS, SQLITE_STATEMENTS

AT_ONCE = 2_000
"""Lines sent together."""
TOKYO_S = 9 * 3_600
"""The site's days begin so many seconds before those of UTC."""
BULK = ("PRAGMA synchronous=OFF", "PRAGMA cache_size=-1000000", "PRAGMA foreign_keys=OFF")
TRIGGER = next(said for said in SQLITE_STATEMENTS if "customer_search_insert" in said)
SEARCHED = """INSERT INTO customer_search(rowid, folded)
    SELECT id, folded || char(31) || char(31) || number FROM customers WHERE id > ? ORDER BY id"""
SHORT = 16
"""Letters at most of texts whose pairs of letters `QUICK_PAIRS` can tell."""
PAIRS = POSTGRES_STATEMENTS[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
QUICK_PAIRS = f"""CREATE OR REPLACE FUNCTION customer_search_grams(given text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (ARRAY[
    {", ".join(f"substr(given, {place}, 2)" for place in range(1, SHORT))}
    ])[1:length(given) - 1] $$"""
"""The same pairs as `PAIRS`, of short texts without blanks, in a form that Postgres can put into
whoever calls it: a call for each of millions of rows was most of the time of a load."""
LONG_OR_PARTED = f"SELECT id FROM customers WHERE length(folded) > {SHORT} OR folded ~ E'[ \\x1f]'"
USUAL = ("PRAGMA synchronous=FULL", "PRAGMA cache_size=-16000", "PRAGMA foreign_keys=ON")
"""As `calltree.db.prepare_sqlite` sets them."""


def moment(seconds: float) -> str:
    """A moment as both databases read it: UTC, to the microsecond."""
    minute, rest = divmod(round(seconds * 1_000_000), 60_000_000)
    return f"{_minute(minute)}:{rest // 1_000_000:02}.{rest % 1_000_000:06}"


@lru_cache(1_000)
def _minute(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}"


def start_day(seconds: float) -> str:
    """The site day of a moment."""
    return _day((int(seconds) + TOKYO_S) // 86_400)


@lru_cache(1_000)
def _day(day: int) -> str:
    return str(date.fromordinal(date(1970, 1, 1).toordinal() + day))


class Sheets:
    """One transaction of bulk writing."""

    def __init__(self, link: Connection) -> None:
        self.link = link
        self.postgres = link.dialect.name == "postgresql"

    def json(self, value: Any) -> str:
        """As the mapper would write it."""
        return json.dumps(value, ensure_ascii=not self.postgres)

    def write(self, model: type[Base], names: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write rows of one table; `names` are its columns, with blanks between."""
        table = model.__table__
        assert isinstance(table, Table)
        given = names.split()
        rest = {column.name: _default(column) for column in table.columns}
        unnamed = [
            name
            for name, value in rest.items()
            if name not in given and value is not None  # NULL is what is not written
        ]
        tail = tuple(rest[name] for name in unnamed)
        columns = [*given, *unnamed]
        if self.postgres:
            self._copy(table.name, columns, rows, tail)
            return
        places = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places})"
        cursor = self.link.connection.cursor()
        cursor.executemany(statement, (row + tail for row in rows))

    def _copy(
        self, table: str, columns: list[str], rows: Iterable[tuple[Any, ...]], tail: Any
    ) -> None:
        ending = "".join(f"\t{_said(value)}" for value in tail) + "\n"
        cursor: Any = self.link.connection.cursor()
        lines = (
            "\t".join([one if one.__class__ is str else _said(one) for one in row]) for row in rows
        )
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            while some := list(islice(lines, AT_ONCE)):
                copy.write(ending.join([*some, ""]))


def _said(value: Any) -> str:
    """As COPY reads it; our own texts have no backslash, tab or line break."""
    if value is None:
        return r"\N"
    return f"\\\\x{value.hex()}" if value.__class__ is bytes else str(value)


def _default(column: Any) -> Any:
    given = column.default.arg if column.default is not None else None
    if callable(given):
        given = given(None)
    if isinstance(given, dict | list):
        return json.dumps(given)
    if isinstance(given, Enum):
        return given.value
    return int(given) if isinstance(given, bool) else given


@contextmanager
def sheets(store: Store, *, bare: bool) -> Iterator[Sheets]:
    """Write in one transaction; `bare`: so many rows that indexes had better be made afterwards.

    Rows may point at ones that are written later: on SQLite the keys are checked at the end, on
    Postgres (as a superuser, who alone may switch that off) not at all.
    """
    tables = [table for table in Base.metadata.sorted_tables if bare]
    with _written(store) as link:
        postgres = link.dialect.name == "postgresql"
        if postgres:
            link.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
            link.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
            if link.scalar(text("SELECT current_setting('is_superuser')")) == "on":
                link.exec_driver_sql("SET LOCAL session_replication_role = replica")
        indexes = [index for table in tables for index in sorted(table.indexes, key=_name)]
        for index in indexes:
            index.drop(link)
        if postgres and bare:
            link.exec_driver_sql("DROP INDEX customer_search_ix")
        with _searched_at_once(link):
            yield Sheets(link)
        for index in indexes:
            index.create(link)
        if not postgres:
            astray = link.exec_driver_sql("PRAGMA foreign_key_check").first()
            assert astray is None, astray
        if postgres:
            if bare:
                _index_search(link)
            _set_sequences(link)
    if postgres:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.exec_driver_sql("VACUUM ANALYZE")


@contextmanager
def _written(store: Store) -> Iterator[Connection]:
    """One transaction; SQLite keeps it in memory until its end and does not wait for the disk.

    It looks at no key meanwhile: without indexes it would read a whole table for each row that
    others point at.
    """
    with store.engine.execution_options(calltree_writes=True).connect() as link:
        driver: Any = link.connection.driver_connection
        lite = link.dialect.name == "sqlite"
        for pragma in BULK if lite else ():
            driver.execute(pragma)
        try:
            with link.begin():
                yield link
        finally:
            for pragma in USUAL if lite else ():
                driver.execute(pragma)


@contextmanager
def _searched_at_once(link: Connection) -> Iterator[None]:
    """Let SQLite take all new customers into its search index in one statement.

    Between statements, those of a trigger too, FTS5 writes out what it holds: a segment a row.
    """
    if link.dialect.name != "sqlite":
        yield
        return
    newest = link.scalar(text("SELECT coalesce(max(id), 0) FROM customers"))
    link.exec_driver_sql("DROP TRIGGER customer_search_insert")
    yield
    link.exec_driver_sql(SEARCHED, (newest,))
    link.exec_driver_sql(TRIGGER)


def _index_search(link: Connection) -> None:
    """Make the search index on Postgres, by the quick function where that says the same."""
    if link.exec_driver_sql(f"{LONG_OR_PARTED} LIMIT 1").first() is not None:
        link.exec_driver_sql(POSTGRES_STATEMENTS[-1])
        return
    link.exec_driver_sql(QUICK_PAIRS)
    link.exec_driver_sql(POSTGRES_STATEMENTS[-1])
    quick = _pairs_of_some(link)
    link.exec_driver_sql(PAIRS)
    assert _pairs_of_some(link) == quick


def _pairs_of_some(link: Connection) -> list[list[str]]:
    some = "SELECT customer_search_grams(folded) FROM customers ORDER BY id LIMIT 1000"
    return [sorted(pairs) for pairs in link.exec_driver_sql(some).scalars()]


def _name(index: Index) -> str:
    return str(index.name)


def _set_sequences(link: Connection) -> None:
    """Let the next row of each table be numbered after those that brought their number along."""
    for table in inspect(link).get_table_names():
        if "id" in {column["name"] for column in inspect(link).get_columns(table)}:
            link.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "
                    f"(SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
                )
            )
