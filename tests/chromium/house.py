"""A whole site in processes of its own, for tests with a real browser."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from werkzeug.security import generate_password_hash

from calltree.config import Settings
from calltree.db import Store
from calltree.models import User
from tests import factories as make
from tests.forked import Forked
from tests.live.conftest import Web
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "lamp-otter-42"
# The fewest rounds that the hash takes: people sign in here, nobody guesses.
PASSWORD_HASH = generate_password_hash(PASSWORD, method="pbkdf2:sha256:1")


@dataclass
class House:
    """The web server, the workers that were asked for, and the ledger behind them."""

    web: Web
    store: Store
    workers: list[Forked] = field(default_factory=list)

    def work(self, role: str) -> None:
        """Start one role of worker.py."""
        self.workers.append(Forked(["worker.py", role], env=self.web.env, log=self.web.log))

    def stop(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        self.web.stop()
        for worker in self.workers:
            try:
                worker.wait(60)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.store.engine.dispose()

    def person(self, **given: Any) -> User:
        """Someone who can sign in with PASSWORD."""
        with self.store.write() as session:
            return make.make_user(session, password_hash=PASSWORD_HASH, **given)


@contextmanager
def running_house(settings: Settings, folder: Path, **env: str) -> Iterator[House]:
    """A founded site without project, list or person; `env` goes to every process."""
    web = Web(settings, free_port(), folder / "house.log")
    web.env = os.environ | {
        "DATABASE_URL": settings.database_url,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url or "",
        "SECRET_KEY": settings.secret_key,
        "HOST": "127.0.0.1",
        "PORT": str(web.port),
        "WEB_WORKERS": "1",
        **env,
    }
    house = House(web, Store(create_engine(settings.database_url)))
    with house.store.write() as session:
        make.make_site(session)
    try:
        web.start()
        yield house
    except BaseException:
        sys.stderr.write(web.log.read_text()[-4000:])
        raise
    finally:
        house.stop()
