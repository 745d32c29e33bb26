"""Eight typical searches of one list of 200,000 customers, each with its queue built and stored.

Work: conditions → ids → one `work_queues` row, committed. Floor: the bare statement of the same
conditions, `SELECT id` without an order, its ids fetched and dropped, on a connection of its own.
`value` and `floor` are the sums of the eight medians in ms; `ratio` = value / floor, at most 2.
`extra` has each search, the time of its queue's first page (at most 10 ms), of its first page by
key in リスト詳細, and how much longer the same searches take than on a list of 20,000 (growth).
"""

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update

from bench import Options, Result
from bench._stores import median_ms, stores
from calltree.db import Store
from calltree.models import (
    BuiltIn,
    Customer,
    CustomerList,
    Project,
    ResultStatus,
    Role,
    User,
    WorkQueue,
)
from calltree.services import search
from calltree.services.criteria import Criteria, Shortcut, Term
from calltree.services.rights import Viewer
from calltree.services.search_conditions import Conditions
from calltree.services.setup import found
from calltree.text.folding import fold_cells

ROWS = 200_000
SMALL = 20_000
BATCH = 500
ROUNDS = 5
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
COLUMNS = ["会社名", "代表者", "郵便番号", "住所", "業種", "従業員数", "最寄駅", "備考"]
PREFECTURES = ["東京都", "神奈川県", "大阪府", "愛知県", "北海道", "福岡県", "広島県", "宮城県"]
TOWNS = ["港区芝公園", "中央区銀座", "北区梅田", "中村区名駅", "青葉区一番町", "博多区中洲"]
NAMES = ["佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤"]
GIVEN = ["太郎", "花子", "健一", "美咲", "誠", "由美", "翔", "さくら"]
KINDS = ["建設", "小売", "飲食", "医療", "運輸", "不動産", "情報通信", "製造"]
SIGNS = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン"


def searches(statuses: dict[BuiltIn, int]) -> dict[str, Criteria]:
    no_answer = str(statuses[BuiltIn.NO_ANSWER])
    day = (NOW - timedelta(days=2)).date()
    return {
        "two characters": Criteria(text="銀座"),
        "two words": Criteria(text="さとう 建設"),
        "part of a number": Criteria(number="48-15"),
        "status and date": Criteria(statuses=(no_answer,), dialled_from=day),
        "never dialled": Criteria(shortcut=Shortcut.FIRST),
        "dialled once, no answer": Criteria(shortcut=Shortcut.SECOND),
        "a miss": Criteria(text="存在しない会社"),
        # 東京 stands in the address of every eighth row, and in few names
        "frequent in another column": Criteria(columns=(Term("会社名", "東京"),)),
    }


