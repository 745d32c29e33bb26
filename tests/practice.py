"""A practice switch of a test's own: started on a free port, ended with the test."""

import os
import signal
import socket
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType

from calltree.telephony.wire import Framer, encode_command
from tests.forked import Forked

PASSWORD = "lamp-otter"
START_SECONDS = 60

# its carrier answers by the last digit
STAYS = "0312345670"
BUSY = "0312345671"
RINGS_ON = "0312345672"
ANNOUNCEMENT = "0312345673"
LEAVES = "0312345674"
FAX = "0312345675"
REFUSES = "0312345677"
OUT_OF_REACH = "0312345678"
CONGESTED = "0312345698"
RATE = 5.0
"""How much quicker the carrier is where a test need not wait for it."""


class PracticeSwitch:
    """The process, its address and a way to order faults.

    `url` is what ESL_URL wants; `recordings` the only directory it records into.
    """

    def __init__(self, directory: Path, *, rate: float = 1.0, seed: int = 1, port: int = 0) -> None:
        self.recordings = directory / "recordings"
        reading, writing = Pipe(duplex=False)
        self.process = Forked(
            [
                *("calltree.practice", "--port", str(port), "--recordings", str(self.recordings)),
                *("--rate", str(rate), "--seed", str(seed)),
            ],
            env=os.environ | {"ESL_PASSWORD": PASSWORD},
            announce=writing,
        )
        writing.close()
        with reading, os.fdopen(os.dup(reading.fileno())) as announced:
            line = announced.readline()  # empty when the process ended instead
        if not line:
            raise RuntimeError(f"the practice switch ended with {self.process.wait()}")
        self.port = int(line)

    @property
    def url(self) -> str:
        return f"esl://:{PASSWORD}@127.0.0.1:{self.port}"

    def api(self, command: str) -> str:
        """The reply to one api command, over a link of its own."""
        framer = Framer()
        with socket.create_connection(("127.0.0.1", self.port), START_SECONDS) as link:
            link.sendall(encode_command(f"auth {PASSWORD}") + encode_command(f"api {command}"))
            while True:
                data = link.recv(65536)
                if not data:
                    return ""
                for frame in framer.feed(data):
                    if frame.content_type == "api/response":
                        return frame.body.decode()

    def order(self, fault: str) -> str:
        """Order a fault, for example `refuse 1 USER_BUSY`; see `calltree.practice.faults`."""
        reply = self.api(f"practice {fault}")
        if not reply.startswith("+OK") and fault.split()[0] != "drop":
            raise ValueError(reply.strip())
        return reply.strip()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as an administrator would; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_SECONDS)

    def __enter__(self) -> "PracticeSwitch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()
