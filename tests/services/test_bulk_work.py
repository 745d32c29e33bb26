"""R-LS-10: who may do bulk work, and what a killed or doubled job leaves."""

from pathlib import Path
from typing import Any

import pytest

from calltree.db import Store
from calltree.errors import NotAllowed, Refused
from calltree.models import (
    BulkJob,
    BulkKind,
    BulkState,
    CustomerList,
    Role,
)
from calltree.services import (
    bulk,
    customer_run,
    customer_work,
)
from calltree.services.bulk_writing import Claim
from tests import factories as make
from tests.factories import NOW
from tests.services.list_office import Office, only, opened


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    return opened(store, tmp_path)


def test_R_LS_10_only_a_manager_moves_deletes_and_resets_a_supervisor_assigns(
    office: Office,
) -> None:
    for do, given in (
        (customer_work.move, {"target_id": office.there, "add_columns": False}),
        (customer_work.start_again, {}),
        (customer_work.delete, {}),
    ):
        with pytest.raises(NotAllowed):
            office.ask(do, viewer=office.supervisor, **given)
    for viewer in office.operators:
        with pytest.raises(NotAllowed):
            office.ask(customer_work.assign, viewer=viewer, user_ids=[])
    assert office.assign(office.operators[:1], viewer=office.supervisor).counts == {"assigned": 6}


def test_R_LS_10_the_count_must_be_typed_and_somebody_chosen(office: Office) -> None:
    with pytest.raises(Refused, match="count_differs"):
        office.ask(customer_work.delete, typed="5")
    with pytest.raises(Refused, match="nobody_chosen"):
        office.ask(customer_work.delete, only(10**6))
    assert office.rows(BulkJob) == []


def test_R_LS_10_a_customer_cannot_be_given_to_who_does_not_see_the_list(office: Office) -> None:
    with office.store.write() as session:
        stranger = make.viewer_of(make.make_user(session))
        folder = session.get_one(CustomerList, office.here)
        offered = customer_work.receivers(session, folder=folder)
    assert [user.role for user in offered] == [
        Role.OPERATOR, Role.OPERATOR, Role.MANAGER, Role.SUPERVISOR,
    ]  # fmt: skip
    with pytest.raises(Refused, match="assignee_unknown"):
        office.assign([stranger])


class Killed(BaseException):
    """What the worker's end feels like."""


def test_R_LS_10_a_killed_worker_is_followed_by_one_that_repeats_nobody(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calltree.services.customer_run.MOST", 2)
    job = office.ask(customer_work.assign, user_ids=[o.user_id for o in office.operators])
    write, batches = Claim.write, []

    def dies(claim: Claim, **progress: int) -> Any:
        batches.append(claim)
        if len(batches) == 3:
            raise Killed
        return write(claim, **progress)

    with monkeypatch.context() as killing:
        killing.setattr(Claim, "write", dies)
        with pytest.raises(Killed):
            office.run(job)
    with office.store.read() as session:
        assert [left.id for left in bulk.unfinished(session)] == [job.id]
    with office.store.write() as session:  # 15 s of silence later
        session.get_one(BulkJob, job.id).heartbeat_at = NOW
    done = office.run(job)
    assert (done.state, done.counts, done.rows_done) == (BulkState.DONE, {"assigned": 6}, 6)
    owners = [row.assigned_user_id for row in office.customers()]
    assert owners == [o.user_id for o in office.operators] * 3


def test_R_LS_10_two_jobs_on_the_same_customers_count_each_one_once(office: Office) -> None:
    office.call(office.ids[0])
    moving = office.ask(customer_work.move, target_id=office.there, add_columns=False)
    deleting = office.ask(customer_work.delete)
    assert office.run(deleting).counts == {"deleted": 6}
    assert office.run(moving).counts == {}
    assert office.totals(office.here) == (0, 0, 0, 0)
    assert office.totals(office.there) == (0, 0, 0, 0)


def test_R_LS_10_a_job_whose_asker_lost_the_right_does_nothing(office: Office) -> None:
    job = office.ask(customer_work.delete)
    with office.store.write() as session:
        session.get_one(make.User, office.manager.user_id).role = Role.SUPERVISOR
    done = office.run(job)
    assert (done.state, done.failure) == (BulkState.FAILED, "not_allowed")
    assert len([row for row in office.customers() if row.deleted_at is None]) == 6


def test_R_LS_10_every_kind_of_bulk_work_has_a_right_and_a_step() -> None:
    assert set(bulk.RIGHTS) == set(BulkKind)
    assert set(customer_run.STEPS) < {kind for kind in BulkKind if "customer" in kind}
