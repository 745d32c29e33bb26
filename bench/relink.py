"""From the switch answering again to operators and calls being right, on a real FreeSWITCH.

Work: the roles reach FreeSWITCH through a door of the bench's own. Ten operators talk, ten more
have a parked leg. The door is shut: every link is cut, nothing connects. Meanwhile three customers
hang up, one talking operator's leg goes (the customer is kept) and one parked leg goes. The door is
opened, and the ledger is asked every 5 ms until it says what the switch has: the link is up, three
calls are over with their operators in 後処理, one waits for its leg, six talk, the lost legs are
known as lost. Shut for 1 s and for 20 s by turns, since the waits between two tries grow.

`value` is the longest time in s, `floor` the 3 s it is measured by, **`ratio` at most 1**. `extra`
has the times, and those until the link was up. `--rows` is the number of cuts (6). Needs a
FreeSWITCH: see bench/_freeswitch.py.
"""

import random
import time
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select

from bench import Options, Result
from bench._door import Door
from bench._freeswitch import api, parked_legs, real_site, seat, switch_url
from bench._telephone import Site, people, wait_for
from bench.calls import ask
from calltree.models import Attempt, CallState, LegState, Operator, OperatorState
from calltree.services import gate

CUTS = 6
SHUT_S = (1.0, 20.0)
TALKING = 10
PARKED = 10
BOUND_S = 3.0
LOOK_S = 0.005


@dataclass(frozen=True)
class Wanted:
    """What the ledger must say after a cut."""

    over: list[str]
    """Calls whose customer hung up."""
    kept: str
    """The call whose operator's leg went."""
    talking: list[str]
    lost_legs: list[str]


def run(options: Options) -> Result:
    url = switch_url()
    cuts = options.rows or CUTS
    draw = random.Random(options.seed)
    numbers = [f"03{n:07}0" for n in draw.sample(range(2_000_000, 9_999_999), cuts * TALKING)]
    took: dict[float, list[float]] = {seconds: [] for seconds in SHUT_S}
    linked: list[float] = []
    door = Door(url)
    try:
        with real_site(options, door.url) as site:
            users, customers = people(site, count=cuts * (TALKING + PARKED), numbers=numbers)
            for cut in range(cuts):
                mine = users[cut * (TALKING + PARKED) :][: TALKING + PARKED]
                theirs = slice(cut * TALKING, (cut + 1) * TALKING)
                plan = list(zip(customers[theirs], numbers[theirs], strict=True))
                seconds = SHUT_S[cut % len(SHUT_S)]
                until_link, until_right = one_cut(url, site, door, mine, plan, seconds)
                linked.append(until_link)
                took[seconds].append(until_right)
    finally:
        door.shut()
    every = [value for values in took.values() for value in values]
    return Result(
        value=max(every),
        unit="s",
        floor=BOUND_S,
        ratio=max(every) / BOUND_S,
        n=cuts,
        extra={
            **{f"shut_{s:g}_s": [round(v, 2) for v in values] for s, values in took.items()},
            "until_link_up_s": [round(value, 2) for value in linked],
        },
    )


def one_cut(
    url: str,
    site: Site,
    door: Door,
    users: list[int],
    plan: list[tuple[int, str]],
    shut_s: float,
) -> tuple[float, float]:
    """Seconds from the door's opening until the link is up, and until everything is right."""
    with parked_legs(url, len(users)) as legs:
        seat(site, users, legs)
        uuids = [talk(site, user, *customer) for user, customer in zip(users, plan, strict=False)]
        wanted = Wanted(
            over=uuids[:3],
            kept=uuids[3],
            talking=uuids[4:],
            lost_legs=[legs[3], legs[TALKING]],
        )
        door.shut()
        wait_for(lambda: not site.link_up(), "the link's end")
        for leg in (*wanted.over, *wanted.lost_legs):
            api(url, f"uuid_kill {leg}")
        time.sleep(shut_s)
        door.open()
        opened = time.monotonic()
        wait_until(site.link_up, "the link")
        linked = time.monotonic() - opened
        wait_until(lambda: is_right(site, wanted), "what is right")
        right = time.monotonic() - opened
        for leg in (*uuids, *legs):
            with suppress(Exception):
                api(url, f"uuid_kill {leg}")
        wait_for(lambda: is_empty(site, users), "the calls' ends")
    return linked, right


def talk(site: Site, user_id: int, customer_id: int, number: str) -> str:
    """Call this customer; the leg's uuid once they talk."""
    verdict = ask(site, user_id, customer_id, number)
    if verdict != gate.ALLOWED:
        raise SystemExit(f"the gate refuses: {verdict}")

    def talks() -> str:
        with site.store.read() as session:
            row = session.scalar(select(Attempt).where(Attempt.customer_id == customer_id))
            return row.uuid if row and row.state is CallState.TALKING else ""

    wait_for(talks, "a call")
    return talks()


def is_right(site: Site, wanted: Wanted) -> bool:
    """Whether the ledger says what the switch has."""
    with site.store.read() as session:
        rows = session.execute(
            select(Attempt.uuid, Attempt.state, Operator.state)
            .join(Operator, Operator.user_id == Attempt.user_id)
            .where(Attempt.uuid.in_([*wanted.over, wanted.kept, *wanted.talking]))
        ).all()
        lost = session.scalars(
            select(Operator.user_id).where(
                Operator.leg_uuid.in_(wanted.lost_legs), Operator.leg_state == LegState.LOST
            )
        ).all()
    found = {uuid: (call, operator) for uuid, call, operator in rows}
    return (
        all(found[uuid] == (CallState.ENDED, OperatorState.WRAP_UP) for uuid in wanted.over)
        and found[wanted.kept][0] is CallState.ANSWERED
        and all(
            found[uuid] == (CallState.TALKING, OperatorState.TALKING) for uuid in wanted.talking
        )
        and len(lost) == len(wanted.lost_legs)
    )


def is_empty(site: Site, users: list[int]) -> bool:
    """Whether none of these has a call or a leg any more."""
    with site.store.read() as session:
        live = session.scalar(select(Attempt.id).where(Attempt.ended_at.is_(None)).limit(1))
        legs = select(Operator.user_id).where(
            Operator.user_id.in_(users), Operator.leg_state != LegState.LOST
        )
        return live is None and session.scalar(legs.limit(1)) is None


def wait_until(what: "object", why: str) -> None:
    """As `wait_for`, looking more often; the ledger is read, nothing is written."""
    deadline = time.monotonic() + 60
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {why}")
        time.sleep(LOOK_S)
