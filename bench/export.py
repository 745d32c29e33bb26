"""Both exports of a list of 200,000 customers with 600,000 call records.

Work: the whole export as it is streamed to a manager, UTF-8, every column; the bytes go nowhere.
Floor: one statement with the same joins and columns, its rows straight through csv.writer,
untransformed. `value` and `floor` are the seconds of the two exports together; `ratio` = value /
floor, at most 2.5. `extra` has each export, the longest read session, how much memory grew, and how
far SQLite's WAL grew while another connection wrote every 10 ms.
"""

import csv
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert, text, update
from sqlalchemy.orm import Session

from bench import Options, Result
from bench._stores import stores
from bench.search import COLUMNS as LIST_COLUMNS
from bench.search import NOW, customer, ground
from calltree.db import Store
from calltree.models import (
    BuiltIn,
    CallRecord,
    CustomerList,
    ExtraNumber,
    MemoEntry,
    Project,
    RecordKind,
    Site,
    SystemResult,
    User,
)
from calltree.models import Customer as CustomerRow
from calltree.services import exports
from calltree.services.criteria import Criteria
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.rights import Viewer
from calltree.text.sheets_out import CsvTable

ROWS = 200_000
BATCH = 5_000
ROUNDS = 3
ZONE = ZoneInfo("Asia/Tokyo")
MEMOS = (
    "担当者は外出中。夕方に戻る予定とのこと。",
    "資料を郵送で希望。住所は台帳のとおり。",
    "代表の方とお話しできた。\n来週もう一度ご連絡する。",
    "今は必要ないとのこと。",
)


def run(options: Options) -> Result:
    rows = options.rows or ROWS
    with stores(options) as (store, _folder):
        without_search_index(store)
        user_id, statuses = ground(store)
        with store.read() as session:
            user = session.get(User, user_id)
            assert user is not None
            viewer = Viewer.of(user)
        list_id, project_id = filled(store, rows, options.seed, user_id, statuses)
        reads = Reads(store)
        each: dict[str, dict[str, float]] = {}
        for name, floor in (("customers", FLOOR_CUSTOMERS), ("records", FLOOR_RECORDS)):
            times, floors = [], []
            for _ in range(ROUNDS):
                floors.append(bare(store, floor, list_id))
                times.append(whole(reads, viewer, name, list_id, project_id))
            each[name] = {
                "s": round(min(times), 3),
                "floor_s": round(min(floors), 3),
                "ratio": round(min(times) / min(floors), 2),
            }
        longest = reads.longest
        before = resident()
        with wal_watched(store) as wal:
            for name in each:
                whole(reads, viewer, name, list_id, project_id)
        extra: dict[str, Any] = {
            **each,
            "longest_read_ms": round(longest * 1000, 1),
            "memory_growth_mb": round(max(0, resident() - before) / 2**20, 1),
            "wal_mb": wal,
        }
    value = sum(one["s"] for one in each.values())
    floor_s = sum(one["floor_s"] for one in each.values())
    return Result(value, "s", floor_s, value / floor_s, rows, extra)


def without_search_index(store: Store) -> None:
    """No export asks it, and filling it would take longer than all the rest."""
    drop = "DROP INDEX customer_search_ix"
    if store.engine.dialect.name == "sqlite":
        drop = "DROP TRIGGER customer_search_insert"
    with store.engine.begin() as link:
        link.exec_driver_sql(drop)


