"""A site in processes of its own: each can be killed as a power cut would, and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import redis
from rq import Worker
from sqlalchemy import create_engine, select, update

from calltree import doorbells
from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.launch import own_redis
from calltree.models import TERMINAL_STATES, Attempt, CallRecord, Lease
from tests.floor import Floor, found_floor, wait_for
from tests.forked import Forked
from tests.ports import free_port
from tests.practice import PracticeSwitch

ROOT = Path(__file__).resolve().parents[2]
RATE = 2.0
"""How much quicker the practice carrier is."""
CLOCK_RATE = 0.5
"""The roles' own clocks have time: a lease of two seconds is lost on a busy machine."""
STOP_S = 60
"""What has not ended by then hangs, on a slow machine too."""


class Site:
    """Redis, the practice switch and the roles, by name."""

    def __init__(self, data_dir: Path, database_url: str, *, rate: float = RATE) -> None:
        self.data_dir = data_dir
        self.switch = PracticeSwitch(data_dir, rate=rate, port=free_port())
        self.log = (data_dir / "site.log").open("ab")
        self.switch_was_lost = False
        self.processes: dict[str, subprocess.Popen[bytes] | Forked] = {}
        self.env = os.environ | {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(data_dir),
            "REDIS_URL": own_redis.url(data_dir),
            "PRACTICE_ESL_URL": self.switch.url,
            "SECRET_KEY": "of the tests",
            "CLOCK_RATE": str(CLOCK_RATE),
            "PYTHONFAULTHANDLER": "1",
        }
        self.settings = Settings.from_env(self.env)
        self.store = Store(create_engine(self.settings.database_url))
        self.store.publisher = doorbells.for_store(self.settings, self.store)

    def start(self, *names: str) -> None:
        """Start roles of worker.py; "" is all of them by the one command."""
        for name in names:
            if name in {"", "redis"}:
                command = own_redis.command(self.data_dir)
                self.processes[name] = subprocess.Popen(
                    command if name else [sys.executable, "worker.py"],
                    cwd=ROOT, env=self.env, stdout=self.log, stderr=self.log,
                )  # fmt: skip
            else:
                self.processes[name] = Forked(
                    ["worker.py", *name.split()], env=self.env, log=self.log.name
                )
            if name == "redis":
                wait_for(lambda: own_redis.answers(self.data_dir), "redis")

    def kill(self, name: str) -> None:
        """kill -9."""
        if name == "practice":
            self.switch.kill()
            self.switch_was_lost = True
            return
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def restart(self, name: str) -> None:
        if name == "practice":
            self.switch = PracticeSwitch(self.data_dir, rate=RATE, port=self.switch.port)
        else:
            self.start(name)

    def stop(self) -> None:
        """SIGTERM for all, Redis last; each must end cleanly and soon."""
        last = self.processes.pop("redis", None)
        codes = _stopped(self.processes)
        self.processes.clear()
        codes |= _stopped({"redis": last} if last else {})
        self.switch.kill()
        self.store.engine.dispose()
        self.log.close()
        # -15: the signal came before its handler
        assert set(codes.values()) <= {0, -signal.SIGTERM}, (codes, self.shown())

    def shown(self) -> str:
        return (self.data_dir / "site.log").read_text()[-12_000:]

    def family(self) -> list[int]:
        """Every worker process that was started with this DATA_DIR and lives."""
        mark = f"DATA_DIR={self.data_dir}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                ours = mark in (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if ours and b"worker.py" in command:
                found.append(int(folder.name))
        return found

    def served(self) -> bool:
        """The calls worker waits for its bell."""
        with redis.from_url(self.env["REDIS_URL"]) as link:
            workers = Worker.all(connection=link)
            return any(
                name.endswith(":calls:practice") for w in workers for name in w.queue_names()
            )


def _stopped(processes: "dict[str, subprocess.Popen[bytes] | Forked]") -> dict[str, int | None]:
    """Ask all to end, and give their codes; one that hangs is made to say where."""
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    for process in processes.values():
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait(STOP_S)
    return {name: process.returncode for name, process in processes.items()}


class ProcessFloor(Floor):
    """A floor whose switch may be another process after a restart."""

    site: Site

    def settled(self) -> bool:
        """Every attempt is terminal."""
        with self.store.read() as session:
            states = session.scalars(select(Attempt.state)).all()
        return all(state in TERMINAL_STATES for state in states)

    def lease_runs_out(self) -> None:
        """As it does by itself, some seconds after its leader died."""
        with self.store.write() as session:
            session.execute(update(Lease).values(until=utcnow() - timedelta(seconds=1)))

    def check_truth(self) -> None:
        """No record lost or doubled, nobody dialled twice, no line held, no channel but legs."""
        with self.store.read() as session:
            dialled = session.scalars(select(Attempt.id).where(Attempt.dialled_at.is_not(None)))
            recorded = session.scalars(select(CallRecord.attempt_id))
            assert sorted(dialled) == sorted(recorded)
            uuids = set(session.scalars(select(Attempt.uuid)))
            answered = session.scalars(
                select(Attempt.uuid).where(
                    Attempt.dialled_at.is_not(None), Attempt.answered_at.is_not(None)
                )
            ).all()
        asked = {uuid: int(self.switch.api(f"practice dialled {uuid}")) for uuid in uuids}
        assert {uuid: count for uuid, count in asked.items() if count > 1} == {}, "dialled twice"
        if not self.site.switch_was_lost:  # a new one was asked for none of them
            assert {asked[uuid] for uuid in answered} <= {1}
        assert self.lines_open() == 0
        wait_for(lambda: not self.channels() & uuids, "no customer's channel left")


@contextmanager
def running_site(
    tmp_path: Path, database_url: str, roles: tuple[str, ...] = ("switch", "calls")
) -> Iterator[ProcessFloor]:
    """Everything up, one operator's worth of site founded."""
    data_dir = tmp_path / "var"
    data_dir.mkdir()
    site = Site(data_dir, database_url)
    try:
        site.start("redis")
        plain = found_floor(site.store, site.switch)
        floor = ProcessFloor(site.store, site.switch, plain.list_id)
        floor.site = site
        site.start(*roles)
        wait_for(floor.link_up, "link up", patience_s=120)
        wait_for(site.served, "calls worker", patience_s=120)
        yield floor
    except BaseException:
        sys.stderr.write(site.shown())
        raise
    finally:
        site.stop()


def restart_after(floor: ProcessFloor, name: str) -> None:
    """Kill, come back, and be whole again."""
    floor.site.kill(name)
    if name == "switch":
        floor.lease_runs_out()
    floor.site.restart(name)
    floor.switch = floor.site.switch
    wait_for(floor.link_up, "link up again", patience_s=120)
