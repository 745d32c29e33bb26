"""Bells ring after the commit; a Redis that is dead costs time, never a command."""

import json

import redis
from rq import Queue
from sqlalchemy import func, select

from calltree import doorbells
from calltree.db import announce, utcnow
from calltree.models import CommandKind, SwitchCommand
from calltree.services import switch_commands
from tests import factories as make


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
