"""R-HS-4, R-US-1: long files: memos, pages, what happens meanwhile, and who gets none."""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.errors import NotAllowed
from calltree.models import (
    CallRecord,
    Role,
)
from calltree.services import export_queries as queries
from calltree.services import exports
from calltree.services.criteria import Criteria
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.text.sheets_out import CELL_CHARACTERS, CsvTable, Encoding
from tests.factories import (
    NOW,
    make_customer,
    make_item,
    make_list,
    make_project,
    make_user,
    viewer_of,
)
from tests.services.export_tables import ALL, TOKYO, columns, customers, floor, memo, records, said


def test_R_HS_4_over_32767_characters_continues_in_memo_2(store: Store) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session)
        long, short = make_customer(session, folder), make_customer(session, folder)
        for letter in "あいう":
            memo(session, long, letter * 12_000)
        memo(session, short, "短い")
        said(session, long, memo="え" * 40_000)
        said(session, short, memo="お")
    table = customers(store, viewer, list_id=folder.id)
    assert table[0][-2:] == ["メモ", "メモ2"]
    assert all(len(cell) <= CELL_CHARACTERS for row in table for cell in row)
    whole = "\n".join(letter * 12_000 for letter in "あいう")
    assert ["".join(cells) for cells in columns(table, "メモ", "メモ2")] == [whole, "短い"]
    table = records(store, viewer)
    assert table[0][-3:] == ["メモ", "メモ2", "録音"]
    found = sorted("".join(cells) for cells in columns(table, "メモ", "メモ2"))
    assert found == ["え" * 40_000, "お"]


def test_R_HS_4_a_memo_that_just_fits_needs_no_second_column(store: Store) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session)
        customer = make_customer(session, folder)
        memo(session, customer, "あ" * 16_000)
        memo(session, customer, "い" * (CELL_CHARACTERS - 1 - 16_001))
    assert customers(store, viewer, list_id=folder.id)[0][-1] == "メモ"


def test_R_ST_4_what_was_written_in_a_retired_item_stays_in_the_export(store: Store) -> None:
    with floor(store) as (session, viewer):
        project = make_project(session)
        old = make_item(session, project, name="温度感", retired_at=NOW)
        new = make_item(session, project, name="温度感")
        folder = make_list(session, project)
        customer = make_customer(session, folder)
        said(session, customer, attributes={str(old.id): "旧"})
        said(session, customer, attributes={str(new.id): "新"})
    table = records(store, viewer)
    assert table[0].count("温度感") == 1
    assert columns(table, "温度感") == [("新",), ("旧",)]


def test_R_HS_4_many_pages_lose_nothing_and_repeat_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calltree.services import export_customers, export_records

    for module in (export_customers, export_records):
        monkeypatch.setattr(module, "PAGE", 7)
        monkeypatch.setattr(module, "SCAN", 11)
    with floor(store) as (session, viewer):
        folder = make_list(session)
        found = [make_customer(session, folder) for _ in range(40)]
        made = [said(session, c, started_at=NOW) for c in found]  # all in the same moment
    table = customers(store, viewer, list_id=folder.id)
    assert [row[0] for row in table[1:]] == [str(customer.id) for customer in found]
    table = records(store, viewer)
    assert [row[0] for row in table[1:]] == [str(record.id) for record in reversed(made)]


def test_R_HS_4_no_read_session_is_open_while_a_page_is_sent(store: Store) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session)
        for _ in range(3):
            said(session, make_customer(session, folder))
    now_open = 0

    @contextmanager
    def counted() -> Iterator[Session]:
        nonlocal now_open
        with store.read() as session:
            now_open += 1
            yield session
            now_open -= 1

    begun = (
        exports.customers(
            counted, viewer=viewer, list_id=folder.id, criteria=Criteria(), zone=TOKYO, now=NOW
        ),
        exports.records(counted, viewer=viewer, criteria=ALL, zone=TOKYO, now=NOW),
    )
    for sheet in begun:
        for _row in sheet.rows:
            assert now_open == 0


def test_R_HS_4_those_deleted_while_it_is_sent_are_left_out(store: Store) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session)
        said(session, make_customer(session, folder))
        gone = said(session, make_customer(session, folder))
    sheet = exports.records(store.read, viewer=viewer, criteria=ALL, zone=TOKYO, now=NOW)
    with store.write() as session:
        session.delete(session.get_one(CallRecord, gone.id))
    assert (sheet.expected, len(list(sheet.rows))) == (2, 1)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.BUSINESS, Role.BACKYARD])
def test_R_US_1_others_get_no_export(store: Store, role: Role) -> None:
    with floor(store) as (session, _viewer):
        folder = make_list(session)
        viewer = viewer_of(make_user(session, role))
    with pytest.raises(NotAllowed):
        customers(store, viewer, list_id=folder.id)
    with pytest.raises(NotAllowed):
        records(store, viewer)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=8))
def test_R_HS_4_what_is_in_the_ledger_comes_back_from_the_file(
    store: Store, rows: list[tuple[str, str, str]]
) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session, columns=["一", "二"])
        for one, two, said_text in rows:
            customer = make_customer(session, folder, cells=[one, two])
            memo(session, customer, said_text)
            said(session, customer, memo=said_text)
    table = customers(store, viewer, list_id=folder.id)
    assert [plain(row) for row in columns(table, "一", "二", "メモ")] == [plain(r) for r in rows]
    asked = HistoryCriteria(span=Span.ALL, list_id=folder.id)
    table = records(store, viewer, criteria=asked)
    found = [plain(row) for row in columns(table, "メモ")]
    assert found == [plain((row[2],)) for row in reversed(rows)]


def plain(row: tuple[str, ...]) -> tuple[str, ...]:
    """Without the ' that makes a cell harmless, on both sides."""
    return tuple(cell.removeprefix("'") for cell in row)


def test_R_HS_4_cp932_replaces_and_counts(store: Store) -> None:
    with floor(store) as (session, viewer):
        folder = make_list(session, columns=["会社名"])
        make_customer(session, folder, cells=["髙橋 𠮷野 ☃ 〜"])
    sheet = exports.customers(
        store.read, viewer=viewer, list_id=folder.id, criteria=Criteria(), zone=TOKYO, now=NOW,
        chosen=["会社名"],
    )  # fmt: skip
    table = CsvTable(Encoding.CP932)
    data = b"".join(table.chunks(sheet.header, sheet.rows))
    assert data.decode("cp932") == "会社名\r\n髙橋 〓野 〓 ～\r\n"
    assert table.replaced == 2


def test_R_HS_4_postgres_reads_a_page_by_its_ids_and_no_table_whole(store: Store) -> None:
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite begins at the ids by itself")
    with floor(store) as (session, _viewer):
        customer = make_customer(session, make_list(session))
        record = said(session, customer)
    with store.read() as session:
        asked = queries.of(session)
        for statement, found in (
            (asked.customers, customer.id),
            (asked.memos, customer.id),
            (asked.extras, customer.id),
            (asked.long_memos, customer.id),
            (asked.records, record.id),
        ):
            given_ids = queries.begin_at(session, array("q", [found]))
            told = statement.params(**given_ids).compile(
                session.get_bind(), compile_kwargs={"literal_binds": True}
            )
            plan = session.connection().exec_driver_sql(f"EXPLAIN {told}").scalars().all()
            assert not [line for line in plan if "Seq Scan" in line], plan
