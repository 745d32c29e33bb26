"""Simulated operators who work a campaign over the real pages, as browsers do.

Each has a session of their own and presses what stands on their page: 開始, 切断 after a while
where the customer does not hang up, a result with 保存して待機, now and then 保存して離席 and 待機
again. How all of them are is read in one statement; what no web server answers is pressed again.
"""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import select

from bench._telephone import Site
from calltree.models import Operator, OperatorState

LOOK_S = 0.1
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
CUSTOMER = re.compile(r'name="customer" value="(\d+)"')
STATUS = re.compile(r'name="status"[^>]*?value="(\d+)"|value="(\d+)"[^>]*?name="status"')
JOIN = "/operator/predictive/join/{}"
BREAK = 0.08
"""How many of the saved results are followed by a pause."""


@dataclass
class Seat:
    """One operator at their page."""

    user_id: int
    cookie: str
    page: str
    due: float = 0.0
    """When they press next, by the monotonic clock."""
    was: tuple[OperatorState, int | None] | None = None
    token: str = ""


@dataclass
class Crew:
    """All of them, on a few threads."""

    site: Site
    port: int
    campaign_id: int
    rate: float
    seats: list[Seat]
    draw: random.Random
    pressed: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    """Presses that no web server was there for."""

    def look(self) -> None:
        """Let everybody whose moment has come press."""
        with self.site.store.read() as session:
            rows = session.execute(
                select(Operator.user_id, Operator.state, Operator.attempt_id, Operator.campaign_id)
            ).all()
        now = time.monotonic()
        states = {row.user_id: row for row in rows}
        for seat in self.seats:
            row = states.get(seat.user_id)
            state = row.state if row else OperatorState.SIGNED_OUT
            seen = (state, row.attempt_id if row else None)
            if seen != seat.was:
                seat.was = seen
                seat.due = now + self._patience(state)
            if now >= seat.due:
                seat.due = now + 1.0
                self.act(seat, state, joined=bool(row and row.campaign_id))

    def _patience(self, state: OperatorState) -> float:
        """Seconds until this operator does something in this state."""
        seconds = {
            OperatorState.TALKING: self.draw.lognormvariate(3.4, 0.7),
            OperatorState.WRAP_UP: self.draw.lognormvariate(2.3, 0.5),
            OperatorState.AWAY: self.draw.uniform(2, 30),
        }.get(state, 1.0)
        return seconds / self.rate

    def act(self, seat: Seat, state: OperatorState, *, joined: bool) -> None:
        """Press what one presses in this state; nothing where one waits."""
        match state:
            case OperatorState.TALKING:
                self.press(seat, "/operator/call/press/hang_up", "hang_up")
            case OperatorState.WRAP_UP:
                self.save(seat)
            case OperatorState.AWAY if joined:
                self.press(seat, "/operator/call/ready", "stand_by")
            case OperatorState.AWAY | OperatorState.SIGNED_OUT:
                self.press(seat, JOIN.format(self.campaign_id), "join")
            case _:
                return

    def save(self, seat: Seat) -> None:
        """Choose a result on the customer's page and save it."""
        page = self.ask(seat, "GET", "/operator/call/")
        customer, statuses = CUSTOMER.search(page), STATUS.findall(page)
        if customer is None or not statuses:
            return
        action = "save_away" if self.draw.random() < BREAK else "save_ready"
        chosen = self.draw.choice([first or second for first, second in statuses])
        given = {
            "customer": customer[1],
            "status": chosen,
            "action": action,
            "confirmed": "ask_long_no_answer",
            "memo": "話した",
        }
        self.press(seat, "/operator/predictive/save", action, given)

    def press(self, seat: Seat, path: str, what: str, given: dict[str, str] | None = None) -> None:
        if not seat.token:
            found = TOKEN.search(self.ask(seat, "GET", "/operator/"))
            seat.token = found[1] if found else ""
        form = urllib.parse.urlencode({"csrf_token": seat.token, **(given or {})})
        if seat.token:
            self.ask(seat, "POST", path, form)
            self.pressed[what] += 1

    def ask(self, seat: Seat, method: str, path: str, form: str = "") -> str:
        """Ask the web server; '' where none answers, which is counted."""
        headers = {
            "Cookie": f"calltree={seat.cookie}; calltree_machine={seat.page.replace('-', '')}",
            "X-Page-Id": seat.page,
            "Connection": "close",
        }
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, path, form or None, headers)
            answer = link.getresponse()
            page = answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.unanswered += 1
            return ""
        finally:
            link.close()
        for name, value in answer.getheaders():
            if name == "Set-Cookie" and value.startswith("calltree="):
                seat.cookie = value.partition(";")[0].removeprefix("calltree=")
        if answer.status >= 400:
            self.pressed[f"{method} {path.rstrip('0123456789')} {answer.status}"] += 1
        return page


@contextmanager
def at_work(crew: Crew) -> Iterator[None]:
    """Let them work until the block ends."""
    over = threading.Event()
    wrong: list[BaseException] = []

    def work() -> None:
        try:
            while not over.wait(LOOK_S):
                crew.look()
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if wrong:
        raise wrong[0]
