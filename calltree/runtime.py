"""What every worker process stands on: log lines, the store, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import cache

import structlog
from sqlalchemy import create_engine
from sqlalchemy.exc import NoResultFound, SQLAlchemyError

from calltree import doorbells, logs
from calltree.config import Settings
from calltree.db import Store
from calltree.launch import own_redis
from calltree.launch.children import die_with_parent

log = structlog.get_logger(__name__)


def configure_logging() -> None:
    """Log lines as everywhere; the level from LOG_LEVEL."""
    level = getattr(logging, os.environ.get("LOG_LEVEL", "INFO").upper(), logging.INFO)
    logs.configure(level)
    logging.basicConfig(level=level, format="level=%(levelname)s %(message)s")
    # rq tells every job's arguments; they are ids today and may be more tomorrow
    logging.getLogger("rq").setLevel(logging.WARNING)


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings.from_env(os.environ)


@cache
def store() -> Store:
    """The store of this process, with its doorbells. Waits until the site has been founded."""
    store = open_store(settings())
    os.register_at_fork(after_in_child=_forked(store, os.getpid()))
    return store


def open_store(settings: Settings) -> Store:
    """Connect a store to its database and its doorbells; waits for the site's first start."""
    engine = create_engine(settings.database_url, pool_pre_ping=True, hide_parameters=True)
    store = Store(engine, clock_rate=settings.clock_rate)
    site_key(store)
    store.publisher = doorbells.for_store(settings, store)
    return store


def redis_url(settings: Settings) -> str:
    """The Redis of the settings, else the one that the launcher keeps for this DATA_DIR."""
    return settings.redis_url or own_redis.url(settings.data_dir)


def site_key(store: Store) -> str:
    """The site's key; waits while the database has no site yet, or is not there."""
    waited = False
    while True:
        try:
            return doorbells.site_key(store)
        except NoResultFound:
            if not waited:
                log.info("waiting for the site's first start")
            waited = True
        except SQLAlchemyError as error:
            log.warning("database not ready", error=type(error).__name__)
        time.sleep(0.5)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def holder() -> str:
    """This process's name in leases and commands."""
    return f"{os.uname().nodename[:32]}/{os.getpid()}"


def _forked(store: Store, parent: int) -> Callable[[], None]:
    def after_in_child() -> None:
        # A pooled connection used by two processes mixes their answers up.
        store.engine.dispose(close=False)
        die_with_parent(parent)

    return after_in_child
