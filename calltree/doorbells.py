"""Doorbells: after a commit, tell who serves or shows what was written.

The row is the truth and was committed before; a bell that nobody hears (a dead Redis) costs
time, never a command: the leader sweeps for unserved rows, pages poll.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import redis
import structlog
from redis.client import Pipeline
from rq import Queue
from sqlalchemy.exc import NoResultFound

from calltree.config import Settings
from calltree.db import Announcement, Store
from calltree.launch import own_redis
from calltree.models.projects import Site

log = structlog.get_logger(__name__)

SERVE = "calltree.telephony.calls_worker.serve"
LANES = ("soon", "bulk")
WEEK_S = 7 * 24 * 3600

REST_S = 5.0
"""How long nobody rings once Redis has let somebody wait in vain: a hung one costs its time-out
once in this time, not after each commit of a caller's way through the ledger."""
MISSED = "bells_missed"
"""Told first after a rest: whatever pages show may have changed meanwhile."""

_QUEUED = frozenset({"command", "job"})
"""Topics that put something into a queue, besides telling pages."""

Unheard = Callable[[list[int]], None]
"""Given the ids of commands whose bell was not heard."""

_COMMAND_TTL_S = 5  # an older doorbell is nobody's: the row will have been swept or expired
_COMMAND_TIMEOUT_S = 15
_JOB_TIMEOUT_S = {"soon": 120, "bulk": 3600}


def connect(redis_url: str) -> redis.Redis:
    """Give a connection that fails quickly: a press must not wait for a dead Redis."""
    return redis.Redis.from_url(
        redis_url, socket_connect_timeout=0.5, socket_timeout=2.0, health_check_interval=30
    )


def lane_name(site_key: str, lane: str) -> str:
    """Give the name of a queue; the site's key keeps two sites on one Redis apart."""
    return f"{site_key}:{lane}"


def calls_lane(node: str) -> str:
    """Give the lane that carries one node's commands."""
    return f"calls:{node}"


def bell_id(site_key: str, command_id: int) -> str:
    """Give the id of a command's job: who serves it unasked can take its bell away."""
    return f"{site_key}-command-{command_id}"


def live_channel(site_key: str) -> str:
    """Give the channel on which every announcement is told to the web processes."""
    return f"{site_key}:live"


def job_path(name: str) -> str:
    """Give a job's full path: 'figures.restate' is `calltree.jobs.figures.restate`."""
    return name if name.startswith("calltree.") else f"calltree.jobs.{name}"


def for_store(settings: Settings, store: Store, unheard: Unheard | None = None) -> Doorbells:
    """Give the doorbells of a store: the Redis of the settings, else this DATA_DIR's own."""
    url = settings.redis_url or own_redis.url(settings.data_dir)
    return Doorbells(connect(url), lambda: site_key(store), unheard)


def site_key(store: Store) -> str:
    """Give the site's key. Raises NoResultFound before the site has been founded."""
    with store.read() as session:
        return session.get_one(Site, 1).site_key


class Doorbells:
    """A `Publisher` for `Store.publisher`: queues for commands and jobs, a channel for pages."""

    def __init__(
        self,
        connection: redis.Redis,
        site_key: Callable[[], str],
        unheard: Unheard | None = None,
    ) -> None:
        """`site_key` is asked once, at the first bell: by then the site has been founded."""
        self._redis = connection
        self._unheard = unheard
        self._ask_site_key = cache(site_key)
        self._queues: dict[str, Queue] = {}
        self._rests_until = 0.0
        self._missed = False

    def __call__(self, told: list[Announcement]) -> None:
        """Ring for each. Never raises for a dead Redis: the work itself is committed.

        Returns after the connection's time-out at the latest, and at once for REST_S after one.
        """
        waiting = [notice.ids["command_id"] for notice in told if notice.topic == "command"]
        if time.monotonic() < self._rests_until:
            self._serve_unheard(waiting)
            return
        try:
            if self._missed:
                told = [Announcement(MISSED, {}), *told]
            if not {notice.topic for notice in told} & _QUEUED:
                self._tell_pages(told, self._redis)
                self._missed = False
                return
            with self._redis.pipeline(transaction=False) as pipe:  # one way to Redis and back
                for notice in told:
                    if notice.topic == "command":
                        self._ring(notice.ids, pipe)
                    elif notice.topic == "job":
                        self._enqueue(notice.ids, pipe)
                self._tell_pages(told, pipe)
                pipe.execute()
            self._missed = False
        except (redis.RedisError, NoResultFound) as error:  # the latter: nothing is founded yet
            if isinstance(error, redis.TimeoutError):
                self._rests_until, self._missed = time.monotonic() + REST_S, True
            topics = sorted({notice.topic for notice in told})
            log.warning("doorbell not heard", error=type(error).__name__, topics=",".join(topics))
            self._serve_unheard(waiting)

    def _serve_unheard(self, waiting: list[int]) -> None:
        if waiting and self._unheard is not None:
            self._unheard(waiting)

    def _ring(self, ids: dict[str, Any], pipe: Pipeline) -> None:
        self._queue(calls_lane(ids["node"])).enqueue_call(
            SERVE,
            args=(ids["command_id"],),
            timeout=_COMMAND_TIMEOUT_S,
            ttl=_COMMAND_TTL_S,
            result_ttl=0,
            failure_ttl=WEEK_S,
            job_id=bell_id(self._ask_site_key(), ids["command_id"]),
            pipeline=pipe,
        )

    def _enqueue(self, ids: dict[str, Any], pipe: Pipeline) -> None:
        lane = ids["lane"]
        self._queue(lane).enqueue_call(
            job_path(ids.get("func") or ids["name"]),
            args=tuple(ids.get("args", ())),
            timeout=_JOB_TIMEOUT_S[lane],
            ttl=ids.get("ttl"),
            result_ttl=0,
            failure_ttl=WEEK_S,
            pipeline=pipe,
        )

    def _tell_pages(self, told: list[Announcement], pipe: redis.Redis) -> None:
        messages = [{"topic": notice.topic, "ids": notice.ids} for notice in told]
        channel = live_channel(self._ask_site_key())
        pipe.publish(channel, json.dumps(messages, default=str))

    def _queue(self, lane: str) -> Queue:
        name = lane_name(self._ask_site_key(), lane)
        if name not in self._queues:
            self._queues[name] = Queue(name, connection=self._redis, serializer="json")
        return self._queues[name]
