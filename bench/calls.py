"""Twenty attempts a second for a minute, through gate, ledger, events and recording.

Work: operators press CALL through the services in this process; `worker.py calls` dials,
`worker.py switch` hears and joins, the practice switch (real sockets) rings, answers, records and
hangs up: eight of ten customers answer after 0.5 s and talk for one, one is busy, one refuses.
`--rows` is the number of attempts (1,200).

Lag: from an event's stamp at the switch until another connection can read it in the ledger, looked
at every 10 ms. `value` is its p95 over the last 10 s, `floor` the 500 ms it is measured by, and
**`ratio` = attempts lost + attempts not terminal 5 s after their last event + value / floor: at
most 1, none lost**. Lost: planned and not made, or without a terminal state or a record at the end.
`extra` has the CPU time per attempt of each process.
"""

import queue
import random
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from bench import Options, Result
from bench._telephone import Site, fill, percentile, running_site, wait_for
from calltree.db import utcnow
from calltree.models import TERMINAL_STATES, Attempt, CallRecord, Origin
from calltree.services import gate, holds, records

ATTEMPTS = 1200
RATE_S = 20.0
OPERATORS = 60
PRESSERS = 4
BOUND_MS = 500.0
LAST_S = 10.0
SETTLE_S = 5.0
LOOK_S = 0.01


@dataclass
class Presses:
    """What the bench's own presses did."""

    asked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    took_ms: list[float] = field(default_factory=list)
    behind_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """An event in the ledger: its stamp, and when it could be read there."""

    attempt_id: int
    name: str
    at: float
    seen_at: float

    @property
    def lag_ms(self) -> float:
        return (self.seen_at - self.at) * 1000


def run(options: Options) -> Result:
    count = options.rows or ATTEMPTS
    draw = random.Random(options.seed)
    numbers = [f"031{place:06}{draw.choice('4444444417')}" for place in range(count)]
    with running_site(options) as site:
        number_events(site)
        users, customers = fill(site, count=OPERATORS, numbers=numbers)
        with watched(site) as seen:
            before, started = site.cpu_s(), time.monotonic()
            presses = press_all(site, users, list(zip(customers, numbers, strict=True)))
            took_s = time.monotonic() - started
            settle(site)
            after = site.cpu_s()
        lost = count - whole(site)
        causes = ends(site)
        late = sum(open_too_long(seen))
    cpu_ms = {name: (after[name] - before[name]) / count * 1000 for name in after}
    cpu_ms["presses"] = presses.cpu_s / count * 1000
    last = [one.lag_ms for one in seen if one.at > max(s.at for s in seen) - LAST_S]
    value = percentile(last, 0.95)
    return Result(
        value=value,
        unit="ms",
        floor=BOUND_MS,
        ratio=lost + late + value / BOUND_MS,
        n=count,
        extra={
            "lost": lost,
            "not_terminal_after_5_s": late,
            "attempts_per_s": round(count / took_s, 1),
            "events": len(seen),
            "causes": causes,
            "lag_ms": lags([one.lag_ms for one in seen]),
            "lag_ms_last_10_s": lags(last),
            "press_ms": lags(presses.took_ms),
            "behind_plan_ms": lags(presses.behind_ms),
            "asked_again": presses.refused,
            "cpu_ms_per_attempt": {name: round(ms, 1) for name, ms in cpu_ms.items()},
            "cpu_ms_per_attempt_without_switch": round(
                sum(ms for name, ms in cpu_ms.items() if name != "practice"), 1
            ),
        },
    )


def lags(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        "median": round(statistics.median(values), 1),
        "p95": round(percentile(values, 0.95), 1),
        "max": round(max(values), 1),
    }


