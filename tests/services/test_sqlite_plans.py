"""Which index SQLite, which keeps no statistics, goes along: no page may read a whole ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from calltree.db import Store
from calltree.models import Role
from calltree.services import history, list_bin, search, watching
from calltree.services.criteria import NOT_DIALLED, Criteria
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW

Ask = Callable[[Session, Viewer], object]
BIN = "ix_customers_bin"


def of_a_user_and_a_project(session: Session, viewer: Viewer) -> object:
    criteria = HistoryCriteria(span=Span.ALL, project_id=1, user=str(viewer.user_id))
    return history.page(session, viewer=viewer, criteria=criteria, now=NOW)


def of_the_undialled(session: Session, viewer: Viewer) -> object:
    folder = make.make_list(session)
    criteria = Criteria(statuses=(NOT_DIALLED,))
    return search.page(session, list_id=folder.id, criteria=criteria, viewer=viewer, now=NOW)


@pytest.mark.parametrize(
    ("ask", "table", "index"),
    [
        (lambda session, _viewer: watching.today(session, now=NOW), "call_records", "started"),
        (of_a_user_and_a_project, "call_records", "ix_call_records_user "),
        (lambda session, viewer: list_bin.deleted_customers(session, viewer=viewer), "lists", BIN),
        (
            lambda session, viewer: list_bin.page(
                session, viewer=viewer, list_id=make.make_list(session).id
            ),
            "FROM customers",
            BIN,
        ),
        (of_the_undialled, "FROM customers", "ix_customers_undialled "),
    ],
    ids=[
        "the day's figures",
        "a user's records of a project",
        "the bin",
        "a list's bin",
        "a list's undialled",
    ],
)
def test_sqlite_goes_along_the_index_that_is_as_long_as_the_answer(
    store: Store, ask: Ask, table: str, index: str
) -> None:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("Postgres has statistics")
    asked: list[tuple[str, Any]] = []

    def note(_link: Any, _cursor: Any, statement: str, given: Any, *_more: Any) -> None:
        if statement.startswith("SELECT") and table in statement:
            asked.append((statement, given))

    with store.write() as session:
        make.make_site(session)
        viewer = make.viewer_of(make.make_user(session, Role.MANAGER))
        event.listen(store.engine, "before_cursor_execute", note)
        ask(session, viewer)
        event.remove(store.engine, "before_cursor_execute", note)
        plans = [_plan(session, *one) for one in asked]
    assert any(index in plan for plan in plans), plans


def _plan(session: Session, statement: str, given: Any) -> str:
    rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
    return " | ".join(row[3] for row in rows)
