"""The `jobs` role: one process per lane, so that a long import never holds up a waiting person."""

from __future__ import annotations

from functools import partial

import redis
import structlog
from rq import Queue, Worker

from calltree import bucket, doorbells, runtime
from calltree.db import Announcement
from calltree.lanes import Stoppable, work_until_stopped

log = structlog.get_logger(__name__)


class LaneWorker(Stoppable, Worker):
    """Forks for each job."""


def run(lane: str) -> None:
    """Work on one lane until SIGTERM; a job that runs is finished first."""
    store = runtime.store()  # before work(), so that every fork inherits it warm
    bucket.of(runtime.settings())
    name = doorbells.lane_name(runtime.site_key(store), lane)
    if lane == "bulk" and store.publisher is not None:
        # what a worker that died was doing: rows of a half import are nobody's until then
        store.publisher(
            [
                Announcement("job", {"lane": lane, "func": f"calltree.jobs.{room}.sweep"})
                for room in ("imports", "bulk")
            ]
        )
    work_until_stopped(partial(_worker, name), runtime.stop_on_signals())


def _worker(lane: str) -> LaneWorker:
    connection = redis.Redis.from_url(runtime.redis_url(runtime.settings()))
    queue = Queue(lane, connection=connection, serializer="json")
    worker = LaneWorker([queue], connection=connection, serializer="json")
    worker.log_job_description = False
    log.info("working", lane=lane)
    return worker
