"""An hour of a campaign with 20 operators while every role is killed, again and again.

`make soak`. Work: the site in processes of its own (web, jobs, calls, and the switch role with a
stand-by), all clocks four times as fast by one CLOCK_RATE, on the practice switch, four times as
fast too; twenty simulated operators press on the real pages; a campaign at 2×, from half-time on
adaptive, dials people who answer or do not, faxes, announcements, busy ones. Each of the four roles
is killed twelve times without a warning, at moments of chance, and comes back after 0.5 to 3 s.
At the end dialling stops, everybody saves, and the ledger is held against what the switch itself
told of each leg; a conversation that nobody of ours could hear, begun as a leader died and over
before the next, is told apart and counts as what the ledger could know.

`value` is how many things are wrong, by name in `extra`: calls without an end, lines or operators
held, calls without a record or with two, sums that differ, numbers dialled twice at once or too
soon, legs that nobody knows, customers who were answered and heard nothing for more than 5 s.
**None may be: `value` is 0.** `ratio` is the longest silence ÷ 5 s, in the site's seconds.
`--rows` is the site's minutes (60; each role is killed once for five of them). `bench real_hour` is
the same on a real FreeSWITCH.
"""

from __future__ import annotations

import random
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import exists, select, update

from bench import Options, Result
from bench._crew import Crew, Seat, at_work
from bench._heard import listening
from bench._roles import COMMANDS, kill, log_of, plan, start
from bench._telephone import Site, fill, wait_for
from bench._truth import SILENT_S, Truth, facts, wrongs
from bench.screenpop import cookies, free_port
from calltree.db import utcnow
from calltree.launch import own_redis
from calltree.models import (
    Attempt,
    Campaign,
    CampaignList,
    CampaignMode,
    CampaignState,
    Customer,
    CustomerList,
    Line,
    Operator,
    OperatorState,
    Preset,
)
from calltree.models import Site as SiteRow
from calltree.services.setup import found

MINUTES = 60
MINUTES_A_KILL = 5
"""Each role is killed once for so many of the site's minutes."""
RATE = 4.0
OPERATORS = 20
DIGITS = "9999999999990134578"
"""Of nineteen customers twelve are people, who answer or do not."""
CALLS_A_MINUTE = 40
SETTLE_S = 240.0
BUSY = (OperatorState.OFFERED, OperatorState.DIALLING, OperatorState.TALKING)


@dataclass(frozen=True)
class Plan:
    """How long, how fast, with how many."""

    minutes: float = MINUTES
    rate: float = RATE
    operators: int = OPERATORS
    kills: int | None = None
    """Of each role; None: one for five of the site's minutes."""
    silence_rate: float = RATE
    """Customers' seconds in a real one, where 5 s are counted."""
    digits: str = DIGITS
    fresh: float = 0.6
    """Of the calls of its time so many are to numbers not called before; then those not reached."""
    seed: int = 1

    @property
    def seconds(self) -> float:
        """Real ones."""
        return self.minutes * 60 / self.rate

    @property
    def kills_each(self) -> int:
        if self.kills is not None:
            return self.kills
        return max(1, round(self.minutes / MINUTES_A_KILL))


def run(options: Options) -> Result:
    minutes = options.rows or MINUTES
    asked = Plan(minutes=minutes, seed=options.seed)
    with practice_site(options.database, asked.rate) as site:
        return worked(site, site.practice_url, asked)