def press_all(site: Site, users: list[int], customers: list[tuple[int, str]]) -> Presses:
    """Press at every twentieth of a second, whoever of the operators is free."""
    presses = Presses()
    free: queue.Queue[int] = queue.Queue()
    for user_id in users:
        free.put(user_id)
    plan = enumerate(customers)
    taking, counting = threading.Lock(), threading.Lock()
    start = time.monotonic()

    def work() -> None:
        while True:
            with taking:
                place, customer = next(plan, (-1, (0, "")))
            if place < 0:
                break
            due = start + place / RATE_S
            time.sleep(max(due - time.monotonic(), 0))
            behind = time.monotonic() - due
            took = press(site, free, customer, presses, counting)
            with counting:
                presses.behind_ms.append(behind * 1000)
                presses.took_ms.append(took * 1000)
        with counting:
            presses.cpu_s += time.thread_time()

    threads = [threading.Thread(target=work) for _ in range(PRESSERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return presses


def press(
    site: Site,
    free: "queue.Queue[int]",
    customer: tuple[int, str],
    presses: Presses,
    counting: threading.Lock,
) -> float:
    """CALL until an operator is found who is free; the seconds that the press itself took."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        user_id = free.get()
        if in_call(site, user_id):
            free.put(user_id)
            time.sleep(LOOK_S)
            continue
        asked = time.monotonic()
        verdict = ask(site, user_id, *customer)
        took = time.monotonic() - asked
        free.put(user_id)
        with counting:
            presses.asked += 1
            if verdict != gate.ALLOWED:
                presses.refused[verdict] = presses.refused.get(verdict, 0) + 1
        if verdict == gate.ALLOWED:
            return took
        time.sleep(LOOK_S)
    return SETTLE_S


def in_call(site: Site, user_id: int) -> bool:
    """Nobody presses CALL before their screen says that the last call is over."""
    with site.store.read() as session:
        return records.in_call(session, user_id=user_id)


def ask(site: Site, user_id: int, customer_id: int, number: str) -> str:
    request = gate.DialRequest(
        origin=Origin.CALL,
        number=number,
        user_id=user_id,
        customer_id=customer_id,
        press_id=str(uuid.uuid4()),
        confirmed=True,
    )
    with site.store.write() as session:
        before = session.scalar(
            select(Attempt.customer_id)
            .where(Attempt.user_id == user_id)
            .order_by(Attempt.id.desc())
            .limit(1)
        )
        attempt = gate.ask(session, request=request, now=utcnow())
        if before is not None and attempt.verdict == gate.ALLOWED:
            holds.release(session, customer_id=before, user_id=user_id)
    return attempt.verdict


# --- what the ledger shows to another connection


@contextmanager
def watched(site: Site) -> Iterator[list[Seen]]:
    """Read every event's row as soon as it is there."""
    seen: list[Seen] = []
    stop = threading.Event()

    def look() -> None:
        last: Any = None
        while not stop.wait(LOOK_S):
            with site.store.engine.connect() as link:  # each look is a moment of its own
                rows = new_rows(link, last)
            now = time.time()
            for mark, attempt_id, name, at in rows:
                last = mark
                seen.append(Seen(attempt_id, name, stamp(at), now))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def number_events(site: Site) -> None:
    """Give Postgres what SQLite's rowid is; the leader writes one transaction at a time."""
    if site.store.engine.dialect.name == "postgresql":
        with site.store.engine.begin() as link:
            link.execute(text("ALTER TABLE attempt_events ADD COLUMN place BIGSERIAL UNIQUE"))


def new_rows(link: Connection, last: Any) -> list[Any]:
    """Rows after the mark."""
    mark = "place" if link.dialect.name == "postgresql" else "rowid"
    query = f"SELECT {mark}, attempt_id, name, at FROM attempt_events WHERE {mark} > :last"
    return list(link.execute(text(query), {"last": last or 0}))


def stamp(at: Any) -> float:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def settle(site: Site) -> None:
    """Wait for the last calls; what is open after that is lost."""

    def settled() -> bool:
        with site.store.read() as session:
            live = select(Attempt.id).where(Attempt.ended_at.is_(None)).limit(1)
            return session.scalar(live) is None

    try:
        wait_for(settled, "the last calls", patience_s=30)
    except SystemExit:
        return
    time.sleep(5 * LOOK_S)  # the watcher's last look


def whole(site: Site) -> int:
    """Attempts that were dialled, are terminal and have their record."""
    with site.store.read() as session:
        rows = session.scalars(
            select(Attempt.id)
            .join(CallRecord, CallRecord.attempt_id == Attempt.id)
            .where(Attempt.state.in_(TERMINAL_STATES), Attempt.verdict == gate.ALLOWED)
        )
        return len(rows.all())


def ends(site: Site) -> dict[str, int]:
    """How many attempts ended with each cause."""
    with site.store.read() as session:
        cause = Attempt.hangup_cause
        allowed = Attempt.verdict == gate.ALLOWED
        rows = session.execute(select(cause, func.count()).where(allowed).group_by(cause))
        return {str(name): int(number) for name, number in rows}


def open_too_long(seen: list[Seen]) -> Iterator[bool]:
    """For each attempt: whether its end could be read only 5 s after its last event."""
    last: dict[int, float] = {}
    ended: dict[int, float] = {}
    for one in seen:
        last[one.attempt_id] = max(last.get(one.attempt_id, 0.0), one.at)
        if one.name == "HungUp":
            ended[one.attempt_id] = one.seen_at
    for attempt_id, at in last.items():
        yield ended.get(attempt_id, at + 2 * SETTLE_S) - at > SETTLE_S
