"""Recordings' files: encoded, verified, deleted. Each job may be run twice or end at any point.

With a bucket the copy is carried there before the original goes, and found in either place.
Order makes that safe: the copy is written beside, synced, verified and moved into place; then the
row says so; then the original goes; then the row says that too. Whoever touches the files of a
recording holds the lock on its original.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import structlog

from calltree import bucket as buckets
from calltree import runtime
from calltree.bucket import Bucket, BucketDown
from calltree.db import Store, utcnow
from calltree.models import RecordingState
from calltree.services import recordings, sound
from calltree.services.recordings import Problem, Work

log = structlog.get_logger(__name__)

_EMPTY_BYTES = 4096
"""A file that is no longer than this and has no sound never had any."""
_VERIFIED_WITHIN_MS = 300  # an encoder's delay and its last frame


def finish(recording_id: int) -> None:
    """Check and encode a recording whose call has ended."""
    settings = runtime.settings()
    finish_in(
        runtime.store(), settings.recordings_dir, recording_id, bucket=buckets.of(settings),
        now=utcnow(),
    )  # fmt: skip


def sweep() -> None:
    """Pick up what was left undone, and destroy what is due."""
    settings = runtime.settings()
    sweep_in(runtime.store(), settings.recordings_dir, bucket=buckets.of(settings), now=utcnow())


def clear_begun(attempt_id: int) -> None:
    """Remove the empty file of a call that the switch began to record and then refused to."""
    clear_begun_in(runtime.store(), runtime.settings().recordings_dir, attempt_id)


def clear_begun_in(store: Store, root: Path, attempt_id: int) -> None:
    """Do it with this store and directory. Does nothing where there is sound, or a row for it."""
    with store.read() as session:
        name = recordings.unrecorded_name(session, attempt_id=attempt_id)
    path = recordings.path_below(root, name) if name else None
    if path is not None and path.is_file() and path.stat().st_size <= _EMPTY_BYTES:
        _unlink(path)
        log.warning("begun recording removed", attempt=attempt_id)


def finish_in(
    store: Store, root: Path, recording_id: int, *, bucket: Bucket | None = None, now: datetime
) -> None:
    """Do it with this store, directory and bucket. Does nothing while another process does."""
    with store.read() as session:
        work = recordings.work_for(session, recording_id=recording_id)
    if work is None:
        return
    raw = recordings.path_below(root, work.raw)
    copy = recordings.path_below(root, work.copy)
    try:
        with _locked(raw) as file:
            if file is not None:
                _finish_locked(store, root, recording_id, file, bucket, now)
    except FileNotFoundError:
        if work.encode:
            _miss(store, work, Problem.MISSING)
        elif copy.exists() or _is_in(bucket, work.copy):
            with store.write() as session:
                recordings.original_deleted(session, recording_id=recording_id)


def _finish_locked(
    store: Store,
    root: Path,
    recording_id: int,
    file: BinaryIO,
    bucket: Bucket | None,
    now: datetime,
) -> None:
    with store.read() as session:  # again: what was true before the lock need not be now
        work = recordings.work_for(session, recording_id=recording_id)
    if work is None:
        return
    raw = recordings.path_below(root, work.raw)
    copy = recordings.path_below(root, work.copy)
    if work.encode:
        try:
            heard = _encode(file, copy)
        except sound.UnreadableSound as error:
            log.error("recording unreadable", recording=recording_id, why=str(error))
            empty = raw.stat().st_size <= _EMPTY_BYTES and str(error) == "no sound"
            _miss(store, work, Problem.MISSING if empty else Problem.UNREADABLE)
            return
        size = copy.stat().st_size
        with store.write() as session:
            state = recordings.store(session, work=work, heard=heard, size_bytes=size, now=now)
            problem = recordings.judge(heard, expected=work.expected(heard))
        if problem:
            log.error("recording has a problem", recording=recording_id, problem=problem.value)
        if state is RecordingState.DESTROYED:
            _unlink(copy)
            return
    elif not (_is_whole(copy) or _is_in(bucket, work.copy)):
        log.error("copy of a recording is damaged; the original is kept", recording=recording_id)
        return
    if bucket is not None:
        _try_to_carry(store, root, bucket, recording_id)
    _unlink(raw)
    with store.write() as session:
        recordings.original_deleted(session, recording_id=recording_id)


def _is_in(bucket: Bucket | None, name: str) -> bool:
    return bucket is not None and bucket.size(name) is not None


def _try_to_carry(store: Store, root: Path, bucket: Bucket, recording_id: int) -> bool:
    """Carry a copy to the bucket; one that cannot be reached gets it at night."""
    try:
        carry(store, root, bucket, recording_id)
    except BucketDown as why:
        log.warning("recording not carried to its bucket", recording=recording_id, why=str(why))
        return False
    return True


def carry(store: Store, root: Path, bucket: Bucket, recording_id: int) -> None:
    """Move a copy from the directory to the bucket, if it is here. Raises BucketDown."""
    name = _stored_name(store, recording_id)
    path = recordings.path_below(root, name) if name else None
    if path is None or not path.is_file():
        return
    bucket.put(name, path)
    if not _stored_name(store, recording_id):  # its end was decided meanwhile
        bucket.remove(name)
    _unlink(path)


def carry_all(store: Store, root: Path, bucket: Bucket, *, after: int = 0) -> int:
    """Carry what is still in the directory, as far as the bucket can be reached; how many."""
    carried = 0
    while True:
        with store.read() as session:
            rows = recordings.stored_after(session, after)
        for recording_id, name in rows:
            after = recording_id
            if recordings.path_below(root, name).is_file():
                if not _try_to_carry(store, root, bucket, recording_id):
                    return carried
                carried += 1
        if not rows:
            return carried


def _stored_name(store: Store, recording_id: int) -> str:
    with store.read() as session:
        return recordings.kept_name(session, recording_id=recording_id)


def _encode(source: BinaryIO, copy: Path) -> sound.Heard:
    """Encode beside the place, verify, and move into it. Raises UnreadableSound."""
    part = _part_of(copy)
    try:
        with part.open("wb") as target:
            heard = sound.encode(source, target)
            target.flush()
            os.fsync(target.fileno())
        lacking_ms = abs(sound.mp3_length_ms(part) - heard.length_ms)
        if lacking_ms > _VERIFIED_WITHIN_MS:
            raise RuntimeError(f"the copy differs from the original by {lacking_ms} ms")
    except Exception:
        _unlink(part)  # nobody would look for it again; of a full disk the rest is for calls
        raise
    part.replace(copy)
    _sync_folder(copy.parent)
    return heard


def _is_whole(copy: Path) -> bool:
    try:
        return sound.mp3_length_ms(copy) > 0
    except (FileNotFoundError, sound.UnreadableSound):
        return False


def _miss(store: Store, work: Work, problem: Problem) -> None:
    with store.write() as session:
        recordings.miss(session, work=work, problem=problem)
    log.error("recording has a problem", recording=work.recording_id, problem=problem.value)


def sweep_in(store: Store, root: Path, *, bucket: Bucket | None = None, now: datetime) -> None:
    """Do it with this store, directory and bucket."""
    with store.read() as session:
        if not recordings.anything_to_sweep(session, now=now):
            return
    with store.write() as session:
        doomed = recordings.sweep(session, now=now)
    for recording_id in doomed:
        _destroy(store, root, recording_id, bucket, now)


def _destroy(
    store: Store, root: Path, recording_id: int, bucket: Bucket | None, now: datetime
) -> None:
    """Delete original, copy and what an encoder that was killed left; then say so."""
    with store.read() as session:
        names = recordings.files_of(session, recording_id=recording_id)
    raw, copy = (recordings.path_below(root, name) for name in names)
    try:
        with _locked(raw) as file:
            if file is None:
                return  # being encoded this moment: the next sweep comes soon
            _unlink(copy, _part_of(copy), raw)
    except FileNotFoundError:
        _unlink(copy, _part_of(copy))
    if bucket is not None:
        try:
            bucket.remove(names[1])
        except BucketDown as why:  # the next sweep tries again: nobody is told that it is gone
            log.error("recording not destroyed yet", recording=recording_id, why=str(why))
            return
    with store.write() as session:
        recordings.destroyed(session, recording_id=recording_id, now=now)
    log.info("recording destroyed", recording=recording_id)


@contextmanager
def _locked(raw: Path) -> Iterator[BinaryIO | None]:
    """Open the original and lock it; None when somebody else has it. Raises FileNotFoundError."""
    with raw.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        if not raw.exists():  # deleted between opening and locking
            raise FileNotFoundError(raw.name)
        yield file


def _part_of(copy: Path) -> Path:
    return copy.with_name(copy.name + ".part")


def _unlink(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    if paths and paths[0].parent.exists():
        _sync_folder(paths[0].parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
