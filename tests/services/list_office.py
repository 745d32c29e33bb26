"""An office with lists to work on in bulk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from calltree.db import Store
from calltree.models import (
    BuiltIn,
    BulkJob,
    Customer,
    CustomerList,
    Role,
)
from calltree.services import (
    bulk_run,
    customer_work,
    figures,
)
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


def only(*ids: int) -> Chosen:
    return Chosen(ids=ids)


def opened(store: Store, uploads: Path) -> Office:
    """A new office on an empty site."""
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
            uploads,
            Viewer.of(make.make_user(session, Role.MANAGER)),
            Viewer.of(make.make_user(session, Role.SUPERVISOR)),
            [Viewer.of(user) for user in users],
            project.id,
            here.id,
            there.id,
            ids,
        )
