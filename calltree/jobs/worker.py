"""The `jobs` role: one process per lane, so that a long import never holds up a waiting person."""

from __future__ import annotations

import signal
import threading

import redis
import structlog
from rq import Queue, Worker

from calltree import doorbells, runtime
from calltree.db import Announcement

log = structlog.get_logger(__name__)

_AGAIN_S = 0.5


class LaneWorker(Worker):
    """Forks for each job; waits at most a second before it asks a Redis that was away again."""

    max_connection_wait_time = 1.0


def run(lane: str) -> None:
    """Work on one lane until SIGTERM; a job that runs is finished first."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    store = runtime.store()  # before work(), so that every fork inherits it warm
    name = doorbells.lane_name(runtime.site_key(store), lane)
    if lane == "bulk" and store.publisher is not None:
        # what a worker that died was doing: rows of a half import are nobody's until then
        store.publisher(
            [
                Announcement("job", {"lane": lane, "func": f"calltree.jobs.{room}.sweep"})
                for room in ("imports", "bulk")
            ]
        )
    while not stopping.is_set():
        connection = redis.Redis.from_url(runtime.redis_url(runtime.settings()))
        try:
            queue = Queue(name, connection=connection, serializer="json")
            worker = LaneWorker([queue], connection=connection, serializer="json")
            worker.log_job_description = False
            log.info("working", lane=lane)
            worker.work(logging_level="WARNING")
            return
        except redis.RedisError as error:
            log.warning("queue not reached", error=type(error).__name__)
            stopping.wait(_AGAIN_S)
