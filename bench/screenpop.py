"""From an event at the switch to the fragment on the operator's page, with twenty calls a second.

Work: the whole site in processes (practice switch, `worker.py switch` and `calls`, gunicorn with
two web processes); sixty operators press CALL twenty times a second in all. The lag is from an
event's stamp at the switch until the page's socket delivers the call box in that state. Measured
with one open page and with two hundred that all show the lines in use. Floor, in the same run and
under the same load: one Redis publish that a bare process passes on to a bare socket.
`value` and `floor` are medians in ms with one page, `ratio` = value / floor, at most 6. `extra` has
the two hundred pages and `growth`, at most 2, and where the time goes: `written_ms` until the
ledger has committed the event and tells so on Redis, the rest until the page has it. `--rows` is
the number of calls of each part (900).
"""

import json
import random
import socket
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from bench import Options, Result
from bench._telephone import ROOT, Site, fill, percentile, running_site, wait_for
from bench.calls import press_all, settle, stamp
from calltree import create_app, doorbells
from calltree.db import utcnow
from calltree.models import Attempt, AttemptEvent, Role, User
from calltree.services import operators

CALLS = 900
OPERATORS = 60
PAGES = 200
LATEST_S = 5.0
# how the call box calls what the event brings about
STATES = {
    "Progress": {"ringing"},
    "Bridged": {"talking"},
    "HungUp": {"ended"},
}


@dataclass(frozen=True)
class Part:
    """What came to so many pages."""

    lags_ms: list[float]
    written_ms: list[float]
    floor_ms: list[float]
    lines: int
    missed: int

    @property
    def median_ms(self) -> float:
        return statistics.median(self.lags_ms)

    def shown(self) -> dict[str, float]:
        return {
            "median_ms": round(self.median_ms, 2),
            "p95_ms": round(percentile(self.lags_ms, 0.95), 2),
            "written_ms": round(statistics.median(self.written_ms), 2),
            "fragments": len(self.lags_ms),
            "not_seen": self.missed,
            "lines_pushed": self.lines,
            "floor_median_ms": round(statistics.median(self.floor_ms), 3),
        }


def run(options: Options) -> Result:
    count = options.rows or CALLS
    draw = random.Random(options.seed)
    numbers = [f"031{place:06}{draw.choice('4444444417')}" for place in range(2 * count)]
    with running_site(options) as site:
        users, customers = fill(site, count=OPERATORS, numbers=numbers)
        others = onlookers(site, PAGES - OPERATORS)
        start_web(site)
        plan = list(zip(customers, numbers, strict=True))
        one = measured(site, users, users[:1], plan[:count])
        many = measured(site, users, users + others, plan[count:])
    floor = statistics.median(one.floor_ms)
    return Result(
        value=one.median_ms,
        unit="ms",
        floor=floor,
        ratio=one.median_ms / floor,
        n=len(one.lags_ms),
        extra={
            "growth": round(many.median_ms / one.median_ms, 2),
            "one_page": one.shown(),
            f"{PAGES}_pages": many.shown(),
        },
    )


def measured(
    site: Site, users: list[int], watching: list[int], plan: list[tuple[int, str]]
) -> Part:
    """Let everybody call while these watch; what arrived, matched with the events' stamps."""
    since = utcnow()
    with pages(site, watching) as watch:
        # the watched operator is asked more often, so that one page sees enough calls
        press_all(site, users + watching[:1] * 5, plan)
        settle(site)
        told = json.loads(watch.communicate()[0].splitlines()[-1])
    came: dict[int, list[tuple[float, str]]] = {}
    for place, at, state in told["came"]:
        came.setdefault(watching[place], []).append((at, state))
    written: dict[int, list[float]] = {}
    for user_id, at in told["told"]:
        written.setdefault(user_id, []).append(at)
    lags, until_written, missed = [], [], 0
    for user_id, name, at in happened(site, watching, since):
        seen = next(
            (t for t, state in came.get(user_id, []) if t >= at and state in STATES[name]), None
        )
        if seen is None or seen - at > LATEST_S:
            missed += 1
        else:
            lags.append((seen - at) * 1000)
            heard = next((t for t in written.get(user_id, []) if t >= at), seen)
            until_written.append((heard - at) * 1000)
    return Part(lags, until_written, told["floor_ms"], told["lines"], missed)


def happened(site: Site, watching: list[int], since: Any) -> list[tuple[int, str, float]]:
    with site.store.read() as session:
        rows = session.execute(
            select(Attempt.user_id, AttemptEvent.name, AttemptEvent.at)
            .join(Attempt, Attempt.id == AttemptEvent.attempt_id)
            .where(
                AttemptEvent.at >= since,
                AttemptEvent.name.in_(STATES),
                Attempt.user_id.in_(watching),
            )
            .order_by(AttemptEvent.at)
        ).all()
    return [(user_id, name, stamp(at)) for user_id, name, at in rows]


def onlookers(site: Site, count: int) -> list[int]:
    """People with the operator's screen open who do not call."""
    now = utcnow()
    with site.store.write() as session:
        users = [
            User(
                login_id=f"looks{n}",
                login_key=f"looks{n}",
                name=f"見学{n}",
                role=Role.OPERATOR,
                password_hash="!",
                created_at=now,
            )
            for n in range(count)
        ]
        session.add_all(users)
        session.flush()
        for user in users:
            operators.sign_in(session, user_id=user.id, now=now)
    return [user.id for user in users]


def start_web(site: Site) -> None:
    port = free_port()
    site.env |= {"HOST": "127.0.0.1", "PORT": str(port), "WEB_WORKERS": "2", "WEB_THREADS": "200"}
    site.start("web", "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app")

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return True
        except OSError:
            return False

    wait_for(answers, "the web server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def pages(site: Site, watching: list[int]) -> Iterator["subprocess.Popen[str]"]:
    """Open the pages, and a bare socket for the floor."""
    plan = {
        "port": int(site.env["PORT"]),
        "bare_port": free_port(),
        "redis_url": site.env["REDIS_URL"],
        "channel": doorbells.live_channel(doorbells.site_key(site.store)),
        "cookies": cookies(site, watching),
    }
    started = []
    for kind in ("bare", "pages"):
        process = subprocess.Popen(
            [sys.executable, "-m", "bench._pages", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        started.append(process)
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.flush()
        if kind == "bare":
            wait_for(lambda: listens(plan["bare_port"]), "the bare socket")
    try:
        assert started[1].stdout is not None
        assert started[1].stdout.readline() == "open\n", "the pages did not open"
        yield started[1]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def cookies(site: Site, watching: list[int]) -> list[str]:
    """What the browser of each would send."""
    app = create_app(site.settings)
    kept = []
    for user_id in watching:
        client = app.test_client()
        with client.session_transaction() as session:
            session["_user_id"] = f"{user_id}:{_version(site, user_id)}"
            session["_fresh"] = True
            session["seen_at"] = utcnow().timestamp()
        cookie = client.get_cookie("calltree")
        assert cookie is not None
        kept.append(cookie.value)
    return kept


def _version(site: Site, user_id: int) -> int:
    with site.store.read() as session:
        return session.get_one(User, user_id).session_version
