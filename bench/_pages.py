"""Open pages of a bench, in a process of their own: `python -m bench._pages` reads a plan as JSON.

`open` is printed when every page has its whole state; at the end of its input it prints what
arrived: [[page, moment, state of the call box]], when the site itself told of each operator's call
[[user id, moment]] and, for the floor, the milliseconds from a publish on Redis to a bare socket.
"""

import asyncio
import json
import re
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

STATE = re.compile(r'class="pane call-status (\w+)"')
EVERY_S = 0.05


def bare_server(redis_url: str, port: int) -> Server:
    """The floor: what Redis says goes to the socket as it is."""

    def tell(socket: ServerConnection) -> None:
        with redis.from_url(redis_url) as link, link.pubsub() as heard:
            heard.subscribe("bench-floor")
            with suppress(ConnectionClosed):
                for message in heard.listen():
                    if message["type"] == "message":
                        socket.send(message["data"].decode())

    return serve(tell, "127.0.0.1", port, compression=None)


def publish(redis_url: str, stop: threading.Event) -> None:
    with redis.from_url(redis_url) as link:
        while not stop.wait(EVERY_S):
            link.publish("bench-floor", repr(time.time()))


def listen(redis_url: str, channel: str, told: list[tuple[int, float]]) -> None:
    """Note when the ledger has written something down and says so."""
    with redis.from_url(redis_url) as link, link.pubsub() as heard:
        heard.subscribe(channel)
        for message in heard.listen():
            if message["type"] == "message":
                now = time.time()
                told += [
                    (notice["ids"]["user_id"], now)
                    for notice in json.loads(message["data"])
                    if notice["topic"] == "call"
                ]


class Pages:
    """Every page's socket and what came on it."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.came: list[tuple[int, float, str]] = []
        self.floor_ms: list[float] = []
        self.lines = 0
        self.opened = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.floor())]
            for place, cookie in enumerate(self.plan["cookies"]):
                tasks.append(group.create_task(self.page(place, cookie)))
                await asyncio.sleep(0.02)
            while self.opened < len(tasks) - 1:
                await asyncio.sleep(0.05)
            print("open", flush=True)
            await asyncio.to_thread(sys.stdin.read)
            for task in tasks:
                task.cancel()

    async def page(self, place: int, cookie: str) -> None:
        origin = f"http://127.0.0.1:{self.plan['port']}"
        address = f"ws://127.0.0.1:{self.plan['port']}/live?page=call"
        headers = {"Cookie": f"calltree={cookie}"}
        async with connect(
            address, origin=origin, additional_headers=headers, compression=None
        ) as socket:
            fresh = True
            async for message in socket:
                now = time.time()
                text = str(message)
                if fresh and "operator-state" in text:
                    self.opened, fresh = self.opened + 1, False
                self.lines += 'id="call-lines"' in text
                if found := STATE.search(text):
                    self.came.append((place, now, found[1]))

    async def floor(self) -> None:
        async with connect(f"ws://127.0.0.1:{self.plan['bare_port']}", compression=None) as socket:
            async for message in socket:
                self.floor_ms.append((time.time() - float(message)) * 1000)


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    if "bare" in sys.argv:
        bare_server(plan["redis_url"], plan["bare_port"]).serve_forever()
        return
    pages, stop = Pages(plan), threading.Event()
    threading.Thread(target=publish, args=(plan["redis_url"], stop), daemon=True).start()
    told: list[tuple[int, float]] = []
    heard = (plan["redis_url"], plan["channel"], told)
    threading.Thread(target=listen, args=heard, daemon=True).start()
    asyncio.run(pages.run())
    stop.set()
    came = {"came": pages.came, "lines": pages.lines, "told": told}
    print(json.dumps({**came, "floor_ms": pages.floor_ms}))


if __name__ == "__main__":
    main()
