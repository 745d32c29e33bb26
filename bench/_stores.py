"""The store that a bench measures, and the median time of what it measures there."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine

import calltree.models
from bench import Options
from calltree.db import Base, Store


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store on this database, with every table."""
    engine = create_engine(url)
    store = Store(engine)
    assert calltree.models.__name__  # imported for its tables
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    yield store
    engine.dispose()


@contextmanager
def stores(options: Options) -> Iterator[tuple[Store, Path]]:
    """The database asked for, else a SQLite file; and a folder for files, removed again."""
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'bench.db'}"
        with opened(url) as store:
            yield store, Path(folder)


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Median of several runs, in ms."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)
