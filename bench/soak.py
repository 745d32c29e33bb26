"""Ten operators in real browsers, 3,000 calls in half an hour, recording on: what is left over?

Work: ten pages hold their legs on a real FreeSWITCH; CALL is pressed through the services, a
hundred a minute, to customers who leave after a second, are announced away, are busy or refuse.
Web, roles and jobs are processes of their own; every 5 s each one's memory, threads, files and CPU
are read.

A customer for whom nobody is free waits, so that there are as many calls on a machine that cannot
keep the pace.

`value` is what is left at the end: channels beyond the ten legs, lines and calls that are open,
operators who are locked, recordings that nobody finished, files that no row keeps (the switch's
originals among them), rows whose file is not there, and threads (not the web's, which are a pool)
and files of a process beyond those of the middle third. None may be. **`ratio` is the steepest
curve: the greatest of each process's memory, the browser's included, and of the CPU a call of all
of ours, last third ÷ middle third.** `--rows` is the number of calls (3,000; 500 for five minutes).
Needs a FreeSWITCH and a Chromium: see bench/_browsers.py.
"""

import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from sqlalchemy import case, func, select

from bench import Options, Result
from bench._browsers import site_with_browsers
from bench._telephone import wait_for
from bench.calls import ask
from calltree.models import (
    Attempt,
    AttemptEvent,
    CustomerList,
    LegState,
    Line,
    Operator,
    Recording,
    RecordingState,
)
from calltree.services import gate, records
from tests import factories as make
from tests.softphone.real import RealSeat, RealSite

CALLS = 3000
OPERATORS = 10
PER_MINUTE = 100
LOOK_S = 5.0
SETTLE_S = 120.0
PATIENCE_S = 600.0
"""For an operator to be free and for the encoder, on a machine that others keep busy."""
DIGITS = "4444444317"
"""Of ten customers seven answer; then an announcement, a busy one, a refusal."""
THEIRS = ("freeswitch", "browser")
UNFINISHED = (RecordingState.RECORDING, RecordingState.STOPPED)


@dataclass(frozen=True)
class Look:
    """One process at one moment."""

    at: float
    memory_mb: float
    threads: int
    files: int
    cpu_s: float


def run(options: Options) -> Result:
    count = options.rows or CALLS
    draw = random.Random(options.seed)
    numbers = [f"03{2_000_000 + place:07}{draw.choice(DIGITS)}" for place in range(2 * count)]
    with site_with_browsers(options) as (site, browser):
        site.start("jobs")
        seats = [seated(site, browser) for _ in range(OPERATORS)]
        customers = customers_of(site, numbers)
        with watched(site) as looks:
            asked = press_all(site, seats, list(zip(customers, numbers, strict=True)), count)
            pressed_at = time.monotonic()
            wait_for(lambda: not open_calls(site), "the last calls", SETTLE_S)
            behind_s = until(lambda: not unfinished(site), PATIENCE_S)
            until(lambda: channels(site) <= OPERATORS, SETTLE_S)  # a page's former leg takes 15 s
            time.sleep(2 * LOOK_S)
        left = left_over(site, looks, pressed_at)
        files, known = sounds(site)
        counts, states_now = counted(site), states(site)
        legs = site.api("show channels").splitlines() if left["channels"] else []
    growth = growths(looks, pressed_at)
    return Result(
        value=float(sum(left.values())),
        unit="things left",
        floor=0.0,
        ratio=max(growth.values()),
        n=counts["calls"],
        extra={
            "left": left,
            "growth": {name: round(value, 2) for name, value in growth.items()},
            **counts,
            "recordings_are": states_now,
            "legs": legs,
            "strays": strays(site, sorted(files ^ known)[:20]),
            "presses": asked,
            "recordings_were_behind_s": behind_s,
            "minutes": round((pressed_at - looks["web"][0].at) / 60, 1),
            "memory_mb": {name: told(rows) for name, rows in looks.items()},
        },
    )


def until(what: Callable[[], bool], patience_s: float) -> int:
    """Wait for that, though not for ever: seconds that it took."""
    began = time.monotonic()
    while not what() and time.monotonic() - began < patience_s:
        time.sleep(0.5)
    return round(time.monotonic() - began)


def told(rows: list[Look]) -> str:
    return f"{rows[0].memory_mb:.0f} → {rows[-1].memory_mb:.0f}, at most " + str(
        round(max(row.memory_mb for row in rows))
    )


