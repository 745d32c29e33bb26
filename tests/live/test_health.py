"""Whether each part works, and which version answers."""

from flask import Flask
from flask_migrate import stamp
from redis import Redis
from rq import Queue, SimpleWorker

from calltree import doorbells
from calltree.blueprints.assets import version
from calltree.config import Settings
from calltree.db import Store
from calltree.models import Role
from tests import factories as make
from tests.browser import Browser


def test_each_part_is_told(app: Flask, store: Store, settings: Settings, client: Browser) -> None:
    with store.write() as session:
        make.make_site(session)
    told = client.get("/readyz", status=503).json
    assert told == {
        "database": True,
        "migrations": False,  # the tests' tables come from the models
        "redis": True,
        "switch": False,
        "jobs": False,
        "calls": False,
        "clocks": True,
    }
    with app.app_context():
        stamp()
    with store.write() as session:
        make.make_switch(session, nodes={"practice": {"link_up": True}})
    key = doorbells.site_key(store)
    with Redis.from_url(settings.redis_url or "") as connection:
        names = [*doorbells.LANES, doorbells.calls_lane("practice")]
        lanes = [Queue(doorbells.lane_name(key, name), connection=connection) for name in names]
        worker = SimpleWorker(lanes, connection=connection)
        worker.register_birth()
        assert set(client.get("/readyz").json.values()) == {True}
        worker.register_death()
    assert client.get("/readyz", status=503).json["jobs"] is False


def test_R_AR_4_a_switch_whose_clock_is_off_is_told_and_red_for_managers(
    app: Flask, store: Store, client: Browser, browser_of
) -> None:
    with store.write() as session:
        make.make_site(session)
        make.make_switch(session, nodes={"practice": {"link_up": True, "clock_off_s": -2.0}})
        manager = make.make_user(session, Role.MANAGER)
    assert client.get("/readyz", status=503).json["clocks"] is True
    with store.write() as session:
        make.make_switch(session, nodes={"practice": {"link_up": True, "clock_off_s": -2.1}})
    assert client.get("/readyz", status=503).json["clocks"] is False
    assert "-2.1秒ずれています" in browser_of(manager).get("/admin/").text


def test_a_part_that_is_away_is_told_and_hides_no_other(app: Flask, store: Store) -> None:
    with store.write() as session:
        make.make_site(session)
    away = Settings(**{
        name: getattr(app.extensions["calltree.settings"], name) for name in Settings.__slots__
    } | {"redis_url": "unix:///nowhere/redis.sock"})  # fmt: skip
    app.extensions["calltree.settings"] = away
    told = Browser(app).get("/readyz", status=503).json
    assert told["redis"] is False
    assert told["database"] is True


def test_every_answer_says_its_version(client: Browser, store: Store) -> None:
    with store.write() as session:
        make.make_site(session)
    for path in ("/sign-in", "/healthz"):
        assert client.get(path).headers["X-App-Version"] == version()
