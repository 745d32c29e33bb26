"""A zip of 1,000 recordings, as the worker makes it for a manager.

Work: the whole job with its progress and 一覧.csv, until it is marked as done. Floor: `zip -0` of
the same files from a list of their names. `value` and `floor` are the seconds of the best of three
rounds each, taken in turn; `ratio` = value / floor, at most 1.5. `extra` has the bytes, and how
much memory the work took beyond what there was before, first over a tenth of the files, then over
all: flat means that the second adds next to nothing.
"""

import random
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select

from bench import NotHere, Options, Result
from bench._stores import stores
from bench.search import NOW, ground
from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    BulkJob,
    BulkState,
    CallRecord,
    CallState,
    CustomerList,
    Origin,
    Project,
    Recording,
    RecordingState,
    RecordKind,
    Role,
    SystemResult,
    User,
)
from calltree.services import bulk_run, recording_zip
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.recording_zip import Places
from calltree.services.rights import Viewer

ROWS = 1_000
ROUNDS = 3
SECONDS = range(30, 240)
"""Of talk: 2 to 4 minutes are usual, many are shorter."""
BYTES_PER_S = 2_000
ZONE = ZoneInfo("Asia/Tokyo")


def run(options: Options) -> Result:
    rows = options.rows or ROWS
    with stores(options) as (store, folder):
        places = Places(folder / "recordings", folder / "exports", ZONE)
        viewer, small, whole = filled(store, places.recordings, rows, options.seed)
        names = folder / "names"
        files = sorted(places.recordings.rglob("*.mp3"))
        names.write_text("".join(f"{path.relative_to(places.recordings)}\n" for path in files))
        memory = {}
        for name, criteria in (("tenth", small), ("whole", whole)):
            with resident_growth() as grown:
                zipped(store, viewer, places, criteria)
            memory[f"memory_growth_{name}_mb"] = round(grown() / 2**20, 1)
        times, floors = [], []
        for _ in range(ROUNDS):
            floors.append(bare(places, names))
            times.append(zipped(store, viewer, places, whole))
        size = sum(path.stat().st_size for path in files)
    extra: dict[str, Any] = {"mb": round(size / 1e6, 1), **memory}
    return Result(min(times), "s", min(floors), min(times) / min(floors), rows, extra)


def bare(places: Places, names: Path) -> float:
    if shutil.which("zip") is None:
        raise NotHere("the floor needs the zip command (Info-ZIP)")
    target = places.exports / "floor.zip"
    target.unlink(missing_ok=True)
    start = time.perf_counter()
    with names.open("rb") as asked:
        subprocess.run(
            ["zip", "-0", "-q", str(target), "-@"], cwd=places.recordings, stdin=asked, check=True
        )
    return time.perf_counter() - start


def zipped(store: Store, viewer: Viewer, places: Places, criteria: HistoryCriteria) -> float:
    start = time.perf_counter()
    with store.write() as session:
        job_id = recording_zip.begin(session, viewer=viewer, criteria=criteria, now=utcnow()).id
    bulk_run.run(store, uploads_dir=places.exports, job_id=job_id, clock=utcnow, recordings=places)
    taken = time.perf_counter() - start
    with store.read() as session:
        job = session.get_one(BulkJob, job_id)
        assert job.state is BulkState.DONE, job.failure
        assert job.counts["no_file"] == 0
    for part in recording_zip.parts(job):
        (places.exports / part.name).unlink()
    return taken


@contextmanager
def resident_growth() -> Iterator[Any]:
    """Watch how far the memory in use rises above where it is now."""
    before, highest, over = resident(), [resident()], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            highest.append(max(highest.pop(), resident()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: max(0, highest[0] - before)
    finally:
        over.set()
        watcher.join()


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def filled(
    store: Store, root: Path, rows: int, seed: int
) -> tuple[Viewer, HistoryCriteria, HistoryCriteria]:
    """Stored recordings of one list, a tenth of them of another day; files of random bytes."""
    draw = random.Random(seed)
    _user_id, _statuses = ground(store)
    with store.write() as session:
        manager = User(
            login_id=f"zip{time.time_ns()}",
            login_key=f"zip{time.time_ns()}",
            name="計測",
            role=Role.MANAGER,
            password_hash="!",
            created_at=NOW,
        )
        project = Project(name=f"計測{time.time_ns()}", weekdays=[], created_at=NOW)
        session.add_all([manager, project])
        session.flush()
        folder = CustomerList(name="計測", project_id=project.id, columns=[], created_at=NOW)
        session.add(folder)
        session.flush()
        viewer, list_id = Viewer.of(manager), folder.id
        first = max(
            session.scalar(select(func.coalesce(func.max(table.id), 0))) or 0
            for table in (Attempt, CallRecord, Recording)
        )
        attempts, records, recordings = [], [], []
        for number in range(1, rows + 1):
            one = first + number
            started_at = NOW - timedelta(days=number % 10, seconds=number)
            name = f"{started_at:%Y/%m/%d}/{one}.mp3"
            talk_s = draw.choice(SECONDS)
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(draw.randbytes(talk_s * BYTES_PER_S))
            of_call = {"list_id": list_id, "project_id": project.id}
            attempts.append({
                "id": one, "uuid": f"0f0e0d0c-0000-4000-8000-{one:012d}", "origin": Origin.CALL,
                "number": "0312345678", "verdict": "allowed", "state": CallState.ENDED,
                "created_at": started_at, "ended_at": started_at, "talk_ms": talk_s * 1000,
                **of_call,
            })  # fmt: skip
            records.append({
                "id": one, "kind": RecordKind.OUTBOUND, "attempt_id": one, "number": "0312345678",
                "user_id": manager.id, "started_at": started_at, "site_day": started_at.date(),
                "talk_ms": talk_s * 1000, "system": SystemResult.BLANK, **of_call,
            })  # fmt: skip
            recordings.append({
                "id": one, "attempt_id": one, "record_id": one, "raw_name": "",
                "stored_name": name, "state": RecordingState.STORED, "started_at": started_at,
                "length_ms": talk_s * 1000, "size_bytes": talk_s * BYTES_PER_S,
                "waveform": draw.randbytes(600),
            })  # fmt: skip
        for table, made in ((Attempt, attempts), (CallRecord, records), (Recording, recordings)):
            session.execute(insert(table), made)
    day = NOW.astimezone(ZONE).date()
    whole = HistoryCriteria(span=Span.ALL, list_id=list_id)
    tenth = HistoryCriteria(span=Span.ALL, list_id=list_id, started_from=day)
    return viewer, tenth, whole
