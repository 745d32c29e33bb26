"""Bells ring after the commit; a Redis that is dead costs time, never a command."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from rq import Queue
from sqlalchemy import func, select
from structlog.testing import capture_logs

from calltree import doorbells
from calltree.db import Announcement, Store, announce, utcnow
from calltree.launch import own_redis
from calltree.models import CommandKind, SwitchCommand
from calltree.services import switch_commands
from tests import factories as make
from tests.floor import wait_for
from tests.live.conftest import OwnRedis


def _founded(store):
    with store.write() as session:
        return make.make_site(session).site_key


def test_a_command_reaches_its_nodes_queue_and_every_page(store, settings, redis_server):
    key = _founded(store)
    store.publisher = doorbells.for_store(settings, store)
    with redis.from_url(redis_server) as link:
        listener = link.pubsub(ignore_subscribe_messages=True)
        listener.subscribe(doorbells.live_channel(key))
        listener.get_message(timeout=60)
        with store.write() as session:
            command = switch_commands.ask(
                session, kind=CommandKind.MUTE, node="practice", now=utcnow()
            )
        queue = Queue(f"{key}:calls:practice", connection=link, serializer="json")
        [job] = queue.jobs
        assert (job.func_name, job.args) == (doorbells.SERVE, [command.id])
        assert job.ttl == 5
        heard = next(filter(None, (listener.get_message(timeout=60) for _ in range(3))))
        assert json.loads(heard["data"])[0]["ids"] == {"command_id": command.id, "node": "practice"}
        listener.close()


def test_a_job_is_named_by_its_place_in_the_room_of_jobs(store, settings, redis_server):
    key = _founded(store)
    store.publisher = doorbells.for_store(settings, store)
    with store.write() as session:
        announce(session, "job", lane="bulk", name="figures.restate", args=[7])
    with redis.from_url(redis_server) as link:
        [job] = Queue(f"{key}:bulk", connection=link, serializer="json").jobs
        assert (job.func_name, job.args) == ("calltree.jobs.figures.restate", [7])


def test_nothing_rings_for_a_press_that_was_rolled_back(store, settings, redis_server):
    key = _founded(store)
    store.publisher = doorbells.for_store(settings, store)
    try:
        with store.write() as session:
            switch_commands.ask(session, kind=CommandKind.MUTE, node="practice", now=utcnow())
            raise LookupError
    except LookupError:
        pass
    with redis.from_url(redis_server) as link:
        assert not Queue(f"{key}:calls:practice", connection=link, serializer="json").jobs


def test_a_dead_redis_does_not_fail_the_press(store, tmp_path):
    _founded(store)
    dead = doorbells.connect(f"unix://{tmp_path / 'nobody.sock'}")
    store.publisher = doorbells.Doorbells(dead, lambda: doorbells.site_key(store))
    with store.write() as session:
        switch_commands.ask(session, kind=CommandKind.HANG_UP, node="practice", now=utcnow())
    with store.read() as session:
        assert session.scalar(select(func.count(SwitchCommand.id))) == 1


@pytest.fixture
def hung_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """One that takes connections and answers nothing."""
    server = OwnRedis(tmp_path / "redis")
    server.start()
    server.freeze()
    yield server
    server.kill()


@pytest.mark.one_database
def test_a_hung_redis_is_waited_for_once_and_not_at_each_step_of_a_caller(
    store: Store, hung_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbells, "REST_S", 600.0)
    link = doorbells.connect(own_redis.url(hung_redis.data_dir))
    key, served = _founded(store), []
    store.publisher = doorbells.Doorbells(link, lambda: key, served.extend)
    with capture_logs() as said:
        for step in range(4):
            with store.write() as session:
                announce(session, "inbound", attempt_id=step)
        with store.write() as session:
            command = switch_commands.ask(
                session, kind=CommandKind.HANG_UP, node="practice", now=utcnow()
            )
    assert [line["error"] for line in said] == ["TimeoutError"]
    assert served == [command.id], "not left to the bell"


@pytest.mark.one_database
def test_after_a_hung_redis_the_first_bell_draws_every_page_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbells, "REST_S", 0.0)
    server = OwnRedis(tmp_path / "redis")
    server.start()
    try:
        url = own_redis.url(server.data_dir)
        ring = doorbells.Doorbells(doorbells.connect(url), lambda: "key")
        server.freeze()
        ring([Announcement("inbound", {"attempt_id": 1})])
        server.thaw()
        wait_for(lambda: own_redis.answers(server.data_dir), "redis")
        with redis.from_url(url) as link, link.pubsub(ignore_subscribe_messages=True) as heard:
            heard.subscribe(doorbells.live_channel("key"))
            heard.get_message(timeout=60)
            ring([Announcement("inbound", {"attempt_id": 2})])
            ring([Announcement("inbound", {"attempt_id": 3})])
            told = []
            while len(told) < 2:
                if message := heard.get_message(timeout=60):
                    told.append([one["topic"] for one in json.loads(message["data"])])
    finally:
        server.kill()
    assert told == [[doorbells.MISSED, "inbound"], ["inbound"]]
