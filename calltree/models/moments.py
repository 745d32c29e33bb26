"""What is asked of moments and days inside a statement, as each database says it.

All are of Tokyo's clock, which is nine hours ahead all year. On Postgres `date_part` and not
`extract`: it reckons in floating point, which is enough and a good deal faster.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import NullType


class local_hour(FunctionElement[int]):  # noqa: N801 - stands in statements like func.lower
    """The hour, 0 to 23, of a moment."""

    type = Integer()
    inherit_cache = True


class same_hour(FunctionElement[bool]):  # noqa: N801 - as above
    """Whether two moments lie in one hour of one day."""

    type = Boolean()
    inherit_cache = True


class weekday_of(FunctionElement[int]):  # noqa: N801 - as above
    """The weekday of a day, Monday = 0."""

    type = Integer()
    inherit_cache = True


class milliseconds(FunctionElement[int]):  # noqa: N801 - as above
    """Whole milliseconds from the first moment to the second."""

    type = Integer()
    inherit_cache = True


class one_of_two(FunctionElement[Any]):  # noqa: N801 - as above
    """A condition said in two ways that mean the same: for Postgres, and for SQLite.

    Postgres reads two ranges of an OR by their indexes, and nothing of a set of ids but the whole
    table; SQLite the other way round.
    """

    # of a boolean SQLAlchemy would ask `= 1`, behind which SQLite sees no index
    type = NullType()
    inherit_cache = True


@compiles(one_of_two, "postgresql")
def _one_of_two_postgres(element: Any, compiler: Any, **given: Any) -> str:
    of_postgres, _of_sqlite = element.clauses
    return f"({compiler.process(of_postgres, **given)})"


@compiles(one_of_two, "sqlite")
def _one_of_two_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    _of_postgres, of_sqlite = element.clauses
    return f"({compiler.process(of_sqlite, **given)})"


@compiles(local_hour, "sqlite")
def _local_hour_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    moment = compiler.process(element.clauses, **given)
    return f"CAST(strftime('%H', {moment}, '+9 hours') AS INTEGER)"


@compiles(local_hour, "postgresql")
def _local_hour_postgres(element: Any, compiler: Any, **given: Any) -> str:
    moment = compiler.process(element.clauses, **given)
    return f"CAST(date_part('hour', timezone('Asia/Tokyo', {moment})) AS INTEGER)"


@compiles(same_hour, "sqlite")
def _same_hour_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    hours = (f"strftime('%Y%m%d%H', {compiler.process(part, **given)})" for part in element.clauses)
    return f"({' = '.join(hours)})"


@compiles(same_hour, "postgresql")
def _same_hour_postgres(element: Any, compiler: Any, **given: Any) -> str:
    # hours of all zones of whole hours begin together
    moments = (compiler.process(part, **given) for part in element.clauses)
    hours = (f"floor(date_part('epoch', {moment}) / 3600)" for moment in moments)
    return f"({' = '.join(hours)})"


@compiles(weekday_of, "sqlite")
def _weekday_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    day = compiler.process(element.clauses, **given)
    return f"((CAST(strftime('%w', {day}) AS INTEGER) + 6) % 7)"


@compiles(weekday_of, "postgresql")
def _weekday_postgres(element: Any, compiler: Any, **given: Any) -> str:
    day = compiler.process(element.clauses, **given)
    return f"(CAST(date_part('isodow', {day}) AS INTEGER) - 1)"


@compiles(milliseconds, "sqlite")
def _milliseconds_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    # a julian day of SQLite's is exact to the millisecond, its difference only nearly so
    start, end = (f"julianday({compiler.process(part, **given)})" for part in element.clauses)
    return f"CAST(round(({end} - {start}) * 86400000.0) AS INTEGER)"


@compiles(milliseconds, "postgresql")
def _milliseconds_postgres(element: Any, compiler: Any, **given: Any) -> str:
    start, end = (compiler.process(part, **given) for part in element.clauses)
    return f"CAST(round(date_part('epoch', {end} - {start}) * 1000) AS BIGINT)"
