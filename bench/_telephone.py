"""A whole telephone site for a bench: its database, a Redis, the practice switch and the roles,
each a process of its own, and operators whose legs are parked.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import time as clock_time
from pathlib import Path
from subprocess import Popen
from typing import Any

from sqlalchemy import create_engine, func, insert, select

import calltree.models
from bench import Options
from calltree import doorbells
from calltree.config import Settings
from calltree.db import Base, Store, utcnow
from calltree.launch import own_redis
from calltree.launch.children import start_process
from calltree.models import (
    Audience,
    CallerNumber,
    Customer,
    CustomerList,
    LegState,
    ListGrant,
    Operator,
    Project,
    ResultPattern,
    Role,
    User,
)
from calltree.services import leases, legs, operators
from calltree.services.setup import found

PASSWORD = "bench"
ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 60.0


class Site:
    """The processes by name, and the store that the bench itself uses."""

    def __init__(
        self,
        folder: Path,
        database: str | None,
        redis_url: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.practice_url = ""
        self.processes: dict[str, Popen[bytes]] = {}
        self.env = os.environ | {
            "DATABASE_URL": database or f"sqlite:///{folder / 'calltree.db'}",
            "DATA_DIR": str(folder),
            "REDIS_URL": redis_url,
            "SECRET_KEY": "of the bench",
            "LOG_LEVEL": "WARNING",
            "ESL_PASSWORD": PASSWORD,
            "PYTHONPATH": str(ROOT),
            **(env or {}),
        }
        self.settings = Settings.from_env(self.env)
        assert calltree.models.__name__  # imported for its tables
        self.store = Store(create_engine(self.settings.database_url, pool_size=50))
        Base.metadata.create_all(self.store.engine)
        self.store.publisher = doorbells.for_store(self.settings, self.store)

    def start(self, name: str, *command: str) -> None:
        self.processes[name] = start_process(
            [sys.executable, *command], env=self.env, pass_output=False
        )

    def start_practice(self) -> None:
        """Start the switch on a free port, and tell the roles where it is."""
        told = self.folder / "practice.port"
        self.start(
            "practice",
            *("-m", "calltree.practice", "--port", "0", "--port-file", str(told)),
            *("--recordings", str(self.settings.recordings_dir)),
        )
        wait_for(told.exists, "the practice switch")
        self.practice_url = f"esl://:{PASSWORD}@127.0.0.1:{told.read_text().strip()}"
        self.env["PRACTICE_ESL_URL"] = self.practice_url

    @property
    def node(self) -> str:
        """The name of the one switch."""
        return self.settings.node_names[0]

    def link_up(self) -> bool:
        with self.store.read() as session:
            return leases.link_is_up(session, node=self.node)

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used so far by each process and its children."""
        return {name: _cpu_s(process.pid) for name, process in self.processes.items()}

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.store.engine.dispose()


@contextmanager
def running_site(options: Options) -> Iterator[Site]:
    """Give a founded site whose link is up; everything ends with it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calltree-bench-")))
        redis_url = stack.enter_context(own_redis.running(folder))
        site = Site(folder, options.database, redis_url)
        stack.callback(site.stop)
        with site.store.write() as session:
            found(session, practice=True, now=utcnow()).lines = 200
        site.start_practice()
        site.start("switch", "worker.py", "switch")
        site.start("calls", "worker.py", "calls")
        wait_for(site.link_up, "the link to the switch")
        yield site


def wait_for(what: Callable[[], Any], why: str, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {why}")
        time.sleep(0.02)


def fill(site: Site, *, count: int, numbers: list[str]) -> tuple[list[int], list[int]]:
    """Operators with parked legs and one list of customers: the users' ids, the customers'."""
    user_ids, customer_ids = people(site, count=count, numbers=numbers)
    for user_id in user_ids:
        with site.store.write() as session:
            legs.connect(session, user_id=user_id, node=site.node, now=utcnow())
    wait_for(lambda: parked(site) == count, "the operators' telephones")
    return user_ids, customer_ids


def people(site: Site, *, count: int, numbers: list[str]) -> tuple[list[int], list[int]]:
    """Operators who are signed in, without a leg, and their one list of customers."""
    now = utcnow()
    with site.store.write() as session:
        caller = CallerNumber(number="0501111111", label="計測")
        pattern = ResultPattern(name=f"計測{time.time_ns()}", created_at=now)
        session.add_all([caller, pattern])
        session.flush()
        project = Project(
            name=f"計測{time.time_ns()}",
            pattern_id=pattern.id,
            main_number_id=caller.id,
            audience=Audience.B2B,
            weekdays=list(range(7)),
            on_holidays=True,
            opens=clock_time(0, 0),
            closes=clock_time(23, 59),
            ring_time_s=20,
            created_at=now,
        )
        users = [_user(n, now) for n in range(count)]
        session.add_all([project, *users])
        session.flush()
        folder = CustomerList(
            name="計測",
            project_id=project.id,
            enabled=True,
            columns=["会社名"],
            customers=len(numbers),
            created_at=now,
        )
        session.add(folder)
        session.flush()
        session.add_all(ListGrant(list_id=folder.id, user_id=user.id) for user in users)
        session.execute(
            insert(Customer),
            [_customer(folder.id, place, number, now) for place, number in enumerate(numbers)],
        )
        of_list = Customer.list_id == folder.id
        customers = session.scalars(select(Customer.id).where(of_list).order_by(Customer.id))
        customer_ids = list(customers)
    user_ids = [user.id for user in users]
    for user_id in user_ids:
        with site.store.write() as session:
            operators.sign_in(session, user_id=user_id, now=utcnow())
    return user_ids, customer_ids


def _user(place: int, now: Any) -> User:
    name = f"bench{place}-{time.time_ns()}"
    return User(
        login_id=name,
        login_key=name,
        name=f"計測{place}",
        role=Role.OPERATOR,
        password_hash="!",
        created_at=now,
    )


def _customer(list_id: int, place: int, number: str, now: Any) -> dict[str, Any]:
    return {
        "list_id": list_id,
        "position": place + 1,
        "number_given": number,
        "number": number,
        "cells": [f"会社{place}"],
        "folded": f"会社{place}",
        "created_at": now,
        "updated_at": now,
    }


def parked(site: Site) -> int:
    """How many legs are parked, as the ledger knows it."""
    with site.store.read() as session:
        parked = select(func.count()).where(Operator.leg_state == LegState.PARKED)
        return session.scalar(parked) or 0


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process and of those it started (gunicorn's workers)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / TICKS
    return own + sum(_cpu_s(int(child)) for child in children)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of them do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
