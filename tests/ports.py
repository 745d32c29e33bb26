"""Ports for servers that are started a moment later than their port is chosen."""

import itertools
import os
import re
import socket
from collections.abc import Iterator

FIRST = 10_000
STRETCH = 1_000
"""Ports of one process of the run; ten fit below those that the kernel gives to anybody."""


def _stretch() -> Iterator[int]:
    worker = re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", ""))
    begin = FIRST + STRETCH * (int(worker) + 1 if worker else 0) % (10 * STRETCH)
    ports = range(begin, begin + STRETCH)
    middle = os.getpid() * 31 % STRETCH  # another run on this machine begins elsewhere
    return itertools.cycle([*ports[middle:], *ports[:middle]])


_PORTS = _stretch()


def free_port() -> int:
    """A loopback port that nobody listens on, and that no other test gets in the meantime.

    Not one that the kernel chooses: it gives the same one to the next who asks, or to a connection,
    before the server that shall have it has started.
    """
    for port in itertools.islice(_PORTS, STRETCH):
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port")
