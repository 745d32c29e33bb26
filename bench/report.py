"""集計: a month by user and day over a ledger of 2,000,000 records on Postgres, 300,000 on SQLite.

Work: the table as a manager asks for it (`summaries.summary`): counts, talk and conversions of the
records, wrap-up, idle and working time of the intervals, names, totals. Floor: the one SQL
statement that gives the same figures, its rows fetched and dropped, on a connection of its own.
`value` and `floor` are medians in ms of a month of the full ledger; `ratio` = value / floor, at
most 2. `extra.growth` is the same month's time in a ledger of 2,000,000 against one of 200,000 (ten
months against one, a month being 200,000), at most 2. The statements are counted too.

A month has 20 users, 22 days and as many intervals of the operators as they make (three a call).
"""

import random
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from bench import Options, Result, _months
from bench._stores import median_ms, stores
from bench._walk import statements
from bench.search import ground
from calltree.db import Store
from calltree.models import CustomerList, Project, Role, User
from calltree.services import summaries
from calltree.services.rights import Viewer
from calltree.services.summary_criteria import Axis, SummaryCriteria

ROWS = {"postgresql": 2_000_000, "sqlite": 300_000}
MONTHS = 10
USERS = 20
LISTS = 40
DAYS = 22
ROUNDS = 7
LAST = date(2026, 10, 1)
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


def run(options: Options) -> Result:
    with stores(options) as (store, _folder):
        month = (options.rows or ROWS[store.engine.dialect.name]) // MONTHS
        viewer, ids = furnished(store, random.Random(options.seed))
        fill(store, month, LAST, ids)
        settled(store)
        asked = SummaryCriteria(LAST, LAST + timedelta(days=30), by=Axis.USER, then=Axis.DAY)
        small = median_ms(lambda: whole(store, viewer, asked), ROUNDS)
        for back in range(1, MONTHS):
            fill(store, month, LAST - timedelta(days=31 * back), ids)
        settled(store)
        value = median_ms(lambda: whole(store, viewer, asked), ROUNDS)
        floor = median_ms(lambda: bare(store, asked), ROUNDS)
        with statements(store.engine) as counted:
            lines = whole(store, viewer, asked)
        others = {
            axis.value: round(
                median_ms(lambda axis=axis: one_axis(store, viewer, asked, axis), ROUNDS), 1
            )
            for axis in Axis
        }
        extra: dict[str, Any] = {
            "growth": round(value / small, 2),
            "month_alone_ms": round(small, 1),
            "lines": lines,
            "statements": len(counted),
            "by_one_axis_ms": others,
            "heat_ms": round(median_ms(lambda: heat(store, viewer, asked), ROUNDS), 1),
        }
    return Result(value, "ms", floor, value / floor, month * MONTHS, extra)


def whole(store: Store, viewer: Viewer, asked: SummaryCriteria) -> int:
    with store.read() as session:
        table = summaries.summary(session, viewer=viewer, criteria=asked, now=NOW)
    return len(table.lines)


def one_axis(store: Store, viewer: Viewer, asked: SummaryCriteria, axis: Axis) -> int:
    return whole(store, viewer, SummaryCriteria(asked.first, asked.last, by=axis))


def heat(store: Store, viewer: Viewer, asked: SummaryCriteria) -> int:
    with store.read() as session:
        return len(summaries.heat(session, viewer=viewer, criteria=asked))


def bare(store: Store, asked: SummaryCriteria) -> int:
    statement = _months.figures(store.engine.dialect.name, asked.first, asked.last)
    with store.engine.connect() as link:
        return len(link.exec_driver_sql(statement).fetchall())


def furnished(store: Store, draw: random.Random) -> tuple[Viewer, dict[str, list[int]]]:
    """Twenty users, two projects with a target, forty lists."""
    manager_id, statuses = ground(store)
    mark = time.time_ns()
    with store.write() as session:
        manager = session.get(User, manager_id)
        assert manager is not None
        users = [
            User(
                login_id=f"b{mark}{n}",
                login_key=f"b{mark}{n}",
                name=f"計測{n}",
                role=Role.OPERATOR,
                password_hash="!",
                created_at=NOW,
            )
            for n in range(USERS)
        ]
        projects = [
            Project(
                name=f"計測{mark}{n}",
                weekdays=[0, 1, 2, 3, 4],
                created_at=NOW,
                target_conversions=draw.randrange(1, 20),
            )
            for n in range(2)
        ]
        session.add_all([*users, *projects])
        session.flush()
        lists = [
            CustomerList(
                name=f"計測{n}", project_id=projects[n % 2].id, enabled=True, created_at=NOW
            )
            for n in range(LISTS)
        ]
        session.add_all(lists)
        session.flush()
        ids = {
            "users": [user.id for user in users],
            "projects": [project.id for project in projects],
            "lists": [folder.id for folder in lists],
            "statuses": list(statuses.values()),
        }
        return Viewer.of(manager), ids


def fill(store: Store, rows: int, first: date, ids: dict[str, list[int]]) -> None:
    """A month's records, from nine to six, and the intervals of the operators who made them."""
    start = datetime.combine(first, datetime.min.time(), UTC)
    dialect = store.engine.dialect.name
    with store.write() as session:
        session.execute(
            text(_months.records(dialect)),
            {
                **{name: _months.many(dialect, some) for name, some in ids.items()},
                "list_count": LISTS,
                "user_count": USERS,
                "status_count": len(ids["statuses"]),
                "rows": rows,
                "days": DAYS,
                "first": _months.moment(dialect, start),
            },
        )
        session.execute(
            text(_months.intervals(dialect)),
            {
                "first": _months.moment(dialect, start),
                "after": _months.moment(dialect, start + timedelta(days=31)),
            },
        )


def settled(store: Store) -> None:
    """Let Postgres know its tables; SQLite keeps no statistics in the product either."""
    if store.engine.dialect.name != "postgresql":
        return
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("VACUUM ANALYZE call_records")
        link.exec_driver_sql("VACUUM ANALYZE operator_intervals")
