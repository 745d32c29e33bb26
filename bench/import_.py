"""50,000 rows × 20 columns of CP932 through the whole import, four times into one list, and back.

Work: check and run, as the worker does them: what is wrong, duplicates against list, project and
do-not-call, rows in short transactions, published at once. Floor: the same file decoded, parsed and
inserted (Postgres: COPY) into the product's own indexed table and search index in one transaction,
unchecked. `value` and `floor` are seconds; `ratio` = value / floor, at most 3. `extra` has the
fourth import ÷ the first (at most 1.3; each's CPU and bytes written beside it), the peak of memory
over idle (at most 200 MB), and how long a second process that writes every 10 ms had to wait (p99
at most 100 ms, longest 250 ms): while the fourth is undone and while it is imported once more, so
that the four that are compared had the database to themselves alike.
"""

import csv
import json
import multiprocessing
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert, select, text

from bench import Options, Result
from bench._stores import opened
from calltree.db import Store
from calltree.models import (
    CallerNumber,
    Customer,
    CustomerList,
    Import,
    Project,
    ResultPattern,
    Role,
    User,
)
from calltree.services import import_run, import_undo, imports
from calltree.services.import_rows import DEFAULTS
from calltree.services.rights import Viewer
from calltree.services.setup import found
from calltree.text.folding import fold_cells
from calltree.text.phones import Phone, normalise

ROWS = 50_000
FILES = 4
PERIOD_S = 0.01
HEADER = ["会社名", "電話番号", "代表者", "フリガナ", "郵便番号", "住所", "業種", "従業員数"]
HEADER += ["最寄駅", "資本金", "設立", "決算月", "売上", "担当部署", "担当者", "メール"]
HEADER += ["ホームページ", "取引状況", "紹介元", "備考"]
TOWNS = [
    "東京都港区芝公園",
    "大阪府大阪市北区梅田",
    "愛知県名古屋市中村区名駅",
    "北海道札幌市中央区",
]
NAMES = ["佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤"]
KINDS = ["建設", "小売", "飲食", "医療", "運輸", "不動産", "情報通信", "製造"]
SIGNS = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン"


def run(options: Options) -> Result:
    rows = options.rows or ROWS
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'bench.db'}"
        files = [make_file(Path(folder), rows, options.seed, n) for n in range(FILES)]
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            measured = pool.apply(work, (url, folder, files))
        floor = pool_floor(context, url, folder, files[0])
    value = measured.pop("first_s")
    return Result(value, "s", floor, value / floor, rows, measured)


def pool_floor(context: Any, url: str, folder: str, file: str) -> float:
    floor_url = url.replace("bench.db", "floor.db")
    with context.Pool(1) as pool:
        return float(pool.apply(floor_work, (floor_url, folder, file)))


