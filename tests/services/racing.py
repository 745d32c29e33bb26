"""Many at once, from threads of one process or from several processes, all starting together."""

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from sqlalchemy import create_engine

from calltree.db import Store

Act = Callable[[Store, Any], Any]
"""One contestant's act, a function at the top of its module: (store, argument) → result."""

PROCESSES = 3
_start: Any = None


def by_threads(url: str, act: Act, arguments: Sequence[Any]) -> list[Any]:
    """Run one thread per argument over one store; results in the order of the arguments."""
    engine = create_engine(url, pool_size=len(arguments))
    store = Store(engine)
    barrier = threading.Barrier(len(arguments))

    def run(argument: Any) -> Any:
        barrier.wait()
        return act(store, argument)

    try:
        with ThreadPoolExecutor(len(arguments)) as pool:
            return list(pool.map(run, arguments))
    finally:
        engine.dispose()


class Processes:
    """A few processes that stay for a whole run of tests, for starting one takes seconds."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(
            PROCESSES,
            mp_context=context,
            initializer=_remember,
            initargs=(context.Barrier(PROCESSES),),
        )

    def race(self, url: str, act: Act, arguments: Sequence[Any]) -> list[Any]:
        """Deal the arguments out, each process with a store of its own; results in their order."""
        hands = [list(arguments[n::PROCESSES]) for n in range(PROCESSES)]
        # Each waits for the others before it plays, so no process can take two hands.
        dealt = self.pool.map(_play, [url] * PROCESSES, [act] * PROCESSES, hands)
        results: list[Any] = [None] * len(arguments)
        for n, hand in enumerate(dealt):
            results[n::PROCESSES] = hand
        return results

    def close(self) -> None:
        """End the processes."""
        self.pool.shutdown()


def _remember(barrier: Any) -> None:
    global _start
    _start = barrier


def _play(url: str, act: Act, hand: list[Any]) -> list[Any]:
    engine = create_engine(url)
    store = Store(engine)
    with store.read() as session:
        session.connection()  # the connection is made before the race
    _start.wait()
    try:
        return [act(store, argument) for argument in hand]
    finally:
        engine.dispose()
