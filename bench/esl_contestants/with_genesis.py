"""Genesis: asyncio, a handler for every event on the loop's own thread."""

import asyncio
import io
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from genesis import Inbound
from genesis.protocol.reader_fsm import ESLReaderFSM
from task import Get, main

logging.disable(logging.CRITICAL)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


class Genesis:
    def stream(self, port: int, handle: Callable[[Get], bool]) -> None:
        async def work() -> None:
            done = asyncio.Event()

            async def handler(event: Any) -> None:
                if "Event-Name" in event and handle(event.get):
                    done.set()

            async with Inbound("127.0.0.1", port, "ClueCon") as client:
                client.on("*", handler)
                await client.send("event plain ALL")
                await asyncio.wait_for(done.wait(), 900)

        run(work())

    def parse(self, data: bytes, handle: Callable[[Get], bool]) -> None:
        """Its reading loop, line by line from a file, without tasks, queue and telemetry."""
        file = io.BufferedReader(io.BytesIO(data))
        machine = ESLReaderFSM()
        while True:
            block = ""
            while not block.endswith("\n\n"):
                line = file.readline()
                if not line:
                    return
                block += line.decode("utf-8")
            _, length = machine.process_headers(block)
            for event in machine.process_body(file.read(length)):
                if handle(event.get):
                    return

    def collect(self, port: int, count: int) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []

        async def handler(event: Any) -> None:
            seen.append({**event.data, "_body": event.body})

        async def work() -> None:
            async with Inbound("127.0.0.1", port, "ClueCon") as client:
                client.on("*", handler)
                await client.send("event plain ALL")
                await self._until(lambda: len(seen) >= count, 3)

        run(work())
        return seen

    def order(self, port: int, count: int) -> list[str]:
        done: list[str] = []

        async def handler(event: Any) -> None:
            if int(event["Event-Sequence"]) % 10 == 0:
                await asyncio.sleep(0.002)
            done.append(event["Event-Sequence"])

        async def work() -> None:
            async with Inbound("127.0.0.1", port, "ClueCon") as client:
                client.on("*", handler)
                await client.send("event plain ALL")
                await self._until(lambda: len(done) >= count, 5)

        run(work())
        return done

    def ask(self, port: int, lines: list[str], timeout_s: float) -> list[str]:
        replies: list[str] = []

        async def work() -> None:
            async with Inbound("127.0.0.1", port, "ClueCon") as client:
                for line in lines:
                    try:
                        reply = await asyncio.wait_for(client.send(f"api {line}"), timeout_s)
                        replies.append(reply.body or "")
                    except Exception as error:  # its own kinds of error are part of the result
                        replies.append(f"error: {type(error).__name__}")
                    await asyncio.sleep(timeout_s)

        run(work())
        return replies

    def ignore(self, port: int, seconds: float) -> bool:
        async def handler(_: Any) -> None:
            await asyncio.sleep(60)

        async def work() -> bool:
            async with Inbound("127.0.0.1", port, "ClueCon") as client:
                client.on("*", handler)
                await client.send("event plain ALL")
                await self._until(lambda: not client.is_connected, seconds)
                return client.is_connected

        return bool(run(work()))

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        for _ in range(int(seconds * 100)):
            if condition():
                return
            await asyncio.sleep(0.01)


main(Genesis())
