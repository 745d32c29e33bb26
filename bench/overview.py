"""リスト一覧 with 100 lists of 20,000 customers against the same lists when they had 200.

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
    few = min(SMALL, rows)
    with stores(options) as (store, _folder):  # one database: the lists grow from few to many
        user_id, statuses = ground(store)
        draw = random.Random(options.seed)
        with store.read() as session:
            viewer = Viewer.of(session.get_one(User, user_id))
        if one_overview(store, viewer)[1]:
            raise SystemExit("overview: the database holds lists already; give it an empty one")
        made = [make(store) for _ in range(LISTS)]
        for list_id, project_id in made:
            grow(store, draw, list_id, range(few), user_id, statuses)
            call(store, draw, list_id, project_id, user_id, statuses)
        small, shown = overview_ms(store, viewer)
        for list_id, _project_id in made:
            grow(store, draw, list_id, range(few, rows), user_id, statuses)
        large, shown_again = overview_ms(store, viewer)
        checked = check(store, [list_id for list_id, _project_id in made])
    assert shown == shown_again == LISTS
    extra = {"small_ms": round(small, 3), "large_ms": round(large, 3), "check": checked}
    return Result(large, "ms", small, large / small, LISTS * rows, extra)


def overview_ms(store: Store, viewer: Viewer) -> tuple[float, int]:
    """The shortest of the rounds, and how many lists it showed."""
    rounds = [one_overview(store, viewer) for _ in range(ROUNDS)]
    return min(ms for ms, _shown in rounds), rounds[-1][1]


def one_overview(store: Store, viewer: Viewer) -> tuple[float, int]:
    start = time.perf_counter()
    with store.read() as session:
        shown = lists.overview(session, viewer=viewer)
    return (time.perf_counter() - start) * 1000, len(shown)


def check(store: Store, list_ids: list[int]) -> dict[str, Any]:
    start = time.perf_counter()
    repaired = 0
    for list_id in list_ids:
        with store.write() as session:
            repaired += bool(figures.recount(session, list_id=list_id))
    return {"seconds": round(time.perf_counter() - start, 2), "lists_repaired": repaired}


def make(store: Store) -> tuple[int, int]:
    """One empty list: its id and its project's."""
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
        return folder.id, project.id


def grow(
    store: Store,
    draw: random.Random,
    list_id: int,
    places: range,
    user_id: int,
    statuses: dict[BuiltIn, int],
) -> None:
    """Add customers at these places of a list."""
    for start in range(0, len(places), BATCH):
        batch = [
            untouched(draw, list_id, place, user_id, statuses)
            for place in places[start : start + BATCH]
        ]
        with store.write() as session:
            session.execute(insert(Customer), batch)
            figures.add_customers(session, list_id=list_id, count=len(batch))
            search.merge_index(session, pages=BATCH // 3 + 2)


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
