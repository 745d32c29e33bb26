"""Whether the process answers, whether each part it needs does, and the figures of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from redis import RedisError
from rq import Worker
from sqlalchemy import text
from sqlalchemy.exc import NoResultFound, SQLAlchemyError

from calltree import doorbells
from calltree.blueprints import metrics
from calltree.blueprints.access import public
from calltree.db import utcnow
from calltree.extensions import reading, settings, store
from calltree.launch import own_redis
from calltree.services import leases

bp = Blueprint("health", __name__)

WORKER_SILENT = timedelta(minutes=8)  # an idle worker says that it lives every 7 minutes or so


@bp.get("/healthz")
@public
def alive() -> ResponseReturnValue:
    """200 when the process is up."""
    return jsonify(status="ok")


@bp.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    """200 with each part's state, 503 when one is missing. Says nothing that a stranger may use."""
    parts = {name: _works(part) for name, part in PARTS.items()}
    # a clock that is off is an alarm, and no reason to send people elsewhere
    return jsonify(parts | {"clocks": _works(_clocks)}), 200 if all(parts.values()) else 503


@bp.get("/metrics")
@public
def figures() -> ResponseReturnValue:
    """Figures for Prometheus (R-AR-4)."""
    return metrics.answer()


def _works(part: Callable[[], bool]) -> bool:
    try:
        return part()
    except (SQLAlchemyError, RedisError, OSError, NoResultFound):
        return False


def _database() -> bool:
    reading().execute(text("SELECT 1"))
    return True


def _migrations() -> bool:
    """Whether the tables are those of this version."""
    folder = Path(current_app.root_path).parent / "migrations"
    heads = set(ScriptDirectory(str(folder)).get_heads())
    return heads == set(MigrationContext.configure(reading().connection()).get_current_heads())


def _redis() -> bool:
    with doorbells.connect(_redis_url()) as connection:
        return bool(connection.ping())


def _switch() -> bool:
    """Whether somebody leads the switch role and hears every switch."""
    nodes = settings().node_names
    return all(leases.link_is_up(reading(), node=node) for node in nodes)


def _clocks() -> bool:
    """Whether every switch's clock is ours, as near as it matters."""
    return not leases.clocks_off(reading())


def _jobs() -> bool:
    """Whether each lane of jobs has a worker that lives."""
    return _worked_on(doorbells.LANES)


def _calls() -> bool:
    """Whether commands to each switch are obeyed at once, and not only by the sweep."""
    return _worked_on([doorbells.calls_lane(node) for node in settings().node_names])


def _worked_on(lanes: Iterable[str]) -> bool:
    key = doorbells.site_key(store())
    with doorbells.connect(_redis_url()) as connection:
        since = utcnow() - WORKER_SILENT
        served = {
            queue
            for worker in Worker.all(connection=connection)
            if worker.last_heartbeat and worker.last_heartbeat >= since
            for queue in worker.queue_names()
        }
    return {doorbells.lane_name(key, lane) for lane in lanes} <= served


def _redis_url() -> str:
    return settings().redis_url or own_redis.url(settings().data_dir)


PARTS = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "switch": _switch,
    "jobs": _jobs,
    "calls": _calls,
}
