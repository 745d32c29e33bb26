"""リスト一覧 with 100 lists of 20,000 customers against 100 lists of 200.

The lists are filled as an import fills them (rows in batches, then `figures.add_customers`, the
index merged in the same transaction), and some of their customers are called through
`figures.settle`. Work: the page's service, as a manager asks for it. `value` is the shortest of 50
runs in ms with the large lists, `floor` with the small ones (minutes lie between the two), `ratio`
= value / floor, at most 1.2. Afterwards the nightly check of figures reads every list; `extra` says
how long it took and how many lists it had to repair (none).
"""

import random
import time
from typing import Any

from sqlalchemy import insert, select

from bench import Options, Result
from bench._stores import stores
from bench.search import NOW, customer, ground
from calltree.db import Store
from calltree.models import (
    BuiltIn,
    CallRecord,
    Customer,
    CustomerList,
    Project,
    RecordKind,
    SystemResult,
    User,
)
from calltree.services import figures, lists, search
from calltree.services.rights import Viewer
from calltree.text.days import site_day

LISTS = 100
SMALL = 200
ROWS = 20_000
CALLS = 20
BATCH = 5_000
ROUNDS = 50


def run(options: Options) -> Result:
    rows = options.rows or ROWS
    small, _checked = measured(options, min(SMALL, rows))
    large, checked = measured(options, rows)
    extra = {"small_ms": round(small, 3), "large_ms": round(large, 3), "check": checked}
    return Result(large, "ms", small, large / small, LISTS * rows, extra)


def measured(options: Options, rows: int) -> tuple[float, dict[str, Any]]:
    with stores(options) as (store, _folder):
        user_id, statuses = ground(store)
        draw = random.Random(options.seed)
        filled = [fill(store, draw, rows, user_id, statuses) for _ in range(LISTS)]
        with store.read() as session:
            user = session.get(User, user_id)
            assert user is not None
            viewer = Viewer.of(user)
        ms = min(overview_ms(store, viewer) for _ in range(ROUNDS))
        return ms, check(store, filled)


def overview_ms(store: Store, viewer: Viewer) -> float:
    start = time.perf_counter()
    with store.read() as session:
        lists.overview(session, viewer=viewer)
    return (time.perf_counter() - start) * 1000


def check(store: Store, list_ids: list[int]) -> dict[str, Any]:
    start = time.perf_counter()
    repaired = 0
    for list_id in list_ids:
        with store.write() as session:
            repaired += bool(figures.recount(session, list_id=list_id))
    return {"seconds": round(time.perf_counter() - start, 2), "lists_repaired": repaired}


def fill(
    store: Store, draw: random.Random, rows: int, user_id: int, statuses: dict[BuiltIn, int]
) -> int:
    """One list; its id."""
    with store.write() as session:
        project = session.scalar(select(Project).where(Project.name == "計測"))
        if project is None:
            project = Project(name="計測", weekdays=[], created_at=NOW)
            session.add(project)
            session.flush()
        folder = CustomerList(
            name=f"計測{time.time_ns()}", project_id=project.id, enabled=True, created_at=NOW
        )
        session.add(folder)
        session.flush()
        list_id, project_id = folder.id, project.id
    for start in range(0, rows, BATCH):
        size = min(BATCH, rows - start)
        batch = [untouched(draw, list_id, start + n, user_id, statuses) for n in range(size)]
        with store.write() as session:
            session.execute(insert(Customer), batch)
            figures.add_customers(session, list_id=list_id, count=size)
            search.merge_index(session, pages=BATCH // 3 + 2)
    call(store, draw, list_id, project_id, user_id, statuses)
    return list_id


def untouched(draw: random.Random, list_id: int, place: int, *who: Any) -> dict[str, Any]:
    row = customer(draw, list_id, place, *who)
    never = {"cycle": 0, "dials": 0}
    never |= dict.fromkeys(("last_status_id", "last_user_id", "last_dialled_at"))
    return row | never


def call(
    store: Store,
    draw: random.Random,
    list_id: int,
    project_id: int,
    user_id: int,
    statuses: dict[BuiltIn, int],
) -> None:
    """Some saved calls, each counted by the function that every save uses."""
    with store.write() as session:
        first = session.scalars(
            select(Customer).where(Customer.list_id == list_id).limit(CALLS)
        ).all()
        for one in first:
            record = CallRecord(
                kind=RecordKind.OUTBOUND,
                customer_id=one.id,
                list_id=list_id,
                project_id=project_id,
                user_id=user_id,
                number=one.number,
                cycle=1,
                started_at=NOW,
                site_day=site_day(NOW),
                status_id=statuses[draw.choice(list(BuiltIn))],
                system=SystemResult.NONE,
                saved_at=NOW,
            )
            session.add(record)
            figures.settle(session, record=record, now=NOW)