def run(options: Options) -> Result:
    rows = options.rows or ROWS
    with stores(options) as (store, _folder):
        user_id, statuses = ground(store)
        with store.read() as session:
            user = session.get(User, user_id)
            assert user is not None
            viewer = Viewer.of(user)
        small = filled(store, max(rows * SMALL // ROWS, 1), options.seed, user_id, statuses)
        before = {
            name: median_ms(lambda asked=asked: whole(store, small, asked, viewer), ROUNDS)
            for name, asked in searches(statuses).items()
        }
        large = filled(store, rows, options.seed, user_id, statuses)
        each = {
            name: measured(store, large, asked, viewer, before[name])
            for name, asked in searches(statuses).items()
        }
    value = sum(one["ms"] for one in each.values())
    floor = sum(one["floor_ms"] for one in each.values())
    pages = max(one["first_page_ms"] for one in each.values())
    extra = {
        "searches": each,
        "slowest_first_page_ms": pages,
        "growth": round(value / sum(before.values()), 2),
        "growth_of_rows": ROWS / SMALL,
    }
    return Result(value, "ms", floor, value / floor, rows, extra)


def measured(
    store: Store, list_id: int, asked: Criteria, viewer: Viewer, small_ms: float
) -> dict[str, float]:
    size = whole(store, list_id, asked, viewer)
    page_ms = min(first_page(store, viewer) for _ in range(ROUNDS))
    detail_ms = min(detail_page(store, list_id, asked, viewer) for _ in range(ROUNDS))
    ms = median_ms(lambda: whole(store, list_id, asked, viewer), ROUNDS)
    floor_ms = median_ms(lambda: bare(store, list_id, asked, viewer), ROUNDS)
    return {
        "found": size,
        "ms": round(ms, 2),
        "floor_ms": round(floor_ms, 2),
        "first_page_ms": round(page_ms, 2),
        "detail_page_ms": round(detail_ms, 2),
        "growth": round(ms / small_ms, 2),
    }


def whole(store: Store, list_id: int, asked: Criteria, viewer: Viewer) -> int:
    """Search as a press of 検索 does: read, then one short write."""
    with store.read() as session:
        ids = search.find_ids(session, list_id=list_id, criteria=asked, viewer=viewer, now=NOW)
    with store.write() as session:
        search.store_queue(
            session, user_id=viewer.user_id, list_id=list_id, criteria=asked, ids=ids, now=NOW
        )
    return len(ids)


def bare(store: Store, list_id: int, asked: Criteria, viewer: Viewer) -> int:
    with store.read() as session:
        folder = session.get(CustomerList, list_id)
        conditions = Conditions(session, folder=folder, criteria=asked, viewer=viewer, now=NOW)
        statement = select(Customer.id).where(*conditions.all())
        return len(session.connection().execute(statement).cursor.fetchall())


def first_page(store: Store, viewer: Viewer) -> float:
    """ms to read the first page's rows of the queue just stored."""
    with store.read() as session:
        queue = session.scalars(select(WorkQueue).where(WorkQueue.user_id == viewer.user_id)).one()
        ids = memoryview(queue.customer_ids).cast("q")[: search.PAGE].tolist()
        start = time.perf_counter()
        search.rows_of(session, ids=ids)
        return (time.perf_counter() - start) * 1000


def detail_page(store: Store, list_id: int, asked: Criteria, viewer: Viewer) -> float:
    """ms of the first page of リスト詳細, which asks by key and stores nothing."""
    with store.read() as session:
        start = time.perf_counter()
        search.page(session, list_id=list_id, criteria=asked, viewer=viewer, now=NOW)
        return (time.perf_counter() - start) * 1000


def ground(store: Store) -> tuple[int, dict[BuiltIn, int]]:
    with store.write() as session:
        found(session, practice=True, now=NOW)
        name = f"bench{time.time_ns()}"
        user = User(
            login_id=name,
            login_key=name,
            name="計測",
            role=Role.MANAGER,
            password_hash="!",
            created_at=NOW,
        )
        session.add(user)
        session.flush()
        statuses = session.scalars(select(ResultStatus).where(ResultStatus.built_in.is_not(None)))
        return user.id, {status.built_in: status.id for status in statuses if status.built_in}


def filled(store: Store, rows: int, seed: int, user_id: int, statuses: dict[BuiltIn, int]) -> int:
    """A list with `rows` customers, a third of them dialled; figures as they would be."""
    draw = random.Random(seed)
    with store.write() as session:
        project = Project(name=f"計測{time.time_ns()}", weekdays=[], created_at=NOW)
        session.add(project)
        session.flush()
        folder = CustomerList(
            name="計測", project_id=project.id, columns=COLUMNS, enabled=True, created_at=NOW
        )
        session.add(folder)
        session.flush()
        list_id = folder.id
    for start in range(0, rows, BATCH):
        batch = [
            customer(draw, list_id, place, user_id, statuses)
            for place in range(start, min(start + BATCH, rows))
        ]
        with store.write() as session:
            session.execute(insert(Customer), batch)
        with store.write() as session:
            search.merge_index(session, pages=64)
    settle(store, list_id)
    return list_id


def settle(store: Store, list_id: int) -> None:
    """Leave the database as the nights leave it: figures right, index merged, statistics fresh."""
    with store.write() as session:
        total = select(func.count()).where(Customer.list_id == list_id).scalar_subquery()
        session.execute(
            update(CustomerList).where(CustomerList.id == list_id).values(customers=total)
        )
    more = True
    while more:
        with store.write() as session:
            more = search.merge_index(session, pages=256)
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.exec_driver_sql("VACUUM ANALYZE customers")


def customer(
    draw: random.Random, list_id: int, place: int, user_id: int, statuses: dict[BuiltIn, int]
) -> dict[str, Any]:
    texts = cells(draw)
    number = f"03{draw.randrange(10**8):08}"
    dialled = draw.randrange(3) == 0
    status = statuses[draw.choice(list(BuiltIn))] if dialled else None
    at = NOW - timedelta(minutes=draw.randrange(60 * 24 * 60))
    return {
        "list_id": list_id,
        "position": place + 1,
        "number_given": number,
        "number": number,
        "cells": texts,
        "folded": fold_cells(texts),
        "cycle": 1 if dialled else 0,
        "dials": draw.randint(1, 4) if dialled else 0,
        "last_status_id": status,
        "last_user_id": user_id if dialled else None,
        "last_dialled_at": at if dialled else None,
        "created_at": NOW,
        "updated_at": NOW,
    }


def cells(draw: random.Random) -> list[str]:
    """The texts of one customer, in the order of COLUMNS."""
    name = "".join(draw.choices(SIGNS, k=draw.randint(2, 6)))
    if not draw.randrange(500):
        name = "東京" + name
    return [
        f"株式会社{name}{draw.choice(KINDS)}",
        f"{draw.choice(NAMES)} {draw.choice(GIVEN)}",
        f"{draw.randrange(1000):03}-{draw.randrange(10000):04}",
        f"{draw.choice(PREFECTURES)}{draw.choice(TOWNS)}{draw.randint(1, 9)}-{draw.randint(1, 30)}",
        draw.choice(KINDS),
        str(draw.randint(1, 5000)),
        "".join(draw.choices(SIGNS, k=4)),
        draw.choice(["", "", "サトウ様ご紹介", "資料送付済み", "要折返し"]),
    ]
