"""A site of processes on a real FreeSWITCH, and operators who sit at it in real browsers.

The environment says where that FreeSWITCH is: FREESWITCH_ESL_URL, FREESWITCH_WS_URL (where pages
reach it), FREESWITCH_DIRECTORY_PORT (the port of this machine at which it asks for credentials),
FREESWITCH_SECRET (the password it asks with).
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import time as clock_time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import redis
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from rq import Worker
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from calltree import create_app, doorbells
from calltree.config import Settings
from calltree.db import Store
from calltree.launch import own_redis
from calltree.models import (
    Attempt,
    Audience,
    LegKind,
    LegState,
    Operator,
    Project,
    Recording,
    RecordingState,
    ResultPattern,
    Role,
    Softphone,
)
from calltree.services import leases
from calltree.telephony.esl import EslUrl, Link
from tests import factories as make
from tests.browser import signed_in_cookie
from tests.floor import wait_for
from tests.windows import PATIENCE_MS

NEEDS = (
    "FREESWITCH_ESL_URL",
    "FREESWITCH_WS_URL",
    "FREESWITCH_DIRECTORY_PORT",
    "FREESWITCH_SECRET",
)
ROOT = Path(__file__).resolve().parents[2]
LISTENS = """
localStorage.setItem("calltree.sound", JSON.stringify({processing: false}));
window.seenConnections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.seenConnections.push(this); }
};
window.seenSockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) { super(...given); window.seenSockets.push(this); }
};
window.heardLevel = async () => {
  let most = 0;
  for (const pc of window.seenConnections) {
    if (pc.connectionState !== "connected") continue;
    for (const report of (await pc.getStats()).values()) {
      if (report.type === "inbound-rtp") most = Math.max(most, report.audioLevel || 0);
    }
  }
  return most;
};
"""
"""What a test needs to know of a page; a steady tone is noise to the browser's suppression."""


class RealSite:
    """Redis, web and the roles, on somebody else's switch."""

    def __init__(self, data_dir: Path, database_url: str) -> None:
        self.data_dir = data_dir
        self.log = (data_dir / "site.log").open("ab")
        self.port = int(os.environ["FREESWITCH_DIRECTORY_PORT"])
        self.origin = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env = os.environ | {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(data_dir),
            "REDIS_URL": own_redis.url(data_dir),
            "ESL_URL": os.environ["FREESWITCH_ESL_URL"],
            "SWITCH_WSS_URL": os.environ["FREESWITCH_WS_URL"],
            "SWITCH_SECRET": os.environ["FREESWITCH_SECRET"],
            "SECRET_KEY": "of the tests",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_WORKERS": "1",
            "WEB_THREADS": "60",
        }
        self.settings = Settings.from_env(self.env)
        self.node = self.settings.node_names[0]
        self.store = Store(create_engine(self.settings.database_url))
        self.store.publisher = doorbells.for_store(self.settings, self.store)
        self.app: Flask = create_app(self.settings)
        self.list_id = 0

    def start(self, *names: str) -> None:
        for name in names:
            command = [sys.executable, "worker.py", *name.split()]
            if name == "redis":
                command = own_redis.command(self.data_dir)
            elif name == "web":
                command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=self.log, stderr=self.log
            )

    def stop(self) -> None:
        for name in ("web", "jobs", "calls", "switch", "redis"):
            process = self.processes.pop(name, None)
            if process is not None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.store.engine.dispose()
        self.log.close()

    def shown(self) -> str:
        return (self.data_dir / "site.log").read_text()[-6000:]

    def found(self) -> None:
        """A real site whose one list may be called at any hour."""
        with self.store.write() as session:
            make.make_site(session, lines=20, practice=False)
            self.list_id = make.make_list(session, self._project(session)).id

    def _project(self, session: Session, **given: Any) -> Project:
        pattern = session.scalars(
            select(ResultPattern.id).where(ResultPattern.name == "標準")
        ).one()
        values: dict[str, Any] = {
            "audience": Audience.B2B,
            "weekdays": [0, 1, 2, 3, 4, 5, 6],
            "on_holidays": True,
            "opens": clock_time(0, 0),
            "closes": clock_time(23, 59),
            "ring_time_s": 30,
            "pattern_id": pattern,
        }
        return make.make_project(session, **(values | given))

    def answers(self) -> bool:
        address = f"{self.origin}/healthz"
        with suppress(OSError), urlopen(address, timeout=60) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
        return False

    def link_up(self) -> bool:
        with self.store.read() as session:
            return leases.link_is_up(session, node=self.node)

    def served(self) -> bool:
        with redis.from_url(self.env["REDIS_URL"]) as link:
            workers = Worker.all(connection=link)
            return any(f":calls:{self.node}" in name for w in workers for name in w.queue_names())

    def api(self, command: str) -> str:
        """Ask the switch itself."""
        link = Link.connect(EslUrl.parse(self.env["ESL_URL"]), timeout_s=60.0)
        try:
            return link.api(command)
        finally:
            link.close()

    def seat(
        self,
        browser: Browser,
        *numbers: str,
        role: Role = Role.OPERATOR,
        script: str = "",
        alone: bool = False,
    ) -> "RealSeat":
        """An operator with customers of these numbers, in this browser; `script` runs first.

        `alone`: on a list of their own, whose customers are dialled one after the other.
        """
        with self.store.write() as session:
            user = make.make_user(session, role, leg_kind=LegKind.BROWSER)
            folder = session.get_one(make.CustomerList, self.list_id)
            if alone:
                folder = make.make_list(session, self._project(session, auto_dial_delay_s=0))
            make.grant(session, folder, user)
            customers = [make.make_customer(session, folder, number=n).id for n in numbers]
        seat = RealSeat(self, user.id, customers, script, list_id=folder.id)
        seat.open(browser)
        return seat

    def cookie(self, user_id: int) -> str:
        return signed_in_cookie(self.app, user_id)