def make_file(folder: Path, rows: int, seed: int, place: int) -> str:
    draw = random.Random(seed * 100 + place)
    path = folder / f"{place}.upload"
    with path.open("w", encoding="cp932", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        numbers = draw.sample(range(10**8), rows)
        writer.writerows(line(draw, number) for number in numbers)
    return path.name


def line(draw: random.Random, number: int) -> list[str]:
    name = "".join(draw.choices(SIGNS, k=draw.randint(2, 6)))
    person = f"{draw.choice(NAMES)} {''.join(draw.choices(SIGNS, k=3))}"
    kind = draw.choice(KINDS)
    digits = f"{number:08}"
    return [
        f"株式会社{name}{kind}",
        f"03-{digits[:4]}-{digits[4:]}" if number % 5 else f"３{digits}",
        person,
        "".join(draw.choices(SIGNS, k=8)),
        f"{draw.randrange(1000):03}-{draw.randrange(10000):04}",
        f"{draw.choice(TOWNS)}{draw.randint(1, 9)}-{draw.randint(1, 30)}",
        kind,
        str(draw.randint(1, 5000)),
        "".join(draw.choices(SIGNS, k=4)),
        f"{draw.randint(1, 99)}00万円",
        f"{draw.randint(1950, 2024)}年",
        f"{draw.randint(1, 12)}月",
        f"{draw.randint(1, 999)}百万円",
        draw.choice(["総務部", "営業部", "購買課", "人事課"]),
        f"{draw.choice(NAMES)} 様",
        f"info{number}@example.jp",
        f"https://www.example.jp/{number}",
        draw.choice(["新規", "休眠", "既存"]),
        draw.choice(["", "展示会", "ご紹介"]),
        draw.choice(["", "", "資料送付済み", "要折返し"]),
    ]


def clock() -> datetime:
    return datetime.now(UTC)


def ground(store: Store) -> tuple[int, Viewer]:
    name = f"bench{time.time_ns()}"
    with store.write() as session:
        found(session, practice=True, now=clock())
        user = User(
            login_id=name,
            login_key=name,
            name="計測",
            role=Role.MANAGER,
            password_hash="!",
            created_at=clock(),
        )
        caller = CallerNumber(number=f"05{time.time_ns() % 10**9:09}", label=name)
        session.add_all([user, caller])
        session.flush()
        pattern = session.scalars(select(ResultPattern)).first()
        assert pattern is not None
        project = Project(
            name=name,
            weekdays=[],
            pattern_id=pattern.id,
            main_number_id=caller.id,
            created_at=clock(),
        )
        session.add(project)
        session.flush()
        return project.id, Viewer.of(user)


def work(url: str, folder: str, files: list[str]) -> dict[str, Any]:
    """In a process of its own: memory is this process's alone."""
    uploads = Path(folder)
    with opened(url) as store:
        project_id, viewer = ground(store)
        idle = peak_mb(reset=True)
        list_id = None
        seconds, cpu, written, import_id = [], [], [], 0
        for file in files:
            settle(store)
            begun, used, put = time.perf_counter(), time.process_time(), written_mb()
            import_id = whole(store, uploads, viewer, project_id, list_id, file)
            seconds.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - used)
            written.append(written_mb() - put)
            with store.read() as session:
                list_id = session.get_one(Import, import_id).list_id
        peak = peak_mb()
        waits: dict[str, list[float]] = {}
        with beside(url) as waits["undo"]:
            begun = time.perf_counter()
            take_back(store, viewer, import_id)
            undo_s = time.perf_counter() - begun
        with beside(url) as waits["import"]:
            whole(store, uploads, viewer, project_id, list_id, files[-1])
    return {
        "first_s": seconds[0],
        "each_s": [round(one, 2) for one in seconds],
        "fourth_to_first": round(seconds[-1] / seconds[0], 3),
        "each_cpu_s": [round(one, 2) for one in cpu],
        "fourth_to_first_cpu": round(cpu[-1] / cpu[0], 3),
        "each_written_mb": [round(one) for one in written],
        "undo_s": round(undo_s, 2),
        "peak_mb_over_idle": round(peak - idle, 1),
        "second_writer_ms": {name: figures(times) for name, times in waits.items()},
    }


def settle(store: Store) -> None:
    """Begin behind a checkpoint: one by the server's own clock would make one file dearer."""
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect() as link:
            link.execution_options(isolation_level="AUTOCOMMIT").execute(text("CHECKPOINT"))
    else:
        store.checkpoint()


def whole(
    store: Store,
    uploads: Path,
    viewer: Viewer,
    project_id: int,
    list_id: int | None,
    file: str,
) -> int:
    with store.write() as session:
        given = imports.receive(
            session,
            viewer=viewer,
            project_id=project_id,
            list_id=list_id,
            new_list_name="計測",
            filename=file,
            stored_name=file,
            size_bytes=1,
            now=clock(),
        )
        import_id = given.id
    imports.check(store, uploads_dir=uploads, import_id=import_id, now=clock())
    with store.write() as session:
        imports.start(session, viewer=viewer, import_id=import_id, now=clock())
    import_run.run(store, uploads_dir=uploads, import_id=import_id, clock=clock)
    return import_id


