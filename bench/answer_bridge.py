"""From a customer's answer to being joined with a parked operator, on a real FreeSWITCH.

Work: operators press CALL through the services; `worker.py calls` dials the test carrier's 4 (180,
answers after 0.5 s, leaves 1 s later), `worker.py switch` hears and joins, recording on. Floor, by
turns with it on the same legs: a bare script on one link that sends `uuid_bridge` from where it
reads the event on which the product joins too, CHANNEL_PARK, without recording. Time runs from
CHANNEL_ANSWER to CHANNEL_BRIDGE of the customer's leg, both as a third link reads them (the
switch's own stamps move in steps of 20 ms).

At 1 and 5 calls a second. `value` and `floor` are medians in ms at 5; **`ratio` is the worse of the
two medians' ratios, at most 1.5; those of p95, in `extra`, at most 2**. `extra` has another floor,
`bare_on_answer`, which does not wait for PARK: it is quicker and does not always join. `--rows` is
the number of calls of each contestant at 5 a second (100; a fifth of that at 1). Needs a
FreeSWITCH: see bench/_freeswitch.py.
"""

import queue
import random
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import select

from bench import Options, Result
from bench._freeswitch import CALLER, Watch, parked_legs, real_site, seat, switch_url, watching
from bench._telephone import Site, people, percentile, wait_for
from bench.calls import Presses, press
from calltree.models import Attempt
from calltree.services.trunks import DEFAULT_GATEWAY

CALLS = 100
ROUNDS = 2
LEGS = 24
RATES_S = (1.0, 5.0)
ENDED = "CHANNEL_HANGUP_COMPLETE"
EVENTS = f"CHANNEL_ANSWER CHANNEL_PARK CHANNEL_BRIDGE {ENDED}"
STAYED_MS = 900.0
"""So long after an answer without a join the customer had left."""
FLOORS = {"bare": "CHANNEL_PARK", "bare_on_answer": "CHANNEL_ANSWER"}

Times = dict[str, list[float]]


def run(options: Options) -> Result:
    url = switch_url()
    calls = options.rows or CALLS
    plan = {rate: max(int(calls * rate / max(RATES_S)) // ROUNDS, 1) for rate in RATES_S}
    wanted = sum(plan.values()) * ROUNDS
    draw = random.Random(options.seed)
    numbers = [f"03{n:07}4" for n in draw.sample(range(2_000_000, 9_999_999), wanted)]
    took: dict[float, Times] = {rate: {n: [] for n in ("product", *FLOORS)} for rate in plan}
    with real_site(options, url) as site, parked_legs(url, LEGS) as legs:
        users, customers = people(site, count=LEGS, numbers=numbers)
        seat(site, users, legs)
        unused = iter(zip(customers, numbers, strict=True))
        with watching(url, EVENTS) as watch:
            for rate, count in plan.items():
                for _ in range(ROUNDS):
                    took[rate]["product"] += product(site, watch, users, unused, rate, count)
                    for name, event in FLOORS.items():
                        took[rate][name] += bare(url, watch, legs, event, rate, count)
    ratios = {
        f"{name}_{rate:g}{to.removeprefix('bare')}": round(of(times["product"]) / of(times[to]), 2)
        for rate, times in took.items()
        for name, of in (("median", statistics.median), ("p95", p95))
        for to in FLOORS
    }
    fast = took[max(RATES_S)]
    return Result(
        value=statistics.median(fast["product"]),
        unit="ms",
        floor=statistics.median(fast["bare"]),
        ratio=max(ratios[f"median_{rate:g}"] for rate in RATES_S),
        n=wanted,
        extra={
            "ratios": ratios,
            **{
                f"{name}_{rate:g}_per_s_ms": told(values)
                for rate, times in took.items()
                for name, values in times.items()
            },
        },
    )


def p95(values: list[float]) -> float:
    return percentile(values, 0.95)


def told(values: list[float]) -> dict[str, Any]:
    return {
        "n": len(values),
        "median": round(statistics.median(values), 1),
        "p95": round(p95(values), 1),
        "max": round(max(values), 1),
        "not_joined": sum(value > STAYED_MS for value in values),
    }


def product(
    site: Site,
    watch: Watch,
    users: list[int],
    unused: Iterator[tuple[int, str]],
    rate: float,
    count: int,
) -> list[float]:
    """So many presses at this rate; ms from answer to join of each."""
    presses, lock = Presses(), threading.Lock()
    free: queue.Queue[int] = queue.Queue()
    for user_id in users:
        free.put(user_id)
    mine = [next(unused) for _ in range(count)]
    at_rate(rate, [lambda c=c: press(site, free, c, presses, lock) for c in mine])
    wait_for(lambda: site_is_quiet(site), "the ledger's quiet")
    with site.store.read() as session:
        ids = [customer_id for customer_id, _number in mine]
        of_mine, was_there = Attempt.customer_id.in_(ids), Attempt.answered_at.is_not(None)
        dialled = list(session.scalars(select(Attempt.uuid).where(of_mine, was_there)))
    if len(dialled) < count:
        print(f"  {count - len(dialled)} of {count} presses came to no answer", flush=True)
    wait_for(lambda: all(watch.first(ENDED, leg) for leg in dialled), "the calls' ends")
    return between(watch, dialled)


def site_is_quiet(site: Site) -> bool:
    with site.store.read() as session:
        live = select(Attempt.id).where(Attempt.ended_at.is_(None)).limit(1)
        return session.scalar(live) is None


def bare(
    url: str, watch: Watch, legs: list[str], event: str, rate: float, count: int
) -> list[float]:
    """The same calls by a script that joins as soon as it reads `event`."""
    partner: dict[str, str] = {}
    free = list(legs)
    with watching(url, EVENTS) as script:

        def on_event(happened: Any) -> str:
            if happened.name == event and happened.leg in partner:
                return f"api uuid_bridge {happened.leg} {partner[happened.leg]}"
            if happened.name == ENDED and happened.leg in partner:
                free.append(partner[happened.leg])
            return ""

        script.on_event = on_event

        def call() -> None:
            customer = str(uuid.uuid4())
            partner[customer] = free.pop(0)
            number = f"03{random.randrange(2_000_000, 9_999_999):07}4"
            script.send(
                f"bgapi originate {{origination_uuid={customer},originate_timeout=20,"
                f"origination_caller_id_number={CALLER}}}"
                f"sofia/gateway/{DEFAULT_GATEWAY}/{number} &park"
            )

        at_rate(rate, [call] * count)
        wait_for(
            lambda: all(watch.first(ENDED, leg) for leg in partner), "the ends of the bare calls"
        )
    return between(watch, list(partner))


def at_rate(rate: float, works: list[Callable[[], Any]]) -> None:
    start = time.monotonic()
    for place, work in enumerate(works):
        time.sleep(max(start + place / rate - time.monotonic(), 0))
        work()


def between(watch: Watch, customers: list[str]) -> list[float]:
    """Ms from answer to join of each; of one that was not joined, as long as it was there."""
    found = []
    for leg in customers:
        answered, over = watch.first("CHANNEL_ANSWER", leg), watch.first(ENDED, leg)
        joined = watch.first("CHANNEL_BRIDGE", leg)
        if answered is None or over is None:
            raise SystemExit(f"a call was not answered: {leg}")
        found.append(((joined or over).read_at - answered.read_at) * 1000)
    return found
