"""The counting table of spec §1, cell by cell, and the one place that changes figures."""

from datetime import UTC, datetime, timedelta

import pytest

from calltree.models import (
    BuiltIn,
    CallRecord,
    Customer,
    CustomerHold,
    CustomerList,
    Origin,
    RecordKind,
    ResultStatus,
    Role,
    SystemResult,
)
from calltree.services import figures, outcomes, records, results
from calltree.services.rights import Viewer
from calltree.text.days import site_day
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk

LATER = NOW + timedelta(minutes=1)


def list_figures(desk: Desk) -> tuple[int, int, int, int]:
    folder = desk.folder()
    return (folder.customers, folder.worked, folder.dials, folder.connects)


def today(desk: Desk, now: datetime = NOW) -> figures.Today:
    with desk.store.read() as session:
        return figures.today(session, user_id=desk.user_id, day=site_day(now))


def recount(desk: Desk) -> dict[str, list[int]]:
    with desk.store.write() as session:
        return figures.recount(session, list_id=desk.list_id)


def own_status(desk: Desk, name: str, **given: object) -> str:
    with desk.store.write() as session:
        project = session.get_one(make.Project, desk.project_id)
        make.make_status(session, make.get_pattern(session, project), name, **given)
    return name


@pytest.mark.parametrize(
    ("status", "dials", "connects"),
    [
        (BuiltIn.NO_ANSWER, 1, 0),
        (BuiltIn.FAX, 1, 0),
        (BuiltIn.NOT_IN_USE, 1, 0),
        (BuiltIn.PROSPECT, 1, 1),
        (BuiltIn.CALLBACK, 1, 1),
        (BuiltIn.CLAIM, 1, 1),
    ],
)
def test_counting_table_of_a_built_in_status(
    desk: Desk, status: BuiltIn, dials: int, connects: int
) -> None:
    desk.calls()
    desk.save(status)
    assert list_figures(desk) == (1, 1, dials, connects)
    assert (today(desk).dials, today(desk).connects) == (dials, connects)
    assert (desk.customer().dials, desk.customer().connects) == (dials, connects)
    assert recount(desk) == {}


@pytest.mark.parametrize("connected", [True, False])
def test_counting_table_of_an_own_status(desk: Desk, connected: bool) -> None:
    name = own_status(desk, "資料", connected=connected, conversion=True)
    desk.calls()
    desk.save(name)
    assert list_figures(desk) == (1, 1, 1, int(connected))
    assert today(desk).conversions == 1


def test_counting_table_of_a_blank(desk: Desk) -> None:
    desk.calls()
    desk.leave()
    assert list_figures(desk) == (1, 1, 1, 0)
    assert desk.customer().last_system == SystemResult.BLANK
    assert recount(desk) == {}


def test_counting_table_of_an_abandoned_call(desk: Desk) -> None:
    with desk.store.write() as session:
        session.delete(session.get_one(CustomerHold, desk.customer_id))
    attempt = desk.press(origin=Origin.PREDICTIVE, user_id=None, node="main")
    desk.leaves(attempt)
    record = desk.ends(attempt, outcome=outcomes.ABANDONED)
    assert (record.system, record.kind, record.user_id) == (
        SystemResult.ABANDONED,
        RecordKind.PREDICTIVE,
        None,
    )
    assert list_figures(desk) == (1, 1, 1, 0)
    assert today(desk) == figures.Today(), "it counts for list and project only"


def test_counting_table_of_a_line_error(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    desk.fails(now=LATER)
    assert list_figures(desk) == (1, 1, 1, 1)
    assert today(desk).dials == 1
    customer = desk.customer()
    assert customer.last_status_id == desk.status_id(BuiltIn.PROSPECT)
    assert customer.last_dialled_at == NOW
    assert recount(desk) == {}


def test_a_line_error_alone_leaves_the_customer_untouched(desk: Desk) -> None:
    desk.fails()
    customer = desk.customer()
    assert (customer.last_record_id, customer.last_dialled_at, customer.dials) == (None, None, 0)
    assert list_figures(desk) == (1, 0, 0, 0)


def test_counting_table_of_a_predictive_call_by_who_was_joined(desk: Desk) -> None:
    with desk.store.write() as session:
        session.delete(session.get_one(CustomerHold, desk.customer_id))
    attempt = desk.press(origin=Origin.PREDICTIVE, user_id=None, node="main")
    desk.leaves(attempt)
    with desk.store.write() as session:
        records.give_to(session, attempt=attempt, user_id=desk.user_id, now=NOW)
    desk.ends(attempt)
    desk.save(BuiltIn.PROSPECT)
    assert (today(desk).dials, today(desk).predictive_dials) == (1, 1)
    assert (today(desk).connects, today(desk).predictive_connects) == (1, 1)
    assert list_figures(desk) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(outcomes.BUSY, BuiltIn.NO_ANSWER), (outcomes.NOT_IN_USE, BuiltIn.NOT_IN_USE)],
)
def test_counting_table_of_automatic_dials_nobody_was_joined_to(
    desk: Desk, outcome: outcomes.Outcome, status: BuiltIn
) -> None:
    with desk.store.write() as session:
        session.delete(session.get_one(CustomerHold, desk.customer_id))
    attempt = desk.press(origin=Origin.PREDICTIVE, user_id=None, node="main")
    desk.leaves(attempt)
    record = desk.ends(attempt, outcome=outcome)
    assert record.status_id == desk.status_id(status)
    assert list_figures(desk) == (1, 1, 1, 0)
    assert today(desk).dials == 0


