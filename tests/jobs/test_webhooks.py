"""R-AR-3: deliveries over real sockets: signed, judged by address, no redirect, no dripping."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from calltree.db import Store, utcnow
from calltree.jobs import webhooks as job
from calltree.models import Role, Webhook, WebhookDelivery
from calltree.posting import Sender
from calltree.services import webhooks
from calltree.services.outbox import Answer
from calltree.services.rights import Viewer
from calltree.services.webhooks import Event, WebhookDetails
from calltree.text import networks
from tests import factories as make
from tests.certificates import make_certificate

KEY = "key of the tests"
HERE = Sender(("127.0.0.0/8",))


class Receiver(ThreadingHTTPServer):
    """Another program's web server on loopback: keeps what comes, answers what it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.came.append((self.path, dict(self.headers), body))
        status = server.answers.pop(0) if server.answers else 204
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", f"{server.url}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _webhook(store: Store, url: str) -> tuple[int, str]:
    with store.write() as session:
        make.make_site(session)
        viewer = Viewer.of(make.make_user(session, Role.MANAGER))
        details = WebhookDetails("受信側", url, (Event.CALL_ENDED,))
        row, secret = webhooks.create(
            session, viewer=viewer, details=details, key=KEY, now=utcnow()
        )
        for number in range(3):
            session.add(
                WebhookDelivery(
                    webhook_id=row.id,
                    event="call.ended",
                    event_key=f"call-{number}",
                    body=json.dumps({"id": f"call-{number}", "名前": "山田"}, ensure_ascii=False),
                    created_at=utcnow(),
                    due_at=utcnow(),
                )
            )
        return row.id, secret


def _deliver(store: Store, sender: Sender = HERE) -> int:
    return job.deliver_in(store, sender.post, key=KEY, clock=utcnow)


