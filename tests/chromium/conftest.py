"""A whole site in processes of its own, a real Chromium on it, and operators at its screen."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from calltree import create_app
from calltree.extensions import db
from tests.chromium.screen import Place
from tests.databases import PostgresDatabases, SqliteDatabases
from tests.faults.site import STOP_S, Site
from tests.floor import found_floor, wait_for
from tests.forked import WEB, Forked
from tests.ports import free_port
from tests.windows import Windows

RATE = 8.0
"""How much quicker the practice carrier is: 4 s of an announcement take half a second."""


@contextmanager
def _web(site: Site) -> Iterator[str]:
    port = free_port()
    env = site.env | {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_WORKERS": "1",
        "WEB_THREADS": "60",
    }
    process = Forked(WEB, env=env, log=site.log.name)

    def answers() -> bool:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
            return bool(answer.status == 200)
        return False

    try:
        wait_for(answers, "the web server", patience_s=120)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)


@pytest.fixture(scope="session")
def place(
    databases: SqliteDatabases | PostgresDatabases,
    tmp_path_factory: pytest.TempPathFactory,
    chromium: Windows,
) -> Iterator[Place]:
    """One site for all operators' tests: each has an operator and a list of its own."""
    directory: Path = tmp_path_factory.mktemp("place")
    data_dir = directory / "var"
    data_dir.mkdir()
    with databases.fresh(directory) as url:
        site = Site(data_dir, url, rate=RATE)
        try:
            site.start("redis")
            floor = found_floor(site.store, site.switch)
            site.start("switch", "calls", "jobs soon")
            with _web(site) as origin:
                wait_for(floor.link_up, "link up", patience_s=120)
                wait_for(site.served, "calls worker", patience_s=120)
                app = create_app(site.settings)
                yield Place(site.store, origin, chromium, app, floor.list_id, site)
                with app.app_context():
                    db.session.remove()
                    db.engine.dispose()
        except BaseException:
            sys.stderr.write(site.shown())
            raise
        finally:
            site.stop()
