"""Do-not-call at half a million numbers: the import's preview, and the gate's check of one press.

Work: the check of a file of 50,000 rows before anything is written, as the worker does it, against
500,000 entries in force, a tenth of the file's numbers among them. Floor: the same check of the
same file with an empty do-not-call table, in the same database, before the entries come and after
they are gone. `value` and `floor` are the best runs in ms; `ratio` = value / floor, at most 1.5.

`extra` has the gate's answer for a free and for a banned number on both tables (best in ms), how
many statements it runs and how many of them ask about do-not-call, the check of a file that enters
50,000 numbers, a page of the list, and how long its search for a part of a number takes.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, event, insert

from bench import Options, Result
from bench._stores import stores
from calltree.db import Store
from calltree.models import (
    BulkJob,
    BulkKind,
    BulkState,
    CallerNumber,
    Customer,
    CustomerHold,
    CustomerList,
    DncSource,
    DoNotCall,
    Import,
    ImportState,
    Lease,
    LegState,
    ListGrant,
    Operator,
    OperatorState,
    Origin,
    Project,
    ResultPattern,
    Role,
    User,
)
from calltree.services import ban_search, bulk_run, gate, import_analysis
from calltree.services.ban_search import BanCriteria
from calltree.services.gate import DialRequest
from calltree.services.import_check import Choices
from calltree.services.setup import found

ENTRIES = 500_000
ROWS = 50_000
BATCH = 5_000
ROUNDS = 5
PRESSES = 100
VALID = range(30_000_000, 80_000_000)
"""Subscriber numbers that exist behind 03 and 06."""
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


def run(options: Options) -> Result:
    entries = options.rows or ENTRIES
    rows = max(entries * ROWS // ENTRIES, 1)
    with stores(options) as (store, folder):
        site = ground(store)
        draw = random.Random(options.seed)
        banned = [f"03{number}" for number in draw.sample(VALID, entries)]
        listed = [f"06{number}" for number in draw.sample(VALID, rows - rows // 10)]
        listed += draw.sample(banned, rows // 10)
        draw.shuffle(listed)
        write_file(folder / "list.csv", listed)
        before = preview(store, folder, site)
        gate_before = presses(store, site, site.number)
        fill(store, site, banned)
        after = preview(store, folder, site)
        free = presses(store, site, site.number)
        ban_number(store, site)
        refused = presses(store, site, site.number)
        statements = gate_statements(store, site)
        extra = {
            "entries": entries,
            "found_on_do_not_call": after[1],
            "gate_ms": {"empty": gate_before, "full": free, "banned": refused},
            "gate_statements": len(statements),
            "gate_statements_about_do_not_call": sum("do_not_call" in text for text in statements),
            "file_check_ms": round(file_check(store, folder, site), 1),
            "page_ms": page_ms(store, BanCriteria()),
            "page_of_a_part_ms": page_ms(store, BanCriteria(number="4815")),
            "page_of_a_number_ms": page_ms(store, BanCriteria(number=banned[0])),
        }
        empty(store)
        emptied = preview(store, folder, site)
        floor = min(before[0], emptied[0])
        assert before[1] == emptied[1] == 0
        assert after[1] == rows // 10
    return Result(after[0], "ms", floor, after[0] / floor, rows, extra)


class Site:
    """Ids of what a press and an import need."""

    def __init__(self, user_id: int, customer_id: int, project_id: int, list_id: int) -> None:
        self.user_id = user_id
        self.customer_id = customer_id
        self.project_id = project_id
        self.list_id = list_id
        self.number = "0501234567"


def ground(store: Store) -> Site:
    with store.write() as session:
        found(session, practice=True, now=NOW)
        name = f"bench{time.time_ns()}"
        user = User(
            login_id=name, login_key=name, name="計測", role=Role.MANAGER, password_hash="!",
            created_at=NOW,
        )  # fmt: skip
        caller = CallerNumber(number="0312345678", label="計測")
        pattern = ResultPattern(name=name, created_at=NOW)
        session.add_all([user, caller, pattern])
        session.flush()
        project = Project(
            name=name, weekdays=[0, 1, 2, 3, 4], pattern_id=pattern.id,
            main_number_id=caller.id, created_at=NOW,
        )  # fmt: skip
        session.add(project)
        session.flush()
        folder = CustomerList(
            name="計測", project_id=project.id, columns=["会社名"], enabled=True, created_at=NOW
        )
        session.add(folder)
        session.flush()
        customer = Customer(
            list_id=folder.id, position=1, number_given="050-123-4567", number="0501234567",
            cells=["計測"], folded="計測", created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        session.add(customer)
        session.flush()
        session.add_all(
            [
                ListGrant(list_id=folder.id, user_id=user.id),
                Operator(
                    user_id=user.id, state=OperatorState.BROWSING, since=NOW, leg_uuid="leg",
                    leg_node="main", leg_state=LegState.PARKED, leg_since=NOW,
                    customer_id=customer.id,
                ),
                CustomerHold(
                    customer_id=customer.id, user_id=user.id, page_id="page", taken_at=NOW,
                    renewed_at=NOW, touched_at=NOW,
                ),
                Lease(
                    name="switch", holder="bench", epoch=1, until=datetime(2100, 1, 1, tzinfo=UTC),
                    note={"nodes": {"main": {"link_up": True}}},
                ),
            ]
        )  # fmt: skip
        return Site(user.id, customer.id, project.id, folder.id)


def write_file(path: Path, numbers: list[str]) -> None:
    lines = (f"{number},株式会社計測{n},東京都港区芝公園" for n, number in enumerate(numbers))
    path.write_text("電話番号,会社名,住所\r\n" + "\r\n".join(lines) + "\r\n", encoding="utf-8")


def fill(store: Store, site: Site, numbers: list[str]) -> None:
    """Enter them as files did, a file's worth at a time; statistics as the nights leave them."""
    for start in range(0, len(numbers), BATCH):
        rows = [
            {
                "number": number, "all_projects": True, "source": DncSource.CSV, "note": "",
                "user_id": site.user_id, "created_at": NOW, "release_reason": "",
            }
            for number in numbers[start : start + BATCH]
        ]  # fmt: skip
        with store.write() as session:
            session.execute(insert(DoNotCall), rows)
    settle(store)


