"""A desk phone of a test's own: registers by SIP, rings, is picked up, speaks a tone and listens.

As much of SIP over UDP as a plain telephone on this machine needs: nothing is lost here, so nothing
is sent twice.
"""

import hashlib
import math
import re
import select
import socket
import struct
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tests.sounds import loudness

HZ = 600
"""What its owner says as long as it is off the hook."""
_HEAD = re.compile(r"^([A-Za-z-]+): (.*?)\r?$", re.MULTILINE)
_LOUD = 3
"""The exponent of a sample that is more than noise."""


def _mu_law(sample: int) -> int:
    size = min(abs(sample) + 132, 32767)
    exponent = size.bit_length() - 8
    coded = (0x80 if sample < 0 else 0) | exponent << 4 | (size >> (exponent + 3)) & 15
    return ~coded & 0xFF


def _linear(byte: int) -> int:
    coded = ~byte & 0xFF
    size = (((coded & 15) << 3) + 132 << ((coded >> 4) & 7)) - 132
    return -size if coded & 0x80 else size


_LINEAR = [_linear(byte) for byte in range(256)]


def tone(hertz: int) -> bytes:
    """Twenty milliseconds of a tone; a multiple of 50 Hz goes on without a click."""
    return bytes(_mu_law(int(9000 * math.sin(2 * math.pi * hertz * n / 8000))) for n in range(160))


class Sound:
    """RTP of one call: the tone twenty milliseconds at a time, and whether anything is heard."""

    def __init__(self, hertz: int = HZ) -> None:
        self.socket = _bound()
        self.port = self.socket.getsockname()[1]
        self._tone = tone(hertz)
        self._last: deque[bytes] = deque(maxlen=50)
        self.peer: tuple[str, int] | None = None
        self.loud = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        count, due = 0, time.monotonic()
        while not self._over.is_set():
            if self.peer is not None and time.monotonic() >= due:
                head = struct.pack("!BBHII", 0x80, 0, count & 0xFFFF, count * 160, 0x600)
                self.socket.sendto(head + self._tone, self.peer)
                count, due = count + 1, due + 0.02
            if select.select([self.socket], [], [], 0.01)[0]:
                heard = self.socket.recv(2048)[12:]
                self.loud += any((~byte >> 4) & 7 >= _LOUD for byte in heard)
                self._last.append(heard)

    def forget(self) -> None:
        """What was heard up to now."""
        self._last.clear()

    def hears(self, hertz: int) -> float | None:
        """How loud a tone is in the last second, of which a voice of ours says 4500; None: too
        little was heard yet.
        """
        if len(self._last) < 50:
            return None
        return loudness([_LINEAR[byte] for packet in list(self._last) for byte in packet], hertz)

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self.socket.close()


