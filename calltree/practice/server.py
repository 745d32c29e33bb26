"""The event socket: links, what they subscribed to, and the commands of the protocol itself."""

import asyncio
import hmac
import logging
import uuid as uuids
from collections.abc import Coroutine

from calltree.practice import apis, calls, dialplan
from calltree.practice.events import CUSTOM, Event, Subscription
from calltree.practice.faults import Faults
from calltree.practice.switch import Options, Switch
from calltree.telephony.wire import Command, CommandReader, WireError, encode_frame

log = logging.getLogger(__name__)

GOODBYE = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
UNREAD_LIMIT_BYTES = 256 * 1024 * 1024
"""A client that does not read is dropped beyond this; FreeSWITCH keeps 100,000 events."""


class Link(asyncio.Protocol):
    """One client. Commands are answered strictly in order; `api` keeps the next one waiting."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._switch = server.switch
        self._reader = CommandReader()
        self._subscription = Subscription()
        self._format = "plain"
        self._authenticated = False
        self._listening = self._logging = False  # as the two flags of a real listener
        self._commands: asyncio.Queue[Command] = asyncio.Queue()
        self._work: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._server.faults.add_link(transport)
        self._write(encode_frame("auth/request"))
        self._work = self._switch.spawn(self._serve())

    def data_received(self, data: bytes) -> None:
        try:
            for command in self._reader.feed(data):
                self._commands.put_nowait(command)
        except WireError:
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._switch.bus.remove(self._subscription)
        if self._transport is not None:
            self._server.faults.remove_link(self._transport)
        if self._work is not None:
            self._work.cancel()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > UNREAD_LIMIT_BYTES:
                self._transport.abort()

    def _close(self) -> None:
        self._write(encode_frame("text/disconnect-notice", GOODBYE))
        if self._transport is not None:
            self._transport.close()

    def _reply(self, text: str, headers: dict[str, str] | None = None) -> None:
        self._write(encode_frame("command/reply", None, {"Reply-Text": text} | (headers or {})))

    def _hear(self, event: Event) -> None:
        self._write(event.json if self._format == "json" else event.plain)

    async def _serve(self) -> None:
        while True:
            command = await self._commands.get()
            pause = self._server.faults.frozen_for
            if pause:
                await asyncio.sleep(pause)
            try:
                await self._obey(command)
            except Exception:
                # The client waits for a reply that will not come: better no link than a mute one.
                log.exception("the practice switch could not obey a command")
                self._close()
                return

    async def _obey(self, command: Command) -> None:
        verb = command.verb
        if verb == "exit":
            self._reply("+OK bye")
            self._close()
        elif not self._authenticated:
            self._admit(command)
        elif verb == "api":
            text = await self._server.execute(command.argument)
            self._write(encode_frame("api/response", (text or "-ERR no reply\n").encode()))
        elif verb == "bgapi":
            self._start_job(command)
        else:
            self._control(verb, command)

    def _admit(self, command: Command) -> None:
        if command.verb not in ("auth", "userauth"):
            self._reply("-ERR command not found")
            return
        given = command.argument.rpartition(":")[2]
        expected = self._switch.options.password
        if hmac.compare_digest(given.encode(), expected.encode()):
            self._authenticated = True
            self._reply("+OK accepted")
            self._switch.bus.add(self._subscription, self._hear)
        else:
            self._reply("-ERR invalid")
            self._close()

    def _start_job(self, command: Command) -> None:
        job = command.header("Job-UUID") or str(uuids.uuid4())
        self._reply(f"+OK Job-UUID: {job}", {"Job-UUID": job})
        self._switch.spawn(self._server.job(job, command.argument))

    def _control(self, verb: str, command: Command) -> None:
        argument = command.argument
        if verb in ("event", "events"):  # FreeSWITCH compares the first five letters
            self._subscribe(argument)
        elif verb == "nixevent":
            self._unsubscribe(argument)
        elif verb == "noevents":
            self._subscription.names.clear()
            self._subscription.subclasses.clear()
            told = "+OK no longer listening for events"
            self._reply(told if self._listening else "-ERR not listening for events")
            self._listening = False
        elif verb == "filter":
            self._filter(argument)
        elif verb == "myevents":
            self._subscription.only_channel = argument.split()[0] if argument else None
            self._subscription.names.add("ALL")
            self._listening = True
            self._reply("+OK Events Enabled")
        elif verb == "sendevent":
            self._reply(self._send_event(command))
        elif verb == "sendmsg":
            self._reply(self._send_message(command))
        elif verb == "log":
            self._logging = True
            self._reply(f"+OK log level {argument} [{argument or '7'}]")
        elif verb == "nolog":
            # The misspelling is the real switch's.
            self._reply("+OK no longer logging" if self._logging else "-ERR not loging")
            self._logging = False
        elif verb in ("linger", "nolinger"):
            self._reply("-ERR not controlling a session")
        elif verb == "auth":
            self._reply("+OK accepted")
        else:
            self._reply("-ERR command not found")

    def _subscribe(self, argument: str) -> None:
        kind, *names = argument.split()
        if kind not in ("plain", "json", "xml"):
            names = [kind, *names]
            kind = "plain"
        if not names:
            self._reply("-ERR no keywords supplied")
            return
        self._format = "json" if kind == "json" else "plain"
        self._listening = True
        for position, name in enumerate(names):
            self._subscription.names.add(name.upper())
            if name.upper() == CUSTOM:
                # Everything after CUSTOM is a subclass; other events there are silently lost.
                self._subscription.subclasses.update(names[position + 1 :])
                break
        self._reply(f"+OK event listener enabled {kind}")

    def _unsubscribe(self, argument: str) -> None:
        names = argument.split()
        for position, name in enumerate(names):
            if name.upper() == CUSTOM:
                self._subscription.subclasses.difference_update(names[position + 1 :])
                break
            self._subscription.names.discard(name.upper())
        self._reply("+OK events nixed" if names else "-ERR no keywords supplied")

    def _filter(self, argument: str) -> None:
        words = argument.split(" ", 2)
        filters = self._subscription.filters
        if words[0] == "delete" and len(words) > 1:
            name, value = words[1], words[2] if len(words) > 2 else ""
            filters[:] = [
                f
                for f in filters
                if name.lower() != "all" and not (f[0] == name and value in ("", f[1]))
            ]
            self._reply(f"+OK filter deleted. [{name}][{value}]")
        elif len(words) > 1:
            name, value = words[0], argument.partition(" ")[2].strip()
            filters.append((name, value))
            self._reply(f"+OK filter added. [{name}]=[{value}]")
        else:
            self._reply("-ERR invalid syntax")

    def _send_event(self, command: Command) -> str:
        name = command.argument.split()[0].upper() if command.argument else ""
        if not name:
            return "-ERR invalid syntax"
        identity = str(uuids.uuid4())
        own = {k: v for k, v in command.headers.items() if k.lower() != "content-length"}
        subclass = own.pop("Event-Subclass", "")
        own["Event-UUID"] = identity
        own["Command"] = command.line
        self._switch.bus.publish(
            name, own, body=command.body.decode("utf-8", "replace"), subclass=subclass
        )
        return f"+OK {identity}"

    def _send_message(self, command: Command) -> str:
        channel = self._switch.find(command.argument)
        if channel is None:
            return f"-ERR invalid session id [{command.argument}]"
        wanted = command.header("call-command")
        if wanted == "hangup":
            calls.hangup(self._switch, channel, command.header("hangup-cause") or "NORMAL_CLEARING")
        elif wanted == "execute":
            app = command.header("execute-app-name") or ""
            data = command.header("execute-app-arg") or command.body.decode("utf-8", "replace")
            calls.transfer(self._switch, channel, f"m:\x01:{app}:{data}\x01park:", "inline", "")
        return "+OK"


class Server:
    """A switch with its socket."""

    def __init__(self, options: Options) -> None:
        self.switch = Switch(options)
        self.faults = Faults(self.switch)
        dialplan.install(self.switch)
        self._socket: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, for those who asked for any."""
        loop = asyncio.get_running_loop()
        self._socket = await loop.create_server(lambda: Link(self), host, port)
        self._forever(self.switch.beat())
        self._forever(self.switch.recordings.run())
        return int(self._socket.sockets[0].getsockname()[1])

    def _forever(self, work: Coroutine[object, object, None]) -> None:
        self.switch.spawn(work)

    async def execute(self, line: str) -> str:
        """One api command; `practice` is ours, the rest FreeSWITCH's."""
        name, _, argument = line.strip().partition(" ")
        if name == "practice":
            return self.faults.order(argument)
        return await apis.execute(self.switch, line)

    async def job(self, job: str, line: str) -> None:
        """Run a background job and tell its result."""
        text = await self.execute(line)
        name, _, argument = line.partition(" ")
        headers = {"Job-UUID": job, "Job-Command": name}
        if argument:
            headers["Job-Command-Arg"] = argument
        self.switch.bus.publish("BACKGROUND_JOB", headers, body=text)

    async def stop(self) -> None:
        """Hang every leg up with SYSTEM_SHUTDOWN, tell it, and close."""
        calls.shut_down(self.switch)
        await asyncio.sleep(0.1)
        self.switch.recordings.close()
        if self._socket is not None:
            self._socket.close()
        self.faults.close_links()