class Reads:
    """The store's read sessions, and how long the longest of them lived."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.longest = 0.0

    @contextmanager
    def __call__(self) -> Iterator[Session]:
        start = time.perf_counter()
        with self.store.read() as session:
            yield session
        self.longest = max(self.longest, time.perf_counter() - start)


def whole(reads: Reads, viewer: Viewer, name: str, list_id: int, project_id: int) -> float:
    start = time.perf_counter()
    if name == "customers":
        sheet = exports.customers(
            reads, viewer=viewer, list_id=list_id, criteria=Criteria(), zone=ZONE, now=NOW
        )
    else:
        asked = HistoryCriteria(span=Span.ALL, list_id=list_id, project_id=project_id)
        sheet = exports.records(reads, viewer=viewer, criteria=asked, zone=ZONE, now=NOW)
    with Path(os.devnull).open("wb") as sink:
        for chunk in CsvTable().chunks(sheet.header, sheet.rows):
            sink.write(chunk)
    return time.perf_counter() - start


MEMO = {
    "sqlite": "(SELECT group_concat(text, char(10)) FROM memo_entries WHERE customer_id = c.id)",
    "postgresql": "(SELECT string_agg(text, chr(10) ORDER BY id) FROM memo_entries "
    "WHERE customer_id = c.id)",
}
EXTRAS = {
    "sqlite": "(SELECT group_concat(number) FROM extra_numbers WHERE customer_id = c.id)",
    "postgresql": "(SELECT string_agg(number, ',') FROM extra_numbers WHERE customer_id = c.id)",
}
FLOOR_CUSTOMERS = """
    SELECT c.id, l.id, l.name, c.number, c.cells, {extras}, c.attributes, c.prospect_level,
        s.name, c.last_dialled_at, u.name, c.dials, c.connects, t.due_at, c.short_note, {memo}
    FROM customers c JOIN lists l ON l.id = c.list_id
    LEFT JOIN result_statuses s ON s.id = c.last_status_id
    LEFT JOIN call_records r ON r.customer_id = c.id AND r.started_at = c.last_dialled_at
    LEFT JOIN users u ON u.id = r.user_id
    LEFT JOIN tasks t ON t.customer_id = c.id AND t.done_at IS NULL
    WHERE c.list_id = {list_id} AND c.deleted_at IS NULL ORDER BY c.position"""
FLOOR_RECORDS = """
    SELECT r.id, r.kind, r.started_at, r.talk_ms, p.name, l.name, c.id, c.number, r.number,
        n.number, u.name, s.name, r.attributes, r.memo, g.state
    FROM call_records r JOIN projects p ON p.id = r.project_id JOIN lists l ON l.id = r.list_id
    LEFT JOIN customers c ON c.id = r.customer_id LEFT JOIN users u ON u.id = r.user_id
    LEFT JOIN result_statuses s ON s.id = r.status_id
    LEFT JOIN caller_numbers n ON n.id = r.caller_number_id
    LEFT JOIN recordings g ON g.record_id = r.id
    WHERE r.list_id = {list_id} ORDER BY r.started_at DESC, r.id DESC"""


def bare(store: Store, statement: str, list_id: int) -> float:
    kind = store.engine.dialect.name
    asked = statement.format(memo=MEMO[kind], extras=EXTRAS[kind], list_id=list_id)
    start = time.perf_counter()
    link = store.engine.raw_connection()
    try:
        cursor = link.cursor()
        cursor.execute(asked)
        with Path(os.devnull).open("w", encoding="utf-8", newline="") as sink:
            csv.writer(sink).writerows(cursor)
        cursor.close()
    finally:
        link.close()
    return time.perf_counter() - start


def filled(
    store: Store, rows: int, seed: int, user_id: int, statuses: dict[BuiltIn, int]
) -> tuple[int, int]:
    """A list with `rows` customers and three records to each on average, most with a memo."""
    draw = random.Random(seed)
    with store.write() as session:
        project = Project(name=f"計測{time.time_ns()}", weekdays=[], created_at=NOW)
        session.add(project)
        session.flush()
        folder = CustomerList(
            name="計測", project_id=project.id, columns=LIST_COLUMNS, enabled=True, created_at=NOW
        )
        session.add(folder)
        session.flush()
        list_id, project_id = folder.id, project.id
        next_id = (session.execute(text("SELECT max(id) FROM customers")).scalar() or 0) + 1
        record_id = (session.execute(text("SELECT max(id) FROM call_records")).scalar() or 0) + 1
    for start in range(0, rows, BATCH):
        customers, records, memos, extras = [], [], [], []
        for place in range(start, min(start + BATCH, rows)):
            row = customer(draw, list_id, place, user_id, statuses) | {"id": next_id}
            made = record_rows(draw, row, project_id, user_id, statuses, record_id)
            for record in made:
                if record["memo"]:
                    memos.append(memo_row(record))
            if not draw.randrange(10):
                extras.append(extra_row(draw, next_id))
            customers.append(row)
            records += made
            next_id, record_id = next_id + 1, record_id + len(made)
        with store.write() as session:
            for table, batch in (
                (CustomerRow, customers),
                (CallRecord, records),
                (MemoEntry, memos),
                (ExtraNumber, extras),
            ):
                if batch:
                    session.execute(insert(table), batch)
    settled(store, list_id, rows)
    return list_id, project_id


def settled(store: Store, list_id: int, rows: int) -> None:
    with store.write() as session:
        session.execute(
            update(CustomerList).where(CustomerList.id == list_id).values(customers=rows)
        )
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.exec_driver_sql("VACUUM ANALYZE")


def record_rows(
    draw: random.Random,
    row: dict[str, Any],
    project_id: int,
    user_id: int,
    statuses: dict[BuiltIn, int],
    first_id: int,
) -> list[dict[str, Any]]:
    count = draw.randrange(7)
    at = NOW - timedelta(minutes=draw.randrange(10, 90 * 24 * 60), seconds=draw.randrange(60))
    found = []
    for n in range(count):
        status = statuses[draw.choice(list(BuiltIn))]
        found.append(
            {
                "id": first_id + n,
                "kind": RecordKind.OUTBOUND,
                "customer_id": row["id"],
                "list_id": row["list_id"],
                "project_id": project_id,
                "user_id": user_id,
                "number": row["number"],
                "cycle": 1,
                "started_at": at - timedelta(hours=5 * (count - n)),
                "site_day": at.date(),
                "talk_ms": draw.randrange(180_000),
                "status_id": status,
                "system": SystemResult.NONE,
                "saved_at": at,
                "closed_at": at,
                "memo": draw.choice(MEMOS) if draw.randrange(3) else "",
                "counts_dial": True,
            }
        )
    last = found[-1] if found else None
    row["cycle"], row["dials"] = int(bool(found)), count
    row["last_status_id"] = last["status_id"] if last else None
    row["last_user_id"] = user_id if last else None
    row["last_dialled_at"] = last["started_at"] if last else None
    return found


def memo_row(record: dict[str, Any]) -> dict[str, Any]:
    head = f"【{record['started_at']:%Y/%m/%d %H:%M} 山田太郎 見込】"
    return {
        "customer_id": record["customer_id"],
        "record_id": record["id"],
        "user_id": record["user_id"],
        "at": record["started_at"],
        "text": head + record["memo"],
    }


def extra_row(draw: random.Random, customer_id: int) -> dict[str, Any]:
    number = f"090{draw.randrange(10**8):08}"
    return {"customer_id": customer_id, "number_given": number, "number": number, "label": "携帯"}


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def wal_watched(store: Store) -> Iterator[dict[str, float]]:
    """Write every 10 ms meanwhile, and tell how large SQLite's WAL became (MB)."""
    sizes: dict[str, float] = {}
    if store.engine.dialect.name != "sqlite":
        yield sizes
        return
    wal = Path(f"{store.engine.url.database}-wal")
    with store.engine.connect() as link:
        link.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stop = threading.Event()
    largest = 0

    def write() -> None:
        nonlocal largest
        n = 0
        while not stop.wait(0.01):
            n += 1
            with store.write() as session:
                session.execute(update(Site).values(seats=n))
            largest = max(largest, wal.stat().st_size)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield sizes
    finally:
        stop.set()
        thread.join()
        sizes["largest"] = round(largest / 2**20, 2)