class SipPhone:
    """One telephone; `rings`, `talks` and `registered` may be asked at any time."""

    def __init__(
        self, user: str, password: str, port: int, domain: str = "calltree", hertz: int = HZ
    ) -> None:
        self.registered: bool | None = None
        """None until the switch has said."""
        self.rang = 0
        self.talks = False
        self.sound: Sound | None = None
        self._user, self._password, self._domain = user, password, domain
        self._hertz = hertz
        self._switch = ("127.0.0.1", port)
        self._socket = _bound()
        self._here = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._invite: str = ""
        self._tag = uuid.uuid4().hex[:8]
        self._sequence = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> "SipPhone":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._hang()
        self._socket.close()

    # --- what its owner does

    def register(self) -> None:
        """Sign in; `registered` tells what came of it."""
        self._call_id = str(uuid.uuid4())
        self._send_register()

    @property
    def rings(self) -> bool:
        return bool(self._invite) and not self.talks

    def pick_up(self) -> None:
        peer = re.search(r"^c=IN IP4 (\S+)", self._invite, re.MULTILINE)
        port = re.search(r"^m=audio (\d+)", self._invite, re.MULTILINE)
        assert peer is not None, "it does not ring"
        assert port is not None, "no place for sound"
        self.sound = Sound(self._hertz)
        self.sound.peer = (peer[1], int(port[1]))
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.sound.port} RTP/AVP 0\r\na=ptime:20\r\n"
        )
        self.talks = True
        self._answer(self._invite, "200 OK", sdp)

    def put_down(self) -> None:
        head = _head(self._invite)
        target = head["Contact"].split("<")[-1].split(">")[0]
        ours = f"{head['To']};tag={self._tag}"
        self._send(
            f"BYE {target} SIP/2.0",
            {"From": ours, "To": head["From"], "Call-ID": head["Call-ID"], "CSeq": "1 BYE"},
        )
        self._hang()

    # --- what comes

    def _run(self) -> None:
        kinds: dict[str, Callable[[str], None]] = {
            "INVITE": self._invited, "BYE": self._ended, "CANCEL": self._cancelled,
        }  # fmt: skip
        while not self._over.is_set():
            if not select.select([self._socket], [], [], 0.05)[0]:
                continue
            text = self._socket.recv(65536).decode()
            first = text.split(" ", 1)[0]
            if first == "SIP/2.0":
                self._told(text)
            elif first in kinds:
                kinds[first](text)
            elif first != "ACK":
                self._answer(text, "200 OK")

    def _invited(self, text: str) -> None:
        if _head(text)["Call-ID"] == _head(self._invite).get("Call-ID"):
            return  # sent again before we had answered
        self._invite = text
        self.rang += 1
        self._answer(text, "180 Ringing")

    def _cancelled(self, text: str) -> None:
        self._answer(text, "200 OK")
        self._answer(self._invite, "487 Request Terminated")
        self._hang()

    def _ended(self, text: str) -> None:
        self._answer(text, "200 OK")
        self._hang()

    def _hang(self) -> None:
        self._invite, self.talks = "", False
        if self.sound is not None:
            self.sound.end()
            self.sound = None

    def _told(self, text: str) -> None:
        head = _head(text)
        if not head["CSeq"].endswith("REGISTER") or text.startswith("SIP/2.0 1"):
            return
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', head.get("WWW-Authenticate", "")))
        if text.startswith("SIP/2.0 401") and self._sequence == 1:
            self._send_register(challenge)
        else:
            self.registered = text.startswith("SIP/2.0 200")

    # --- what goes

    def _send_register(self, challenge: dict[str, str] | None = None) -> None:
        self._sequence += 1
        address = f"sip:{self._user}@{self._domain}"
        fields = {
            "From": f"<{address}>;tag={self._tag}",
            "To": f"<{address}>",
            "Call-ID": self._call_id,
            "CSeq": f"{self._sequence} REGISTER",
            "Contact": f"<sip:{self._user}@{self._here}>",
            "Expires": "600",
        }
        if challenge is not None:
            fields["Authorization"] = self._proof(challenge)
        self._send(f"REGISTER sip:{self._domain} SIP/2.0", fields)

    def _proof(self, challenge: dict[str, str]) -> str:
        uri = f"sip:{self._domain}"
        given: dict[str, Any] = {
            "username": self._user, "realm": challenge["realm"], "nonce": challenge["nonce"],
            "uri": uri, "cnonce": "c", "algorithm": "MD5",
        }  # fmt: skip
        secret = _md5(f"{self._user}:{challenge['realm']}:{self._password}")
        asked = _md5(f"REGISTER:{uri}")
        given["response"] = _md5(f"{secret}:{challenge['nonce']}:00000001:c:auth:{asked}")
        said = ", ".join(f'{name}="{value}"' for name, value in given.items())
        return f"Digest {said}, nc=00000001, qop=auth"

    def _send(self, first: str, fields: dict[str, str]) -> None:
        via = f"SIP/2.0/UDP {self._here};branch=z9hG4bK{uuid.uuid4().hex};rport"
        self._put(first, {"Via": via, "Max-Forwards": "70", **fields})

    def _answer(self, request: str, status: str, sdp: str = "") -> None:
        head = _head(request)
        fields = {name: head[name] for name in ("Via", "From", "To", "Call-ID", "CSeq")}
        if ";tag=" not in fields["To"]:
            fields["To"] += f";tag={self._tag}"
        if sdp:
            fields["Content-Type"] = "application/sdp"
        self._put(
            f"SIP/2.0 {status}", fields | {"Contact": f"<sip:{self._user}@{self._here}>"}, sdp
        )

    def _put(self, first: str, fields: dict[str, str], body: str = "") -> None:
        lines = [first, *(f"{name}: {value}" for name, value in fields.items())]
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        self._socket.sendto(text.encode(), self._switch)


def _bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


def _head(text: str) -> dict[str, str]:
    return dict(_HEAD.findall(text.partition("\r\n\r\n")[0]))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
