"""From the answer to a campaign's dial to being joined with an operator, at 20 calls a second.

Work: a progressive campaign over real sockets and the practice switch: `worker.py switch` paces,
leases, hears, keeps an operator and joins, `worker.py calls` dials, recording on; customers answer
after 0.5 s and leave 1 s later; the bench saves for its operators, who wait again. Floor,
by turns with it on the same switch: a bare script on one link that sends `uuid_bridge` from where
it reads the event on which the product joins too, the first CHANNEL_EXECUTE of the answered leg.
Time runs from CHANNEL_ANSWER to CHANNEL_BRIDGE of the customer's leg, both as a third link reads
them.

`value` and `floor` are medians in ms; **`ratio` is the medians' ratio, at most 2**. `extra` has the
p95 and who was not joined. `--rows` is the number of calls of each contestant (400).
"""

import random
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select, update

from bench import Options, Result
from bench._freeswitch import CALLER, Happened, Watch, parked_legs, watching
from bench._telephone import Site, fill, percentile, running_site, wait_for
from bench.answer_bridge import at_rate, between, told
from calltree.db import utcnow
from calltree.models import (
    Attempt,
    Campaign,
    CampaignList,
    CampaignMode,
    CampaignState,
    Customer,
    CustomerList,
    Operator,
    OperatorState,
    Preset,
)
from calltree.services import operators, records
from calltree.services.operators import Move
from calltree.services.trunks import DEFAULT_GATEWAY

CALLS = 400
ROUNDS = 2
RATE_S = 20
OPERATORS = 60
ANSWERED, BEGAN, JOINED = "CHANNEL_ANSWER", "CHANNEL_EXECUTE", "CHANNEL_BRIDGE"
ENDED = "CHANNEL_HANGUP_COMPLETE"
EVENTS = f"{ANSWERED} {BEGAN} {JOINED} {ENDED}"


def run(options: Options) -> Result:
    calls = options.rows or CALLS
    each = max(calls // ROUNDS, 1)
    draw = random.Random(options.seed)
    wanted = draw.sample(range(2_000_000, 9_999_999), each * ROUNDS)
    numbers = [f"03{number:07}4" for number in wanted]
    took: dict[str, list[float]] = {"product": [], "bare": []}
    with running_site(options) as site:
        users, customers = fill(site, count=OPERATORS, numbers=numbers)
        campaign_id = found_campaign(site, customers)
        with (
            watching(site.practice_url, EVENTS) as watch,
            parked_legs(site.practice_url, OPERATORS) as legs,
        ):
            for place in range(ROUNDS):
                mine = customers[place * each : (place + 1) * each]
                took["product"] += product(site, watch, users, campaign_id, mine)
                took["bare"] += bare(site.practice_url, watch, legs, each)
    value, floor = (statistics.median(took[name]) for name in ("product", "bare"))
    return Result(
        value=value,
        unit="ms",
        floor=floor,
        ratio=value / floor,
        n=len(took["product"]),
        extra={
            "ratio_p95": round(
                percentile(took["product"], 0.95) / percentile(took["bare"], 0.95), 2
            ),
            **{f"{name}_ms": told(times) for name, times in took.items()},
        },
    )


def found_campaign(site: Site, customers: list[int]) -> int:
    """A campaign that is stopped, over a list whose customers are not due yet."""
    now = utcnow()
    with site.store.write() as session:
        folder = session.get_one(Customer, customers[0]).list_id
        project_id = session.get_one(CustomerList, folder).project_id
        campaign = Campaign(
            name="計測",
            project_id=project_id,
            mode=CampaignMode.PROGRESSIVE,
            preset=Preset.SAFE,
            calls_per_second=RATE_S,
            state_since=now,
            created_at=now,
        )
        session.add(campaign)
        session.flush()
        session.add(CampaignList(campaign_id=campaign.id, list_id=folder))
        session.execute(update(Customer).values(preview_only=True))
        return campaign.id


def product(
    site: Site, watch: Watch, users: list[int], campaign_id: int, customers: list[int]
) -> list[float]:
    """Let the campaign dial these customers; ms from answer to join of each."""
    with site.store.write() as session:
        session.execute(
            update(Customer).where(Customer.id.in_(customers)).values(preview_only=False)
        )
        for user_id in users:
            operators.move(session, user_id=user_id, by=Move.BECOME_READY, now=utcnow())
        session.execute(update(Operator).values(campaign_id=campaign_id))
        session.get_one(Campaign, campaign_id).state = CampaignState.RUNNING
    with saving(site):
        wait_for(lambda: dialled(site, customers) == len(customers), "every dial", 300)
        wait_for(lambda: quiet(site), "the ledger's quiet")
    with site.store.write() as session:
        session.get_one(Campaign, campaign_id).state = CampaignState.STOPPED
        legs = list(
            session.scalars(
                select(Attempt.uuid).where(
                    Attempt.customer_id.in_(customers), Attempt.answered_at.is_not(None)
                )
            )
        )
    if len(legs) < len(customers):
        print(f"  {len(customers) - len(legs)} dials came to no answer", flush=True)
    wait_for(lambda: all(watch.first(ENDED, leg) for leg in legs), "the calls' ends")
    return between(watch, legs)


@contextmanager
def saving(site: Site) -> Iterator[None]:
    """Save a result for whoever is in 後処理, and let them wait again."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            with site.store.read() as session:
                done = session.scalars(
                    select(Operator.user_id).where(Operator.state == OperatorState.WRAP_UP)
                ).all()
            for user_id in done:
                with site.store.write() as session:
                    now = utcnow()
                    records.close_record(session, user_id=user_id, now=now)
                    operators.result_saved(session, user_id=user_id, now=now)
                    records.leave(session, user_id=user_id, now=now)
                    operators.become_ready(session, user_id=user_id, now=now)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def dialled(site: Site, customers: list[int]) -> int:
    with site.store.read() as session:
        return (
            session.scalar(
                select(func.count(Attempt.id)).where(
                    Attempt.customer_id.in_(customers), Attempt.dialled_at.is_not(None)
                )
            )
            or 0
        )


def quiet(site: Site) -> bool:
    with site.store.read() as session:
        live = select(Attempt.id).where(Attempt.ended_at.is_(None)).limit(1)
        return session.scalar(live) is None


def bare(url: str, watch: Watch, legs: list[str], count: int) -> list[float]:
    """The same calls by a script that joins as soon as it reads the event."""
    partner: dict[str, str] = {}
    joined: set[str] = set()
    free = list(legs)
    with watching(url, EVENTS) as script:

        def on_event(happened: Happened) -> str:
            leg = happened.leg
            if happened.name == BEGAN and leg in partner and leg not in joined:
                joined.add(leg)
                return f"api uuid_bridge {leg} {partner[leg]}"
            if happened.name == ENDED and leg in partner:
                free.append(partner[leg])
            return ""

        script.on_event = on_event

        def call() -> None:
            customer = str(uuid.uuid4())
            wait_for(lambda: free, "a free leg")
            partner[customer] = free.pop(0)
            number = f"03{random.randrange(2_000_000, 9_999_999):07}4"
            script.send(
                f"bgapi originate {{origination_uuid={customer},originate_timeout=20,"
                f"ignore_early_media=true,origination_caller_id_number={CALLER}}}"
                f"sofia/gateway/{DEFAULT_GATEWAY}/{number} answered XML calltree"
            )

        at_rate(RATE_S, [call] * count)
        wait_for(
            lambda: all(watch.first(ENDED, leg) for leg in partner), "the ends of the bare calls"
        )
    time.sleep(0.5)
    return between(watch, list(partner))
