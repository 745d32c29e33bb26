"""Stored recordings without the calls and the encoding that led to them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from calltree.db import Store
from calltree.models import Attempt, CallState, CustomerList, Origin, Recording, RecordingState
from calltree.services import recordings
from tests import factories as make
from tests.factories import NOW


@dataclass
class Shelf:
    """Stored recordings of one list, with small files in their places."""

    store: Store
    root: Path
    list_id: int
    user_id: int
    put_so_far: int = 0

    @classmethod
    def make(cls, store: Store, root: Path) -> "Shelf":
        with store.write() as session:
            make.make_site(session)
            user = make.make_user(session, name="山田太郎")
            folder = make.make_list(session, name="春のリスト")
            return cls(store, root, folder.id, user.id)

    def put(
        self,
        *,
        started_at: datetime = NOW,
        sound: bytes = b"an mp3",
        list_id: int | None = None,
        number: str = "0312345678",
        record: dict[str, Any] | None = None,
        **given: Any,
    ) -> int:
        """Store one; gives its id."""
        self.put_so_far += 1
        with self.store.write() as session:
            folder = session.get_one(CustomerList, list_id or self.list_id)
            customer = make.make_customer(session, folder, number=number)
            attempt = Attempt(
                uuid=f"0f0e0d0c-0000-4000-8000-{self.put_so_far:012d}",
                origin=Origin.CALL,
                user_id=self.user_id,
                customer_id=customer.id,
                list_id=folder.id,
                project_id=folder.project_id,
                number=number,
                verdict="allowed",
                state=CallState.ENDED,
                created_at=started_at,
                dialled_at=started_at,
                ended_at=started_at,
                talk_ms=6000,
            )
            session.add(attempt)
            session.flush()
            values: dict[str, Any] = {
                "attempt_id": attempt.id,
                "user_id": self.user_id,
                "started_at": started_at,
                "saved_at": started_at,
                "talk_ms": 6000,
            }
            call = make.make_record(session, customer, **(values | (record or {})))
            values = {
                "state": RecordingState.STORED,
                "raw_name": "",
                "stored_name": recordings.copy_name(attempt),
                "started_at": started_at,
                "stopped_at": started_at,
                "length_ms": 6000,
                "size_bytes": len(sound),
            }
            row = Recording(attempt_id=attempt.id, record_id=call.id, **(values | given))
            session.add(row)
            session.flush()
            path = self.root / recordings.copy_name(attempt)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sound)
            return row.id

    def file(self, recording_id: int) -> Path:
        """Where its file stands, or stood."""
        with self.store.read() as session:
            return self.root / recordings.files_of(session, recording_id=recording_id)[1]
