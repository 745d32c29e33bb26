"""Every page of 管理画面 on a generated year against the same page on a tenth of it.

The tenth is the year's last five weeks: the same people, lists and days' work, a tenth of the
customers and of the ledger. Each page is asked for as a manager's browser does, first without
parameters and for one object each, then the usual searches, and of the long ones the hundredth page
too (the last where there are fewer), reached by their 次のページ.

A page's cost is the CPU of this process and of the database's own (Postgres on this machine), the
least of several times: on a shared machine the clock tells more of the others. `value` is the
costliest page on the year and `floor` the same on the tenth, in ms; `ratio` is the largest growth
of all pages, at most 2. `extra` has the pages that grow most and cost most, the most statements of
a page (at most 12), and how long the filling took. 2,000,000 records on Postgres, 300,000 on
SQLite.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from bench import Options, Result
from bench._walk import addresses, statements
from bench._year import Year
from calltree import create_app
from calltree.blueprints.access import right_of
from calltree.config import Settings
from calltree.db import Base, Store, utcnow
from calltree.launch import own_redis
from calltree.models import CallRecord, Customer, DoNotCall, Import, Recording, RecordingState, User
from calltree.text.days import site_day

ROWS = 2_000_000
SQLITE_ROWS = 300_000
DAYS = 364
ROUNDS = 4
DEEP = 100
LONG_MS = 2_000
"""A page that costs more is asked for twice only."""
LEAST_MS = 10.0
"""Growth is reckoned from here: below it a page's cost is that of drawing anything at all."""
NEXT = re.compile(r'rel="next" href="([^"]+)"')
OPERATORS = ("/operator/", "/live", "/assets/", "/check", "/recordings/")


@dataclass
class Cost:
    """One page."""

    ms: float
    statements: int
    bytes: int


@dataclass
class Round:
    """All pages at one size of the ledger."""

    records: int
    filled_s: float
    pages: dict[str, Cost] = field(default_factory=dict)


