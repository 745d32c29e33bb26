"""Fixtures for everything: a database, a Redis, the application and a browser that checks pages.

`--database sqlite` (default) runs the whole suite; `--database postgres` the tests that touch the
database, on a Postgres server of this run's own; `--database both` all of it in one run.
"""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import create_engine

from calltree import catalogues, create_app
from calltree.config import Settings
from calltree.db import Store
from calltree.extensions import db, limiter
from calltree.launch import own_redis
from tests import kept
from tests.browser import Browser
from tests.databases import NoPostgres, PostgresDatabases, PostgresServer, SqliteDatabases
from tests.windows import CHROMIUM, PROVOKES, Windows, running_chromium

POSTGRES_PORT = "CALLTREE_TEST_POSTGRES_PORT"
POSTGRES = "postgres"
BOTH = ("sqlite", POSTGRES)
ACTS_LONG = {"faults", "launch"}
SELDOM = (50_000, 20, 50)
"""Thresholds of the garbage collector, instead of (700, 10, 10)."""
SERVER = pytest.StashKey[PostgresServer]()
TEMPLATES = pytest.StashKey[TemporaryDirectory[str]]()
# What is drawn is judged by its answer: how long it took says something of the machine only.
hypothesis_settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=(*BOTH, "both"),
        default=os.environ.get("TEST_DATABASE", "sqlite"),
        help="what the tests that touch a database run on",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin the run, before xdist starts its processes; each keeps what all have in common."""
    if not hasattr(config, "workerinput"):
        _begin(config)
    kept.keep()


def _begin(config: pytest.Config) -> None:
    """Make a folder for compiled templates, compile the words, start Postgres."""
    config.stash[TEMPLATES] = folder = TemporaryDirectory(prefix="calltree-templates-")
    os.environ[kept.TEMPLATES] = folder.name
    catalogues.ensure_compiled()
    if config.getoption("--database") != "sqlite" and not config.option.collectonly:
        try:
            config.stash[SERVER] = PostgresServer()
        except NoPostgres as why:
            raise pytest.UsageError(str(why)) from why
        os.environ[POSTGRES_PORT] = str(config.stash[SERVER].port)


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(SERVER, None):
        server.stop()
    if folder := config.stash.get(TEMPLATES, None):
        folder.cleanup()


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {config.getoption('--database')}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With `both` what touches the database stands there twice, and its name says on which."""
    if metafunc.config.getoption("--database") == "both" and "databases" in metafunc.fixturenames:
        metafunc.parametrize("databases", BOTH, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On Postgres only what touches the database runs, but for `one_database`."""
    kept = [item for item in items if _is_run(item)]
    config.hook.pytest_deselected(items=[item for item in items if not _is_run(item)])
    items[:] = sorted(kept, key=lambda item: (_is_short(item), _database(item) == POSTGRES))


def _database(item: pytest.Item) -> str:
    """On which database this one runs; a test without one counts to SQLite's where both are."""
    called = getattr(item, "callspec", None)
    chosen = str(item.config.getoption("--database"))
    given = called.params.get("databases") if called else None
    return str(given or (BOTH[0] if chosen == "both" else chosen))


def _is_run(item: pytest.Item) -> bool:
    needs = "databases" in getattr(item, "fixturenames", ())
    once = item.get_closest_marker("one_database") or not needs
    return not (once and _database(item) == POSTGRES)


def _is_short(item: pytest.Item) -> bool:
    """What drives a browser or whole sites is begun first.

    Begun last it would keep one process busy while the others have no test left; and one process
    has most of it, so that Chromium and the site that many tests share are started once.
    """
    return not (
        "chromium" in getattr(item, "fixturenames", ()) or item.path.parent.name in ACTS_LONG
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What was imported and collected stays to the end: no collection walks through it again.

    With it each full one took a third of a second, and all of them a quarter of what tests of
    pages cost; rare ones are enough for the garbage of single tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*SELDOM)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test tells what its pages show, and what its site's processes said."""
    report = yield
    given = getattr(item, "funcargs", {})
    if report.failed and call.when != "teardown":
        if "chromium" in given:
            report.sections.append(("open pages", given["chromium"].shown()))
        sites = [getattr(one, "site", None) for one in given.values()]
        for shown in filter(None, (getattr(site, "shown", None) for site in sites)):
            report.sections.append(("log of the site", shown()))
    return report


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    return SqliteDatabases(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def postgres_databases() -> PostgresDatabases:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "only")
    return PostgresDatabases(int(os.environ[POSTGRES_PORT]), worker)


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> SqliteDatabases | PostgresDatabases:
    """Where fresh databases come from."""
    kind = getattr(request, "param", request.config.getoption("--database"))
    made: SqliteDatabases | PostgresDatabases = request.getfixturevalue(f"{kind}_databases")
    return made


@pytest.fixture
def database_url(databases: SqliteDatabases | PostgresDatabases, tmp_path: Path) -> Iterator[str]:
    """A database of this test's own, with every table and no row."""
    with databases.fresh(tmp_path) as url:
        yield url


@pytest.fixture
def empty_database_url(
    databases: SqliteDatabases | PostgresDatabases, tmp_path: Path
) -> Iterator[str]:
    """A database of this test's own without a table: for migrations."""
    with databases.empty(tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[Windows]:
    """The run's own Chromium; `new_context()` is another machine."""
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with running_chromium() as windows:
        yield windows


@pytest.fixture(autouse=True)
def _windows_are_quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """No page may have complained, but of what the test's marker `provokes` names."""
    yield
    if "chromium" in request.fixturenames:
        marks = request.node.iter_markers(PROVOKES)
        request.getfixturevalue("chromium").tidy(*(text for mark in marks for text in mark.args))


@pytest.fixture(scope="session")
def redis_of_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of this process's own Redis, on a unix socket."""
    with own_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_server(redis_of_run: str) -> str:
    """The URL of an empty Redis."""
    with redis.from_url(redis_of_run) as link:
        link.flushall()
    return redis_of_run


@pytest.fixture
def settings(database_url: str, redis_server: str, tmp_path: Path) -> Settings:
    """Settings of a site in practice mode with a database, a Redis and a DATA_DIR of its own."""
    data_dir = tmp_path / "var"
    data_dir.mkdir()
    return Settings.from_env(
        {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(data_dir),
            "REDIS_URL": redis_server,
            "SECRET_KEY": "of the tests",
        }
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application; an exception in a view reaches the test instead of a 500 page."""
    app = create_app(settings)
    app.testing = True
    # One limiter a process: what an earlier application knew of its Redis would hold for this one,
    # and be found wrong in the middle of a count.
    limiter._storage_dead = False
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def store(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Store]:
    """read() and write() sessions: the application's own store if the test has one."""
    if "app" in request.fixturenames:
        yield request.getfixturevalue("app").extensions["calltree.store"]
        return
    engine = create_engine(settings.database_url)
    yield Store(engine)
    engine.dispose()


@pytest.fixture
def client(app: Flask) -> Browser:
    """A signed-out browser; every page it fetches is checked."""
    return Browser(app)


@pytest.fixture
def browser_of(app: Flask):
    """`browser_of(user)`: a browser in which this user (or user id) has signed in."""

    def signed_in(user: object) -> Browser:
        browser = Browser(app)
        browser.sign_in_as(user)
        return browser

    return signed_in
