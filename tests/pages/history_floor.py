"""A project with calls to look at, for the tests of コール履歴 and 報告履歴."""

import csv
import io
from datetime import timedelta

from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    BuiltIn,
    CallRecord,
    CallState,
    Origin,
    ProjectRecipient,
    Recording,
    RecordingState,
    RecordKind,
    Role,
)
from calltree.services import figures
from tests.factories import (
    built_in,
    grant,
    make_customer,
    make_item,
    make_list,
    make_project,
    make_record,
    make_user,
)


class Floor:
    """A project with one list, one customer, and a record of each kind, saved an hour ago."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.write() as session:
            project = make_project(session, name="秋の案内")
            self.item = make_item(session, project, name="温度感")
            folder = make_list(session, project, name="東京リスト")
            self.operator = make_user(session, name="山田太郎")
            self.other = make_user(session, name="佐藤")
            self.manager = make_user(session, Role.MANAGER)
            self.supervisor = make_user(session, Role.SUPERVISOR)
            self.client = make_user(session, Role.BUSINESS)
            grant(session, folder, self.operator)
            self.customer = make_customer(session, folder, number="0312345678")
            self.prospect = built_in(session, BuiltIn.PROSPECT).id
            self.claim = built_in(session, BuiltIn.CLAIM).id
            self.no_answer = built_in(session, BuiltIn.NO_ANSWER).id
            at = utcnow() - timedelta(hours=1)
            self.at = at
            self.project, self.folder = project, folder
            self.call = self.record(session, status_id=self.prospect)
            self.entry = self.record(
                session, kind=RecordKind.ENTRY, status_id=self.no_answer, user=self.other
            )
            self.by_hand = self.record(
                session,
                kind=RecordKind.MANUAL,
                number="0399998888",
                customer_id=None,
                list_id=None,
            )

    def record(self, session, user=None, **given) -> CallRecord:
        values = {
            "user_id": (user or self.operator).id,
            "started_at": self.at,
            "saved_at": self.at,
            "closed_at": self.at,
        }
        record = make_record(session, self.customer, **(values | given))
        figures.settle(session, record=record, now=self.at)
        return record

    def count(self) -> int:
        with self.store.read() as session:
            return len(session.scalars(select(CallRecord.id)).all())


def shown(page) -> list[int]:
    return [int(row["data-record"]) for row in page.all("tr[data-record]")]


def report(floor: Floor) -> None:
    with floor.store.write() as session:
        project = session.get_one(type(floor.project), floor.project.id)
        project.reporting = True
        project.reported_status_ids = [floor.prospect]
        session.add(ProjectRecipient(project_id=project.id, user_id=floor.client.id))


def rows_of(answer) -> list[list[str]]:
    text = answer.data.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


def sound(floor: Floor, record: CallRecord, state: RecordingState) -> Recording:
    with floor.store.write() as session:
        attempt = Attempt(
            uuid=f"u{record.id}",
            number=record.number,
            origin=Origin.CALL,
            state=CallState.ENDED,
            verdict="allowed",
            created_at=floor.at,
            ended_at=floor.at,
        )
        session.add(attempt)
        session.flush()
        recording = Recording(
            attempt_id=attempt.id,
            record_id=record.id,
            raw_name="r",
            started_at=floor.at,
            state=state,
        )
        session.add(recording)
    return recording


def plays(page) -> list[str]:
    return [a["href"] for a in page.all("tr[data-record] a") if "/recordings/" in a["href"]]