@dataclass
class RealSeat:
    """One operator; what happened is asked of the ledger, what is heard of the page."""

    site: RealSite
    user_id: int
    customers: list[int]
    script: str = ""
    list_id: int = 0
    page: Page = field(init=False)
    context: BrowserContext = field(init=False)

    def open(self, browser: Browser, cookies: Sequence[Any] = ()) -> None:
        """Sign in there; with `cookies`, as the same machine as before."""
        self.context = browser.new_context(
            viewport={"width": 1366, "height": 768}, locale="ja-JP", timezone_id="Asia/Tokyo"
        )
        self.context.add_cookies(
            [{"name": "calltree", "value": self.site.cookie(self.user_id), "url": self.site.origin}]
        )
        self.context.add_cookies(list(cookies))
        self.context.add_init_script(LISTENS + self.script)
        self.page = self.tab()

    def tab(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{self.site.origin}/operator/")
        return page

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def connected(self) -> Operator:
        """Wait for the leg, in the page and in the ledger."""
        expect(self.at('#softphone-panel[data-state="live"]')).to_be_visible()
        return self.parked()

    def parked(self, *, but_not: str = "") -> Operator:
        """Wait for a leg in the ledger, another one than `but_not`."""

        def found() -> Operator | None:
            with self.site.store.read() as session:
                row = session.get(Operator, self.user_id)  # none before they have sat down
            if row is None or row.leg_state is not LegState.PARKED or row.leg_uuid == but_not:
                return None
            return row

        return wait_for(found, "leg parked")

    def opens(self, index: int = 0) -> None:
        """Open one customer by hand."""
        self.page.goto(f"{self.site.origin}/operator/lists/{self.list_id}")
        self.page.locator(f'form[action$="/open/{self.customers[index]}"] button').click()
        expect(self.at("#call")).to_be_visible()
        self.connected()

    def call(self, state: str = "talking") -> None:
        expect(self.at("#call-now button")).to_be_enabled()
        self.page.keyboard.press("F2")
        self.sees(state)

    def sees(self, state: str) -> None:
        expect(self.at("#call-status")).to_have_class(re.compile(rf"\b({state})\b"))

    def hang_up(self) -> None:
        self.page.keyboard.press("F9")
        self.sees("ended")

    def operator(self) -> Operator:
        with self.site.store.read() as session:
            return session.get_one(Operator, self.user_id)

    def microphone(self) -> str:
        """What the page has said of it."""
        with self.site.store.read() as session:
            told = session.get(Softphone, self.user_id)
        return told.microphone if told else ""

    def attempt(self) -> Attempt:
        with self.site.store.read() as session:
            mine = select(Attempt).where(Attempt.user_id == self.user_id)
            return session.scalars(mine.order_by(Attempt.id.desc()).limit(1)).one()

    def recording(self) -> Recording | None:
        with self.site.store.read() as session:
            wanted = Recording.attempt_id == self.attempt().id
            return session.scalar(select(Recording).where(wanted))

    def hears(self) -> float:
        """The level of what comes from the switch, 0…1."""
        return float(self.page.evaluate("() => window.heardLevel()"))

    def wait_sound(self) -> None:
        """Wait until something is heard (getStats of the received track)."""
        self.page.wait_for_function("async () => (await window.heardLevel()) > 0.01")

    def wait_quiet(self) -> None:
        """Wait until nothing has been heard for half a second."""
        self.page.wait_for_function(
            """async () => {
              const until = performance.now() + 500;
              while (performance.now() < until) {
                if (await window.heardLevel() > 0.01) return false;
                await new Promise(done => setTimeout(done, 20));
              }
              return true;
            }"""
        )

    def drop_socket(self) -> None:
        """Cut the page's way to the switch, as a lost network does; it may connect again."""
        self.page.evaluate(
            "() => window.seenSockets.filter(s => s.protocol === 'sip').forEach(s => s.close())"
        )

    def far_end(self) -> str:
        """The leg with which the test carrier has answered the last call."""
        told = json.loads(self.site.api("show channels as json")).get("rows", [])
        number = self.attempt().number
        (found,) = [
            row["uuid"] for row in told if (row["context"], row["dest"]) == ("testcarrier", number)
        ]
        return str(found)

    def leg_lives(self, uuid: str) -> bool:
        return self.site.api(f"uuid_exists {uuid}") == "true"

    def file(self) -> Path:
        """The raw recording of the last call, once the switch has closed it."""
        row = wait_for(
            lambda: (r := self.recording()) and r.state is not RecordingState.RECORDING and r,
            "recording closed",
        )
        return self.site.settings.recordings_dir / row.raw_name


@contextmanager
def open_real_site(directory: Path, database_url: str) -> Iterator[RealSite]:
    data_dir = directory / "var"
    data_dir.mkdir(parents=True)
    site = RealSite(data_dir, database_url)
    try:
        site.start("redis")
        wait_for(lambda: own_redis.answers(data_dir), "redis")
        site.found()
        site.start("web", "switch", "calls")  # no jobs: raw recordings stay to be looked at
        for what in (site.answers, site.link_up, site.served):
            wait_for(what, what.__name__, patience_s=300)
        yield site
    except BaseException:
        sys.stderr.write(site.shown())
        raise
    finally:
        site.stop()
