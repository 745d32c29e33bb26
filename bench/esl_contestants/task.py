"""What every contestant does, and what it says on its standard output. Standard library only.

`stream`: a dot for each thousand events handled (the feeder keeps a window open by them), then one
line of JSON. Every other task prints one line of JSON alone.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

# telephony's list "headers that suffice"; variable_calltree_* by the names in the recorded traffic
HEADERS = (
    "Event-Name",
    "Unique-ID",
    "Event-Date-Timestamp",
    "Call-Direction",
    "Caller-Context",
    "Caller-Caller-ID-Number",
    "Caller-Destination-Number",
    "Answer-State",
    "Other-Leg-Unique-ID",
    "Hangup-Cause",
    "Job-UUID",
    "Job-Command",
    "Record-File-Path",
    "variable_calltree_call_id",
    "variable_calltree_campaign_id",
    "variable_calltree_user_id",
    "variable_calltree_leg",
    "variable_sip_term_status",
    "variable_hangup_cause_q850",
    "variable_sip_hangup_disposition",
    "variable_billmsec",
    "variable_record_ms",
    "Caller-Channel-Answered-Time",
)
DOT_EVERY = 1000

Get = Callable[[str], Any]


class Contestant(Protocol):
    def stream(self, port: int, handle: Callable[[Get], bool]) -> None:
        """Connect, subscribe, call `handle` for each event until it returns True."""

    def parse(self, data: bytes, handle: Callable[[Get], bool]) -> None:
        """The client's own parser alone, over a stream in memory."""

    def collect(self, port: int, count: int) -> list[dict[str, Any]]:
        """The headers of `count` events as the client gives them, the body as `_body`."""

    def order(self, port: int, count: int) -> list[str]:
        """Event-Sequence in the order in which a handler that sometimes waits is done."""

    def ask(self, port: int, lines: list[str], timeout_s: float) -> list[str]:
        """Send each command with a time-out; the reply's text, or `error: …`."""

    def ignore(self, port: int, seconds: float) -> bool:
        """Do not take events for so long; True when the client keeps hoarding them."""


class Tally:
    """Reads every header as text and counts characters, so that nobody can skip the work."""

    def __init__(self, events: int) -> None:
        self.left = events
        self.events = events
        self.characters = 0
        self.not_text = 0

    def __call__(self, get: Get) -> bool:
        for name in HEADERS:
            value = get(name)
            if value is None:
                continue
            if type(value) is not str:
                self.not_text += 1
                value = value[0]
            self.characters += len(value)
        self.left -= 1
        if self.left % DOT_EVERY == 0:
            sys.stdout.write(".\n")
            sys.stdout.flush()
        return self.left <= 0


def main(contestant: Contestant) -> None:
    task, place, number = sys.argv[1], sys.argv[2], float(sys.argv[3])
    if task in ("stream", "parse"):
        print(json.dumps(_timed(contestant, task, place, int(number))))
        return
    port = int(place)
    answer: Any
    if task == "collect":
        answer = contestant.collect(port, int(number))
    elif task == "order":
        answer = contestant.order(port, int(number))
    elif task == "ask":
        answer = contestant.ask(port, sys.argv[4:], number)
    else:
        answer = contestant.ignore(port, number)
    print(json.dumps(answer))


def _timed(contestant: Contestant, task: str, place: str, events: int) -> dict[str, float]:
    tally = Tally(events)
    data = b""
    if task == "parse":
        with open(place, "rb") as file:  # noqa: PTH123 - what the peers do
            data = file.read()
    wall, cpu = time.perf_counter(), time.process_time()
    if task == "stream":
        contestant.stream(int(place), tally)
    else:
        contestant.parse(data, tally)
    return {
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "events": tally.events - tally.left,
        "characters": tally.characters,
        "not_text": tally.not_text,
    }