def test_counting_table_of_a_manual_entry(desk: Desk) -> None:
    with desk.store.write() as session:
        results.add_entry(
            session, viewer=desk.viewer_in(session), customer_id=desk.customer_id,
            form=desk.form(BuiltIn.PROSPECT), now=NOW,
        )  # fmt: skip
    assert list_figures(desk) == (1, 0, 0, 0)
    assert today(desk) == figures.Today(entries=1)
    assert recount(desk) == {}


@pytest.mark.parametrize(
    ("origin", "counted"), [(Origin.MANUAL, "manual"), (Origin.INBOUND, "inbound")]
)
def test_counting_table_of_hand_dialled_and_inbound_calls(
    desk: Desk, origin: Origin, counted: str
) -> None:
    attempt = desk.press(origin=Origin.MANUAL, customer_id=None, number="0355556666")
    desk.change(type(attempt), attempt.id, origin=origin)
    record = desk.leaves(attempt)
    assert (record.counts_dial, record.counts_connect) == (False, False)
    assert today(desk) == figures.Today(**{counted: 1})
    assert list_figures(desk) == (1, 0, 0, 0)


def test_R_CL_11_division_by_zero_is_no_rate(desk: Desk) -> None:
    assert today(desk).rate is None
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    assert today(desk).rate == 1.0


def test_R_CL_11_figures_go_across_lists_and_by_the_day_the_dial_began(desk: Desk) -> None:
    late = datetime(2026, 11, 24, 14, 59, tzinfo=UTC)  # 23:59 in Tokyo
    desk.change(make.Project, desk.project_id, audience="b2b")
    desk.change(CustomerHold, desk.customer_id, taken_at=late, renewed_at=late, touched_at=late)
    desk.calls(now=late, confirmed=True)
    desk.save(BuiltIn.PROSPECT, now=late + timedelta(minutes=5))
    assert today(desk, late).connects == 1, "saved after midnight, dialled before"
    assert today(desk, late + timedelta(minutes=5)) == figures.Today()


def test_figures_follow_every_change_of_a_result(desk: Desk) -> None:
    record = desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    assert list_figures(desk) == (1, 1, 1, 0)
    desk.save(BuiltIn.PROSPECT)
    assert list_figures(desk) == (1, 1, 1, 1)
    desk.leave()
    desk.correct(record.id, BuiltIn.FAX)
    assert list_figures(desk) == (1, 1, 1, 0)
    desk.correct(record.id, BuiltIn.CALLBACK)
    with desk.store.write() as session:
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        results.delete_record(session, viewer=manager, record_id=record.id, now=LATER)
    assert list_figures(desk) == (1, 0, 0, 0)
    assert (desk.customer().last_record_id, desk.customer().dials) == (None, 0)
    assert today(desk) == figures.Today()
    assert recount(desk) == {}


def test_R_LS_1_a_customer_dialled_twice_is_worked_once(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.NO_ANSWER)
    desk.calls(now=LATER)
    desk.save(BuiltIn.PROSPECT, now=LATER)
    assert list_figures(desk) == (1, 1, 2, 1)
    assert (desk.customer().dials, desk.customer().connects) == (2, 1)


def test_R_LS_10_a_new_cycle_counts_from_the_start_and_keeps_records(desk: Desk) -> None:
    first = desk.calls()
    desk.save(BuiltIn.PROSPECT)
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        folder.cycle, folder.worked, folder.dials, folder.connects = 2, 0, 0, 0
    assert recount(desk) == {}
    desk.correct(first.id, BuiltIn.FAX, now=LATER)
    assert list_figures(desk) == (1, 0, 0, 0), "an older 周回 is history"
    desk.calls(now=LATER)
    desk.save(BuiltIn.CALLBACK, now=LATER)
    assert list_figures(desk) == (1, 1, 1, 1)
    assert (desk.customer().cycle, desk.customer().dials) == (2, 1)
    assert recount(desk) == {}


def test_customers_that_come_and_go_take_their_figures_along(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    with desk.store.write() as session:
        customer = session.get_one(Customer, desk.customer_id)
        figures.leave(session, customers=[customer])
        customer.deleted_at = NOW
    assert list_figures(desk) == (0, 0, 0, 0)
    assert recount(desk) == {}
    with desk.store.write() as session:
        customer = session.get_one(Customer, desk.customer_id)
        customer.deleted_at = None
        figures.enter(session, customers=[customer])
    assert list_figures(desk) == (1, 1, 1, 1)
    assert recount(desk) == {}


def test_recount_repairs_what_differs_and_says_so(desk: Desk) -> None:
    desk.calls()
    desk.save(BuiltIn.PROSPECT)
    desk.change(CustomerList, desk.list_id, dials=7, customers=0)
    desk.change(Customer, desk.customer_id, connects=5)
    assert recount(desk) == {
        "customers_repaired": [0, 1],
        "customers": [0, 1],
        "dials": [7, 1],
    }
    assert list_figures(desk) == (1, 1, 1, 1)
    assert recount(desk) == {}


def test_counts_of_is_the_table(desk: Desk) -> None:
    prospect = desk.get(ResultStatus, desk.status_id(BuiltIn.PROSPECT))
    for kind in RecordKind:
        counted = figures.counts_of(kind, prospect, SystemResult.NONE)
        assert counted.dial is counted.connect is (kind in figures.DIALLED)
    assert not any(figures.counts_of(RecordKind.OUTBOUND, None, SystemResult.LINE_ERROR))
    assert len(desk.rows(CallRecord)) == 0
