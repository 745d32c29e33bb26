"""A way to a switch that can be shut."""

import socket
import threading
from contextlib import suppress

from calltree.telephony.esl import EslUrl


class Door:
    """A port that leads to the switch while it is open; shutting it cuts what goes through."""

    def __init__(self, url: str) -> None:
        self._to = EslUrl.parse(url)
        self._through: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.open()

    @property
    def url(self) -> str:
        """The switch's address, by way of this door."""
        return f"esl://:{self._to.password}@127.0.0.1:{self.port}"

    def open(self) -> None:
        """Let connections through from now on."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
            self._listener.close()
        for end in self._through:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._through.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _address = listener.accept()
                far = socket.create_connection((self._to.host, self._to.port), 5)
                far.settimeout(None)
                self._through += [near, far]
                for one, other in ((near, far), (far, near)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(256 * 1024):
            other.sendall(data)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