def seated(site: RealSite, browser: Browser) -> RealSeat:
    """An operator whose page has its leg."""
    seat = site.seat(browser)
    # not by what the panel says: a busy machine's microphone may be in trouble for a moment
    parked = select(func.count()).where(
        Operator.user_id == seat.user_id, Operator.leg_state == LegState.PARKED
    )
    wait_for(lambda: _count(site, parked), "an operator's leg")
    return seat


def customers_of(site: RealSite, numbers: list[str]) -> list[int]:
    with site.store.write() as session:
        folder = session.get_one(CustomerList, site.list_id)
        return [make.make_customer(session, folder, number=one).id for one in numbers]


def press_all(
    site: RealSite, seats: list[RealSeat], customers: list[tuple[int, str]], count: int
) -> dict[str, int]:
    """Press CALL a hundred times a minute, whoever is free; how the gate answered.

    A dial that a busy machine refused as too old is made good by another customer's.
    """
    verdicts: dict[str, int] = {}
    start = time.monotonic()
    for place, customer in enumerate(customers):
        if place >= count and dialled(site) >= count:
            break
        due = start + place * 60 / PER_MINUTE
        while (wait_s := due - time.monotonic()) > 0:
            # the pages' own messages are read while we wait
            seats[place % len(seats)].page.wait_for_timeout(min(wait_s, 0.2) * 1000)
        users = [seat.user_id for seat in seats]
        patient_until = time.monotonic() + PATIENCE_S
        while True:
            verdict = press(site, users, customer, place)
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            if verdict == gate.ALLOWED:
                break
            if time.monotonic() > patient_until:
                raise SystemExit(f"waited in vain for an operator: {verdicts}")
            seats[place % len(seats)].page.wait_for_timeout(200)
    return verdicts


def press(site: RealSite, users: list[int], customer: tuple[int, str], place: int) -> str:
    for turn in range(len(users)):
        user_id = users[(place + turn) % len(users)]
        with site.store.read() as session:
            busy = records.in_call(session, user_id=user_id)
        if busy:
            continue
        verdict = ask(site, user_id, *customer)
        if verdict == gate.ALLOWED:
            return verdict
    return "nobody free"


# --- what is left


def channels(site: RealSite) -> int:
    return int(site.api("show channels count").split()[0])


def open_calls(site: RealSite) -> int:
    return _count(site, select(func.count()).where(Attempt.ended_at.is_(None)))


def unfinished(site: RealSite) -> int:
    return _count(site, select(func.count()).where(Recording.state.in_(UNFINISHED)))


def left_over(site: RealSite, looks: dict[str, list[Look]], pressed_at: float) -> dict[str, int]:
    """What should not be there any more, by name."""
    files, rows_of_files = sounds(site)
    left = {
        "channels": max(channels(site) - OPERATORS, 0),
        "lines": _count(site, select(func.count()).where(Line.released_at.is_(None))),
        "calls": open_calls(site),
        "locked operators": _count(
            site, select(func.count()).where(Operator.attempt_id.is_not(None))
        ),
        "recordings": unfinished(site),
        "files without a row": len(files - rows_of_files),
        "rows without a file": len(rows_of_files - files),
    }
    for name, rows in looks.items():
        if name == "browser":
            continue  # its processes come and go
        middle = part(rows, pressed_at, 1)
        # the web's threads are a pool that fills as it is needed, up to WEB_THREADS
        for what in ("files",) if name == "web" else ("threads", "files"):
            most = max(getattr(row, what) for row in middle)
            left[f"{what} of {name}"] = max(getattr(rows[-1], what) - most, 0)
    return left


def sounds(site: RealSite) -> tuple[set[str], set[str]]:
    """The files in the recordings directory, and those that rows keep.

    A row of which nothing could be encoded keeps the switch's original, for whoever looks at it.
    """
    root = site.settings.recordings_dir
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    with site.store.read() as session:
        missing = Recording.state == RecordingState.MISSING
        named = select(case((missing, Recording.raw_name), else_=Recording.stored_name))
        kept = set(session.scalars(named)) - {""}
        empty = set(session.scalars(select(Recording.raw_name).where(missing)))
    return files, {name for name in kept if name in files or name not in empty}


