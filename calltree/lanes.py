"""rq's loop as every worker role runs it: it outlives a Redis that was away, and a stop is heard.

rq gives up when Redis breaks off in the middle of a job, and a signal that comes while it tidies up
ends in a traceback. Both are ordinary here: Redis is started again, and so is a role.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import redis
import structlog
from rq.exceptions import StopRequested
from rq.worker import BaseWorker, WorkerStatus

log = structlog.get_logger(__name__)

_AGAIN_S = 0.5


class Stoppable(BaseWorker):
    """A worker that tells `stopping` of a signal, and finishes the job in hand first."""

    stopping: threading.Event
    max_connection_wait_time = 1.0  # before it asks a Redis that was away again

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call] # rq gives no types here
        if self.stopping.is_set():  # the signal came just before
            self._stop_requested = True

    def _shutdown(self) -> None:
        """As rq's, but that it writes nothing to a Redis which may be the part that is away."""
        self.stopping.set()
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
        self._stop_requested = True


def work_until_stopped(make: Callable[[], Stoppable], stopping: threading.Event) -> None:
    """Work with what `make()` gives, with a new one whenever Redis was lost, until a stop."""
    try:
        while not stopping.is_set():
            _work(make, stopping)
            stopping.wait(_AGAIN_S)
    except StopRequested:  # heard outside of rq's loop, by the handlers that it leaves behind
        log.info("stopped")


def _work(make: Callable[[], Stoppable], stopping: threading.Event) -> None:
    try:
        worker = make()
        worker.stopping = stopping
        try:
            worker.work(logging_level="WARNING")
        finally:
            _stop_listening(worker)
    except redis.RedisError as error:
        log.warning("queue not reached", error=type(error).__name__)


def _stop_listening(worker: Stoppable) -> None:
    """End rq's thread on its own channel, which a worker that broke off leaves behind."""
    thread: Any = worker.pubsub_thread  # rq says that it is always None
    if thread is not None and thread.is_alive():
        thread.stop()
        worker.unsubscribe()  # type: ignore[no-untyped-call] # rq gives no types here
