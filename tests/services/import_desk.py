"""A desk at which files are imported."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from calltree.db import Store
from calltree.models import (
    Customer,
    CustomerList,
    ExtraNumber,
    Import,
    Role,
)
from calltree.services import do_not_call, figures, import_run, import_undo, imports, scope, search
from calltree.services.criteria import Criteria
from calltree.services.import_check import Choices
from calltree.services.rights import Viewer
from tests import factories as make
from tests.factories import NOW

HEADER = "電話番号,会社名,住所\r\n"


def clock() -> datetime:
    return datetime.now(UTC)


class Desk:
    """A manager with a project, who uploads files and lets the worker's steps run."""

    def __init__(self, store: Store, uploads: Path) -> None:
        self.store, self.uploads = store, uploads
        uploads.mkdir(parents=True, exist_ok=True)
        with store.write() as session:
            self.project_id = make.make_project(session).id
            self.viewer = Viewer.of(make.make_user(session, Role.MANAGER))

    def upload(self, content: bytes | str, *, list_id: int | None = None, **given: Any) -> int:
        data = content.encode("cp932") if isinstance(content, str) else content
        name = f"{len(list(self.uploads.iterdir()))}.upload"
        (self.uploads / name).write_bytes(data)
        with self.store.write() as session:
            row = imports.receive(
                session,
                viewer=self.viewer,
                project_id=self.project_id,
                list_id=list_id,
                new_list_name=f"リスト{name}",
                filename="名簿.csv",
                stored_name=name,
                size_bytes=len(data),
                now=NOW,
            )
            import_id = row.id
        self.check(import_id)
        if given:
            self.choose(import_id, **given)
        return import_id

    def choose(self, import_id: int, **given: Any) -> None:
        choices = Choices.read(self.row(import_id).choices)
        for name, value in given.items():
            setattr(choices, name, value)
        with self.store.write() as session:
            imports.choose(session, viewer=self.viewer, import_id=import_id, choices=choices)
        self.check(import_id)

    def check(self, import_id: int) -> None:
        imports.check(self.store, uploads_dir=self.uploads, import_id=import_id, now=NOW)

    def start(self, import_id: int) -> None:
        with self.store.write() as session:
            imports.start(session, viewer=self.viewer, import_id=import_id, now=NOW)

    def run(self, import_id: int) -> Import:
        import_run.run(
            self.store, uploads_dir=self.uploads, import_id=import_id, clock=clock, stale_s=0
        )
        return self.row(import_id)

    def whole(self, content: bytes | str, **given: Any) -> Import:
        import_id = self.upload(content, **given)
        self.start(import_id)
        return self.run(import_id)

    def undo(self, import_id: int) -> Import:
        with self.store.write() as session:
            imports.undo(session, viewer=self.viewer, import_id=import_id, now=NOW)
        import_undo.undo(self.store, import_id=import_id, clock=clock, stale_s=0)
        return self.row(import_id)

    def row(self, import_id: int) -> Import:
        with self.store.read() as session:
            return session.get_one(Import, import_id)

    def folder(self, list_id: int | None) -> CustomerList:
        with self.store.read() as session:
            return session.get_one(CustomerList, list_id)

    def customers(self, list_id: int | None) -> list[Customer]:
        """Those whom people can see, in file order; the list's figure agrees with them."""
        with self.store.read() as session:
            found = list(
                session.scalars(
                    select(Customer)
                    .where(Customer.list_id == list_id, scope.is_present())
                    .order_by(Customer.position)
                )
            )
            assert session.get_one(CustomerList, list_id).customers == len(found)
            assert figures.totals(session, list_id=list_id or 0).customers == len(found)
            return found

    def numbers(self, list_id: int | None) -> list[str]:
        return [customer.number for customer in self.customers(list_id)]

    def found(self, list_id: int | None, words: str) -> list[str]:
        with self.store.read() as session:
            page = search.page(
                session,
                list_id=list_id,
                criteria=Criteria(text=words),
                viewer=self.viewer,
                now=NOW,
            )
        return [customer.number for customer in page.rows]

    def extras(self, customer_id: int) -> list[str]:
        with self.store.read() as session:
            query = select(ExtraNumber.number).where(ExtraNumber.customer_id == customer_id)
            return list(session.scalars(query.order_by(ExtraNumber.position)))

    def ban(self, number: str) -> None:
        with self.store.write() as session:
            do_not_call.add(session, viewer=self.viewer, numbers=[number], now=NOW)

    def cancel(self, import_id: int) -> None:
        with self.store.write() as session:
            imports.cancel(session, viewer=self.viewer, import_id=import_id, now=NOW)

    def lists(self) -> list[str]:
        with self.store.read() as session:
            return list(session.scalars(select(CustomerList.name)))

    def seen_of(self, import_id: int) -> int:
        with self.store.read() as session:
            query = select(func.count()).where(Customer.import_id == import_id, scope.is_present())
            return session.scalar(query) or 0

    def forget_progress(self, import_id: int) -> None:
        """So that a second worker's own progress can be waited for."""
        with self.store.write() as session:
            session.get_one(Import, import_id).rows_done = 0

    def stored(self, import_id: int) -> int:
        """Rows of an import, seen or not."""
        with self.store.read() as session:
            query = select(func.count()).where(Customer.import_id == import_id)
            return session.scalar(query) or 0
