"""Zips of recordings: what a search finds, in parts, each with 一覧.csv (R-RC-1).

The worker makes them. Sound does not get smaller: the files are stored as they are, and what is in
memory is one piece of one file and a line for each recording of the present part. A worker that
takes over begins anew.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import BulkJob, BulkKind, BulkState, CallRecord, Recording
from calltree.services import audit, bulk, recording_search, recordings
from calltree.services.bulk_writing import Claim, Failed
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.recordings import Sound
from calltree.services.rights import Right, Viewer
from calltree.text.sheets_out import CsvTable

PART_BYTES = 2_000_000_000
KEPT = timedelta(hours=24)
"""The nightly work removes what is older from the exports directory."""
SPARE_BYTES = 1_000_000_000
"""Left free on the disk for calls that go on meanwhile."""
AT_ONCE = 200
TELL_S = 1.0
INDEX_NAME = "一覧.csv"
HEADER = (
    "ファイル名", "日時", "通話秒", "録音秒", "案件", "リスト名", "電話番号", "ユーザー", "結果",
    "備考",
)  # fmt: skip
ERASED = "person_erased"
"""Why a zip ends, and the key of the files that are to be removed."""
REASON_ERASED = "erased"
"""`Recording.destroyed_reason` of an erased person's."""
REMOVE = "calltree.jobs.bulk.remove_taken_away"
MOST_SPANS = 1000
NO_FILE = "ファイルがありません"
_PIECE = 1 << 20


