"""Operators in real browsers on a real FreeSWITCH, for a bench.

It is the site that the tests of the softphone use (tests/softphone/real.py) and takes the same
variables: FREESWITCH_ESL_URL, FREESWITCH_WS_URL, FREESWITCH_DIRECTORY_PORT, FREESWITCH_SECRET. That
FreeSWITCH asks for credentials at http://127.0.0.1:<FREESWITCH_DIRECTORY_PORT>/switch/directory.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import create_engine

import calltree.models
from bench import NotHere, Options
from bench._freeswitch import switch_url
from calltree.config import Settings
from calltree.db import Base
from tests.softphone.conftest import ALLOWED, FLAGS
from tests.softphone.real import NEEDS, RealSite, open_real_site
from tests.windows import CHROMIUM


@contextmanager
def site_with_browsers(options: Options) -> Iterator[tuple[RealSite, Browser]]:
    """Give a founded site with its web and roles, and a Chromium with a made-up microphone.

    Ends the bench with a plain word when something of it is missing.
    """
    missing = [name for name in NEEDS if not os.environ.get(name)]
    if missing:
        raise NotHere(f"no FreeSWITCH for browsers to measure: {', '.join(missing)} not set")
    switch_url()
    if CHROMIUM is None:
        raise NotHere("no Chromium on PATH (chromium or chromium-browser)")
    assert calltree.models.__name__  # imported for its tables
    with tempfile.TemporaryDirectory(prefix="calltree-bench-") as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'calltree.db'}"
        with _tables(url, Path(folder)) as site, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, ALLOWED])
            try:
                yield site, browser
            finally:
                browser.close()


@contextmanager
def _tables(url: str, folder: Path) -> Iterator[RealSite]:
    found = Settings.from_env({"DATABASE_URL": url, "DATA_DIR": str(folder), "SECRET_KEY": "x"})
    engine = create_engine(found.database_url)
    Base.metadata.create_all(engine)
    engine.dispose()
    with open_real_site(folder, url) as site:
        yield site
