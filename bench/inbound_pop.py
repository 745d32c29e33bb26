"""From a call that arrives at the switch to its matches on the operator's page.

Work: the whole site in processes (practice switch, `worker.py switch` and `calls`, gunicorn); one
operator is 待機 with an open page, and customers of their lists call in, one after another. The lag
is from before the practice switch is told to let somebody call until the page's socket delivers the
panel with the caller's name: the leader decides whom the call rings and tells them, and the page
looks the customer up with their last records and memos, while the call is written (decision 22).
Floor, in turn with it: a bare look-up of a number by its index, one Redis publish that a bare
process hears, and a bare socket. `value` and `floor` are medians in ms with all numbers in lists
(`--rows`: 5,000,000 on Postgres, 200,000 on SQLite), `ratio` = value / floor, at most 4. In `extra`
the same with a hundredth of the numbers, `growth`, at most 1.5, and `answerable_ms`: until the call
is written and the whole panel is there, with 応答.
"""

import random
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

import redis
from sqlalchemy import select, text
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from bench import Options, Result
from bench._sheets import Sheets, moment, sheets
from bench._telephone import PASSWORD, ROOT, Site, fill, percentile, running_site, wait_for
from bench.screenpop import cookies, free_port, listens, start_web
from calltree.db import Store, utcnow
from calltree.models import (
    CallerNumber,
    Customer,
    CustomerList,
    HolidayHours,
    InboundRoute,
    ListGrant,
)
from calltree.services import operators, search

ROWS = {"postgresql": 5_000_000, "sqlite": 200_000}
LIST_SIZE = 200_000
BARE_FROM = 100_000
"""Numbers from which indexes had better be made afterwards."""
ROLES = ("web", "calls", "switch")
CALLS = 60
OURS = "0312340000"
PATIENCE_S = 30.0
SHOWN = re.compile(r'<hx-partial hx-target="#ringing".*?</hx-partial>', re.DOTALL)