def run(options: Options) -> Result:
    with site(options) as app:
        store: Store = app.extensions["calltree.store"]
        on_postgres = store.engine.dialect.name == "postgresql"
        rows = options.rows or (ROWS if on_postgres else SQLITE_ROWS)
        now = utcnow()
        first = site_day(now) - timedelta(days=DAYS - 1)
        last = site_day(now) - timedelta(days=DAYS // 10)
        year = Year.begin(store, seed=options.seed, now=now)
        start = time.perf_counter()
        year.fill(rows=rows // 10, first=last + timedelta(days=1), until=now)
        small = measured(app, year, time.perf_counter() - start)
        start = time.perf_counter()
        evening = datetime.combine(last, datetime.max.time(), now.tzinfo)
        year.fill(rows=rows - rows // 10, first=first, until=evening)
        large = measured(app, year, time.perf_counter() - start)
    growth = {
        name: max(cost.ms, LEAST_MS) / max(small.pages[name].ms, LEAST_MS)
        for name, cost in large.pages.items()
        if name in small.pages
    }
    dearest = max(large.pages, key=lambda name: large.pages[name].ms)
    extra: dict[str, Any] = {
        "pages": len(growth),
        "records": [small.records, large.records],
        "filled_s": [round(small.filled_s), round(large.filled_s)],
        "most_statements": max((cost.statements, name) for name, cost in large.pages.items()),
        "grow_most": {
            name: [round(factor, 2), round(small.pages[name].ms, 1), round(large.pages[name].ms, 1)]
            for name, factor in sorted(growth.items(), key=lambda one: -one[1])[:12]
        },
        "cost_most_ms": {
            name: round(cost.ms, 1)
            for name, cost in sorted(large.pages.items(), key=lambda one: -one[1].ms)[:8]
        },
    }
    return Result(
        large.pages[dearest].ms, "ms", small.pages[dearest].ms, max(growth.values()),
        large.records, extra,
    )  # fmt: skip


@contextmanager
def site(options: Options) -> Iterator[Flask]:
    """The application on the database asked for (which must be empty), with a Redis of its own."""
    with tempfile.TemporaryDirectory() as folder, own_redis.running(Path(folder)) as redis_url:
        settings = Settings.from_env(
            {
                "DATABASE_URL": options.database or f"sqlite:///{folder}/bench.db",
                "DATA_DIR": folder,
                "REDIS_URL": redis_url,
                "SECRET_KEY": "of the bench",
            }
        )
        app = create_app(settings)
        app.testing = True
        with app.extensions["calltree.store"].engine.begin() as link:
            Base.metadata.create_all(link)
        yield app


def measured(app: Flask, year: Year, filled_s: float) -> Round:
    client = app.test_client()
    sign_in(app, client, year.people.manager)
    with year.store.read() as session:
        records = session.scalar(select(func.count()).select_from(CallRecord)) or 0
    found = Round(records, filled_s)
    clock = Clock(year.store)
    plain, searches, deep = asked(app, year)
    for path in (*plain, *searches):
        cost = cost_of(client, path, year.store, clock)
        if cost is not None:
            found.pages[path] = cost
    for path in deep:
        at, page = reached(client, path)
        cost = cost_of(client, at, year.store, clock)
        if cost is not None and page > 1:
            found.pages[f"{path} (deep)"] = cost
    return found


def asked(app: Flask, year: Year) -> tuple[list[str], list[str], list[str]]:
    """Addresses without parameters and of one object each, searches, and what has many pages."""
    people = year.people
    list_id, project_id = people.lists[0]
    with year.store.read() as session:
        record = session.scalars(
            select(CallRecord)
            .join(Recording, Recording.record_id == CallRecord.id)
            .where(CallRecord.list_id == list_id, Recording.state == RecordingState.STORED)
            .order_by(CallRecord.started_at.desc())
            .limit(1)
        ).one()
        recording_id = session.scalar(
            select(Recording.id).where(Recording.record_id == record.id).limit(1)
        )
        number = session.scalar(select(Customer.number).where(Customer.id == record.customer_id))
        ids = {
            "project_id": project_id, "list_id": list_id, "customer_id": record.customer_id,
            "record_id": record.id, "recording_id": recording_id, "pattern_id": people.pattern,
            "status_id": people.status, "item_id": people.item, "number_id": people.caller,
            "group_id": people.group, "user_id": people.operators[0], "search_id": people.search,
            "import_id": session.scalar(select(func.max(Import.id))),
            "entry_id": session.scalar(select(func.max(DoNotCall.id))),
        }  # fmt: skip
    walked, _unknown = addresses(app, "GET", ids)
    plain = sorted(
        path
        for endpoint, path in walked
        if right_of(endpoint, app) is not None and not path.startswith(OPERATORS)
    )
    today = site_day(utcnow())
    day = today - timedelta(days=3)
    month = f"period=custom&from={today - timedelta(days=27)}&to={today}"
    a_list = f"/admin/lists/{list_id}"
    searches = [
        "/history/?span=all",
        f"/history/?span=all&number={number}",
        f"/history/?span=all&project={project_id}&user={people.operators[1]}",
        f"/history/?from={day}&to={day}&status={people.status}",
        f"/figures/table?{month}&by=user&then=day",
        f"/figures/table?{month}&by=list",
        f"/figures/heat?{month}",
        f"/figures/hours?{month}",
        f"/customers/?q={number}",
        f"{a_list}?status=none",
        "/admin/recordings/?span=all",
        f"/admin/do-not-call/?number={number}",
        "/admin/users/audit?action=recording.played",
        "/reports/?span=all",
    ]
    deep = [
        a_list, "/history/?span=all", f"/history/?span=all&list={list_id}", "/reports/?span=all",
        "/admin/recordings/?span=all", "/admin/do-not-call/", "/admin/users/audit",
        "/admin/imports/",
    ]  # fmt: skip
    return plain, searches, deep


def reached(client: FlaskClient, path: str) -> tuple[str, int]:
    """Go on by 次のページ as far as there is one, a hundred pages at most."""
    for page in range(1, DEEP):
        body = client.get(path).get_data(as_text=True)
        following = NEXT.search(body)
        if following is None:
            return path, page
        path = following[1].replace("&amp;", "&")
    return path, DEEP


def cost_of(client: FlaskClient, path: str, store: Store, clock: "Clock") -> Cost | None:
    """None for what is no page, or not there."""
    with statements(store.engine) as said:
        answer = client.get(path)
        size = len(answer.get_data())
    if answer.status_code != 200 or answer.mimetype != "text/html":
        return None
    times: list[float] = []
    while len(times) < ROUNDS and not (len(times) > 1 and min(times) > LONG_MS):
        before = clock.ms()
        client.get(path).get_data()
        times.append(clock.ms() - before)
    return Cost(min(times), len(said), size)


class Clock:
    """CPU of this process and of the database's, in ms."""

    def __init__(self, store: Store) -> None:
        self.backends: list[int] = []
        if store.engine.dialect.name == "postgresql":
            here = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            with store.engine.connect() as link:
                self.backends = list(link.scalars(here))

    def ms(self) -> float:
        own = time.process_time_ns()
        return (own + sum(map(_cpu_ns, self.backends))) / 1e6


def _cpu_ns(pid: int) -> int:
    """CPU of another process so far; of workers that it had for one query nothing is known."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def sign_in(app: Flask, client: FlaskClient, user_id: int) -> None:
    with app.extensions["calltree.store"].read() as session:
        version = session.get_one(User, user_id).session_version
    with client.session_transaction() as kept:
        kept["_user_id"] = f"{user_id}:{version}"
        kept["_fresh"] = True
        kept["seen_at"] = utcnow().timestamp()
