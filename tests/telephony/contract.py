"""What the contract tests speak with: a raw link, and the three switches they are held against.

Nothing of our client is used, so a fault in it cannot hide one in a switch.
"""

import os
import re
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import pytest

from calltree.telephony.wire import Event, Frame, Framer, encode_command, parse_event
from tests.telephony.scripted import transcript

NAMES = (
    "CHANNEL_CREATE CHANNEL_ORIGINATE CHANNEL_OUTGOING CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA "
    "CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_PARK CHANNEL_UNPARK CHANNEL_HOLD "
    "CHANNEL_UNHOLD CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY BACKGROUND_JOB "
    "RECORD_START RECORD_STOP PLAYBACK_START PLAYBACK_STOP DTMF MEDIA_BUG_START MEDIA_BUG_STOP "
    "CUSTOM calltree::contract"
)
NUMBERS = {
    "answers": "0312345670",
    "busy": "0312345671",
    "rings": "0312345672",
    "early 404": "0312345673",
    "leaves": "0312345674",
    "fax": "0312345675",
    "voicemail": "0312345676",
    "refuses": "0312345677",
    "unavailable": "0312345678",
    "congested": "0312345698",
}
PATIENCE_SECONDS = 60.0


class Link:
    """One link to a switch: send a command, get its reply; events are kept in order."""

    def __init__(self, url: str, *, sign_in: bool = True) -> None:
        parts = urlsplit(url)
        self._framer = Framer()
        self._waiting: list[Frame] = []
        self.events: list[Event] = []
        self.socket = socket.create_connection(
            (parts.hostname or "", parts.port or 8021), PATIENCE_SECONDS
        )
        self.greeting = self._frame()
        if sign_in:
            assert self.send(f"auth {unquote(parts.password or '')}") == "+OK accepted"

    def _frame(self) -> Frame:
        while not self._waiting:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the switch closed the link")
            self._waiting += self._framer.feed(data)
        return self._waiting.pop(0)

    def frame(self) -> Frame:
        """The next frame that is no event."""
        while True:
            frame = self._frame()
            if not frame.content_type.startswith("text/event-"):
                return frame
            self.events.append(parse_event(frame))

    def send(self, line: str, headers: dict[str, str] | None = None) -> str:
        """The reply to one command, as text."""
        self.socket.sendall(encode_command(line, headers))
        frame = self.frame()
        return frame.headers.get("Reply-Text", frame.body.decode())

    def api(self, command: str) -> str:
        return self.send(f"api {command}")

    def job(self, command: str) -> str:
        """Start a job under an id of our own."""
        job = str(uuid.uuid4())
        reply = self.send(f"bgapi {command}", {"Job-UUID": job})
        assert reply == f"+OK Job-UUID: {job}"
        return job

    def wait(self, name: str, *, header: str = "Unique-ID", value: str) -> Event:
        """The next (or an earlier) event of that name whose header has that value."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        seen = 0
        while time.monotonic() < deadline:
            for event in self.events[seen:]:
                if event.name == name and event.get(header) == value:
                    return event
            seen = len(self.events)
            frame = self._frame()
            assert frame.content_type.startswith("text/event-"), frame
            self.events.append(parse_event(frame))
        raise AssertionError(f"no {name} with {header}: {value}")

    def close(self) -> None:
        self.socket.close()


@dataclass
class Story:
    """What was heard about one call: its events in order, and the job that made it."""

    uuid: str
    events: list[Event]
    operator: str = ""
    replies: list[str] = field(default_factory=list)

    def order(self, *, of: str = "") -> list[str]:
        """The names of a leg's events; the job may come anywhere, so it is left out."""
        wanted = of or self.uuid
        return [
            e.name.removeprefix("CHANNEL_") for e in self.events if e.get("Unique-ID") == wanted
        ]

    def both(self) -> list[str]:
        """Names of both legs' events, `C:` the customer's, `A:` the operator's."""
        sides = {self.uuid: "C", self.operator: "A"}
        return [
            f"{sides[e['Unique-ID']]}:{e.name.removeprefix('CHANNEL_')}"
            for e in self.events
            if e.get("Unique-ID") in sides
        ]

    def event(self, name: str) -> Event:
        return next(e for e in self.events if e.name == name and e.get("Unique-ID") == self.uuid)

    @property
    def job(self) -> str:
        """What the originate answered."""
        return next(
            e.body.decode().strip()
            for e in self.events
            if e.name == "BACKGROUND_JOB" and self.uuid in (e.get("Job-Command-Arg") or "")
        )

    def place(self, name: str) -> int:
        return self.events.index(self.event(name))


