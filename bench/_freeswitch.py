"""A telephone site for a bench on a real FreeSWITCH, and a bare look at what happens there.

The environment says where it is, as for the tests against one: FREESWITCH_ESL_URL,
FREESWITCH_OPERATOR (a dial string that answers at once, for operators' legs; without it a number of
the test carrier) and FREESWITCH_RECORDINGS (a directory that it may write). It needs the test
carrier behind the gateway `carrier` (`flask --app wsgi switch config --test-carrier`).
"""

import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import update

from bench import NotHere, Options
from bench._telephone import Site, wait_for
from calltree.db import utcnow
from calltree.launch import own_redis
from calltree.models import LegKind, LegState, Operator
from calltree.services import operators
from calltree.services.setup import found
from calltree.services.trunks import DEFAULT_GATEWAY
from calltree.telephony.esl import EslUrl, Link, LinkDown
from calltree.telephony.wire import Framer, encode_command, parse_event

CALLER = "0501111111"
NUMBERS = {"stays": "0", "leaves": "4"}
"""Last digits of the test carrier: answers and stays; answers after 0.5 s and leaves after 1 s."""


def switch_url() -> str:
    """Where the FreeSWITCH is. Ends the bench with a plain word when there is none."""
    url = os.environ.get("FREESWITCH_ESL_URL", "")
    if not url:
        raise NotHere(
            "no FreeSWITCH to measure: FREESWITCH_ESL_URL is not set (esl://:password@host:8021)"
        )
    gateway = os.environ.get("FREESWITCH_GATEWAY", DEFAULT_GATEWAY)
    if gateway != DEFAULT_GATEWAY:
        raise NotHere(f"the test carrier must be behind the gateway {DEFAULT_GATEWAY}")
    try:
        Link.connect(EslUrl.parse(url)).close()
    except (LinkDown, ValueError) as error:
        raise NotHere(f"no FreeSWITCH to measure: {error}") from None
    return url


@contextmanager
def real_site(options: Options, esl_url: str, **env: str) -> Iterator[Site]:
    """Give a founded site with the roles on that switch, its link up; everything ends with it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calltree-bench-")))
        redis_url = stack.enter_context(own_redis.running(folder))
        site = Site(
            folder,
            options.database,
            redis_url,
            {"ESL_URL": esl_url, "SWITCH_RECORDINGS": str(_recordings(stack, folder)), **env},
        )
        stack.callback(site.stop)
        with site.store.write() as session:
            found(session, practice=False, now=utcnow()).lines = 200
        site.start("switch", "worker.py", "switch")
        site.start("calls", "worker.py", "calls")
        wait_for(site.link_up, "the link to the switch")
        yield site


def _recordings(stack: ExitStack, folder: Path) -> Path:
    """A directory of the bench's own where FreeSWITCH may write."""
    given = os.environ.get("FREESWITCH_RECORDINGS")
    if not given:
        return folder / "recordings"
    own = Path(given) / f"bench-{uuid.uuid4()}"
    stack.callback(shutil.rmtree, own, ignore_errors=True)
    return own


@dataclass(frozen=True)
class Happened:
    """An event: when it was read here, and its own stamp, both in seconds."""

    name: str
    leg: str
    read_at: float
    stamp: float


class Watch:
    """One bare link: reads events as they come, and can send a command on each at once."""

    def __init__(self, url: str, names: str) -> None:
        at = EslUrl.parse(url)
        self.seen: list[Happened] = []
        self.on_event: Callable[[Happened], str] | None = None
        """Gives the command that is to be sent right away, or ''."""
        self._framer = Framer()
        self._socket = socket.create_connection((at.host, at.port), 10)
        self._socket.settimeout(None)  # silence is no error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending = threading.Lock()
        self.send(f"auth {at.password}")
        self.send(f"event plain {names}")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def send(self, line: str) -> None:
        """Send a command; its reply is not waited for."""
        with self._sending:
            self._socket.sendall(encode_command(line))

    def _read(self) -> None:
        with suppress(OSError):
            while data := self._socket.recv(256 * 1024):
                now = time.time()
                for frame in self._framer.feed(data):
                    if frame.content_type == "text/event-plain":
                        self._take(parse_event(frame), now)

    def _take(self, event: "object", now: float) -> None:
        get = event.get
        stamp = int(get("Event-Date-Timestamp") or 0) / 1e6
        happened = Happened(str(get("Event-Name")), str(get("Unique-ID") or ""), now, stamp)
        command = self.on_event(happened) if self.on_event else ""
        if command:
            self.send(command)
        self.seen.append(happened)

    def first(self, name: str, leg: str) -> Happened | None:
        """The first of these events of that leg."""
        return next((one for one in list(self.seen) if (one.name, one.leg) == (name, leg)), None)

    def close(self) -> None:
        """Close the link."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@contextmanager
def watching(url: str, names: str) -> Iterator[Watch]:
    """A link of its own that sees these events."""
    watch = Watch(url, names)
    try:
        yield watch
    finally:
        watch.close()


def api(url: str, command: str) -> str:
    """Ask the switch itself, over a link of its own."""
    with Link.connect(EslUrl.parse(url)) as link:
        return link.api(command)


@contextmanager
def parked_legs(url: str, count: int) -> Iterator[list[str]]:
    """Operators' legs that answer and are parked, as a desk phone's are; ended at the end."""
    target = os.environ.get("FREESWITCH_OPERATOR") or f"sofia/gateway/{DEFAULT_GATEWAY}/0399999990"
    legs = [str(uuid.uuid4()) for _ in range(count)]
    with watching(url, "CHANNEL_PARK") as watch:
        try:
            for leg in legs:
                watch.send(
                    f"bgapi originate {{origination_uuid={leg},park_after_bridge=true,"
                    "hangup_after_bridge=false,absolute_codec_string=PCMU,"
                    f"origination_caller_id_number={CALLER}}}{target} &park"
                )
                wait_for(lambda leg=leg: watch.first("CHANNEL_PARK", leg), "an operator's leg")
            yield legs
        finally:
            for leg in legs:
                watch.send(f"api uuid_kill {leg}")
            wait_for(lambda: _none_left(url, legs), "the legs' end")


def _none_left(url: str, legs: list[str]) -> bool:
    with Link.connect(EslUrl.parse(url)) as link:
        return all(link.api(f"uuid_exists {leg}") != "true" for leg in legs)


def seat(site: Site, user_ids: list[int], legs: list[str]) -> None:
    """Make these parked legs the operators' own, as if their telephones had been called.

    As a page's leg: a lost one is not called again by the leader.
    """
    now = utcnow()
    for user_id, leg in zip(user_ids, legs, strict=True):
        with site.store.write() as session:
            session.execute(
                update(Operator).where(Operator.user_id == user_id).values(leg_kind=LegKind.BROWSER)
            )
            operators.connect_leg(session, user_id=user_id, uuid=leg, node=site.node, now=now)
            operators.leg_moved(session, user_id=user_id, uuid=leg, to=LegState.PARKED, now=now)
