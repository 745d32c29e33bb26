"""R-LS-10: customers assigned, moved and reset in bulk."""

from pathlib import Path

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    BeforeImage,
    BuiltIn,
    BulkState,
    CallRecord,
    CallState,
    Customer,
    CustomerList,
    Import,
    ImportState,
    Origin,
    Task,
)
from calltree.services import (
    customer_work,
    figures,
    search,
    work_queue,
)
from calltree.services.criteria import Criteria
from calltree.services.customer_work import Chosen
from tests import factories as make
from tests.factories import NOW
from tests.services.list_office import LATER, Office, only, opened


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    return opened(store, tmp_path)


def test_R_LS_10_customers_are_given_in_turn_and_taken_away_again(office: Office) -> None:
    first, second = office.operators
    job = office.assign([first, second])
    assert (job.state, job.counts, job.rows_done) == (BulkState.DONE, {"assigned": 6}, 6)
    assert [row.assigned_user_id for row in office.customers()] == [
        first.user_id,
        second.user_id,
    ] * 3
    job = office.assign([], only(*office.ids[:2]))
    assert job.counts == {"unassigned": 2}
    assert [row.assigned_user_id for row in office.customers()][:3] == [None, None, first.user_id]


def test_R_LS_10_so_many_each_and_the_rest_stays_free(office: Office) -> None:
    first, second = office.operators
    job = office.assign([first, second], each=2)
    assert job.counts == {"assigned": 4, "beyond": 2}
    owners = [first.user_id] * 2 + [second.user_id] * 2 + [None] * 2
    assert [row.assigned_user_id for row in office.customers()] == owners


def test_R_LS_10_an_assigned_customer_comes_from_the_queue_of_its_own_operator_only(
    office: Office,
) -> None:
    first, second = office.operators
    office.assign([first], only(*office.ids[:5]))
    with office.store.write() as session:
        asked = {"viewer": second, "list_id": office.here, "criteria": Criteria(), "now": LATER}
        search.make_queue(session, **asked)
        taken = work_queue.take_next(session, viewer=second, page_id="p", now=LATER)
    assert (taken.customer_id, taken.skipped) == (office.ids[5], {"assigned": 5})


def test_R_LS_10_all_that_is_found_is_done_once_though_it_stops_meeting_the_search(
    office: Office,
) -> None:
    with office.store.write() as session:
        newer = make.make_customer(session, session.get_one(CustomerList, office.here))
        asked = Chosen(criteria=Criteria(assigned="none"))
        found = customer_work.find(
            session, viewer=office.manager, list_id=office.here, chosen=asked, now=NOW
        )
    assert (found.count, found.last_id) == (7, newer.id)
    with office.store.write() as session:
        job = customer_work.assign(
            session, viewer=office.supervisor, list_id=office.here, chosen=asked,
            user_ids=[office.operators[0].user_id], typed="７", now=NOW,
        )  # fmt: skip
        late = make.make_customer(session, session.get_one(CustomerList, office.here)).id
    assert office.run(job).counts == {"assigned": 7}
    assert office.rows(Customer, id=late)[0].assigned_user_id is None
    lines = [line.action for line in office.rows(AuditEntry)]
    assert lines == ["bulk.customer_assign.started", "bulk.customer_assign.done"]
    assert office.rows(AuditEntry)[0].detail["search"] == "assigned=none"


@pytest.mark.parametrize("kind", ["assign", "move", "reset", "delete"])
def test_R_LS_10_whom_an_operator_has_or_calls_is_left_alone_and_counted(
    office: Office, kind: str
) -> None:
    held, called, *_others = office.ids
    with office.store.write() as session:
        operator = session.get_one(make.User, office.operators[0].user_id)
        make.make_hold(session, session.get_one(Customer, held), operator, touched_at=LATER,
                       renewed_at=LATER)  # fmt: skip
        session.add(
            Attempt(
                uuid="u",
                origin=Origin.PREDICTIVE,
                customer_id=called,
                list_id=office.here,
                number="0312340001",
                verdict="allowed",
                state=CallState.RINGING,
                created_at=NOW,
            )
        )
    do = {
        "assign": lambda: office.assign(office.operators[:1]),
        "move": office.move,
        "reset": office.reset,
        "delete": office.delete,
    }[kind]
    job = do()
    assert {name: job.counts[name] for name in ("held", "in_call")} == {"held": 1, "in_call": 1}
    assert sum(job.counts.values()) == 6
    there = [row for row in office.customers() if row.deleted_at is None]
    assert {held, called} <= {row.id for row in there}
    assert all(row.assigned_user_id is None for row in there if row.id in (held, called))


def test_R_LS_10_a_move_takes_history_counters_and_tasks_along(office: Office) -> None:
    called = office.ids[0]
    record = office.call(called)
    with office.store.write() as session:
        session.get_one(CustomerList, office.there).cycle = 4
        session.add(Task(customer_id=called, list_id=office.here, opened_at=NOW))
    assert office.totals(office.here) == (6, 1, 1, 1)
    job = office.move(only(*office.ids[:2]))
    assert job.counts == {"moved": 2}
    assert office.totals(office.here) == (4, 0, 0, 0)
    assert office.totals(office.there) == (2, 1, 1, 1)
    moved = office.customers(office.there)
    assert [(row.position, row.cells) for row in moved] == [(1, ["", "会社0"]), (2, ["", "会社1"])]
    assert office.rows(Task)[0].list_id == office.there
    assert office.rows(CallRecord, id=record)[0].list_id == office.here  # the summary of that day
    office.call(called, started_at=LATER)
    assert office.totals(office.there) == (2, 1, 2, 2)