def run(options: Options) -> Result:
    with running_site(options) as site:
        rows = options.rows or ROWS[site.store.engine.dialect.name]
        draw = random.Random(options.seed)
        users, _customers = fill(site, count=1, numbers=["0311112222"])
        open_route(site)
        small = max(rows // 100, CALLS)
        add_customers(site, users[0], 0, small)
        with site.store.write() as session:
            operators.become_ready(session, user_id=users[0], now=utcnow())
        few = measured(site, users[0], draw.sample(range(small), CALLS))
        add_customers(site, users[0], small, rows)
        many = measured(site, users[0], draw.sample(range(rows), CALLS))
    value, floor = statistics.median(many["value"]), statistics.median(many["floor"])
    before = statistics.median(few["value"])
    return Result(
        value=value,
        unit="ms",
        floor=floor,
        ratio=value / floor,
        n=CALLS,
        extra={
            "rows": rows,
            "growth": round(value / before, 2),
            "p95_ms": round(percentile(many["value"], 0.95), 2),
            "floor_p95_ms": round(percentile(many["floor"], 0.95), 2),
            "answerable_ms": round(statistics.median(many["answerable"]), 2),
            f"of_{small}": {
                "median_ms": round(before, 2),
                "floor_ms": round(statistics.median(few["floor"]), 2),
            },
        },
    )


def number_of(place: int) -> str:
    """A number for each place, in no order: as an import brings them."""
    return f"03{(place * 7_368_787 + 12_345_678) % 80_000_000 + 20_000_000:08}"


def open_route(site: Site) -> None:
    """One number of ours that rings everybody, at every hour."""
    with site.store.write() as session:
        ours = CallerNumber(number=OURS, label="代表")
        session.add(ours)
        session.flush()
        session.add(
            InboundRoute(
                caller_number_id=ours.id,
                hours=["00:00-24:00"] * 8,
                holidays=HolidayHours.WEEKDAY,
            )
        )


def add_customers(site: Site, user_id: int, first: int, last: int) -> None:
    """Put numbers into lists that the operator may see, each at most `LIST_SIZE` long.

    In bulk and with the indexes made afterwards, while no role runs whom that would block.
    """
    now = utcnow()
    written = moment(now.timestamp())
    with resting(site):
        lists = []
        for start in range(first, last, LIST_SIZE):
            with site.store.write() as session:
                known = session.scalars(select(CustomerList).limit(1)).one()
                folder = CustomerList(
                    name=f"計測{start}", project_id=known.project_id, enabled=True,
                    columns=["会社名"], customers=min(LIST_SIZE, last - start), created_at=now,
                )  # fmt: skip
                session.add(folder)
                session.flush()
                session.add(ListGrant(list_id=folder.id, user_id=user_id))
                lists.append(folder.id)
        with sheets(site.store, bare=last - first >= BARE_FROM) as sheet:
            sheet.write(
                Customer,
                "list_id position number_given number cells folded created_at updated_at",
                (
                    row_of(sheet, lists[(place - first) // LIST_SIZE], place, written)
                    for place in range(first, last)
                ),
            )
        search_settles(site.store)
    with site.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.execute(text("ANALYZE"))


@contextmanager
def resting(site: Site) -> Iterator[None]:
    """Let the roles and the web server rest, and begin again afterwards."""
    for name in ROLES:
        if process := site.processes.pop(name, None):
            process.terminate()
            process.wait(PATIENCE_S)
    yield
    site.start("switch", "worker.py", "switch")
    site.start("calls", "worker.py", "calls")
    start_web(site)
    wait_for(site.link_up, "the link to the switch")


def search_settles(store: Store) -> None:
    """Merge the search index, as the nights do."""
    more = True
    while more:
        with store.write() as session:
            more = search.merge_index(session, pages=2_000)


def row_of(sheet: Sheets, list_id: int, place: int, written: str) -> tuple[Any, ...]:
    number, name = number_of(place), f"会社{place}号"
    return (list_id, place + 1, number, number, sheet.json([name]), name, written, written)


def measured(site: Site, user_id: int, places: list[int]) -> dict[str, list[float]]:
    """Let these call one after another; the floor is taken between them."""
    found: dict[str, list[float]] = {"value": [], "floor": [], "answerable": []}
    with ExitStack() as stack:
        switch = stack.enter_context(closing(Orders(site.practice_url)))
        page = stack.enter_context(opened(site, user_id))
        floor = stack.enter_context(bare(site))
        until(page, lambda shown: "data-rings" not in shown)  # the whole state, and quiet
        for place in places:
            found["floor"].append(floor(number_of(place)))
            start = time.perf_counter()
            channel = switch.order(f"inbound {number_of(place)} {OURS}").removeprefix("+OK ")
            shown = until(page, partial(names, place))
            found["value"].append((time.perf_counter() - start) * 1000)
            if "data-rings" not in shown:
                until(page, lambda shown: "data-rings" in shown)
            found["answerable"].append((time.perf_counter() - start) * 1000)
            switch.order(f"leave {channel} NORMAL_CLEARING")
            until(page, lambda shown: "data-rings" not in shown)
    return found


@contextmanager
def opened(site: Site, user_id: int) -> Iterator[ClientConnection]:
    """The live line of a page of the operator's."""
    port = site.env["PORT"]
    with connect(
        f"ws://127.0.0.1:{port}/live?page=plain",
        origin=Origin(f"http://127.0.0.1:{port}"),
        additional_headers={"Cookie": f"calltree={cookies(site, [user_id])[0]}"},
        compression=None,
    ) as page:
        yield page


def names(place: int, shown: str) -> bool:
    """Whether the panel names the customer of this place."""
    return f"会社{place}号" in shown


def until(page: ClientConnection, wanted: Callable[[str], bool]) -> str:
    """Read what is pushed until the panel is as wanted; give the panel."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        message = str(page.recv(timeout=max(deadline - time.monotonic(), 0.0)))
        for shown in SHOWN.findall(message):
            if wanted(shown):
                return str(shown)


@contextmanager
def bare(site: Site) -> Iterator[Callable[[str], float]]:
    """The floor: the milliseconds of a look-up, a publish and a socket."""
    by_number = text("SELECT id FROM customers WHERE number = :number")
    with ExitStack() as stack:
        port = free_port()
        plan = f'{{"redis_url": "{site.env["REDIS_URL"]}", "bare_port": {port}}}\n'
        process = subprocess.Popen(
            [sys.executable, "-m", "bench._pages", "bare"],
            stdin=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdin is not None
        process.stdin.write(plan)
        process.stdin.flush()
        wait_for(lambda: listens(port), "the bare socket")
        link = stack.enter_context(redis.from_url(site.env["REDIS_URL"]))
        reader = stack.enter_context(connect(f"ws://127.0.0.1:{port}", compression=None))
        wait_for(lambda: link.pubsub_numsub("bench-floor")[0][1] == 1, "whoever listens behind it")
        database = stack.enter_context(site.store.engine.connect())

        def once(number: str) -> float:
            start = time.perf_counter()
            assert database.execute(by_number, {"number": number}).all()
            database.rollback()
            link.publish("bench-floor", number)
            reader.recv(timeout=PATIENCE_S)
            return (time.perf_counter() - start) * 1000

        once(number_of(0))
        yield once


class Orders:
    """A bare link to the practice switch, for letting people call."""

    def __init__(self, url: str) -> None:
        host, _, port = url.rpartition("@")[2].partition(":")
        self._link = socket.create_connection((host, int(port)))
        self._read = self._link.makefile("rb")
        self._headers()
        self._say(f"auth {PASSWORD}")
        self._headers()

    def order(self, what: str) -> str:
        """Order it, and give the answer."""
        self._say(f"api practice {what}")
        length = int(self._headers()["Content-Length"])
        return self._read.read(length).decode().strip()

    def close(self) -> None:
        self._read.close()
        self._link.close()

    def _say(self, line: str) -> None:
        self._link.sendall(f"{line}\n\n".encode())

    def _headers(self) -> dict[str, str]:
        found = {}
        for line in iter(lambda: self._read.readline().decode().strip(), ""):
            name, _, value = line.partition(": ")
            found[name] = value
        return found
