"""The floor of `bench dial`: the least that a press can be, on the same web server and queue.

`gunicorn bench._dial_floor:app` is the product's application with one more route, which commits one
row and enqueues one job; `python -m bench._dial_floor` is its worker, which sends a bare originate.
"""

from __future__ import annotations

import os

import redis
from flask import Flask, Response, request
from rq import Queue, SimpleWorker
from sqlalchemy import text

from calltree import create_app
from calltree.blueprints.access import requires
from calltree.extensions import writing
from calltree.services.rights import Right
from calltree.services.trunks import DEFAULT_GATEWAY
from calltree.telephony.esl import EslUrl, Link

LANE = "bench:floor"
TABLE = "CREATE TABLE IF NOT EXISTS bench_presses (press_id VARCHAR(36) PRIMARY KEY)"


def floor_app() -> Flask:
    app = create_app()
    lane = Queue(LANE, connection=redis.Redis.from_url(os.environ["REDIS_URL"]), serializer="json")

    @app.post("/bench/press")
    @requires(Right.DIAL)
    def press() -> Response:
        press_id = request.form["press_id"]
        with writing() as session:
            session.execute(text("INSERT INTO bench_presses VALUES (:it)"), {"it": press_id})
        lane.enqueue_call(
            "bench._dial_floor.originate",
            args=(press_id, request.form["number"]),
            timeout=15,
            ttl=5,
            result_ttl=0,
            failure_ttl=60,
        )
        return Response(status=204)

    return app


_links: list[Link] = []


def originate(uuid: str, number: str) -> None:
    """The job."""
    command = (
        f"originate {{origination_uuid={uuid}}}sofia/gateway/{DEFAULT_GATEWAY}/{number} &park()"
    )
    _links[0].bgapi(command, uuid)


def work() -> None:
    from calltree.runtime import configure_logging

    configure_logging()
    _links.append(
        Link.connect(EslUrl.parse(os.environ["PRACTICE_ESL_URL"]), connect_timeout_s=2, timeout_s=5)
    )
    connection = redis.Redis.from_url(os.environ["REDIS_URL"])
    lane = Queue(LANE, connection=connection, serializer="json")
    worker = SimpleWorker([lane], connection=connection, serializer="json")
    worker.log_job_description = False
    worker.work(logging_level="WARNING")


def __getattr__(name: str) -> Flask:
    """Make the application only for gunicorn; the worker imports this module too."""
    if name != "app":
        raise AttributeError(name)
    return floor_app()


if __name__ == "__main__":
    import bench._dial_floor as this_module  # the job finds its link there, not in __main__

    this_module.work()