class Far(Protocol):
    """A store of copies besides the directory, as `calltree.bucket`."""

    def size(self, name: str) -> int | None:
        """Return a file's length; None when it is not there."""

    def opened(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Give its bytes, to be read once."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where recordings are, where zips go, and the zone of their times."""

    recordings: Path
    exports: Path
    zone: tzinfo
    far: Far | None = None
    """Where those are that the directory does not hold."""

    @contextmanager
    def opened(self, recording: Recording) -> Iterator[tuple[BinaryIO, int]]:
        """Give a recording's bytes and how many they are. Raises FileNotFoundError."""
        name = recording.stored_name
        path = recordings.path_below(self.recordings, name)
        if self.far is None or path.is_file():
            with path.open("rb") as file:
                yield file, os.fstat(file.fileno()).st_size
        else:
            size = self.far.size(name)
            if size is None:
                raise FileNotFoundError(name)
            with self.far.opened(name) as file:
                yield file, size


@dataclass(frozen=True, slots=True)
class Part:
    """One file to download; `name` is relative to the exports directory."""

    name: str
    size_bytes: int
    count: int


def begin(session: Session, *, viewer: Viewer, criteria: HistoryCriteria, now: datetime) -> BulkJob:
    """Let the worker zip what a search finds now. Raises NotAllowed, Refused 'zip_nothing'."""
    if not viewer.may(Right.DOWNLOAD_RECORDINGS):
        raise NotAllowed(Right.DOWNLOAD_RECORDINGS)
    found = recording_search.total(session, viewer=viewer, criteria=criteria, now=now)
    if not found.count:
        raise Refused("zip_nothing")
    return bulk.begin(
        session,
        viewer=viewer,
        kind=BulkKind.RECORDING_ZIP,
        choices={
            "criteria": criteria.pairs(),
            "at": now.isoformat(),
            "last_id": found.last_id,
            "bytes": found.size_bytes,
        },
        count=found.count,
        search=audit.conditions(criteria.pairs()),
        now=now,
    )


def parts(job: BulkJob) -> list[Part]:
    """Return the files that a finished job made."""
    return [Part(**one) for one in job.findings.get("parts", ())]


def expires_at(job: BulkJob) -> datetime | None:
    """Say until when a finished job's files can be downloaded."""
    return job.ended_at + KEPT if job.ended_at and job.state is BulkState.DONE else None


def part(
    session: Session, *, viewer: Viewer, job_id: int, number: int, now: datetime
) -> tuple[BulkJob, Part]:
    """Return part `number` (from 1) of a job. Raises NotFound, also when its time is over."""
    job = bulk.get(session, viewer=viewer, job_id=job_id)
    made, until = parts(job), expires_at(job)
    if not 1 <= number <= len(made) or until is None or now >= until:
        raise NotFound
    return job, made[number - 1]


def write(claim: Claim, job: BulkJob, viewer: Viewer, places: Places) -> None:
    """Make the zips. Raises Failed 'no_space'; what was written goes when it does not end well."""
    places.exports.mkdir(parents=True, exist_ok=True)
    for left in places.exports.glob(f"recordings-{job.id}-*"):
        left.unlink(missing_ok=True)
    if shutil.disk_usage(places.exports).free < job.choices["bytes"] + SPARE_BYTES:
        raise Failed("no_space")
    parcel = _Parcel(claim, places, f"recordings-{job.id}-{secrets.token_hex(4)}")
    try:
        with claim.write(rows_done=0):
            pass
        for sound in _found(claim, job, viewer):
            parcel.add(sound)
        parcel.close()
    except BaseException:
        parcel.throw_away()
        raise
    spans = _spans(parcel.held)
    try:
        with claim.write(rows_done=parcel.done) as session:
            # locked against an erasing that looks at the same moment, which waits and finds the zip
            given = session.get_one(BulkJob, job.id, with_for_update=True)
            if _holds(spans, _erased_since(session, given.created_at)):
                raise Failed(ERASED)
            given.findings = {
                "parts": [
                    {"name": one.name, "size_bytes": one.size_bytes, "count": one.count}
                    for one in parcel.parts
                ],
                "spans": spans,
            }
            given.counts = {"zipped": parcel.done - parcel.missing, "no_file": parcel.missing}
    except BaseException:
        parcel.throw_away()
        raise


def take_away(session: Session, *, recording_ids: Sequence[int], now: datetime) -> int:
    """Let no zip be downloaded any more that holds one of these; returns how many there were.

    The worker removes the files, see `taken_away`.
    """
    jobs = session.scalars(
        select(BulkJob)
        .where(
            BulkJob.kind == BulkKind.RECORDING_ZIP,
            BulkJob.state.in_((BulkState.RUNNING, BulkState.DONE)),
            or_(BulkJob.ended_at.is_(None), BulkJob.ended_at > now - KEPT),
        )
        .order_by(BulkJob.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    held = [job for job in jobs if _holds(job.findings.get("spans", ()), recording_ids)]
    for job in held:
        names = [one.name for one in parts(job)]
        job.findings = {"parts": [], ERASED: job.findings.get(ERASED, []) + names}
    if held:
        session.flush()
        announce(session, "job", lane="soon", func=REMOVE)
    return len(held)


def is_taken_away(job: BulkJob) -> bool:
    """Whether its files are gone before their time, because a person was erased."""
    return ERASED in job.findings


def taken_away(session: Session, *, now: datetime) -> list[str]:
    """Name the files of zips that were taken away, relative to the exports directory."""
    jobs = session.scalars(
        select(BulkJob).where(
            BulkJob.kind == BulkKind.RECORDING_ZIP, BulkJob.created_at > now - 2 * KEPT
        )
    )
    return [name for job in jobs for name in job.findings.get(ERASED, ())]


def _erased_since(session: Session, moment: datetime) -> list[int]:
    erased = select(Recording.id).where(
        Recording.destroyed_reason == REASON_ERASED, Recording.destroy_after >= moment
    )
    return list(session.scalars(erased))


def _spans(ids: Sequence[int]) -> list[list[int]]:
    """Write ascending ids as [first, last] of runs; beyond MOST_SPANS with what lies between."""
    spans: list[list[int]] = []
    for one in ids:
        if spans and one == spans[-1][1] + 1:
            spans[-1][1] = one
        else:
            spans.append([one, one])
    while len(spans) > MOST_SPANS:
        pairs = zip(spans[::2], spans[1::2], strict=False)
        odd = spans[-1:] if len(spans) % 2 else []
        spans = [[first[0], last[1]] for first, last in pairs] + odd
    return spans


def _holds(spans: Sequence[Sequence[int]], ids: Sequence[int]) -> bool:
    return any(first <= one <= last for one in ids for first, last in spans)


def _found(claim: Claim, job: BulkJob, viewer: Viewer) -> Iterator[Sound]:
    """Give the recordings by id, a short read session for each page of them."""
    asked = job.choices
    criteria = HistoryCriteria.parse([(key, value) for key, value in asked["criteria"]])
    now, after = datetime.fromisoformat(asked["at"]), 0
    while True:
        with claim.store.read() as session:
            rows = session.scalars(
                select(Recording)
                .join(CallRecord, CallRecord.id == Recording.record_id)
                .where(
                    *recording_search.conditions(
                        session, viewer=viewer, criteria=criteria, now=now
                    ),
                    Recording.id > after,
                    Recording.id <= asked["last_id"],
                )
                .order_by(Recording.id)
                .limit(AT_ONCE)
            ).all()
            sounds = recordings.sounds_of(session, rows)
        if not sounds:
            return
        yield from sounds
        after = sounds[-1].recording.id


@dataclass(slots=True)
class _Parcel:
    """The parts that are being written, one after another."""

    claim: Claim
    places: Places
    stem: str
    parts: list[Part] = field(default_factory=list)
    done: int = 0
    missing: int = 0
    _archive: ZipFile | None = None
    _path: Path | None = None
    _bytes: int = 0
    held: list[int] = field(default_factory=list)
    """Ids of the recordings whose sound or number is in it, ascending."""
    _names: set[str] = field(default_factory=set)
    _lines: list[tuple[Any, ...]] = field(default_factory=list)
    _told: float = field(default_factory=time.monotonic)

    def add(self, sound: Sound) -> None:
        name, remark = "", NO_FILE
        try:
            with self.places.opened(sound.recording) as (source, size):
                if self._archive is not None and self._bytes + size > PART_BYTES:
                    self.close()
                archive = self._open()
                name, remark = self._name(sound), ""
                info = self._info(name, sound.record.started_at)
                info.file_size = size
                with archive.open(info, "w") as target:
                    shutil.copyfileobj(source, target, _PIECE)
                self._bytes += size
        except FileNotFoundError:
            self._open()
            self.missing += 1
        self._lines.append(self._line(sound, name, remark))
        self.held.append(sound.recording.id)
        self.done += 1
        if time.monotonic() - self._told > TELL_S:
            self._told = time.monotonic()
            with self.claim.write(rows_done=self.done):
                pass

    def close(self) -> None:
        """End the present part: its list, onto the disk, under its name."""
        if self._archive is None or self._path is None:
            return
        info = self._info(INDEX_NAME, self.claim.clock())
        with self._archive.open(info, "w") as target:
            for chunk in CsvTable().chunks(HEADER, self._lines):
                target.write(chunk)
        self._archive.close()
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())
        self.claim.beat()  # whoever took the job over has removed these files
        whole = self._path.with_suffix("")
        self._path.replace(whole)
        count = sum(1 for line in self._lines if line[0])
        self.parts.append(Part(whole.name, whole.stat().st_size, count))
        self._archive, self._path, self._bytes = None, None, 0
        self._names.clear()
        self._lines.clear()

    def throw_away(self) -> None:
        """Remove what was written."""
        if self._archive is not None:
            self._archive.close()
        for path in self.places.exports.glob(f"{self.stem}-*"):
            path.unlink(missing_ok=True)

    def _open(self) -> ZipFile:
        if self._archive is None:
            number = len(self.parts) + 1
            self._path = self.places.exports / f"{self.stem}-{number}.zip.part"
            self._archive = ZipFile(self._path, "w", ZIP_STORED)
        return self._archive

    def _name(self, sound: Sound) -> str:
        """Name a file in the zip; two calls of one second are told apart by their number."""
        wanted = sound.file_name(self.places.zone)
        if wanted in self._names:
            wanted = f"{wanted.removesuffix('.mp3')}_{sound.recording.id}.mp3"
        self._names.add(wanted)
        return wanted

    def _info(self, name: str, at: datetime) -> ZipInfo:
        local = at.astimezone(self.places.zone)
        info = ZipInfo(name, local.timetuple()[:6])
        info.external_attr = 0o644 << 16
        return info

    def _line(self, sound: Sound, name: str, remark: str) -> tuple[Any, ...]:
        record = sound.record
        return (
            name,
            f"{record.started_at.astimezone(self.places.zone):%Y/%m/%d %H:%M:%S}",
            round(record.talk_ms / 1000),
            round(sound.recording.length_ms / 1000),
            sound.project,
            sound.list_name,
            record.number,
            sound.named_user,
            sound.named_result,
            remark,
        )
