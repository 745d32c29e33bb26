"""The switch as one object: its legs, its gateways, its clock and its way of telling."""

import asyncio
import itertools
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calltree.practice.channels import Channel, Doing
from calltree.practice.clock import Clock
from calltree.practice.events import Bus, local_hostname
from calltree.practice.heard import Heard
from calltree.practice.originate import App
from calltree.practice.recording import Recordings

log = logging.getLogger(__name__)

VERSION = "1.10.12-release"
MAX_SESSIONS = 2000
HEARTBEAT_SECONDS = 20
FALLBACK_SECONDS = 2.0
"""So long a call that comes in waits for the application."""


@dataclass
class Gateway:
    """A trunk by name. `up` False is one whose OPTIONS ping failed: refused at once."""

    name: str
    up: bool = True
    calls_out: int = 0
    failed_out: int = 0


@dataclass
class Options:
    """How a practice switch is set up; everything has a sensible default."""

    password: str = "ClueCon"
    recordings: Path = Path("recordings")
    rate: float = 1.0
    seed: int = 1
    gateways: tuple[str, ...] = ("carrier",)


@dataclass
class Ordered:
    """Faults of the telephone side that were ordered and wait for their occasion."""

    refusals: deque[str] = field(default_factory=deque)
    early_ringback: bool = False
    fallback_s: float = FALLBACK_SECONDS


class Switch:
    """Holds what there is; the rules are in `calls`, `dialplan` and `outgoing`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.clock = Clock(options.rate)
        self.random = random.Random(options.seed)
        self.bus = Bus(self.clock.now_us, local_hostname())
        self.recordings = Recordings(options.recordings, self.clock.now_us)
        self.channels: dict[str, Channel] = {}
        self.gateways = {name: Gateway(name) for name in options.gateways}
        self.ordered = Ordered()
        self.heard = Heard()
        self.dialled: Counter[str] = Counter()
        """How often an originate asked for a channel of this id, refused ones too."""
        self.attempts: dict[str, int] = {}
        self.started_us = self.clock.now_us()
        self.session_count = 0
        self.peak = 0
        self.recent: deque[int] = deque(maxlen=MAX_SESSIONS)
        self.task_ids = itertools.count(1)
        self.scheduled: dict[int, tuple[str, asyncio.TimerHandle]] = {}
        self.run_extension: Callable[[Channel, str, str, str], None] = _no_dialplan
        self.run_apps: Callable[[Channel, list[App], str], None] = _no_dialplan
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Start work that nobody awaits; kept, so it is neither lost nor left behind."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the practice switch failed", exc_info=error)

    def add(self, channel: Channel) -> None:
        """Take a new leg in."""
        self.session_count += 1
        channel.session_id = self.session_count
        channel.times.created = self.clock.now_us()
        channel.variables = {
            "direction": channel.direction,
            "is_outbound": "true" if channel.direction == "outbound" else "false",
            "uuid": channel.uuid,
            "call_uuid": channel.uuid,
            "session_id": str(channel.session_id),
            "channel_name": channel.name,
        } | channel.variables
        self.channels[channel.uuid] = channel
        self.recent.append(channel.times.created)
        self.peak = max(self.peak, len(self.channels))

    def find(self, uuid: str) -> Channel | None:
        channel = self.channels.get(uuid)
        return channel if channel is not None and channel.doing is not Doing.ENDING else None

    def tell(self, name: str, channel: Channel, extra: Mapping[str, str] | None = None) -> None:
        """One event of a leg."""
        self.bus.publish(name, lambda: {**channel.headers(), **(extra or {})})

    def hears(self, channel: Channel, what: str) -> None:
        """Note what somebody who called in hears from now on."""
        self.heard.note(channel, what, self.clock.now_us())

    def per_second(self) -> int:
        horizon = self.clock.now_us() - 1_000_000
        return sum(1 for moment in self.recent if moment >= horizon)

    async def beat(self) -> None:
        """Send HEARTBEAT for ever."""
        while True:
            self.bus.publish("HEARTBEAT", self._pulse)
            await self.clock.sleep(HEARTBEAT_SECONDS)

    def _pulse(self) -> dict[str, str]:
        seconds = (self.clock.now_us() - self.started_us) // 1_000_000
        minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
        return {
            "Event-Info": "System Ready",
            "Up-Time": (
                f"0 years, {days} days, {hours % 24} hours, {minutes % 60} minutes, "
                f"{seconds % 60} seconds, 0 milliseconds, 0 microseconds"
            ),
            "FreeSWITCH-Version": VERSION,
            "Uptime-msec": str((self.clock.now_us() - self.started_us) // 1000),
            "Session-Count": str(len(self.channels)),
            "Max-Sessions": str(MAX_SESSIONS),
            "Session-Per-Sec": str(self.per_second()),
            "Session-Since-Startup": str(self.session_count),
            "Session-Peak-Max": str(self.peak),
            "Idle-CPU": "90.000000",
            "Heartbeat-Interval": str(HEARTBEAT_SECONDS),
        }


def _no_dialplan(*arguments: object) -> None:
    raise NotImplementedError("the switch was built without a dialplan")
