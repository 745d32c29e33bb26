"""A real gunicorn on a free port, and people with open pages on it."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from flask import Flask
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from calltree import create_app
from calltree.config import Settings
from calltree.db import Store, announce
from calltree.extensions import db
from calltree.launch import own_redis
from calltree.models import CustomerList, Operator, User
from calltree.models import Site as SiteRow
from tests import factories as make
from tests.browser import signed_in_cookie
from tests.databases import PostgresDatabases, SqliteDatabases
from tests.floor import wait_for
from tests.forked import WEB, Forked
from tests.ports import free_port
from tests.services.desks import Desk, colleague, furnish

ROOT = Path(__file__).resolve().parents[2]
RATE = 10
"""The minute of the re-check is six seconds; quicker, a busy server's own pauses would look like a
reader who does not read."""
THREADS = 40
MOST = 20  # sockets that so many threads leave room for


@dataclass
class Web:
    """The web server's process."""

    settings: Settings
    port: int
    log: Path
    process: Forked | None = None
    env: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = Forked(WEB, env=self.env, log=self.log)
        wait_for(self.answers_or_ended, "the web server", patience_s=120)
        assert self.process.poll() is None, self.log.read_text()[-3000:]

    def answers_or_ended(self) -> bool:
        return self.answers() or (self.process is not None and self.process.poll() is not None)

    def answers(self) -> bool:
        with suppress(OSError), urlopen(f"{self.origin}/healthz", timeout=60) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
        return False

    def ask_to_stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process is None:
            return
        self.ask_to_stop()
        assert self.process.wait(60) == 0, self.log.read_text()[-3000:]
        self.process = None

    def kill(self) -> None:
        """As a power cut would: the arbiter and its worker."""
        assert self.process is not None
        workers = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.process.kill()
        for worker in workers.split():
            with suppress(ProcessLookupError):
                os.kill(int(worker), signal.SIGKILL)
        self.process.wait()
        self.process = None


class Line:
    """One open page's live line."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[str] = []

    def next(self, timeout_s: float = 60.0) -> str:
        message = str(self.socket.recv(timeout_s))
        self.heard.append(message)
        return message

    def until(self, *parts: str, timeout_s: float = 60.0) -> str:
        """The first message from now on with all these parts."""
        found: list[str] = []

        def listen() -> bool:
            with suppress(TimeoutError):
                found.append(self.next(0.2))
            return bool(found) and all(part in found[-1] for part in parts)

        wait_for(listen, f"{parts} in {found[-3:]}", timeout_s)
        return found[-1]

    def closed_with(self) -> int:
        """Read until the server closes; its code."""
        with suppress(ConnectionClosed):
            while True:
                self.next()
        return int(self.socket.protocol.close_code or 0)

    def hears_nothing(self, seconds: float) -> bool:
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False


@dataclass
class Site:
    """The server, one operator at a desk, and the sockets that a test has opened."""

    web: Web
    app: Flask
    store: Store
    desk: Desk
    sockets: list[ClientConnection] = field(default_factory=list)

    def cookie(self, user: User | int) -> str:
        return signed_in_cookie(self.app, user)

    def wait_until_heard(self) -> None:
        """The server has subscribed: what is announced from now on arrives."""
        line = self.open(self.desk.user_id)
        line.until("operator-state")

        def heard() -> bool:
            with self.store.write() as session:
                announce(session, "figures", user_id=self.desk.user_id)
            return not line.hears_nothing(0.1)

        wait_for(heard, "the first announcement")
        self.hang_up()

    def hang_up(self) -> None:
        for opened in self.sockets:
            opened.close()

    def open(
        self,
        user: User | int | None,
        page: str = "call",
        *,
        origin: str | None = "own",
        sock: "socket.socket | None" = None,
        cookie: str | None = None,
    ) -> Line:
        cookie = cookie or (self.cookie(user) if user is not None else None)
        opened = connect(
            f"ws://127.0.0.1:{self.web.port}/live?page={page}",
            origin=self.web.origin if origin == "own" else origin,
            additional_headers={"Cookie": f"calltree={cookie}"} if cookie else None,
            open_timeout=60,
            sock=sock,
            max_queue=None if sock is None else 1,
            close_timeout=10,
            legacy=True,
        )
        self.sockets.append(opened)
        return Line(opened)


@contextmanager
def web_site(settings: Settings, folder: Path) -> Iterator[Site]:
    """A founded site and its web server."""
    port = free_port()
    web = Web(settings, port, folder / "web.log")
    web.env = os.environ | {
        "DATABASE_URL": settings.database_url,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url or "",
        "SECRET_KEY": settings.secret_key,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_WORKERS": "1",
        "WEB_THREADS": str(THREADS),
        "CLOCK_RATE": str(RATE),
    }
    app = create_app(settings)
    store = app.extensions["calltree.store"]
    try:
        desk = furnish(store)
        web.start()
        site = Site(web, app, store, desk)
        site.wait_until_heard()
        yield site
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
        web.stop()


@pytest.fixture(scope="module")
def house(
    databases: SqliteDatabases | PostgresDatabases,
    redis_of_run: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A site that every test of a module shares: a server takes seconds to start."""
    folder = tmp_path_factory.mktemp("house")
    with databases.fresh(folder) as url:
        settings = Settings.from_env(
            {
                "DATABASE_URL": url,
                "DATA_DIR": str(folder),
                "REDIS_URL": redis_of_run,
                "SECRET_KEY": "of the tests",
            }
        )
        with web_site(settings, folder) as site:
            yield site


@pytest.fixture
def site(house: Site) -> Iterator[Site]:
    """The house with an operator of this test's own at a desk."""
    user = colleague(house.desk, name="山田太郎")
    with house.store.write() as session:
        folder = session.get_one(CustomerList, house.desk.list_id)
        customer = make.make_customer(session, folder)
        make.make_hold(session, customer, user)
        session.get_one(Operator, user.id).customer_id = customer.id
        session.get_one(SiteRow, 1).lines = 10
    desk = replace(house.desk, user_id=user.id, customer_id=customer.id, number=customer.number)
    site = replace(house, desk=desk, sockets=[])
    yield site
    site.hang_up()


class OwnRedis:
    """A Redis of one test's own, to be killed."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            own_redis.command(self.data_dir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: own_redis.answers(self.data_dir), "redis")

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None


@pytest.fixture
def fragile_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def fragile_site(settings: Settings, fragile_redis: OwnRedis, tmp_path: Path) -> Iterator[Site]:
    """A site whose server and Redis may be killed."""
    own = replace(settings, redis_url=own_redis.url(fragile_redis.data_dir))
    with web_site(own, tmp_path) as site:
        yield site
        site.hang_up()


@pytest.fixture
def own_site(settings: Settings, tmp_path: Path) -> Iterator[Site]:
    """A site of this test's own, whose server may be stopped."""
    with web_site(settings, tmp_path) as site:
        yield site
        site.hang_up()
