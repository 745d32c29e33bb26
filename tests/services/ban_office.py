"""An office that enters and releases bans, for the tests of do-not-call."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from calltree.db import Store
from calltree.models import (
    BulkJob,
    BulkKind,
    DoNotCall,
)
from calltree.services import (
    ban_search,
    bulk,
    bulk_run,
    do_not_call,
)
from calltree.services.ban_search import BanCriteria
from calltree.services.rights import Viewer
from tests.factories import NOW
from tests.services.desks import Desk


@dataclass
class Office:
    """A desk, a manager and a supervisor, and the folder of uploads."""

    desk: Desk
    store: Store
    uploads: Path
    manager: Viewer
    supervisor: Viewer

    def upload(
        self,
        body: bytes | str,
        kind: BulkKind = BulkKind.BAN_ADD,
        viewer: Viewer | None = None,
        **choices: Any,
    ) -> int:
        """Take a file in and have it checked, as the worker does."""
        data = body.encode() if isinstance(body, str) else body
        name = f"{time.monotonic_ns()}.upload"
        (self.uploads / name).write_bytes(data)
        with self.store.write() as session:
            job_id = bulk.receive(
                session,
                viewer=viewer or self.manager,
                kind=kind,
                filename="numbers.csv",
                stored_name=name,
                size_bytes=len(data),
                choices=choices,
                now=NOW,
            ).id
        bulk_run.check(self.store, uploads_dir=self.uploads, job_id=job_id, now=NOW)
        return job_id

    def start(self, job_id: int, typed: str = "") -> None:
        with self.store.write() as session:
            bulk.start(session, viewer=self.manager, job_id=job_id, typed=typed, now=NOW)

    def run(self, job_id: int, clock: Callable[[], Any] = lambda: NOW, **given: Any) -> BulkJob:
        bulk_run.run(self.store, uploads_dir=self.uploads, job_id=job_id, clock=clock, **given)
        return self.job(job_id)

    def job(self, job_id: int) -> BulkJob:
        with self.store.read() as session:
            return session.get_one(BulkJob, job_id)

    def entered(self, body: bytes | str, **choices: Any) -> BulkJob:
        job_id = self.upload(body, **choices)
        self.start(job_id)
        return self.run(job_id)

    def ban(self, *numbers: str, **given: Any) -> None:
        with self.store.write() as session:
            do_not_call.add(session, viewer=self.manager, numbers=numbers, now=NOW, **given)

    def banned(self) -> list[str]:
        with self.store.read() as session:
            query = select(DoNotCall.number).where(do_not_call.in_force(NOW))
            return sorted(session.scalars(query))

    def found(self, **asked: Any) -> list[str]:
        with self.store.read() as session:
            rows = ban_search.page(session, criteria=BanCriteria(**asked), now=NOW)
            return [row.number for row in rows]

    def release_found(self, criteria: BanCriteria, viewer: Viewer | None = None) -> int:
        with self.store.write() as session:
            count, newest = ban_search.count(session, criteria=criteria, now=NOW)
            return bulk.begin(
                session,
                viewer=viewer or self.manager,
                kind=BulkKind.BAN_RELEASE_FOUND,
                choices={"criteria": criteria.pairs(), "last_id": newest, "reason": "誤登録"},
                count=count,
                now=NOW,
            ).id
