"""Sending a body to an address that somebody typed: where it leads is looked at first.

The name is looked up once and the connection goes to the address that was found and judged, so a
name that changes between the two leads nowhere else. No redirect is followed and nothing of the
answer but its status is kept, so the sender cannot be used to read a network from inside.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from calltree.services.outbox import Answer
from calltree.text import networks

CONNECT_S = 5.0
WHOLE_S = 10.0
"""From the first packet to the end of the headers; a receiver that drips is cut off."""
ADDRESSES = 3
"""Of one name that are tried."""


class NotAllowedThere(Exception):
    """The address is in a network that webhooks may not reach."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Posts webhook deliveries. `allowed` are networks besides the public internet."""

    allowed: tuple[str, ...] = ()

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send and give what came of it; never raises for what the other side does."""
        began = time.monotonic()
        try:
            status = self._post(url, body, headers)
        except NotAllowedThere:
            return _answer(began, None, "address")
        except socket.gaierror:
            return _answer(began, None, "name")
        except ssl.SSLCertVerificationError:
            return _answer(began, None, "certificate")
        except TimeoutError:
            return _answer(began, None, "timeout")
        except (OSError, http.client.HTTPException, ValueError):
            late = time.monotonic() - began >= WHOLE_S
            return _answer(began, None, "timeout" if late else "connection")
        if 200 <= status < 300:
            return _answer(began, status, "")
        return _answer(began, status, "redirect" if 300 <= status < 400 else "status")

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        line = _connected(self._judged(host, port, secure), port)
        if secure:
            line = _secured(line, host)
        late = threading.Event()
        timer = threading.Timer(WHOLE_S, _cut, [line, late])
        timer.daemon = True
        timer.start()
        try:
            if isinstance(line, ssl.SSLSocket):
                line.do_handshake()
            link = http.client.HTTPConnection(host, port, timeout=CONNECT_S)
            link.sock = line
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            link.request("POST", path, body, headers)
            with link.getresponse() as answer:
                status = answer.status
        finally:
            timer.cancel()
            line.close()
        if late.is_set():  # half a status line reads as a whole one
            raise TimeoutError
        return status

    def _judged(self, host: str, port: int, secure: bool) -> list[str]:
        """Look a name up; every address it stands for must be one that may be reached."""
        found = [
            str(place[0])
            for *_kind, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        ]
        for address in found:
            inside = networks.holds(self.allowed, address)
            if not inside and not (secure and networks.is_public(address)):
                raise NotAllowedThere(address)
        return found


def signed(secret: bytes, *, event_key: str, body: bytes, now: datetime) -> dict[str, str]:
    """Give the headers of a delivery, signed as standardwebhooks.com says."""
    stamp = str(int(now.timestamp()))
    content = b".".join([event_key.encode(), stamp.encode(), body])
    digest = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "CALLTREE",
        "Webhook-Id": event_key,
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{digest}",
    }


def _connected(addresses: list[str], port: int) -> socket.socket:
    """Connect to the first that answers: a name may stand for an IPv6 address not reached here."""
    *others, last = addresses[:ADDRESSES]
    for address in others:
        try:
            return socket.create_connection((address, port), CONNECT_S)
        except OSError:
            continue
    return socket.create_connection((last, port), CONNECT_S)


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    """Take the connection over for TLS: from now on only this one can be cut, or closed."""
    return ssl.create_default_context().wrap_socket(
        plain, server_hostname=host, do_handshake_on_connect=False
    )


def _cut(line: socket.socket, late: threading.Event) -> None:
    late.set()
    try:
        # not SSLSocket's own, which drops the TLS that another thread reads by
        socket.socket.shutdown(line, socket.SHUT_RDWR)
    except OSError:
        return


def _answer(began: float, status: int | None, failure: str) -> Answer:
    return Answer(status, failure, int((time.monotonic() - began) * 1000))
