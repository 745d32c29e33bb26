"""Quick reads for what somebody waits for: statements compiled once, run by the driver's cursor.

A process that has slept between two calls goes the long way from a statement to its rows through
code that is cold by then, and that takes several times as long as the database. What is asked so
is still written with the models: only the way there is short.
"""

from __future__ import annotations

import os
import threading
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

from sqlalchemy import Dialect, Engine, Select, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler

Link = PoolProxiedConnection | DBAPIConnection


class Kept:
    """A statement that is kept: compiled for a dialect when it is first asked there.

    Its rows are named tuples of its columns. What it binds by name is given with each question.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._forms: dict[str, _Form] = {}

    def form(self, dialect: Dialect) -> _Form:
        """Give the statement as this dialect's driver takes it."""
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _Form(self._statement, dialect)
        return form


Question = tuple[Kept, Mapping[str, Any]]
"""A statement and what it is asked with."""


class Glance:
    """Asks over one connection. Errors of the driver are raised as SQLAlchemy raises them."""

    def __init__(self, link: Link, dialect: Dialect) -> None:
        self.link = link
        self._dialect = dialect

    @classmethod
    def over(cls, session: Session) -> Glance:
        """Ask inside a session's transaction; what it has not flushed yet is not seen."""
        connection = session.connection()
        return cls(connection.connection, connection.dialect)

    def all(self, asked: Kept, **values: Any) -> list[Any]:
        """Return every row."""
        return self.several((asked, values))[0]

    def first(self, asked: Kept, **values: Any) -> Any:
        """Return the first row, or None."""
        rows = self.all(asked, **values)
        return rows[0] if rows else None

    def several(self, *asked: Question) -> list[list[Any]]:
        """Ask several statements at once, and return the rows of each.

        Postgres is asked one way and back: after a rest each way costs more than the statement.
        """
        forms = [(kept.form(self._dialect), values) for kept, values in asked]
        try:
            with self._at_once():
                cursors = [self._run(form, values) for form, values in forms]
            found = [cursor.fetchall() for cursor in cursors]
        except self._dialect.loaded_dbapi.Error as error:
            base = self._dialect.loaded_dbapi.Error
            # without the parameters: numbers are nobody's business in a log
            raise DBAPIError.instance(
                forms[0][0].text, None, error, base, dialect=self._dialect
            ) from error
        return [
            [form.row(row) for row in rows] for (form, _), rows in zip(forms, found, strict=True)
        ]

    def _run(self, form: _Form, values: Mapping[str, Any]) -> Any:
        cursor = self.link.cursor()
        cursor.execute(form.text, form.parameters(values))
        return cursor

    def _at_once(self) -> AbstractContextManager[Any]:
        if self._dialect.name != "postgresql":
            return nullcontext()
        link: Any = self.link
        return cast("AbstractContextManager[Any]", link.pipeline())


class Glances:
    """Connections kept for quick reads beside those of an engine, and closed with them.

    They never begin a transaction: each statement sees a moment of its own. The one that was used
    last is taken first, for it has its statements prepared; that it still lives is not asked, and
    whoever has a dead one is told so by an error.
    """

    def __init__(self, engine: Engine) -> None:
        self._beside = engine
        self._engine: Engine | None = None
        self._born = 0
        self._making = threading.Lock()
        event.listen(engine, "engine_disposed", self._dispose)

    @contextmanager
    def one(self) -> Iterator[Glance]:
        """Give a connection to ask over."""
        engine = self._engine or self._make()
        error_of = engine.dialect.loaded_dbapi.Error
        try:
            link = engine.raw_connection()
        except error_of as error:
            raise DBAPIError.instance(None, None, error, error_of) from error
        try:
            yield Glance(link, engine.dialect)
        finally:
            link.close()  # the pool resets it, and lets go of one that cannot be reset

    def _make(self) -> Engine:
        with self._making:
            if self._engine is None:
                self._born = os.getpid()
                self._engine = create_engine(
                    self._beside.url,
                    isolation_level="AUTOCOMMIT",
                    pool_use_lifo=True,
                    connect_args=_PREPARED_AT_ONCE.get(self._beside.dialect.name, {}),
                )
            return self._engine

    def _dispose(self, _engine: Engine) -> None:
        with self._making:
            engine, self._engine = self._engine, None
            if engine is not None:  # after a fork they are the parent's
                engine.dispose(close=self._born == os.getpid())


_PREPARED_AT_ONCE = {"postgresql": {"prepare_threshold": 0}}


class _Form:
    """What a driver is given, and what becomes of what it gives."""

    def __init__(self, statement: Select[*tuple[Any, ...]], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - as of every SELECT
        asked = {name: None for name, bind in compiled.binds.items() if bind.required}
        form = compiled.construct_expanded_state(asked)  # lists (IN) written out
        process: dict[str, Any] = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for name, bind in compiled.binds.items()
        }
        process.update(form.processors)
        self.text = form.statement
        self._order = form.positiontup
        self._given = {name: process[name] for name in asked}
        self._fixed = {
            name: process[name](value) if process.get(name) else value
            for name, value in form.parameters.items()
            if name not in asked
        }
        columns = statement.selected_columns
        row: Any = namedtuple("Row", columns.keys())  # type: ignore[misc] # as the statement says
        self._make: Callable[[Iterable[Any]], Any] = row._make
        self._processors = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Put what is asked with into the driver's form."""
        named = self._fixed | {
            name: process(values[name]) if process else values[name]
            for name, process in self._given.items()
        }
        return named if self._order is None else [named[name] for name in self._order]

    def row(self, row: tuple[Any, ...]) -> Any:
        """Make a row of ours of what the driver gives."""
        return self._make(
            process(value) if process else value
            for process, value in zip(self._processors, row, strict=True)
        )
