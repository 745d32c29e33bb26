"""From the press of CALL in the browser to the originate at the switch.

Work: `POST /operator/call/dial` of signed-in operators, each with a customer open, to the product's
own gunicorn; gate, commit, doorbell, `worker.py calls`, ESL. Floor, at the same concurrency: a
signed-in POST that commits one row and enqueues a no-op, whose worker sends a bare originate.

Pressed 20 at once and 20 a second spread, the product's and the floor's rounds by turns. Time runs
from before the request is written until the practice switch stamps the channel that it makes of the
originate. `value` and `floor` are p95 in ms of 20 at once; **`ratio` is the worse of the two p95
ratios, at most 2**. `--rows` is the number of presses of each kind (120, in rounds of 60).
"""

import http.client
import random
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode

from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select, text

from bench import Options, Result
from bench._dial_floor import TABLE
from bench._telephone import PASSWORD, Site, fill, percentile, running_site, wait_for
from calltree import create_app
from calltree.blueprints.page import COOKIE as MACHINE
from calltree.db import utcnow
from calltree.models import Attempt, User
from calltree.services import desk
from calltree.services.records import in_call
from calltree.services.rights import Viewer
from calltree.telephony.wire import Framer, encode_command, parse_event

PRESSES = 120
OPERATORS = 60
AT_ONCE = 20
RATE_S = 20.0
LOST_MS = 5000.0
BUSY = "1"
"""Last digit of a number that is busy at once: the call is over before the next press."""


@dataclass
class Browser:
    """One signed-in operator."""

    user_id: int
    cookie: str
    csrf_token: str
    page_id: str
    machine: str


@dataclass
class Switchboard:
    """When the practice switch made which channel, by its own stamps (seconds since 1970)."""

    made: dict[str, float] = field(default_factory=dict)


