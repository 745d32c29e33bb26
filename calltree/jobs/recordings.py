"""Recordings' files: encoded, verified, deleted. Each job may be run twice or end at any point.

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

from calltree import runtime
from calltree.db import Store, utcnow
from calltree.models import RecordingState
from calltree.services import recordings, sound
from calltree.services.recordings import Problem, Work

log = structlog.get_logger(__name__)

_VERIFIED_WITHIN_MS = 300  # an encoder's delay and its last frame


def finish(recording_id: int) -> None:
    """Check and encode a recording whose call has ended."""
    finish_in(runtime.store(), runtime.settings().recordings_dir, recording_id, now=utcnow())


def sweep() -> None:
    """Pick up what was left undone, and destroy what is due."""
    sweep_in(runtime.store(), runtime.settings().recordings_dir, now=utcnow())


def finish_in(store: Store, root: Path, recording_id: int, *, now: datetime) -> None:
    """Do it with this store and directory. Does nothing while another process does."""
    with store.read() as session:
        work = recordings.work_for(session, recording_id=recording_id)
    if work is None:
        return
    raw = recordings.path_below(root, work.raw)
    copy = recordings.path_below(root, work.copy)
    try:
        with _locked(raw) as file:
            if file is not None:
                _finish_locked(store, root, recording_id, file, now)
    except FileNotFoundError:
        if work.encode:
            _miss(store, work, Problem.MISSING)
        elif copy.exists():
            with store.write() as session:
                recordings.original_deleted(session, recording_id=recording_id)


def _finish_locked(
    store: Store, root: Path, recording_id: int, file: BinaryIO, now: datetime
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
            empty = raw.stat().st_size <= 4096 and str(error) == "no sound"
            _miss(store, work, Problem.MISSING if empty else Problem.UNREADABLE)
            return
        size = copy.stat().st_size
        with store.write() as session:
            state = recordings.store(session, work=work, heard=heard, size_bytes=size, now=now)
            problem = recordings.judge(heard, expected=work.expected_ms)
        if problem:
            log.error("recording has a problem", recording=recording_id, problem=problem.value)
        if state is RecordingState.DESTROYED:
            _unlink(copy)
            return
    elif not _is_whole(copy):
        log.error("copy of a recording is damaged; the original is kept", recording=recording_id)
        return
    _unlink(raw)
    with store.write() as session:
        recordings.original_deleted(session, recording_id=recording_id)


def _encode(source: BinaryIO, copy: Path) -> sound.Heard:
    """Encode beside the place, verify, and move into it. Raises UnreadableSound."""
    part = _part_of(copy)
    try:
        with part.open("wb") as target:
            heard = sound.encode(source, target)
            target.flush()
            os.fsync(target.fileno())
    except OSError:
        _unlink(part)  # of a full disk: the little room left is for calls
        raise
    lacking_ms = abs(sound.mp3_length_ms(part) - heard.length_ms)
    if lacking_ms > _VERIFIED_WITHIN_MS:
        raise RuntimeError(f"the copy differs from the original by {lacking_ms} ms")
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


def sweep_in(store: Store, root: Path, *, now: datetime) -> None:
    """Do it with this store and directory."""
    with store.read() as session:
        if not recordings.anything_to_sweep(session, now=now):
            return
    with store.write() as session:
        doomed = recordings.sweep(session, now=now)
    for recording_id in doomed:
        _destroy(store, root, recording_id, now)


def _destroy(store: Store, root: Path, recording_id: int, now: datetime) -> None:
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