def settle(store: Store) -> None:
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.exec_driver_sql("VACUUM ANALYZE do_not_call")


def empty(store: Store) -> None:
    with store.write() as session:
        session.execute(delete(DoNotCall))
    settle(store)


def ban_number(store: Store, site: Site) -> None:
    with store.write() as session:
        session.add(
            DoNotCall(
                number=site.number, source=DncSource.FORM, user_id=site.user_id, created_at=NOW
            )
        )


def preview(store: Store, folder: Path, site: Site) -> tuple[float, int]:
    """Best ms of the check, and how many rows it found on do-not-call."""
    given = Import(
        state=ImportState.CHECKING, project_id=site.project_id, list_id=None,
        new_list_name="新しい", user_id=site.user_id, filename="list.csv",
        stored_name="list.csv", choices=Choices().stored(), created_at=NOW,
    )  # fmt: skip
    found_there = 0

    def check() -> None:
        nonlocal found_there
        analysis = import_analysis.analyse(store, path=folder / "list.csv", given=given, now=NOW)
        found_there = analysis.findings()["counts"]["duplicates"].get("banned", 0)

    return best_ms(check, ROUNDS), found_there


def presses(store: Store, site: Site, number: str) -> float:
    """Best ms of what CALL's button asks the gate."""

    def ask() -> None:
        with store.read() as session:
            gate.can_dial(session, request=request(site, number), now=NOW)

    return round(best_ms(ask, PRESSES), 2)


def request(site: Site, number: str) -> DialRequest:
    return DialRequest(
        origin=Origin.CALL, number=number, user_id=site.user_id, customer_id=site.customer_id
    )


def gate_statements(store: Store, site: Site) -> list[str]:
    said: list[str] = []

    def note(*told: Any) -> None:
        if not told[2].startswith("BEGIN"):
            said.append(told[2])

    event.listen(store.engine, "before_cursor_execute", note)
    presses_once = request(site, site.number)
    with store.read() as session:
        gate.can_dial(session, request=presses_once, now=NOW)
    event.remove(store.engine, "before_cursor_execute", note)
    return said


def file_check(store: Store, folder: Path, site: Site) -> float:
    """Best ms of the check of a file that enters numbers (CSVで登録)."""
    times = []
    for _ in range(3):
        with store.write() as session:
            job = BulkJob(
                kind=BulkKind.BAN_ADD, state=BulkState.CHECKING, user_id=site.user_id,
                stored_name="list.csv", created_at=NOW,
            )  # fmt: skip
            session.add(job)
            session.flush()
            job_id = job.id
        start = time.perf_counter()
        bulk_run.check(store, uploads_dir=folder, job_id=job_id, now=NOW)
        times.append((time.perf_counter() - start) * 1000)
    return min(times)


def page_ms(store: Store, criteria: BanCriteria) -> float:
    def page() -> None:
        with store.read() as session:
            ban_search.page(session, criteria=criteria, now=NOW)

    return round(best_ms(page, ROUNDS), 1)


def best_ms(work: Callable[[], None], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return min(times)
