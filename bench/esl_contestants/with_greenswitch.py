"""greenswitch: gevent, a handler for every event."""

import io
import logging
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import greenswitch
from greenswitch.esl import ESLEvent, InboundESL
from task import Get, main

logging.disable(logging.CRITICAL)


class Greenswitch:
    def connect(self, port: int, handler: Callable[[Any], None]) -> InboundESL:
        client = greenswitch.InboundESL(host="127.0.0.1", port=port, password="ClueCon")
        client.connect()
        client.register_handle("*", handler)
        return client

    def stream(self, port: int, handle: Callable[[Get], bool]) -> None:
        done = gevent.event.Event()

        def handler(event: ESLEvent) -> None:
            if handle(event.headers.get):
                done.set()

        client = self.connect(port, handler)
        client.send("event plain ALL")
        done.wait(900)

    def parse(self, data: bytes, handle: Callable[[Get], bool]) -> None:
        """Its reading loop, line by line from a file, without greenlets and queue."""
        file = io.BufferedReader(io.BytesIO(data))
        buffer = ""
        while True:
            line = file.readline().decode("utf-8")
            if not line:
                return
            if line != "\n":
                buffer += line
                continue
            event = ESLEvent(buffer)
            buffer = ""
            event.parse_data(file.read(int(event.headers["Content-Length"])).decode("utf-8"))
            if handle(event.headers.get):
                return

    def collect(self, port: int, count: int) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        client = self.connect(
            port, lambda e: seen.append({**e.headers, "_body": getattr(e, "data", "")})
        )
        client.send("event plain ALL")
        self._until(lambda: len(seen) >= count, 3)
        return seen

    def order(self, port: int, count: int) -> list[str]:
        done: list[str] = []

        def handler(event: ESLEvent) -> None:
            if int(event.headers["Event-Sequence"]) % 10 == 0:
                gevent.sleep(0.002)
            done.append(event.headers["Event-Sequence"])

        client = self.connect(port, handler)
        client.send("event plain ALL")
        self._until(lambda: len(done) >= count, 5)
        return done

    def ask(self, port: int, lines: list[str], timeout_s: float) -> list[str]:
        client = self.connect(port, lambda _: None)
        replies = []
        for line in lines:
            try:
                with gevent.Timeout(timeout_s):
                    replies.append(client.send(f"api {line}").data)
            except (Exception, gevent.Timeout) as error:
                replies.append(f"error: {type(error).__name__}")
            gevent.sleep(timeout_s)
        return replies

    def ignore(self, port: int, seconds: float) -> bool:
        client = self.connect(port, lambda _: gevent.sleep(60))
        client.send("event plain ALL")
        self._until(lambda: not client.connected, seconds)
        return client.connected

    def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        with gevent.Timeout(seconds, False):
            while not condition():
                gevent.sleep(0.01)


main(Greenswitch())