@dataclass
class Way:
    """One of the two contestants."""

    port: int
    path: str
    press: Callable[["Way", Browser, str], None]
    pressed: dict[str, float] = field(default_factory=dict)
    """Press id → when it was pressed."""
    statuses: dict[int, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    """Presses that were answered and never reached the switch."""


def run(options: Options) -> Result:
    presses = options.rows or PRESSES
    rounds = max(presses // OPERATORS, 1)
    draw = random.Random(options.seed)
    wanted = 2 * rounds * OPERATORS
    numbers = [f"03{n:07}{BUSY}" for n in draw.sample(range(2_000_000, 9_999_999), wanted)]
    with running_site(options) as site, switchboard(site) as board:
        users, customers = fill(site, count=OPERATORS, numbers=numbers)
        product, floor = start_webs(site)
        browsers = signed_in(site, users)
        warm(product, floor, browsers)
        unused = iter(customers)
        spare = iter(f"04{n:07}{BUSY}" for n in range(10_000_000))
        kinds = {"at_once": at_once, "spread": spread}
        took: dict[str, dict[str, list[float]]] = {}
        for kind, pressed in kinds.items():
            took[kind] = {"product": [], "floor": []}
            for _ in range(rounds):
                open_customers(site, browsers, unused)
                took[kind]["product"] += one_round(site, board, product, browsers, pressed, spare)
                took[kind]["floor"] += one_round(site, board, floor, browsers, pressed, spare)
        statuses = {"product": product.statuses, "floor": floor.statuses}
        lost = {"product": product.lost, "floor": floor.lost}
    ratios = {
        kind: percentile(both["product"], 0.95) / percentile(both["floor"], 0.95)
        for kind, both in took.items()
    }
    return Result(
        value=percentile(took["at_once"]["product"], 0.95),
        unit="ms",
        floor=percentile(took["at_once"]["floor"], 0.95),
        ratio=max(ratios.values()),
        n=rounds * OPERATORS,
        extra={
            "ratios": {kind: round(ratio, 2) for kind, ratio in ratios.items()},
            **{
                f"{kind}_{name}_ms": told(values)
                for kind, both in took.items()
                for name, values in both.items()
            },
            "answers": statuses,
            "verdicts": product.verdicts,
            f"not_dialled_counted_as_{LOST_MS:.0f}_ms": lost,
        },
    )


def told(values: list[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "median": round(statistics.median(values), 1),
        "p95": round(percentile(values, 0.95), 1),
        "max": round(max(values), 1),
    }


# --- pressing


def press(way: Way, browser: Browser, number: str) -> None:
    """One press, as the page sends it."""
    press_id = str(uuid.uuid4())
    body = urlencode({"press_id": press_id, "confirmed": "1", "number": number})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": browser.cookie,
        "X-CSRFToken": browser.csrf_token,
        "X-Page-Id": browser.page_id,
        "HX-Request": "true",
        "X-Live": "1",
        "Referer": f"http://127.0.0.1:{way.port}/",
    }
    link = http.client.HTTPConnection("127.0.0.1", way.port, timeout=30)
    link.connect()
    way.pressed[press_id] = time.time()
    link.request("POST", way.path, body, headers)
    answer = link.getresponse()
    answer.read()
    link.close()
    way.statuses[answer.status] = way.statuses.get(answer.status, 0) + 1


def press_open_customer(way: Way, browser: Browser, _number: str) -> None:
    press(way, browser, "")


def at_once(way: Way, browsers: Sequence[Browser], numbers: Iterator[str]) -> None:
    """Twenty in the same moment, and again when they are through."""
    for start in range(0, len(browsers), AT_ONCE):
        group = browsers[start : start + AT_ONCE]
        together = threading.Barrier(len(group))

        def one(browser: Browser, number: str, together: threading.Barrier = together) -> None:
            together.wait()
            way.press(way, browser, number)

        pairs = list(zip(group, numbers, strict=False))
        in_threads([partial(one, browser, number) for browser, number in pairs])
        time.sleep(1)


def spread(way: Way, browsers: Sequence[Browser], numbers: Iterator[str]) -> None:
    start = time.monotonic()

    def one(place: int, browser: Browser, number: str) -> None:
        time.sleep(max(start + place / RATE_S - time.monotonic(), 0))
        way.press(way, browser, number)

    places = zip(range(len(browsers)), browsers, numbers, strict=False)
    in_threads([partial(one, *place) for place in places])


def in_threads(works: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_round(
    site: Site,
    board: Switchboard,
    way: Way,
    browsers: Sequence[Browser],
    pressed: Callable[[Way, Sequence[Browser], Iterator[str]], None],
    numbers: Iterator[str],
) -> list[float]:
    """Press with every operator once; the ms of each press."""
    way.pressed.clear()
    pressed(way, browsers, numbers)
    channels = {press_id: press_id for press_id in way.pressed}
    if way.press is press_open_customer:
        with site.store.read() as session:
            of_press = select(Attempt.press_id, Attempt.uuid, Attempt.verdict).where(
                Attempt.press_id.in_(way.pressed)
            )
            for row in session.execute(of_press):
                channels[str(row.press_id)] = row.uuid
                way.verdicts[row.verdict] = way.verdicts.get(row.verdict, 0) + 1
    wait_for(lambda: nobody_in_call(site, browsers), "the calls' end")
    deadline = time.monotonic() + LOST_MS / 1000
    while not set(channels.values()) <= set(board.made) and time.monotonic() < deadline:
        time.sleep(0.02)
    took = []
    for press_id, channel in channels.items():
        way.lost += channel not in board.made
        made_at = board.made.get(channel)
        pressed_at = way.pressed[press_id]
        took.append(LOST_MS if made_at is None else (made_at - pressed_at) * 1000)
    return took


def nobody_in_call(site: Site, browsers: Sequence[Browser]) -> bool:
    with site.store.read() as session:
        return not any(in_call(session, user_id=browser.user_id) for browser in browsers)


def open_customers(site: Site, browsers: Sequence[Browser], customers: Iterator[int]) -> None:
    """Open the next customers; each page says that it is there, as it does every 10 s."""
    for browser in browsers:
        with site.store.write() as session:
            desk.claim_page(
                session,
                user_id=browser.user_id,
                page_id=browser.page_id,
                machine=browser.machine,
                now=utcnow(),
            )
            desk.open_customer(
                session,
                viewer=Viewer.of(session.get_one(User, browser.user_id)),
                customer_id=next(customers),
                page_id=browser.page_id,
                now=utcnow(),
            )


# --- what is pressed on


def start_webs(site: Site) -> tuple[Way, Way]:
    with site.store.engine.begin() as link:
        link.execute(text(TABLE))
    ports = [free_port(), free_port()]
    site.env["HOST"] = "127.0.0.1"
    for name, port, app in (
        ("web", ports[0], "wsgi:app"),
        ("floor web", ports[1], "bench._dial_floor:app"),
    ):
        site.env["PORT"] = str(port)
        site.start(name, "-m", "gunicorn", "-c", "gunicorn.conf.py", app)
    site.start("floor worker", "-m", "bench._dial_floor")
    for port in ports:
        wait_for(partial(answers, port), "the web server")
    return (
        Way(ports[0], "/operator/call/dial", press_open_customer),
        Way(ports[1], "/bench/press", press),
    )


def warm(product: Way, floor: Way, browsers: Sequence[Browser]) -> None:
    """Have every worker process import and connect; with nothing open CALL is refused."""
    for _ in range(4):
        in_threads([partial(product.press, product, b, "") for b in browsers[:AT_ONCE]])
        in_threads([partial(press, floor, b, "0300000001") for b in browsers[:AT_ONCE]])
    time.sleep(3)
    product.statuses.clear()
    floor.statuses.clear()


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def signed_in(site: Site, users: Sequence[int]) -> list[Browser]:
    """Sessions as signing in makes them; sixty passwords would be a bench of their own."""
    app = create_app(site.settings)
    sessions = app.session_interface.get_signing_serializer(app)
    tokens = URLSafeTimedSerializer(site.settings.secret_key, salt="wtf-csrf-token")
    name = app.config["SESSION_COOKIE_NAME"]
    browsers = []
    with site.store.read() as session:
        for user_id in users:
            user = session.get_one(User, user_id)
            kept = {
                "_user_id": f"{user_id}:{user.session_version}",
                "_fresh": True,
                "seen_at": time.time(),
                "csrf_token": uuid.uuid4().hex,
            }
            machine = uuid.uuid4().hex
            cookie = f"{name}={sessions.dumps(kept)}; {MACHINE}={machine}"
            token = str(tokens.dumps(kept["csrf_token"]))
            browsers.append(Browser(user_id, cookie, token, str(uuid.uuid4()), machine))
    return browsers


@contextmanager
def switchboard(site: Site) -> Iterator[Switchboard]:
    """Hear of every channel that the switch makes, over a link of the bench's own."""
    board = Switchboard()
    host, _, port = site.practice_url.rpartition("@")[2].partition(":")
    with socket.create_connection((host, int(port)), 5) as link:
        link.settimeout(None)
        link.sendall(encode_command(f"auth {PASSWORD}"))
        link.sendall(encode_command("event plain CHANNEL_CREATE"))
        thread = threading.Thread(target=_listen, args=(link, board), daemon=True)
        thread.start()
        yield board
        link.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _listen(link: socket.socket, board: Switchboard) -> None:
    framer = Framer()
    while data := link.recv(65536):
        for frame in framer.feed(data):
            if frame.content_type == "text/event-plain":
                event = parse_event(frame)
                made_at = int(event["Event-Date-Timestamp"]) / 1e6
                board.made.setdefault(event["Unique-ID"], made_at)