def recorded(name: str) -> Story:
    """A story as a real FreeSWITCH told it once."""
    frames = Framer().feed(transcript(name))
    events = [parse_event(f) for f in frames if f.content_type.startswith("text/event-")]
    sent = transcript(f"{name}.sent").decode()
    customer = _customer_of(sent, events)
    bridge = re.search(rf"uuid_bridge {customer} ([0-9a-f-]{{36}})", sent)
    beside = re.search(r"uuid_broadcast ([0-9a-f-]{36})", sent)
    operator = bridge or beside
    replies = [f.body.decode() for f in frames if f.content_type == "api/response"]
    return Story(customer, events, operator[1] if operator else "", replies)


def _customer_of(sent: str, events: list[Event]) -> str:
    """Whom a story is about: who was dialled in it, else who called in, else who was parted."""
    if dialled := re.search(r"origination_uuid=([0-9a-f-]{36})", sent):
        return dialled[1]
    for name, direction in (("CHANNEL_CREATE", "inbound"), ("CHANNEL_UNBRIDGE", "outbound")):
        for event in events:
            if event.name == name and event.get("Call-Direction") == direction:
                return event["Unique-ID"]
    raise AssertionError("nobody is called in this story")


class Live:
    """A running switch, practice or real, and the numbers of its test carrier.

    A real one is given by FREESWITCH_ESL_URL; FREESWITCH_GATEWAY, FREESWITCH_NUMBER_<WHAT> (for
    example FREESWITCH_NUMBER_EARLY_404), FREESWITCH_OPERATOR (a dial string that answers at once),
    FREESWITCH_DOWN_GATEWAY (one whose OPTIONS ping fails), FREESWITCH_CALL_IN (a dial string that
    reaches the same switch as a carrier's call does, at a number without a route of its own) and
    FREESWITCH_RECORDINGS (a directory it may write) say what its laboratory looks like.
    """

    def __init__(self, url: str, *, real: bool, rate: float, recordings: str) -> None:
        self.url, self.real, self.rate, self.recordings = url, real, rate, recordings
        self.gateway = os.environ.get("FREESWITCH_GATEWAY", "carrier") if real else "carrier"
        self.link = Link(url)
        self.link.send(f"event plain {NAMES}")

    def connect_again(self) -> None:
        """After a link was lost."""
        self.link.close()
        self.link = Link(self.url)
        self.link.send(f"event plain {NAMES}")

    def number(self, what: str) -> str:
        variable = "FREESWITCH_NUMBER_" + what.upper().replace(" ", "_")
        return os.environ.get(variable, NUMBERS[what]) if self.real else NUMBERS[what]

    def dial(self, what: str, *, gateway: str = "", **variables: str) -> Story:
        """Originate to a number of the test carrier and park it."""
        customer = str(uuid.uuid4())
        known = {
            "origination_uuid": customer,
            "originate_timeout": "25",
            "origination_caller_id_number": "0501112222",
            "calltree_call_id": "4711",
        } | variables
        text = ",".join(f"{name}={value}" for name, value in known.items())
        self.link.job(
            f"originate {{{text}}}sofia/gateway/{gateway or self.gateway}/{self.number(what)} &park"
        )
        return Story(customer, self.link.events)

    def dial_early(self) -> tuple[Story, Callable[[], None]]:
        """Originate to somebody whose carrier sends ringing as sound; and what answers there."""
        if not self.real:
            self.link.api("practice ringback early")
            story = self.dial("rings")
            self.link.wait("CHANNEL_PROGRESS_MEDIA", value=story.uuid)
            self.link.api("practice ringback local")
            return story, lambda: self._practise(f"answer {story.uuid}")
        story, far = self._originate_in()
        assert self.link.api(f"uuid_transfer {far} 'pre_answer:,park:' inline") == "+OK\n"
        self.link.wait("CHANNEL_PROGRESS_MEDIA", value=story.uuid)
        return story, lambda: self._answer(far)

    def call_in(self, *, waits_s: int = 600) -> tuple[Story, Callable[[], None]]:
        """Somebody calls one of our numbers; and what makes them hang up.

        `waits_s` is how long the practice switch waits to be told what becomes of them.
        """
        if self.real:
            caller, leg = self._originate_in()
            return Story(leg, self.link.events), lambda: self._hang_up(caller.uuid)
        self.link.api(f"practice fallback {waits_s}")
        leg = self.link.api("practice inbound 09011112222 0312340001").split()[1]
        self.link.wait("CHANNEL_PROGRESS", value=leg)
        return Story(leg, self.link.events), lambda: self._practise(f"leave {leg}")

    def _originate_in(self) -> tuple[Story, str]:
        """Call the switch by itself: the calling leg's story, and the leg that came in."""
        way = os.environ.get("FREESWITCH_CALL_IN", "")
        if not way:
            pytest.skip("nobody can call in: FREESWITCH_CALL_IN is not set")
        calling, before = str(uuid.uuid4()), len(self.link.events)
        self.link.job(
            f"originate {{origination_uuid={calling},originate_timeout=60,calltree_call_id=4711,"
            f"origination_caller_id_number=09011112222,absolute_codec_string=PCMU}}{way} &park"
        )
        known = self.link.events[:before]
        del self.link.events[:before]
        arrived = self.link.wait("CHANNEL_PROGRESS", header="Call-Direction", value="inbound")
        self.link.events[:0] = known
        return Story(calling, self.link.events), arrived["Unique-ID"]

    def _practise(self, order: str) -> None:
        assert self.link.api(f"practice {order}") == "+OK\n"

    def _answer(self, leg: str) -> None:
        assert self.link.api(f"uuid_answer {leg}") == "+OK\n"

    def _hang_up(self, leg: str) -> None:
        assert self.link.api(f"uuid_kill {leg}") == "+OK\n"

    def operator(self) -> str:
        """An operator's leg, answered, parked, and parked again after each call."""
        leg = str(uuid.uuid4())
        target = "user/1001"
        if self.real:
            target = os.environ.get(
                "FREESWITCH_OPERATOR", f"sofia/gateway/{self.gateway}/{self.number('answers')}"
            )
        self.link.job(
            f"originate {{origination_uuid={leg},park_after_bridge=true,"
            f"hangup_after_bridge=false}}{target} &park"
        )
        self.link.wait("CHANNEL_PARK", value=leg)
        return leg

    def finish(self, story: Story, *, kill: bool = False) -> Story:
        """Wait for the end of a story, the job included."""
        if kill:
            assert self.link.api(f"uuid_kill {story.uuid}") == "+OK\n"
        self.link.wait("CHANNEL_DESTROY", value=story.uuid)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if any(story.uuid in (e.get("Job-Command-Arg") or "") for e in self.link.events):
                return story
            self.link.wait("BACKGROUND_JOB", header="Job-UUID", value=self._sync())
        raise AssertionError("the originate never answered")

    def finish_leg(self, leg: str) -> None:
        self.link.api(f"uuid_kill {leg}")
        self.link.wait("CHANNEL_DESTROY", value=leg)

    def _sync(self) -> str:
        """A job of no consequence; whatever was on its way comes before it or soon after."""
        return self.link.job("status")

    def close(self) -> None:
        if not self.real:
            self.link.api("practice calm")
        legs = {e["Unique-ID"] for e in self.link.events if "Unique-ID" in e}
        for leg in legs:
            self.link.api(f"uuid_kill {leg}")
        # Gone, so that the next test hears (and loses, and delays) nothing of this one.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(self.link.api(f"uuid_exists {leg}") == "true" for leg in legs):
            assert time.monotonic() < deadline, "legs do not end"
        self.link.close()


def bridged(source: Live, what: str = "fax", **variables: str) -> Story:
    """A customer joined with a parked operator's leg."""
    leg = source.operator()
    story = source.dial(what, **variables)
    story.operator = leg
    source.link.wait("CHANNEL_PARK", value=story.uuid)
    reply = source.link.api(f"uuid_bridge {story.uuid} {leg}")
    assert reply == f"+OK {leg}\n"
    source.link.wait("CHANNEL_BRIDGE", value=story.uuid)
    return story
