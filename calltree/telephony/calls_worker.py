"""The `calls` role: one queue per node, one warm worker, its command link open.

One job serves one row. Nothing is tried again here: what is not served the leader sweeps, and a
dial that came too late must not be made.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial

import redis
import structlog
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.timeouts import JobTimeoutException
from rq.worker import WorkerStatus

from calltree import doorbells, runtime
from calltree.db import Store, utcnow
from calltree.lanes import Stoppable, work_until_stopped
from calltree.telephony.care import Care
from calltree.telephony.esl import Link, LinkDown
from calltree.telephony.nodes import Node, nodes
from calltree.telephony.serving import Desk
from calltree.telephony.timings import Timings

log = structlog.get_logger(__name__)

_CONNECT_S = 1.0
_BEAT_S = 5.0
_REMEMBERED = 100


class Warm:
    """A desk with its link open; connected again when it is needed and down."""

    def __init__(self, node: Node, desk: Desk, timings: Timings) -> None:
        self.node = node
        self._desk = desk
        self._timings = timings
        self._link: Link | None = None
        self._along: deque[int] = deque(maxlen=_REMEMBERED)

    def serve(self, command_id: int) -> list[int]:
        """Serve one command; give those that were served along with it.

        Raises LinkDown, before the row is taken, when the node is away; a check says that it is.
        """
        if command_id in self._along:  # its bell rang only after it was taken along
            return []
        try:
            link = self.link()
        except LinkDown as why:
            if self._is_told(command_id, why):
                return []
            raise
        along = self._desk.serve_with_those_behind(command_id, link)
        self._along.extend(along)
        return along

    def _is_told(self, command_id: int, why: LinkDown) -> bool:
        desk = self._desk
        return desk.care is not None and desk.care.unreachable(
            command_id, by=desk.holder, node=self.node.name, why=why
        )

    def link(self) -> Link:
        """Give the open link."""
        if self._link is None or not self._link.is_up:
            self._link = Link.connect(
                self.node.url, connect_timeout_s=_CONNECT_S, timeout_s=self._timings.reply_s
            )
        return self._link

    def close(self) -> None:
        """Close the link."""
        if self._link is not None:
            self._link.close()


_warm: Warm | None = None


def serve(command_id: int) -> list[int]:
    """The job. A node that is away leaves the row to the leader."""
    if _warm is None:
        raise RuntimeError("this process is not a calls worker")
    try:
        return _warm.serve(command_id)
    except LinkDown as down:
        log.warning("command not sent", id=command_id, why=str(down))
        return []


class CallsWorker(Stoppable, SimpleWorker):
    """rq's loop, and of its bookkeeping what a doorbell needs.

    Whether a command was taken, sent or failed stands in its row. rq's second account of it
    (states, registries, results, heartbeats of each job) cost three times what serving it did.
    """

    site_key = ""
    _beaten_at = -_BEAT_S

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run the job here and forget it. One that fails is in the log; its row is swept."""
        self.set_state(WorkerStatus.BUSY)  # a stop waits: no command is left half served
        try:
            self._answer(job, queue)
        finally:
            self.set_state(WorkerStatus.IDLE)

    def _answer(self, job: Job, queue: Queue) -> None:
        timeout_s = job.timeout or queue.DEFAULT_TIMEOUT
        along: list[int] = []
        try:
            with self.death_penalty_class(timeout_s, JobTimeoutException, job_id=job.id):
                along = job.func(*job.args)
        except Exception:  # as RQ's own worker: the row stays for the sweep, the worker goes on
            log.exception("doorbell not answered", job=job.id)
        finally:
            with self.connection.pipeline(transaction=False) as pipe:
                pipe.lrem(queue.intermediate_queue_key, 1, job.id)
                pipe.delete(job.key)
                for bell in (doorbells.bell_id(self.site_key, other) for other in along):
                    pipe.lrem(queue.key, 1, bell)
                    pipe.delete(Job.key_for(bell))
                pipe.execute()

    def check_for_suspension(self, burst: bool) -> None:
        """Never suspended: what is not served the leader sweeps."""

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Not told to Redis: a doorbell takes milliseconds."""
        self._state = state

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that this worker lives; rq would three times a job, its word is good for minutes."""
        if time.monotonic() - self._beaten_at >= _BEAT_S:
            super().heartbeat(timeout, pipeline)
            self._beaten_at = time.monotonic()


def run(node_name: str | None = None) -> None:
    """Serve the commands of one node (the first, if none is named) until SIGTERM."""
    global _warm
    settings, store = runtime.settings(), runtime.store()
    node = _node(node_name)
    timings = Timings().hurried(settings.clock_rate)
    _warm = Warm(
        node,
        Desk(
            store,
            runtime.holder(),
            timings,
            utcnow,
            Care(settings, store),
            settings.switch_recordings or str(settings.recordings_dir),
        ),
        timings,
    )
    try:
        work_until_stopped(partial(_worker, store, _warm), runtime.stop_on_signals())
    finally:
        _warm.close()


def _warm_up(warm: Warm) -> None:
    try:
        warm.link()
    except LinkDown as down:
        log.warning("node not reached yet", node=warm.node.name, why=str(down))


def _worker(store: Store, warm: Warm) -> CallsWorker:
    _warm_up(warm)
    connection = redis.Redis.from_url(runtime.redis_url(runtime.settings()))
    lane = doorbells.lane_name(runtime.site_key(store), doorbells.calls_lane(warm.node.name))
    queue = Queue(lane, connection=connection, serializer="json")
    worker = CallsWorker([queue], connection=connection, serializer="json")
    worker.site_key = runtime.site_key(store)
    worker.log_job_description = False
    log.info("serving", node=warm.node.name)
    return worker


def _node(name: str | None) -> Node:
    """Wait for the settings to name a node; only the practice switch can be late."""
    while True:
        for node in nodes(runtime.settings()):
            if name in (None, node.name):
                return node
        log.warning("no switch is configured", wanted=name or "any")
        time.sleep(2)
        runtime.settings.cache_clear()
