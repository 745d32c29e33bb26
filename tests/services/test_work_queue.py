"""R-CL-1: the next customer of the queue who still qualifies at this moment."""

from array import array
from datetime import timedelta

import pytest

from calltree.errors import Refused
from calltree.models import (
    CallRecord,
    Customer,
    CustomerHold,
    CustomerList,
    DoNotCall,
    Operator,
    RecordKind,
    WorkQueue,
)
from calltree.services import desk as desks
from calltree.services import search, work_queue
from calltree.services.criteria import Criteria
from calltree.services.rights import Viewer
from calltree.text.days import site_day
from tests import factories as make
from tests.factories import NOW
from tests.services.desks import Desk, colleague

LATER = NOW + timedelta(seconds=5)


@pytest.fixture
def ids(desk: Desk) -> list[int]:
    """Six never dialled customers after the open one; the desk is empty."""
    with desk.store.write() as session:
        folder = session.get_one(CustomerList, desk.list_id)
        found = [make.make_customer(session, folder).id for _ in range(6)]
        session.delete(session.get_one(CustomerHold, desk.customer_id))
        session.get_one(Operator, desk.user_id).customer_id = None
    return found


def queue(desk: Desk, ids: list[int], **criteria: object) -> None:
    with desk.store.write() as session:
        search.store_queue(
            session, user_id=desk.user_id, list_id=desk.list_id,
            criteria=Criteria(**criteria), ids=array("q", ids), now=NOW,
        )  # fmt: skip


def take(desk: Desk) -> work_queue.Taken:
    with desk.store.write() as session:
        return work_queue.take_next(session, viewer=desk.viewer_in(session), now=LATER)


def test_R_CL_1_the_queue_is_walked_in_its_order_to_the_end(desk: Desk, ids: list[int]) -> None:
    wanted = [ids[2], ids[0], ids[5]]
    queue(desk, wanted)
    assert [take(desk).customer_id for _ in range(4)] == [*wanted, None]
    end = take(desk)
    assert end.is_end
    assert end.skipped == {}
    with desk.store.read() as session:
        progress = work_queue.progress(session, user_id=desk.user_id)
    assert (progress.position, progress.size) == (3, 3)


def test_R_CL_1_those_passed_over_are_counted_by_reason(desk: Desk, ids: list[int]) -> None:
    other = colleague(desk)
    with desk.store.write() as session:
        customers = [session.get_one(Customer, customer_id) for customer_id in ids]
        customers[0].deleted_at = NOW
        session.add(DoNotCall(number=customers[1].number, source="form", created_at=NOW))
        customers[2].assigned_user_id = other.id
        make.make_hold(session, customers[3], other)
        session.add(
            CallRecord(
                kind=RecordKind.ENTRY, customer_id=ids[4], list_id=desk.list_id,
                project_id=desk.project_id, user_id=other.id, number=customers[4].number,
                cycle=1, started_at=LATER, site_day=site_day(LATER),
            )
        )  # fmt: skip
    queue(desk, ids)
    taken = take(desk)
    assert taken.customer_id == ids[5]
    assert taken.skipped == {"gone": 1, "banned": 1, "assigned": 1, "held": 1, "done": 1}
    assert [hold.user_id for hold in desk.rows(CustomerHold)] == [other.id, desk.user_id]


def test_R_CL_1_assigned_to_oneself_or_dialled_before_the_search_is_offered(
    desk: Desk, ids: list[int]
) -> None:
    with desk.store.write() as session:
        session.get_one(Customer, ids[0]).assigned_user_id = desk.user_id
        session.add(
            CallRecord(
                kind=RecordKind.OUTBOUND, customer_id=ids[1], list_id=desk.list_id,
                project_id=desk.project_id, number="0312345678", cycle=1,
                started_at=NOW - timedelta(days=1), site_day=site_day(NOW),
            )
        )  # fmt: skip
    queue(desk, ids[:2])
    assert [take(desk).customer_id, take(desk).customer_id] == ids[:2]


def test_R_CL_1_a_customer_who_no_longer_meets_the_condition_is_passed_over(
    desk: Desk, ids: list[int]
) -> None:
    with desk.store.write() as session:
        criteria = Criteria.parse([("turn", "first"), ("attempt", "1"), ("q", "会社")])
        search.store_queue(
            session, user_id=desk.user_id, list_id=desk.list_id, criteria=criteria,
            ids=array("q", ids[:2]), now=NOW,
        )  # fmt: skip
        customer = session.get_one(Customer, ids[0])
        customer.cells, customer.folded = ["別名", ""], "別名\x1f"
    taken = take(desk)
    assert (taken.customer_id, taken.skipped) == (ids[1], {"changed": 1})


def test_R_CL_1_moved_to_another_list_is_out_of_grant(desk: Desk, ids: list[int]) -> None:
    with desk.store.write() as session:
        session.get_one(Customer, ids[0]).list_id = make.make_list(session).id
    queue(desk, ids[:2])
    assert take(desk).skipped == {"out_of_grant": 1}


def test_R_LS_2_a_list_taken_away_in_mid_work_ends_the_queue(desk: Desk, ids: list[int]) -> None:
    queue(desk, ids)
    take(desk)
    desk.change(CustomerList, desk.list_id, enabled=False)
    with pytest.raises(Refused, match="list_unavailable"):
        take(desk)


def test_R_CL_1_a_long_run_of_worked_customers_is_passed_in_batches(
    desk: Desk, ids: list[int]
) -> None:
    queue(desk, [10**9 + n for n in range(450)] + ids[:1])
    taken = take(desk)
    assert (taken.customer_id, taken.skipped) == (ids[0], {"gone": 450})


def test_R_CL_5_next_leaves_the_open_customer_and_opens_the_next(
    desk: Desk, ids: list[int]
) -> None:
    queue(desk, ids[:2])

    def go_on() -> work_queue.Taken:
        with desk.store.write() as session:
            return desks.next_customer(
                session, viewer=desk.viewer_in(session), page_id="p", now=LATER
            )

    go_on()
    assert desk.operator().customer_id == ids[0]
    number = desk.get(Customer, ids[0]).number
    desk.calls(now=LATER, customer_id=ids[0], number=number)
    go_on()
    assert desk.operator().customer_id == ids[1]
    assert [hold.customer_id for hold in desk.rows(CustomerHold)] == [ids[1]]
    assert desk.rows(CallRecord)[0].closed_at == LATER
    assert go_on().is_end
    desk.press(now=LATER, customer_id=ids[1], number=desk.get(Customer, ids[1]).number)
    with pytest.raises(Refused, match="in_a_call"):
        go_on()


def test_R_CL_1_without_a_search_there_is_no_queue(desk: Desk) -> None:
    with pytest.raises(Refused, match="no_queue"):
        take(desk)
    assert desk.rows(WorkQueue) == []


def test_R_CL_5_skip_on_a_customer_not_dialled_changes_nothing(desk: Desk, ids: list[int]) -> None:
    queue(desk, ids[:2])
    viewer: Viewer = desk.viewer()
    for _ in range(2):
        with desk.store.write() as session:
            desks.next_customer(session, viewer=viewer, page_id="p", now=LATER)
    assert desk.rows(CallRecord) == []
    assert desk.get(Customer, ids[0]).last_status_id is None
