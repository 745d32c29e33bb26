"""`/metrics` for Prometheus: this machine alone may read it, or who brings METRICS_TOKEN."""

from __future__ import annotations

import hmac
import ipaddress
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from flask import Response, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from redis import RedisError
from rq import Queue
from sqlalchemy.exc import NoResultFound

from calltree import doorbells
from calltree.blueprints.assets import version
from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.errors import NotAllowed
from calltree.extensions import settings, store
from calltree.launch import own_redis
from calltree.services import vitals

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip")


def answer() -> Response:
    """Give every figure in Prometheus' text format."""
    if not _may_read():
        raise NotAllowed
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Site(settings(), store()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_read() -> bool:
    """With a token, it alone opens; without, a request of this machine that no proxy passed on."""
    if token := settings().metrics_token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), token.encode())
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


class _Site(Collector):
    """The figures as they are when somebody asks."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def collect(self) -> Iterable[Metric]:
        """Give one family a figure."""
        yield _one("calltree_info", "Which version answers", {version(): 1}, "version")
        yield from self._of_database()
        yield from self._of_queues()
        yield from self._of_disks()

    def _of_database(self) -> Iterable[Metric]:
        settings, now = self._settings, utcnow()
        with self._store.read() as session:
            seen = vitals.take(session, nodes=settings.node_names, zone=settings.timezone, now=now)
        yield _one("calltree_calls", "Calls that live now", seen.calls, "state")
        yield _one("calltree_lines_taken", "Lines taken now", seen.lines, "kind")
        yield GaugeMetricFamily("calltree_lines", "Lines of the contract", seen.lines_limit)
        yield _one("calltree_operators", "Operators signed in", seen.operators, "state")
        yield _one(
            "calltree_records_today", "Records of the site's day", seen.records_today, "result"
        )
        yield GaugeMetricFamily("calltree_talk_today_seconds", "Talk today", seen.talk_today_s)
        yield GaugeMetricFamily(
            "calltree_commands_waiting", "Commands that nobody has taken", seen.commands_waiting
        )
        yield GaugeMetricFamily(
            "calltree_command_age_seconds", "Age of the oldest of them", seen.command_age_s
        )
        yield _one("calltree_switch_heard", "1: a leader hears this switch", seen.nodes, "node")
        yield _one("calltree_trunk_shut", "1: left alone after faults", seen.trunks_shut, "gateway")
        yield _one("calltree_dialler_alarms", "Alarms of campaigns", seen.campaign_alarms, "alarm")
        yield GaugeMetricFamily(
            "calltree_recordings_waiting", "Recordings to be encoded", seen.recordings_waiting
        )
        yield GaugeMetricFamily(
            "calltree_recording_problems", "Problems nobody looked at", seen.recording_problems
        )
        if seen.backup_age_s is not None:
            yield GaugeMetricFamily(
                "calltree_backup_age_seconds", "Age of the last good backup", seen.backup_age_s
            )
        yield GaugeMetricFamily(
            "calltree_backup_failed", "1: the last try failed", int(seen.backup_failed)
        )

    def _of_queues(self) -> Iterable[Metric]:
        url = self._settings.redis_url or own_redis.url(self._settings.data_dir)
        waiting: dict[str, float] = {}
        try:
            key = doorbells.site_key(self._store)
            with doorbells.connect(url) as connection:
                for lane in doorbells.LANES:
                    name = doorbells.lane_name(key, lane)
                    waiting[lane] = Queue(name, connection=connection).count
        except (RedisError, NoResultFound):
            yield GaugeMetricFamily("calltree_redis_up", "1: Redis answers", 0)
            return
        yield GaugeMetricFamily("calltree_redis_up", "1: Redis answers", 1)
        yield _one("calltree_jobs_waiting", "Jobs waiting, by lane", waiting, "lane")

    def _of_disks(self) -> Iterable[Metric]:
        free: dict[str, float] = {}
        for name, folder in (
            ("data", self._settings.data_dir),
            ("backups", self._settings.backups_dir),
        ):
            there = next(path for path in (folder, *folder.parents) if Path(path).exists())
            free[name] = shutil.disk_usage(there).free
        yield _one("calltree_disk_free_bytes", "Room left", free, "disk")


def _one(name: str, says: str, values: Mapping[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(name, says, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family
