"""A month of a ledger in two statements, and its figures in one, as each database
says it (see `bench.report`).

The records of a month lie on its working days between nine and six, those of the operators who made
them in three intervals each.
"""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from calltree.text.days import TOKYO

RECORDS = """
    INSERT INTO call_records (kind, list_id, project_id, user_id, number, cycle, started_at,
        site_day, talk_ms, status_id, system, saved_at, closed_at, attributes, prospect_level, memo,
        counts_dial, counts_connect, counts_conversion)
    {moments}
    SELECT CASE WHEN n % 40 = 0 THEN 'entry' WHEN n % 41 = 0 THEN 'inbound' ELSE 'outbound' END,
        {list}, {project}, {user}, {number}, 1, at,
        {day}, (n * 131) % 180000, {status}, '', at, at, '{{}}', '',
        CASE WHEN n % 3 = 0 THEN '' ELSE '担当者は外出中。夕方に戻る予定とのこと。' END,
        n % 40 > 0 AND n % 41 > 0, n % 40 > 0 AND n % 41 > 0 AND n % 5 = 0,
        n % 40 > 0 AND n % 41 > 0 AND n % 50 = 0
    FROM moments"""
INTERVALS = """
    INSERT INTO operator_intervals (user_id, site_day, state, reason, started_at, ended_at)
    SELECT user_id, site_day, state, '', {began}, {ended}
    FROM call_records, (
        SELECT 0 AS part, 'browsing' AS state UNION SELECT 1, 'talking' UNION SELECT 2, 'wrap_up'
    ) AS parts
    WHERE started_at >= :first AND started_at < :after AND kind = 'outbound'
    ON CONFLICT DO NOTHING"""
FIGURES = """
    SELECT * FROM (
        SELECT user_id, site_day, count(*) FILTER (WHERE counts_dial),
            count(*) FILTER (WHERE counts_connect), count(*) FILTER (WHERE counts_conversion),
            sum(talk_ms) FILTER (WHERE counts_dial), count(*) FILTER (WHERE kind = 'entry'),
            count(*) FILTER (WHERE kind = 'inbound'), count(*) FILTER (WHERE kind = 'manual'),
            count(*) FILTER (WHERE kind IN ('outbound', 'predictive') AND system = 'line_error')
        FROM call_records WHERE site_day BETWEEN '{first}' AND '{last}'
            AND started_at >= '{begins}' AND started_at < '{ends}'
        GROUP BY user_id, site_day
    ) r FULL JOIN (
        SELECT user_id, site_day,
            sum({length}) FILTER (WHERE state = 'wrap_up'),
            sum({length}) FILTER (WHERE state IN ('ready', 'browsing')),
            sum({length}) FILTER (WHERE state <> 'away')
        FROM operator_intervals WHERE site_day BETWEEN '{first}' AND '{last}'
            AND state <> 'signed_out'
        GROUP BY user_id, site_day
    ) i USING (user_id, site_day)"""
POSTGRES = {
    "moments": """WITH moments AS (
        SELECT n, CAST(:first AS timestamptz) + (n * :days / :rows) * interval '1 day'
            + (n * :days % :rows) * interval '9 hours' / :rows AS at
        FROM generate_series(1, :rows) AS n)""",
    "list": "(CAST(:lists AS int[]))[1 + n % :list_count]",
    "project": "(CAST(:projects AS int[]))[1 + n % :list_count % 2]",
    "user": "(CAST(:users AS int[]))[1 + (n * 7) % :user_count]",
    "status": "(CAST(:statuses AS int[]))[1 + (n * 13) % :status_count]",
    "number": "'03' || lpad(CAST((n * 7919) % 100000000 AS text), 8, '0')",
    "day": "CAST(timezone('Asia/Tokyo', at) AS date)",
    "began": "started_at + part * interval '20 seconds'"
    " + part * interval '1 microsecond' * (id % 997)",
    "ended": "started_at + (part + 1) * interval '20 seconds'",
    "length": "ended_at - started_at",
}
SQLITE = {
    "moments": """WITH RECURSIVE numbers(n) AS (
        SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows
    ), moments AS (
        SELECT n, strftime('%Y-%m-%d %H:%M:%f', :first, (n * :days / :rows) || ' days',
            ((n * :days % :rows) * 32400.0 / :rows) || ' seconds') || '000' AS at
        FROM numbers)""",
    "list": "json_extract(:lists, '$[' || (n % :list_count) || ']')",
    "project": "json_extract(:projects, '$[' || (n % :list_count % 2) || ']')",
    "user": "json_extract(:users, '$[' || ((n * 7) % :user_count) || ']')",
    "status": "json_extract(:statuses, '$[' || ((n * 13) % :status_count) || ']')",
    "number": "'03' || printf('%08d', (n * 7919) % 100000000)",
    "day": "date(at, '+9 hours')",
    "began": "strftime('%Y-%m-%d %H:%M:%f', started_at, (part * 20) || ' seconds')"
    " || printf('%03d', part * (id % 499))",
    "ended": "strftime('%Y-%m-%d %H:%M:%f', started_at, (part * 20 + 20) || ' seconds') || '000'",
    "length": "julianday(ended_at) - julianday(started_at)",
}
SAID: dict[str, dict[str, Any]] = {"postgresql": POSTGRES, "sqlite": SQLITE}


def records(dialect: str) -> str:
    """The statement that writes a month's records; takes ids, their counts, rows, days, first."""
    return RECORDS.format_map(SAID[dialect])


def intervals(dialect: str) -> str:
    """The statement that writes the intervals of the records between `first` and `after`."""
    return INTERVALS.format_map(SAID[dialect])


def figures(dialect: str, first: date, last: date) -> str:
    """The one statement that answers the table by user and day, both days included."""
    days = {
        "first": first,
        "last": last,
        "begins": _midnight(dialect, first),
        "ends": _midnight(dialect, last + timedelta(days=1)),
    }
    return FIGURES.format_map(SAID[dialect] | days)


def _midnight(dialect: str, day: date) -> str:
    return str(moment(dialect, datetime.combine(day, time.min, TOKYO)))


def moment(dialect: str, at: datetime) -> object:
    """A moment as the database keeps it."""
    if dialect == "postgresql":
        return at
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def many(dialect: str, ids: list[int]) -> object:
    """Ids as its statement takes them."""
    return ids if dialect == "postgresql" else json.dumps(ids)
