"""The generated year of `bench._year` is what the product itself would have left behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from bench._year import Year
from calltree.db import Store
from calltree.models import (
    AttributeItem,
    CallRecord,
    Customer,
    CustomerList,
    DoNotCall,
    MemoEntry,
    OperatorInterval,
    Recording,
    RecordingState,
    Task,
    User,
)
from calltree.services import figures, summaries
from calltree.services.rights import Viewer
from calltree.services.summary_criteria import Axis, SummaryCriteria
from calltree.text.days import site_day
from tests.factories import NOW
from tests.services.ledger_by_hand import counted, lines_of, slowly

ROWS = 600
FIRST, SECOND = date(2026, 10, 5), date(2026, 11, 9)


def everything(_record: CallRecord) -> bool:
    return True


@pytest.fixture
def year(store: Store) -> Year:
    """Its last two weeks and, written after them, the five before: as a bench goes on."""
    made = Year.begin(store, seed=3, now=NOW)
    made.fill(rows=ROWS // 3, first=SECOND, until=NOW)
    before = NOW - timedelta(days=(site_day(NOW) - SECOND).days + 1) + timedelta(hours=12)
    made.fill(rows=ROWS - ROWS // 3, first=FIRST, until=before)
    return made


def test_R_WT_2_figures_of_a_generated_year_are_its_ledger_recomputed(year: Year) -> None:
    asked = SummaryCriteria(FIRST, site_day(NOW))
    with year.store.read() as session:
        viewer = Viewer.of(session.get_one(User, year.people.manager))
        whole = slowly(session, everything)[()]
        for axes in (*((axis, None) for axis in Axis), (Axis.USER, Axis.DAY)):
            table = summaries.summary(
                session, viewer=viewer, criteria=replace(asked, by=axes[0], then=axes[1]), now=NOW
            )
            assert counted(table.total) == whole
            assert lines_of(table) == slowly(session, everything, *filter(None, axes))
        assert table.total.dials > ROWS * 0.9
        assert table.total.spent is not None
        assert table.total.spent.wrap_up_ms > 0


def test_R_LS_1_the_nightly_check_finds_nothing_to_repair(year: Year) -> None:
    with year.store.write() as session:
        assert session.scalar(select(func.count()).select_from(CallRecord)) == ROWS
        for list_id, _project_id in year.people.lists:
            assert figures.recount(session, list_id=list_id) == {}
        worked = select(func.sum(CustomerList.worked), func.sum(CustomerList.customers))
        assert all(value > 50 for value in session.execute(worked).one())


def test_what_a_result_leaves_is_there(year: Year) -> None:
    """Of the customer its newest result, one open task, and after a ban no further dial."""
    with year.store.read() as session:
        newest: dict[int | None, CallRecord] = {}
        for record in session.scalars(
            select(CallRecord).order_by(CallRecord.started_at, CallRecord.id)
        ):
            assert record.site_day == site_day(record.started_at)
            if record.system != "line_error":
                newest[record.customer_id] = record
        for customer in session.scalars(select(Customer).where(Customer.last_record_id > 0)):
            last = newest[customer.id]
            assert (customer.last_record_id, customer.last_status_id, customer.last_user_id) == (
                last.id, last.status_id, last.user_id,
            )  # fmt: skip
        for ban in session.scalars(select(DoNotCall).where(DoNotCall.number.startswith("03"))):
            assert newest[session.get_one(CallRecord, ban.record_id).customer_id].id == (
                ban.record_id
            )
        open_tasks = session.scalars(select(Task.customer_id).where(Task.done_at.is_(None))).all()
        assert max(Counter(open_tasks).values()) == 1
        for model, condition in (
            (DoNotCall, DoNotCall.id > 0),
            (MemoEntry, MemoEntry.id > 0),
            (Task, Task.done_at.is_not(None)),
            (Recording, Recording.state == RecordingState.STORED),
            (Recording, Recording.state == RecordingState.DESTROYED),
        ):
            assert session.scalar(select(func.count()).select_from(model).where(condition))


def test_R_CL_14_an_operators_states_follow_each_other(year: Year) -> None:
    with year.store.read() as session:
        before: dict[tuple[int, date], OperatorInterval] = {}
        for one in session.scalars(
            select(OperatorInterval).order_by(OperatorInterval.user_id, OperatorInterval.started_at)
        ):
            key = (one.user_id, one.site_day)
            assert one.ended_at is not None
            assert one.ended_at > one.started_at
            assert key not in before or before[key].ended_at == one.started_at
            before[key] = one


def test_a_year_goes_on_after_its_last_id(year: Year) -> None:
    """Rows of the product's own come behind those that were written in bulk."""
    with year.store.write() as session:
        item = AttributeItem(name="x", name_key="x", target="result", kind="text")
        session.add(item)
        session.flush()
        assert item.id > year.people.item
