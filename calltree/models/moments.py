"""What is asked of moments and days inside a statement, as each database says it.

All are of Tokyo's clock, which is nine hours ahead all year.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class local_hour(FunctionElement[int]):  # noqa: N801 - stands in statements like func.lower
    """The hour, 0 to 23, of a moment."""

    type = Integer()
    inherit_cache = True


class weekday_of(FunctionElement[int]):  # noqa: N801
    """The weekday of a day, Monday = 0."""

    type = Integer()
    inherit_cache = True


class milliseconds(FunctionElement[int]):  # noqa: N801
    """Whole milliseconds from the first moment to the second."""

    type = Integer()
    inherit_cache = True


@compiles(local_hour, "sqlite")
def _local_hour_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    moment = compiler.process(element.clauses, **given)
    return f"CAST(strftime('%H', {moment}, '+9 hours') AS INTEGER)"


@compiles(local_hour, "postgresql")
def _local_hour_postgres(element: Any, compiler: Any, **given: Any) -> str:
    moment = compiler.process(element.clauses, **given)
    return f"CAST(extract(hour FROM timezone('Asia/Tokyo', {moment})) AS INTEGER)"


@compiles(weekday_of, "sqlite")
def _weekday_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    day = compiler.process(element.clauses, **given)
    return f"((CAST(strftime('%w', {day}) AS INTEGER) + 6) % 7)"


@compiles(weekday_of, "postgresql")
def _weekday_postgres(element: Any, compiler: Any, **given: Any) -> str:
    day = compiler.process(element.clauses, **given)
    return f"(CAST(extract(isodow FROM {day}) AS INTEGER) - 1)"


@compiles(milliseconds, "sqlite")
def _milliseconds_sqlite(element: Any, compiler: Any, **given: Any) -> str:
    # a julian day of SQLite's is exact to the millisecond, its difference only nearly so
    start, end = (f"julianday({compiler.process(part, **given)})" for part in element.clauses)
    return f"CAST(round(({end} - {start}) * 86400000.0) AS INTEGER)"


@compiles(milliseconds, "postgresql")
def _milliseconds_postgres(element: Any, compiler: Any, **given: Any) -> str:
    start, end = (compiler.process(part, **given) for part in element.clauses)
    return f"CAST(round(extract(epoch FROM ({end} - {start})) * 1000) AS BIGINT)"