def strays(site: RealSite, names: list[str]) -> dict[str, str]:
    """What is known of files that should not be there, or are not: size, call, what it was told."""
    told = {}
    for name in names:
        path = site.settings.recordings_dir / name
        size = path.stat().st_size if path.is_file() else None
        with site.store.read() as session:
            call = session.scalar(select(Attempt).where(Attempt.uuid == path.stem))
            of_call = call.id if call else 0
            row = session.scalar(select(Recording).where(Recording.attempt_id == of_call))
            heard = session.scalars(
                select(AttemptEvent.name)
                .where(AttemptEvent.attempt_id == of_call)
                .order_by(AttemptEvent.at)
            ).all()
        state, joined_at = (call.state, call.joined_at) if call else (None, None)
        told[name] = f"bytes {size}; call {state}, joined {joined_at}; row {row and row.state}; "
        told[name] += " ".join(heard)
    return told


def states(site: RealSite) -> dict[str, int]:
    """How many recordings there are of each state and problem."""
    by = (Recording.state, Recording.problem)
    with site.store.read() as session:
        rows = session.execute(select(*by, func.count()).group_by(*by))
        return {" ".join(filter(None, map(str, row[:2]))): row[2] for row in rows}


def dialled(site: RealSite) -> int:
    return _count(site, select(func.count()).where(Attempt.dialled_at.is_not(None)))


def counted(site: RealSite) -> dict[str, int]:
    return {
        "calls": dialled(site),
        "talked": _count(site, select(func.count()).where(Attempt.talk_ms > 0)),
        "recordings": _count(site, select(func.count()).select_from(Recording)),
    }


def _count(site: RealSite, query: Any) -> int:
    with site.store.read() as session:
        return int(session.scalar(query) or 0)


# --- the curves


@contextmanager
def watched(site: RealSite) -> Iterator[dict[str, list[Look]]]:
    """Look at every process of ours, at that FreeSWITCH and at the browser, every 5 s."""
    looks: dict[str, list[Look]] = {}
    stop = threading.Event()
    switch = switch_pid(site)

    def look() -> None:
        while True:
            for name, pids in families(site, switch).items():
                looks.setdefault(name, []).append(at(pids))
            if stop.wait(LOOK_S):
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield looks
    finally:
        stop.set()
        thread.join()


def switch_pid(site: RealSite) -> int:
    """The process of the FreeSWITCH that calls are made on; it must be of this machine."""
    written = Path(site.api("global_getvar run_dir").strip()) / "freeswitch.pid"
    return int(written.read_text())


def families(site: RealSite, switch: int) -> dict[str, list[int]]:
    """Each process with its children, by name."""
    found = {name: _with_children(process.pid) for name, process in site.processes.items()}
    ours = {pid for pids in found.values() for pid in pids}
    rest = [pid for pid in _with_children(os.getpid()) if pid not in ours]
    browser = [pid for pid in rest if "chrom" in _name(pid)]
    return found | {"freeswitch": [switch], "browser": browser}


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _with_children(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in _with_children(int(child)))]


def at(pids: list[int]) -> Look:
    """What these processes have between them."""
    memory = cpu = 0.0
    threads = files = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text()
            files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except OSError:
            continue
        kept = status.partition("VmRSS:")[2].split()  # none: it has ended and is not buried yet
        memory += int(kept[0]) / 1024 if kept else 0.0
        threads += int(fields[17])
        cpu += (int(fields[11]) + int(fields[12])) / 100
    return Look(time.monotonic(), memory, threads, files, cpu)


def part(rows: list[Look], pressed_at: float, third: int) -> list[Look]:
    """The first, middle or last third (0…2) of the time in which calls were made."""
    first = rows[0].at
    length = (pressed_at - first) / 3
    begin = first + third * length
    return [row for row in rows if begin <= row.at <= begin + length] or rows[-1:]


def growths(looks: dict[str, list[Look]], pressed_at: float) -> dict[str, float]:
    """Last third ÷ middle third: memory of each, and the CPU of all of ours."""
    found = {}
    spent = {1: 0.0, 2: 0.0}
    for name, rows in looks.items():
        middle, last = part(rows, pressed_at, 1), part(rows, pressed_at, 2)
        sizes = [statistics.median(row.memory_mb for row in some) for some in (middle, last)]
        found[f"memory of {name}"] = sizes[1] / sizes[0]
        if name not in THEIRS:
            for third, some in ((1, middle), (2, last)):
                spent[third] += some[-1].cpu_s - some[0].cpu_s
    found["CPU"] = spent[2] / spent[1] if spent[1] else 1.0
    return found