def _log(store: Store) -> list[WebhookDelivery]:
    with store.read() as session:
        return list(session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def test_R_AR_3_deliveries_arrive_in_order_signed_and_logged(
    store: Store, receiver: Receiver
) -> None:
    _id, secret = _webhook(store, f"{receiver.url}/hook?of=calltree")
    assert _deliver(store) == 3
    assert [headers["Webhook-Id"] for _path, headers, _body in receiver.came] == [
        "call-0", "call-1", "call-2",
    ]  # fmt: skip
    path, headers, body = receiver.came[0]
    assert path == "/hook?of=calltree"
    assert headers["Content-Type"] == "application/json"
    # as docs/how-to/api.md tells a receiver to do it
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["Webhook-Signature"] == f"v1,{right}"
    assert abs(int(headers["Webhook-Timestamp"]) - utcnow().timestamp()) < 300
    assert [(one.status, one.failure, one.due_at) for one in _log(store)] == [(204, "", None)] * 3
    assert _deliver(store) == 0


def test_R_AR_3_a_failing_receiver_costs_one_try(store: Store, receiver: Receiver) -> None:
    _webhook(store, receiver.url)
    receiver.answers = [503]
    assert _deliver(store) == 1
    first, *rest = _log(store)
    assert (first.status, first.failure, first.tries) == (503, "status", 1)
    assert [one.tries for one in rest] == [0, 0]
    assert len(receiver.came) == 1


def test_R_AR_3_a_slow_receiver_costs_one_try(store: Store) -> None:
    _webhook(store, "https://slow.example.jp/")
    tried: list[str] = []

    def slow(url: str, _body: bytes, _headers: dict[str, str]) -> Answer:
        tried.append(url)
        return Answer(200, "", 9000)

    assert job.deliver_in(store, slow, key=KEY, clock=utcnow) == 1
    assert len(tried) == 1
    assert [one.delivered_at is None for one in _log(store)] == [False, True, True]


def test_R_AR_3_one_rejected_delivery_does_not_hold_up_the_next(
    store: Store, receiver: Receiver
) -> None:
    _webhook(store, receiver.url)
    receiver.answers = [422]
    assert _deliver(store) == 3
    assert [one.status for one in _log(store)] == [422, 204, 204]


def test_R_AR_3_a_job_whose_time_is_over_leaves_the_rest_to_the_next(
    store: Store, receiver: Receiver
) -> None:
    _webhook(store, receiver.url)

    def slow(url: str, body: bytes, headers: dict[str, str]) -> Answer:
        over.wait(0.2)
        return HERE.post(url, body, headers)

    over = threading.Event()  # never set: the first try outlasts the budget
    assert job.deliver_in(store, slow, key=KEY, clock=utcnow, budget_s=0.1) <= 1
    assert _deliver(store) >= 2
    assert [one.status for one in _log(store)] == [204] * 3
    assert [one.tries for one in _log(store)] == [1] * 3


def test_R_AR_3_no_redirect_is_followed(store: Store, receiver: Receiver) -> None:
    _webhook(store, f"{receiver.url}/hook")
    receiver.answers = [307, 301, 302]
    _deliver(store)
    assert {path for path, _headers, _body in receiver.came} == {"/hook"}
    assert {one.failure for one in _log(store)} == {"redirect"}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254"])
def test_R_AR_3_nothing_is_sent_to_ourselves_or_a_private_network(
    receiver: Receiver, scheme: str, host: str
) -> None:
    port = receiver.server_address[1]
    answer = Sender().post(f"{scheme}://{host}:{port}/", b"{}", {})
    assert (answer.status, answer.failure) == (None, "address")
    assert receiver.came == []


def test_R_AR_3_a_dead_receiver_is_a_failed_connection(receiver: Receiver) -> None:
    receiver.server_close()
    assert HERE.post(receiver.url, b"{}", {}).failure == "connection"


class _Dripping(BaseHTTPRequestHandler):
    """Answers 204 in the end, a blank at a time, unless the asking side has gone."""

    def do_POST(self) -> None:
        server: Any = self.server
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 204")
            for _blank in range(1500):
                self.wfile.write(b" ")
                server.over.wait(0.02)
            self.wfile.write(b"No Content\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.one_database
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_R_AR_3_a_receiver_that_drips_is_cut_off(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path, ends=utcnow() + timedelta(days=7))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr("calltree.posting.WHOLE_S", 0.5)
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Dripping)
    server.over = threading.Event()  # never set
    if scheme == "https":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        sender = Sender(("127.0.0.0/8", "::1"))
        answer = sender.post(f"{scheme}://localhost:{server.server_address[1]}/", b"{}", {})
        server.shutdown()
        thread.join()
    assert answer.failure == "timeout"


def test_R_AR_3_a_name_is_reached_by_its_next_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = socket.getaddrinfo

    def looked_up(host: str, port: int, *more: Any, **named: Any) -> Any:
        names = ["::1", "127.0.0.1"] if host == "both.example" else [host]
        return [place for name in names for place in really(name, port, *more, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    port = receiver.server_address[1]
    answer = Sender(("127.0.0.0/8", "::1")).post(f"http://both.example:{port}/", b"{}", {})
    assert answer.status == 204


def test_R_AR_3_plain_http_is_for_allowed_networks_only() -> None:
    # a public address, never connected to: it is refused for its scheme
    assert Sender().post("http://203.0.113.9/", b"{}", {}).failure == "address"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:7f00:1::", "::7f00:1", "fec0::1", "no address",
    ],
)  # fmt: skip
def test_R_AR_3_these_addresses_are_not_public(address: str) -> None:
    assert not networks.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_R_AR_3_these_addresses_are_public(address: str) -> None:
    assert networks.is_public(address)


def test_R_AR_3_a_secret_of_another_key_is_said(store: Store, receiver: Receiver) -> None:
    webhook_id, _secret = _webhook(store, receiver.url)
    with store.write() as session:
        session.get_one(Webhook, webhook_id).secret_sealed = "x"
    _deliver(store)
    assert _log(store)[0].failure == "secret"
    assert receiver.came == []
