"""The hour of `bench hour` on a FreeSWITCH of its own, with our configuration and its test carrier.

Work, `value`, `floor` and `ratio` as there, and as many kills; everything in real time, so it is
the quarter of an hour that the hurried one takes (`--rows`: real minutes, 15; each role is killed
twelve times in them). The switch is started here with what `switch config --test-carrier` writes;
the operators' telephones are numbers of the carrier that answer and stay. FREESWITCH_BIN is the
program, FREESWITCH_MOD_DIR its modules.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from sqlalchemy import update

from bench import Options, Result
from bench._freeswitch import parked_legs, seat
from bench._telephone import Site, people
from bench.hour import Plan, web_env, worked
from calltree.db import utcnow
from calltree.launch import own_redis
from calltree.models import LegKind, Operator, User
from calltree.services.setup import found
from tests.freeswitch import rendered_switch

DIGITS = "9999999999990134578"
MINUTES = 15
KILLS_A_MINUTE = 0.8


def run(options: Options) -> Result:
    for name in ("FREESWITCH_BIN", "FREESWITCH_MOD_DIR"):
        if not os.environ.get(name):
            raise SystemExit(f"no FreeSWITCH to start: {name} is not set")
    minutes = options.rows or MINUTES
    asked = Plan(
        minutes=minutes, rate=1.0, silence_rate=1.0, seed=options.seed, digits=DIGITS,
        fresh=1.2, kills=max(1, round(minutes * KILLS_A_MINUTE)),
    )  # fmt: skip
    return on_real_switch(options.database, asked)


def on_real_switch(database: str | None, asked: Plan) -> Result:
    """Start a switch and a site on it, and work its hour."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="calltree-hour-")))
        switch = stack.enter_context(
            rendered_switch(folder, directory_url="http://127.0.0.1:9/", secret="x")
        )
        esl = switch.wanted.esl
        url = f"esl://:{quote(esl.password, safe='')}@{esl.host}:{esl.port}"
        redis_url = stack.enter_context(own_redis.running(folder))
        env = {"ESL_URL": url, "SWITCH_RECORDINGS": str(switch.recordings), **web_env(asked.rate)}
        site = Site(folder, database, redis_url, env)
        stack.callback(site.stop)
        with site.store.write() as session:
            found(session, practice=False, now=utcnow()).lines = 60
        legs = stack.enter_context(parked_legs(url, asked.operators))
        return worked(site, url, asked, lambda site, numbers: seated(site, numbers, legs))


def seated(site: Site, numbers: list[str], legs: list[str]) -> list[int]:
    """Operators on desk phones whose legs are there already."""
    users, _customers = people(site, count=len(legs), numbers=numbers)
    with site.store.write() as session:
        session.execute(update(User).values(leg_kind=LegKind.DEVICE))
    seat(site, users, legs)
    with site.store.write() as session:
        session.execute(update(Operator).values(leg_kind=LegKind.DEVICE))
    return users
