"""A fair queue between processes for a resource that only one may have: SQLite's one writer.

SQLite itself lets those who wait sleep for up to 100 ms and look again, so a process that writes
much overtakes one that writes seldom for seconds, and its dial comes too late. Here the kernel
wakes the next one at once. The database's own lock stays the truth: a turnstile that did not hold
would cost time, never order.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turnstile:
    """Two lock files. Whoever waits next stands inside the gate, so that nobody who has just left
    can be in front of them again; a process that dies leaves both.
    """

    def __init__(self, path: Path) -> None:
        """`path` names the files `PATH-gate` and `PATH-turn`, made when they are missing."""
        self._gate = f"{path}-gate"
        self._turn = f"{path}-turn"

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Wait for the turn and have it until the end. One thread of a process at a time."""
        gate = _locked(self._gate)
        try:
            turn = _locked(self._turn)
        finally:
            os.close(gate)
        try:
            yield
        finally:
            os.close(turn)

    def is_busy(self) -> bool:
        """Answer whether somebody has the turn, or waits for it, at this moment."""
        return any(_is_locked(path) for path in (self._gate, self._turn))


def _is_locked(path: str) -> bool:
    trial = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(trial, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(trial)
    return False


def _locked(path: str) -> int:
    """Open anew each time: a lock belongs to the open file, which a fork would share."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