def test_R_LS_10_columns_that_the_target_lacks_are_said_and_can_be_added(office: Office) -> None:
    with office.store.read() as session:
        planned = customer_work.plan_move(
            session, viewer=office.manager, list_id=office.here, target_id=office.there
        )
    assert planned.missing == ("担当者",)
    office.move(only(office.ids[0]), add_columns=True)
    assert office.rows(CustomerList, id=office.there)[0].columns == ["住所", "会社名", "担当者"]
    assert office.customers(office.there)[0].cells == ["", "会社0", "人0"]
    assert office.customers(office.there)[0].folded == "\x1f会社0\x1f人0"


def test_R_LS_10_a_number_that_the_target_has_is_not_moved_there_again(office: Office) -> None:
    with office.store.write() as session:
        make.make_customer(
            session, session.get_one(CustomerList, office.there), number="0312340002"
        )
    assert office.move().counts == {"moved": 5, "twin": 1}
    assert [row.number for row in office.customers()] == ["0312340002"]


def test_R_LS_10_a_move_into_another_project_or_its_own_list_is_refused(office: Office) -> None:
    with office.store.write() as session:
        foreign = make.make_list(session).id
    for target in (foreign, office.here, 10**6):
        with pytest.raises(Refused, match="move_target"):
            office.ask(customer_work.move, target_id=target, add_columns=False)


def test_R_LS_10_nothing_moves_while_an_import_writes_into_either_list(office: Office) -> None:
    def importing(state: ImportState) -> None:
        with office.store.write() as session:
            for given in session.scalars(select(Import)):
                session.delete(given)
            session.flush()
            session.add(
                Import(
                    state=state,
                    project_id=office.project_id,
                    list_id=office.there,
                    filename="a",
                    user_id=office.manager.user_id,
                    stored_name="a",
                    created_at=NOW,
                )
            )

    importing(ImportState.UPDATING)
    with pytest.raises(Refused, match="import_list_busy"):
        office.ask(customer_work.move, target_id=office.there, add_columns=False)
    importing(ImportState.DONE)
    job = office.ask(customer_work.move, target_id=office.there, add_columns=False)
    importing(ImportState.RUNNING)  # begun between the press and the worker
    done = office.run(job)
    assert (done.state, done.failure, done.counts) == (BulkState.FAILED, "list_importing", {})
    assert len(office.customers()) == 6


def test_R_LS_7_what_an_import_overwrote_follows_a_moved_customer_into_its_new_columns(
    office: Office,
) -> None:
    with office.store.write() as session:
        given = Import(
            state=ImportState.DONE, project_id=office.project_id, list_id=office.here,
            user_id=office.manager.user_id, filename="a", stored_name="a", created_at=NOW,
        )  # fmt: skip
        session.add(given)
        session.flush()
        image = BeforeImage(
            import_id=given.id, customer_id=office.ids[0], cells=["旧社名", "人0"],
            new_cells=["会社0", "人0"], applied=True,
        )  # fmt: skip
        session.add(image)
    office.move(only(office.ids[0]))
    with office.store.read() as session:
        kept = session.scalars(select(BeforeImage)).one()
        assert (kept.cells, kept.new_cells) == (["", "旧社名"], ["", "会社0"])


def test_R_LS_10_a_reset_customer_was_never_called_and_its_history_stays(office: Office) -> None:
    first, second = office.ids[:2]
    record = office.call(first)
    office.call(second, BuiltIn.NO_ANSWER)
    assert office.totals(office.here) == (6, 2, 2, 1)
    assert office.reset(only(first)).counts == {"reset": 1}
    assert office.totals(office.here) == (6, 1, 1, 0)
    row = office.rows(Customer, id=first)[0]
    assert (row.dials, row.last_status_id, row.last_system, row.last_user_id) == (0, None, "", None)
    assert row.last_dialled_at == NOW  # when it was is no secret
    kept = office.rows(CallRecord, id=record)[0]
    assert (kept.counts_dial, kept.counts_connect, kept.list_id) == (True, True, office.here)
    with office.store.read() as session:
        asked = {"list_id": office.here, "viewer": office.manager, "now": LATER}
        fresh = search.find_ids(session, criteria=Criteria.parse([("shortcut", "first")]), **asked)
    assert first in fresh
    assert second not in fresh
    # a correction of what was before the reset is history; the next call begins the new 周回
    with office.store.write() as session:
        old = session.get_one(CallRecord, record)
        old.status_id = make.built_in(session, BuiltIn.NO_ANSWER).id
        figures.settle(session, record=old, now=LATER)
    assert office.totals(office.here) == (6, 1, 1, 0)
    office.call(first, started_at=LATER)
    assert office.totals(office.here) == (6, 2, 2, 1)
