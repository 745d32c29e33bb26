"""R-LS-6, R-LS-10: one number in several rows is found; one row stays by a rule that is chosen."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from calltree.db import Store
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import BulkJob, BulkState, Customer, CustomerList, Role, User
from calltree.services import bulk_run, duplicates, figures
from calltree.services.duplicates import Keep, Within
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW

TWICE, SAME = "0312340001", "0312340002"


@dataclass
class Lists:
    """Two lists of a project and one of another; rows by a letter."""

    store: Store
    manager: Viewer
    here: int
    project: int
    ids: dict[str, int]

    def find(self, within: Within, keep: Keep = Keep.OLDEST) -> duplicates.Found:
        with self.store.read() as session:
            return duplicates.find(session, viewer=self.manager, within=within, keep=keep)

    def start(self, within: Within, keep: Keep = Keep.OLDEST, typed: str | None = None) -> BulkJob:
        count = str(self.find(within, keep).surplus) if typed is None else typed
        with self.store.write() as session:
            return duplicates.start(
                session, viewer=self.manager, within=within, keep=keep, typed=count, now=NOW
            )

    def run(self, job: BulkJob) -> BulkJob:
        bulk_run.run(self.store, uploads_dir=Path(), job_id=job.id, clock=lambda: NOW)
        with self.store.read() as session:
            return session.get_one(BulkJob, job.id)

    def there(self) -> str:
        with self.store.read() as session:
            rows = {name: session.get_one(Customer, i) for name, i in self.ids.items()}
        return "".join(name for name, row in rows.items() if row.deleted_at is None)


@pytest.fixture
def lists(store: Store) -> Lists:
    with store.write() as session:
        project = make.make_project(session)
        here, there = make.make_list(session, project), make.make_list(session, project)
        far = make.make_list(session)
        rows = {
            "a": make.make_customer(session, here, number=TWICE, cells=["会社", ""]),
            "b": make.make_customer(session, here, number=TWICE, cells=["会社", "人"]),
            "c": make.make_customer(session, here, number=SAME),
            "d": make.make_customer(session, there, number=SAME, last_dialled_at=NOW),
            "e": make.make_customer(session, far, number=SAME,
                                    last_dialled_at=NOW - timedelta(days=1)),
            "f": make.make_customer(session, far),
        }  # fmt: skip
        make.make_customer(session, here, number=TWICE, deleted_at=NOW)
        manager = Viewer.of(make.make_user(session, Role.MANAGER))
        ids = {name: row.id for name, row in rows.items()}
        return Lists(store, manager, here.id, project.id, ids)


def test_R_LS_10_duplicates_of_a_list_a_project_and_the_site(lists: Lists) -> None:
    counted = {
        within: (found.numbers, found.surplus)
        for within in (Within(lists.here), Within(project_id=lists.project), Within())
        if (found := lists.find(within))
    }
    assert list(counted.values()) == [(1, 1), (2, 2), (2, 3)]
    groups = lists.find(Within()).groups
    assert [[row.id for row, _name in group.rows] for group in groups] == [
        [lists.ids["a"], lists.ids["b"]],
        [lists.ids["c"], lists.ids["d"], lists.ids["e"]],
    ]


@pytest.mark.parametrize(
    ("keep", "left"),
    [(Keep.OLDEST, "acf"), (Keep.NEWEST, "bef"), (Keep.CALLED, "adf"), (Keep.FULLEST, "bcf")],
)
def test_R_LS_10_the_rule_says_which_row_stays(lists: Lists, keep: Keep, left: str) -> None:
    job = lists.run(lists.start(Within(), keep))
    assert (job.state, job.counts, job.rows_done) == (BulkState.DONE, {"deleted": 3}, 3)
    assert lists.there() == left
    assert lists.find(Within()).surplus == 0
    with lists.store.write() as session:
        for folder in session.query(CustomerList):
            assert figures.recount(session, list_id=folder.id) == {}


def test_R_LS_10_a_row_that_somebody_has_open_is_left_and_counted(lists: Lists) -> None:
    with lists.store.write() as session:
        user = make.make_user(session)
        make.make_hold(session, session.get_one(Customer, lists.ids["d"]), user)
    assert lists.run(lists.start(Within())).counts == {"deleted": 2, "held": 1}
    assert lists.there() == "acdf"


def test_R_LS_10_two_rules_at_once_leave_one_row_of_each_number(lists: Lists) -> None:
    jobs = [lists.start(Within(), keep) for keep in (Keep.OLDEST, Keep.NEWEST)]
    assert [lists.run(job).counts for job in jobs] == [{"deleted": 3}, {}]
    assert lists.there() == "acf"


def test_R_LS_10_duplicates_want_a_manager_a_list_and_the_count(lists: Lists) -> None:
    with pytest.raises(Refused, match="count_differs"):
        lists.start(Within(), typed="4")
    with pytest.raises(NotFound):
        lists.find(Within(10**6))
    job = lists.start(Within())
    with lists.store.write() as session:
        session.get_one(User, lists.manager.user_id).role = Role.SUPERVISOR
        supervisor = Viewer.of(session.get_one(User, lists.manager.user_id))
        with pytest.raises(NotAllowed):
            duplicates.find(session, viewer=supervisor, within=Within(), keep=Keep.OLDEST)
    assert lists.run(job).failure == "not_allowed"
    assert lists.there() == "abcdef"
