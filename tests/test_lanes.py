"""A worker is told to stop at the moments at which rq's own loop would not hear it."""

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest
import redis
from rq import Queue, SimpleWorker
from rq.job import Job

from calltree.lanes import Stoppable, work_until_stopped

DONE = "done"


def told_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def a_job(url: str) -> None:
    """It is told to stop in the middle, and goes on to its end."""
    told_to_stop()
    with redis.from_url(url) as link:
        link.incr(DONE)


def breaks_off() -> None:
    raise redis.ConnectionError("away")


class Worker(Stoppable, SimpleWorker):
    """In its odd moments it does what the test wants."""

    on_job: Callable[[], None] = staticmethod(lambda: None)
    on_install: Callable[[], None] = staticmethod(lambda: None)
    on_death: Callable[[], None] = staticmethod(lambda: None)

    def _install_signal_handlers(self) -> None:
        self.on_install()
        super()._install_signal_handlers()

    def execute_job(self, job: Job, queue: Queue) -> None:
        self.on_job()
        super().execute_job(job, queue)

    def register_death(self) -> None:
        super().register_death()
        self.on_death()


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    event = threading.Event()
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    for number, _ in before:
        signal.signal(number, lambda *_: event.set())
    yield event
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture
def worker(redis_server: str) -> Worker:
    connection = redis.Redis.from_url(redis_server)
    queue = Queue("lane", connection=connection, serializer="json")
    return Worker([queue], connection=connection, serializer="json")


def test_the_job_in_hand_is_finished_before_a_stop(worker, stopping, redis_server):
    (queue,) = worker.queues
    for _ in range(2):
        queue.enqueue(a_job, redis_server)
    work_until_stopped(lambda: worker, stopping)
    assert (worker.connection.get(DONE), queue.count) == (b"1", 1)


def test_a_stop_while_it_tidies_up_ends_it_quietly(worker, stopping, redis_server):
    (queue,) = worker.queues
    queue.enqueue(a_job, redis_server)
    worker.on_job, worker.on_death = breaks_off, told_to_stop
    work_until_stopped(lambda: worker, stopping)
    assert stopping.is_set()
    assert not worker.pubsub_thread.is_alive()


def test_a_stop_just_before_rq_listens_is_not_lost(worker, stopping, redis_server):
    (queue,) = worker.queues
    queue.enqueue(a_job, redis_server)
    worker.on_install = told_to_stop
    work_until_stopped(lambda: worker, stopping)
    assert (stopping.is_set(), queue.count) == (True, 1)


def test_a_redis_that_breaks_off_is_worked_with_again(worker, stopping, redis_server):
    (queue,) = worker.queues
    made = []

    def make() -> Worker:
        if len(made) < 2:
            made.append(1)
            breaks_off()
        queue.enqueue(a_job, redis_server)
        return worker

    work_until_stopped(make, stopping)
    assert (len(made), worker.connection.get(DONE)) == (2, b"1")
