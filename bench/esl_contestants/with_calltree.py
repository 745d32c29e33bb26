"""Our own client."""

import time
from collections.abc import Callable
from typing import Any

from task import Get, main

from calltree.telephony.commands import ApiCommand
from calltree.telephony.esl import EslUrl, EventLink, Link
from calltree.telephony.wire import Event, Framer, parse_event


def url(port: int) -> EslUrl:
    return EslUrl("127.0.0.1", port, "ClueCon")


class Calltree:
    def stream(self, port: int, handle: Callable[[Get], bool]) -> None:
        with EventLink.connect(url(port)) as link:
            done = False
            while not done:
                event = link.next_event(30)
                if event is None:
                    raise TimeoutError
                done = handle(event.get)

    def parse(self, data: bytes, handle: Callable[[Get], bool]) -> None:
        framer = Framer()
        for start in range(0, len(data), 65536):
            for frame in framer.feed(data[start : start + 65536]):
                if handle(parse_event(frame).get):
                    return

    def collect(self, port: int, count: int) -> list[dict[str, Any]]:
        with EventLink.connect(url(port)) as link:
            return [self._as_dict(link.next_event(5)) for _ in range(count)]

    def order(self, port: int, count: int) -> list[str]:
        done = []
        with EventLink.connect(url(port)) as link:
            for _ in range(count):
                event = link.next_event(5)
                assert event is not None
                if int(event["Event-Sequence"]) % 10 == 0:
                    time.sleep(0.002)
                done.append(event["Event-Sequence"])
        return done

    def ask(self, port: int, lines: list[str], timeout_s: float) -> list[str]:
        replies = []
        with Link.connect(url(port)) as link:
            for line in lines:
                try:
                    replies.append(link.api(ApiCommand(line), timeout_s=timeout_s))
                except Exception as error:  # told like the other contestants' errors
                    replies.append(f"error: {type(error).__name__}")
                time.sleep(timeout_s)  # a late reply arrives meanwhile
        return replies

    def ignore(self, port: int, seconds: float) -> bool:
        with EventLink.connect(url(port)) as link:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and link.is_up:
                time.sleep(0.01)
            return link.is_up

    def _as_dict(self, event: Event | None) -> dict[str, Any]:
        if event is None:
            return {}
        return {**dict(event.items()), "_body": event.body.decode()}


main(Calltree())
