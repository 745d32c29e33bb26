"""Recorded traffic, and a scripted peer at the other end of a real socket."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from calltree.telephony.esl import EslUrl
from calltree.telephony.wire import (
    Command,
    CommandReader,
    Event,
    Framer,
    encode_frame,
    parse_event,
)

TRANSCRIPTS = Path(__file__).parent / "transcripts"

Answer = bytes | None


def transcript(name: str) -> bytes:
    """What was received in that story, whole or cut to what is read of it."""
    whole = TRANSCRIPTS / f"{name}.txt"
    return (whole if whole.exists() else TRANSCRIPTS / "cut" / f"{name}.txt").read_bytes()


def events_of(name: str) -> list[Event]:
    frames = Framer().feed(transcript(name))
    return [parse_event(frame) for frame in frames if frame.content_type.startswith("text/event")]


def reply(text: str, **headers: str) -> bytes:
    return encode_frame("command/reply", headers={"Reply-Text": text, **headers})


def api_response(text: str) -> bytes:
    return encode_frame("api/response", text.encode())


class ScriptedPeer:
    """Listens on loopback, signs every client in, then answers as the test's function says.

    The function gets each command and returns the bytes to send, or None to send nothing.
    """

    PASSWORD = "ClueCon"

    def __init__(self, answer: Callable[[Command], Answer]) -> None:
        self.answer = answer
        self.greeting: bytes = encode_frame("auth/request")
        self.commands: list[Command] = []
        self.connections: list[socket.socket] = []
        self.left = 0
        """Clients that went; all that they sent is in `commands`."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> EslUrl:
        return EslUrl("127.0.0.1", self._listener.getsockname()[1], self.PASSWORD)

    def send(self, data: bytes) -> None:
        """Say something unasked on the newest connection."""
        self.connections[-1].sendall(data)

    def hang_up(self) -> None:
        self.connections[-1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        reader = CommandReader()
        with connection:
            try:
                connection.sendall(self.greeting)
                while data := connection.recv(65536):
                    for command in reader.feed(data):
                        self.commands.append(command)
                        answer = self._answer(command)
                        if answer:
                            connection.sendall(answer)
            except OSError:
                return
            finally:
                self.left += 1

    def _answer(self, command: Command) -> Answer:
        if command.verb == "auth":
            right = command.argument == self.PASSWORD
            return reply("+OK accepted") if right else transcript("auth-failure")[28:]
        return self.answer(command)


def obedient(command: Command) -> Answer:
    """Repeats what it was asked."""
    if command.verb == "api":
        return api_response(command.argument)
    return reply("+OK", **{"Job-UUID": command.header("Job-UUID") or "none"})
