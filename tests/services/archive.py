"""Calls that were recorded, for the tests of recordings."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from calltree.db import Announcement, Store
from calltree.jobs import recordings as job
from calltree.models import (
    Attempt,
    Recording,
)
from calltree.services import recordings
from tests.factories import NOW
from tests.services.desks import Desk
from tests.sounds import tone, write_wav

ENDED = NOW + timedelta(seconds=20)


@dataclass
class Archive:
    """A desk whose calls leave recordings."""

    desk: Desk
    root: Path
    told: list[Announcement]

    @property
    def store(self) -> Store:
        return self.desk.store

    def call(
        self,
        talk_s: float = 6,
        now: datetime = NOW,
        *,
        reported: bool = True,
        cause: str = "NORMAL_CLEARING",
    ) -> int:
        """A call that has ended; gives its recording's id. The file is for the test to write."""
        record = self.desk.calls(now=now, talk_ms=int(talk_s * 1000))
        with self.store.write() as session:
            attempt = session.get_one(Attempt, record.attempt_id)
            attempt.joined_at = attempt.answered_at = attempt.ended_at - timedelta(seconds=talk_s)
            attempt.hangup_cause = cause
            if reported:
                row = Recording(
                    attempt_id=attempt.id,
                    record_id=record.id,
                    raw_name=recordings.raw_name(attempt),
                    started_at=attempt.joined_at,
                )
                session.add(row)
            recordings.call_ended(session, attempt=attempt, now=attempt.ended_at)
            return session.scalars(
                select(Recording.id).where(Recording.attempt_id == attempt.id)
            ).one()

    def row(self, recording_id: int) -> Recording:
        return self.desk.get(Recording, recording_id)

    def raw(self, recording_id: int) -> Path:
        with self.store.read() as session:
            return self.root / recordings.files_of(session, recording_id=recording_id)[0]

    def copy(self, recording_id: int) -> Path:
        with self.store.read() as session:
            return self.root / recordings.files_of(session, recording_id=recording_id)[1]

    def files(self) -> list[str]:
        return sorted(path.suffix for path in self.root.rglob("*") if path.is_file())

    def talk(self, recording_id: int, seconds: float = 6) -> None:
        write_wav(self.raw(recording_id), tone(300, seconds), tone(500, seconds))

    def finish(self, recording_id: int, now: datetime = ENDED) -> Recording:
        job.finish_in(self.store, self.root, recording_id, now=now)
        return self.row(recording_id)

    def sweep(self, now: datetime) -> None:
        job.sweep_in(self.store, self.root, now=now)

    def rung(self) -> list[int]:
        """The recordings that a job was asked for since the last question."""
        found = [
            n.ids["args"][0]
            for n in self.told
            if n.topic == "job" and n.ids["func"] == "calltree.jobs.recordings.finish"
        ]
        self.told.clear()
        return found