def take_back(store: Store, viewer: Viewer, import_id: int) -> None:
    with store.write() as session:
        imports.undo(session, viewer=viewer, import_id=import_id, now=clock())
    import_undo.undo(store, import_id=import_id, clock=clock)


def floor_work(url: str, folder: str, file: str) -> float:
    with opened(url) as store:
        project_id, _ = ground(store)
        with store.write() as session:
            target = CustomerList(
                name="計測", project_id=project_id, columns=HEADER, created_at=clock()
            )
            session.add(target)
            session.flush()
            list_id = target.id
        settle(store)
        begun = time.perf_counter()
        with (Path(folder) / file).open(encoding="cp932", newline="") as source:
            reader = csv.reader(source)
            next(reader)
            rows = [bare_row(list_id, place, cells) for place, cells in enumerate(reader)]
        with store.write() as session:
            connection = session.connection()
            if connection.dialect.name == "sqlite":
                connection.execute(insert(Customer.__table__), rows)
            else:
                copy_rows(connection.connection.cursor(), rows)
        return time.perf_counter() - begun


def bare_row(list_id: int, place: int, cells: list[str]) -> dict[str, Any]:
    number = normalise(cells[1])
    taken = [cells[0], *cells[2:]]
    return {
        **DEFAULTS,
        "list_id": list_id,
        "position": place,
        "number_given": cells[1],
        "number": number.number if isinstance(number, Phone) else "",
        "cells": taken,
        "folded": fold_cells(taken),
        "attributes": {},
        "created_at": clock(),
        "updated_at": clock(),
    }


def copy_rows(cursor: Any, rows: list[dict[str, Any]]) -> None:
    with cursor.copy(f"COPY customers ({', '.join(rows[0])}) FROM STDIN") as copy:
        for row in rows:
            row["cells"] = json.dumps(row["cells"], ensure_ascii=False)
            row["attributes"] = "{}"
            copy.write_row(list(row.values()))


@contextmanager
def beside(url: str) -> Iterator[list[float]]:
    """Another process that writes every 10 ms; gives its waits, in s, when left."""
    told: list[float] = []
    context = multiprocessing.get_context("spawn")
    stop, ready, answers = context.Event(), context.Event(), context.Queue()
    # daemon=False: a pool's process may have children only so
    writer = context.Process(target=write_on, args=(url, stop, ready, answers))
    multiprocessing.current_process()._config["daemon"] = False
    writer.start()
    ready.wait()
    yield told
    stop.set()
    told += answers.get()
    writer.join()


def write_on(url: str, stop: Event, ready: Event, answers: Any) -> None:
    store = Store(create_engine(url))
    waits = []
    statement = text("UPDATE site SET name = name WHERE id = 1")
    with store.write() as session:
        session.execute(statement)
    ready.set()
    while not stop.is_set():
        begun = time.perf_counter()
        with store.write() as session:
            session.execute(statement)
        took = time.perf_counter() - begun
        waits.append(took)
        time.sleep(max(PERIOD_S - took, 0))
    answers.put(waits)


def figures(times: list[float]) -> dict[str, float]:
    ordered = sorted(1000 * one for one in times)
    if not ordered:
        return {}
    return {
        "n": len(ordered),
        "median": round(statistics.median(ordered), 2),
        "p99": round(ordered[int(len(ordered) * 0.99)], 2),
        "longest": round(ordered[-1], 2),
    }


def written_mb() -> float:
    """What this process sent to the disk so far (Linux)."""
    match = re.search(r"^write_bytes: (\d+)", Path("/proc/self/io").read_text(), re.MULTILINE)
    return int(match[1]) / 1e6 if match else 0.0


def peak_mb(*, reset: bool = False) -> float:
    """Peak of resident memory since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+)", status)
    return int(match[1]) / 1024 if match else 0.0
