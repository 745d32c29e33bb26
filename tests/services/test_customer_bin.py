"""R-LS-11: what is deleted rests in the bin and comes back."""

from datetime import timedelta
from pathlib import Path

import pytest

from calltree.db import Store
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    AuditEntry,
    BulkState,
)
from calltree.services import (
    customer_work,
    list_bin,
)
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW
from tests.services.list_office import EVERYBODY, LATER, Office, only, opened


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    return opened(store, tmp_path)


def test_R_LS_11_deleted_customers_rest_in_the_bin_and_come_back_with_their_figures(
    office: Office,
) -> None:
    office.call(office.ids[0])
    assert office.delete(only(*office.ids[:3])).counts == {"deleted": 3}
    assert office.totals(office.here) == (3, 0, 0, 0)
    with office.store.read() as session:
        page = list_bin.page(session, viewer=office.manager, list_id=office.here)
        lines = list_bin.deleted_customers(session, viewer=office.manager)
    assert [row.id for row in page.rows] == office.ids[:3]
    assert page.names == {office.manager.user_id: office.manager.name}
    assert [(line.list_id, line.count) for line in lines] == [(office.here, 3)]
    assert lines[0].first_until == LATER + timedelta(days=30)
    with office.store.write() as session:
        job = list_bin.restore_customers(
            session, viewer=office.manager, list_id=office.here, number="0000", now=LATER
        )
    assert office.run(job).counts == {"restored": 1}
    assert office.totals(office.here) == (4, 1, 1, 1)
    with office.store.write() as session:
        job = list_bin.restore_customers(
            session, viewer=office.manager, list_id=office.here, now=LATER
        )
    assert office.run(job).counts == {"restored": 2}
    assert office.totals(office.here) == (6, 1, 1, 1)


def test_R_LS_11_a_deleted_list_is_nowhere_and_comes_back_whole_but_disabled(
    office: Office,
) -> None:
    office.delete(only(office.ids[0]))

    def delete(typed: str, viewer: Viewer = office.manager) -> None:
        with office.store.write() as session:
            list_bin.delete_list(session, viewer=viewer, list_id=office.here, typed=typed, now=NOW)

    with pytest.raises(Refused, match="count_differs"):
        delete("6")
    with pytest.raises(NotAllowed):
        delete("5", office.supervisor)
    delete("5")
    with pytest.raises(NotFound):
        delete("5")
    with office.store.read() as session:
        gone = list_bin.deleted_lists(session, viewer=office.manager)
        assert list_bin.deleted_customers(session, viewer=office.manager) == []
        with pytest.raises(NotFound):
            customer_work.find(
                session, viewer=office.manager, list_id=office.here, chosen=EVERYBODY, now=NOW
            )
    assert [one.folder.id for one in gone] == [office.here]
    with office.store.write() as session:
        twin = make.make_list(
            session, session.get_one(make.Project, office.project_id), name=gone[0].folder.name
        )
        with pytest.raises(Refused, match="list_name_taken"):
            list_bin.restore_list(session, viewer=office.manager, list_id=office.here, now=NOW)
        twin.name = "別のリスト"
        back = list_bin.restore_list(session, viewer=office.manager, list_id=office.here, now=NOW)
        assert (back.enabled, back.customers, back.deleted_by) == (False, 5, None)
    assert office.totals(office.here) == (5, 0, 0, 0)
    actions = [line.action for line in office.rows(AuditEntry) if line.object_kind == "list"]
    assert actions == ["list.deleted", "list.restored"]


def test_R_LS_11_a_list_deleted_under_a_running_job_ends_it_with_the_reason(
    office: Office,
) -> None:
    job = office.ask(customer_work.delete)
    with office.store.write() as session:
        list_bin.delete_list(
            session, viewer=office.manager, list_id=office.here, typed="6", now=NOW
        )
    done = office.run(job)
    assert (done.state, done.failure) == (BulkState.FAILED, "list_gone")
