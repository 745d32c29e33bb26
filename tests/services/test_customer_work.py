"""R-LS-10, R-LS-11: 割当, move, リセット, delete and restore of customers, as jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from calltree.db import Store
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    AuditEntry,
    BeforeImage,
    BuiltIn,
    BulkJob,
    BulkKind,
    BulkState,
    CallRecord,
    CallState,
    Customer,
    CustomerList,
    Import,
    ImportState,
    Origin,
    Role,
    Task,
)
from calltree.services import (
    bulk,
    bulk_run,
    customer_run,
    customer_work,
    figures,
    list_bin,
    search,
    work_queue,
)
from calltree.services.bulk_writing import Claim
from calltree.services.criteria import Criteria
from calltree.services.customer_work import Chosen
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW

LATER = NOW + timedelta(minutes=5)
EVERYBODY = Chosen()


@dataclass
class Office:
    """A project with two lists, six customers in the first, two operators of both."""

    store: Store
    uploads: Path
    manager: Viewer
    supervisor: Viewer
    operators: list[Viewer]
    project_id: int
    here: int
    there: int
    ids: list[int]

    def rows(self, kind: type[Any], **where: Any) -> list[Any]:
        with self.store.read() as session:
            return list(session.scalars(select(kind).filter_by(**where).order_by(kind.id)))

    def customers(self, list_id: int | None = None) -> list[Customer]:
        return self.rows(Customer, list_id=list_id or self.here)

    def run(self, job: BulkJob) -> BulkJob:
        bulk_run.run(self.store, uploads_dir=self.uploads, job_id=job.id, clock=lambda: LATER)
        with self.store.read() as session:
            return session.get_one(BulkJob, job.id)

    def ask(self, do: Any, chosen: Chosen = EVERYBODY, typed: str | None = None, **given: Any):
        viewer = given.pop("viewer", self.manager)
        with self.store.write() as session:
            found = customer_work.find(
                session, viewer=viewer, list_id=self.here, chosen=chosen, now=NOW
            )
            return do(
                session,
                viewer=viewer,
                list_id=self.here,
                chosen=chosen,
                typed=str(found.count) if typed is None else typed,
                now=NOW,
                **given,
            )

    def assign(self, users: Sequence[Viewer], chosen: Chosen = EVERYBODY, **given: Any) -> BulkJob:
        ids = [user.user_id for user in users]
        return self.run(self.ask(customer_work.assign, chosen, user_ids=ids, **given))

    def move(self, chosen: Chosen = EVERYBODY, add_columns: bool = False) -> BulkJob:
        asked = {"target_id": self.there, "add_columns": add_columns}
        return self.run(self.ask(customer_work.move, chosen, **asked))

    def reset(self, chosen: Chosen = EVERYBODY) -> BulkJob:
        return self.run(self.ask(customer_work.start_again, chosen))

    def delete(self, chosen: Chosen = EVERYBODY) -> BulkJob:
        return self.run(self.ask(customer_work.delete, chosen))

    def call(self, customer_id: int, which: BuiltIn = BuiltIn.PROSPECT, **given: Any) -> int:
        """A call with a result, counted as a save counts it."""
        with self.store.write() as session:
            customer = session.get_one(Customer, customer_id)
            record = make.make_record(
                session,
                customer,
                status_id=make.built_in(session, which).id,
                user_id=self.operators[0].user_id,
                closed_at=NOW,
                **given,
            )
            figures.settle(session, record=record, now=NOW)
            return record.id

    def totals(self, list_id: int) -> tuple[int, int, int, int]:
        """The list's kept figures, once they were seen to be those of its customers' records."""
        with self.store.write() as session:
            assert figures.recount(session, list_id=list_id) == {}
            folder = session.get_one(CustomerList, list_id)
            return (folder.customers, folder.worked, folder.dials, folder.connects)


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    with store.write() as session:
        make.make_site(session)
        project = make.make_project(session)
        here = make.make_list(session, project, columns=["会社名", "担当者"])
        there = make.make_list(session, project, columns=["住所", "会社名"])
        users = [make.make_user(session, name=name) for name in ("佐藤", "鈴木")]
        for folder in (here, there):
            make.grant(session, folder, *users)
        ids = [
            make.make_customer(
                session, here, number=f"031234000{n}", cells=[f"会社{n}", f"人{n}"]
            ).id
            for n in range(6)
        ]
        return Office(
            store,
            tmp_path,
            Viewer.of(make.make_user(session, Role.MANAGER)),
            Viewer.of(make.make_user(session, Role.SUPERVISOR)),
            [Viewer.of(user) for user in users],
            project.id,
            here.id,
            there.id,
            ids,
        )


def only(*ids: int) -> Chosen:
    return Chosen(ids=ids)


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