@contextmanager
def practice_site(database: str | None, rate: float) -> Iterator[Site]:
    """A founded site on a practice switch, its roles not started yet."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="calltree-hour-")))
        redis_url = stack.enter_context(own_redis.running(folder))
        site = Site(folder, database, redis_url, web_env(rate))
        stack.callback(site.stop)
        with site.store.write() as session:
            found(session, practice=True, now=utcnow()).lines = 60
        site.start_practice()
        yield site


def web_env(rate: float) -> dict[str, str]:
    return {
        "CLOCK_RATE": str(rate),
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "WEB_WORKERS": "1",
        "WEB_THREADS": "40",
    }


def worked(
    site: Site,
    switch_url: str,
    asked: Plan,
    seated: Callable[[Site, list[str]], list[int]] | None = None,
) -> Result:
    """Start the roles, let the campaign run for its time and be killed at, and count."""
    draw = random.Random(asked.seed)
    with listening(switch_url) as ears:
        for name in COMMANDS:
            start(site, name)
        wait_for(site.link_up, "the link to the switch", SETTLE_S)
        wait_for(lambda: web_answers(site), "the web server", SETTLE_S)
        numbers = customers(draw, asked)
        users = (seated or seated_here(asked))(site, numbers)
        campaign_id = found_campaign(site)
        crew = gathered(site, campaign_id, users, asked)
        with at_work(crew):
            killed = killing(site, campaign_id, asked, draw)
            settled(site)
        truth = Truth(
            site,
            campaign_id,
            ears,
            rate=asked.rate,
            silence_rate=asked.silence_rate,
            leaders_killed=[at for at, role in killed if role == "switch"],
        )
        found_wrong = wrongs(truth)
        longest = max(truth.silences(), default=0.0)
        if any(found_wrong.values()):
            print(tail(site), flush=True)
    return Result(
        value=float(sum(found_wrong.values())),
        unit="things wrong",
        floor=0.0,
        ratio=longest / SILENT_S,
        n=len(truth.calls),
        extra={
            "wrong": found_wrong,
            "killed": dict(Counter(role for _at, role in killed)),
            **facts(truth),
            "pressed": dict(crew.pressed),
            "presses without a web server": crew.unanswered,
        },
    )


def customers(draw: random.Random, asked: Plan) -> list[str]:
    """Numbers enough for most of the time; then those who were not reached come again."""
    count = max(60, int(asked.minutes * CALLS_A_MINUTE * asked.fresh))
    places = draw.sample(range(2_000_000, 9_999_999), count)
    return [f"03{place:07}{draw.choice(asked.digits)}" for place in places]


def seated_here(asked: Plan) -> Callable[[Site, list[str]], list[int]]:
    """Operators with simulated telephones."""
    return lambda site, numbers: fill(site, count=asked.operators, numbers=numbers)[0]


def found_campaign(site: Site) -> int:
    """A running campaign over the one list, at 2×, which redials within the hour."""
    now = utcnow()
    with site.store.write() as session:
        session.get_one(SiteRow, 1).min_gap_min = 5
        first = session.scalars(select(Customer).order_by(Customer.id).limit(1)).one()
        folder = session.get_one(CustomerList, first.list_id)
        campaign = Campaign(
            name="一時間",
            project_id=folder.project_id,
            mode=CampaignMode.FIXED,
            preset=Preset.CUSTOM,
            multiplier_tenths=20,
            limit_thousandths=100,
            busy_min=5,
            no_answer_min=10,
            other_part=False,
            calls_per_second=4,
            state=CampaignState.RUNNING,
            state_since=now,
            created_at=now,
        )
        session.add(campaign)
        session.flush()
        session.add(CampaignList(campaign_id=campaign.id, list_id=folder.id))
        return campaign.id


def gathered(site: Site, campaign_id: int, users: list[int], asked: Plan) -> Crew:
    seats = [
        Seat(user_id, cookie, page=f"{user_id:08d}-0000-4000-8000-000000000001")
        for user_id, cookie in zip(users, cookies(site, users), strict=True)
    ]
    return Crew(
        site, int(site.env["PORT"]), campaign_id, asked.rate, seats, random.Random(asked.seed)
    )


def killing(
    site: Site, campaign_id: int, asked: Plan, draw: random.Random
) -> list[tuple[float, str]]:
    """Kill each role so often, each time start it again: when which. Adaptive from half-time on.

    On the thread that started the roles: they end with it.
    """
    killed: list[tuple[float, str]] = []
    begun = time.monotonic()
    steps: list[tuple[float, Callable[[], None]]] = [
        (asked.seconds / 2, lambda: adapt(site, campaign_id))
    ]
    for at, role, away in plan(draw, times=asked.kills_each, seconds=asked.seconds):

        def strike(role: str = role, away: float = away) -> None:
            name = kill(site, role)
            killed.append((time.time(), role))
            time.sleep(away)
            start(site, name)

        steps.append((at, strike))
    for at, step in sorted(steps, key=lambda one: one[0]):
        time.sleep(max(0.0, begun + at - time.monotonic()))
        step()
    time.sleep(max(0.0, begun + asked.seconds - time.monotonic()))
    return killed


def adapt(site: Site, campaign_id: int) -> None:
    with site.store.write() as session:
        campaign = session.get_one(Campaign, campaign_id)
        campaign.mode, campaign.multiplier_tenths = CampaignMode.ADAPTIVE, None
        campaign.limit_thousandths = 30


def settled(site: Site) -> None:
    """Dial nobody any more, and wait until every call has its end and every result is saved.

    Whatever does not come is counted afterwards.
    """
    wait_for(lambda: anybody_joined(site), "the first conversation", SETTLE_S)
    with site.store.write() as session:
        session.execute(update(Campaign).values(state=CampaignState.PAUSED))
    deadline = time.monotonic() + SETTLE_S
    while not quiet(site) and time.monotonic() < deadline:
        time.sleep(0.2)


def quiet(site: Site) -> bool:
    with site.store.read() as session:
        calls = exists().where(Attempt.ended_at.is_(None))
        lines = exists().where(Line.released_at.is_(None))
        busy = exists().where(Operator.state.in_((*BUSY, OperatorState.WRAP_UP)))
        return not any(session.scalar(select(one)) for one in (calls, lines, busy))


def anybody_joined(site: Site) -> bool:
    """A slow machine may need more than the time of a short run."""
    with site.store.read() as session:
        return bool(session.scalar(select(exists().where(Attempt.joined_at.is_not(None)))))


def web_answers(site: Site) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.env['PORT']}/healthz", timeout=5):
            return True
    except OSError:
        return False


def tail(site: Site) -> str:
    """The roles' last words."""
    return log_of(site).read_text(errors="replace")[-20_000:]
