"""A bad way between a page and its switch: every packet of sound passes here, and some are lost.

`relayed.js` writes this relay's two ports into the SDP that both sides read, so it needs no right
on the machine and no change of the product.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

REWRITES = Path(__file__).with_name("relayed.js").read_text()


class Relay:
    """Two sockets back to back: `to_page` is what the page sends to, `to_switch` its counterpart.

    Each answers whoever spoke to it last.
    """

    def __init__(self) -> None:
        self.page_side, self.switch_side = _socket(), _socket()
        self.closed = False
        """Nothing passes at all, as behind a firewall."""
        self.lost = 0
        """RTP packets that were on their way to the page."""
        self._lose_every = 0
        self._counted = 0
        self._heard: dict[socket.socket, tuple[str, int]] = {}

    @property
    def script(self) -> str:
        """What the page must run before anything else of it."""
        ports = {
            "forPage": self.page_side.getsockname()[1],
            "forSwitch": self.switch_side.getsockname()[1],
        }
        return f"window.relayPorts = {ports};\n{REWRITES}"

    def lose(self, every: int) -> None:
        """Lose each so-manieth packet of sound towards the page: 1 all, 4 a quarter, 0 none.

        What is no sound (ICE, RTCP) passes always, as the way itself is there.
        """
        self._lose_every = every

    def carry(self, here: socket.socket, there: socket.socket) -> None:
        """Until the sockets are closed."""
        while True:
            try:
                packet, sender = here.recvfrom(4096)
            except OSError:
                return
            self._heard[here] = sender
            to = self._heard.get(there)
            if to is None or self.closed or (here is self.switch_side and self._loses(packet)):
                continue
            with suppress(OSError):
                there.sendto(packet, to)

    def _loses(self, packet: bytes) -> bool:
        if not _is_sound(packet):
            return False
        self._counted += 1
        lost = bool(self._lose_every) and self._counted % self._lose_every == 0
        self.lost += lost
        return lost


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


def _is_sound(packet: bytes) -> bool:
    """RTP by its first byte, and no RTCP by its second (RFC 5761, RFC 7983)."""
    return len(packet) > 12 and 128 <= packet[0] < 192 and not 64 <= packet[1] & 0x7F < 96


@contextmanager
def relaying() -> Iterator[Relay]:
    """A relay that runs."""
    relay = Relay()
    ways = [(relay.page_side, relay.switch_side), (relay.switch_side, relay.page_side)]
    threads = [threading.Thread(target=relay.carry, args=way, daemon=True) for way in ways]
    for thread in threads:
        thread.start()
    try:
        yield relay
    finally:
        for here, _there in ways:
            # a socket that is closed while somebody reads it does not wake them; a packet does
            with suppress(OSError):
                here.shutdown(socket.SHUT_RDWR)
            here.close()
        for thread in threads:
            thread.join(5)
