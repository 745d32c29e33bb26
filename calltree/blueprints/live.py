"""The live line: one socket a page, on which fragments of that page arrive as they change.

The request's thread is the socket's one writer. It stays inside its request, so what it draws has
the language and the rights of whoever asked. On connecting it sends the whole present state, so a
page that was away needs no history.
"""

from __future__ import annotations

import json
import socket as sockets
import threading
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Flask, Response, current_app, request, session, url_for
from flask_login import current_user
from simple_websocket import ConnectionClosed, Server

from calltree import doorbells
from calltree.blueprints import panels
from calltree.blueprints.access import SignedIn, requires, viewer
from calltree.blueprints.assets import version
from calltree.blueprints.live_page import Page
from calltree.config import Settings
from calltree.db import Store, utcnow
from calltree.extensions import db, reading, settings, sock
from calltree.launch import own_redis
from calltree.live import DEAF, ENDED, GOING_AWAY, STUCK_S, TRY_LATER, Hub, Outbox, sockets_of
from calltree.services import accounts
from calltree.services.rights import Right

log = structlog.get_logger(__name__)

bp = Blueprint("live", __name__)

FAILED = 1011
PING_S = 25
RECHECK_S = 60.0
SOON_S = 10.0
SETTLE_S = 3.0
"""What was foretold and is not confirmed by then is drawn as the ledger has it."""
BUFFER_BYTES = 128 * 1024  # what may be under way to a reader who does not read
LONGEST_MESSAGE = 4096  # nothing is ever said on this line
_FAREWELL_S = 2.0


class Bell(threading.Event):
    """The event that simple-websocket sets when something came or the other side hung up."""

    ring: Callable[[], None] | None = None

    def set(self) -> None:
        super().set()
        if self.ring is not None:
            self.ring()


class WholeSends:
    """A socket whose sends are whole and one at a time.

    simple-websocket sends its pings from a thread of its own and trusts `send` to take all.
    """

    def __init__(self, plain: sockets.socket) -> None:
        self._plain = plain
        self._one = threading.Lock()

    def send(self, data: bytes) -> int:
        """Send everything."""
        with self._one:
            self._plain.sendall(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)


def hub() -> Hub:
    """Return this process's hub."""
    return cast(Hub, current_app.extensions["calltree.live"])


@bp.before_request
def check_origin() -> Response | None:
    """Refuse pages of other sites: cookies go with a handshake, CSRF tokens do not."""
    if urlsplit(request.headers.get("Origin", "")).netloc != request.host:
        return Response(status=403)
    # Compression costs a window of memory per socket and saves little on a local network.
    request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    return None


@requires(Right.OWN_ACCOUNT)
def socket(ws: Server) -> None:
    """Serve one page: `page` says which panels it shows."""
    page = panels.find(request.args.get("page", ""), viewer())
    plain = ws.sock
    try:
        plain.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, BUFFER_BYTES)
    except OSError:  # the page left during the handshake
        return
    ws.sock = WholeSends(plain)
    outbox = Outbox(page.heard, cut=lambda: plain.shutdown(sockets.SHUT_RDWR))
    ws.event.ring = outbox.poke
    code = TRY_LATER
    if hub().add(outbox):
        try:
            code = Line(ws, outbox, page).serve()
        finally:
            hub().remove(outbox)
    _close(ws, code)


sock.route("/live", bp=bp)(socket)


def _close(ws: Server, code: int) -> None:
    try:
        ws.close(code)
    except (ConnectionClosed, OSError):
        return
    ws.thread.join(_FAREWELL_S)  # a connection cut at once could lose the code


class Line:
    """One page's socket, from the first state to the close code."""

    def __init__(self, ws: Server, outbox: Outbox, page: Page) -> None:
        self._ws = ws
        self._outbox = outbox
        self._page = page
        self._recheck_s = RECHECK_S / settings().clock_rate
        self._settle_s = SETTLE_S / settings().clock_rate
        self._settle_at = float("inf")
        self._soon_s = SOON_S / settings().clock_rate if page.soon else float("inf")

    def serve(self) -> int:
        """Send what changes until either side ends; give the code to close with."""
        try:
            return self._serve()
        except (ConnectionClosed, OSError):
            return GOING_AWAY  # nobody is there to hear it
        except Exception:  # the page must connect anew instead of showing what is no longer so
            log.exception("a panel could not be drawn", page=self._page.name)
            return FAILED

    def _serve(self) -> int:
        self._send(json.dumps({"version": version()}))
        if not hub().hears:
            self._say_hearing()
        self._draw(self._page.heard, fresh=True)
        recheck_at = time.monotonic() + self._recheck_s
        soon_at = time.monotonic() + self._soon_s
        while self._outbox.closing is None:
            wait_s = min(recheck_at, soon_at, self._settle_at) - time.monotonic()
            changed = self._outbox.take(max(wait_s, 0.0))
            self._foretell(self._outbox.take_hints())
            self._drop_what_came()
            if time.monotonic() >= soon_at:
                soon_at = time.monotonic() + self._soon_s
                changed |= self._page.soon
            if time.monotonic() >= recheck_at:
                recheck_at = time.monotonic() + self._recheck_s
                if (code := self._recheck()) is not None:
                    return code
                changed |= self._page.ages
            if time.monotonic() >= self._settle_at:
                changed |= self._page.awaits
            if DEAF in changed:
                self._say_hearing()
            self._draw(changed - {DEAF})
        return self._outbox.closing

    def _send(self, text: str) -> None:
        self._outbox.send(self._ws.send, text)

    def _say_hearing(self) -> None:
        self._send(json.dumps({"event": "hearing" if hub().hears else "deaf"}))

    def _draw(self, changed: frozenset[str] | set[str], *, fresh: bool = False) -> None:
        if not changed:
            return
        try:
            messages = self._page.draw(reading(), changed, fresh)
            for message in ["".join(messages)] if fresh else messages:
                reading().commit()  # a slow reader must not keep a moment of the database open
                if message:
                    self._send(message)
        finally:
            db.session.remove()  # the next drawing must see a later moment
        if not self._page.awaits:
            self._settle_at = float("inf")

    def _foretell(self, hints: list[dict[str, Any]]) -> None:
        for told in hints:
            if text := self._page.foretell(told):
                self._send(text)
                self._settle_at = time.monotonic() + self._settle_s

    def _drop_what_came(self) -> None:
        """Nothing is said on this line; raises ConnectionClosed when the other side is gone."""
        while self._ws.receive(timeout=0) is not None:
            pass

    def _recheck(self) -> int | None:
        """Whether the session still stands and means the same person with the same rights."""
        known = cast(SignedIn, current_user)
        try:
            account = accounts.load(
                reading(),
                user_id=known.viewer.user_id,
                session_version=known.session_version,
                address=request.remote_addr or "",
                seen_at=session.get("seen_at"),
                proven=session.get("proven", False),
                now=utcnow(),
            )
        finally:
            db.session.remove()
        if account is None or account.owes_factor:
            return ENDED
        return None if account.viewer == known.viewer else GOING_AWAY


def live_url() -> str | None:
    """Return the address of the page's live line; None when nobody is signed in."""
    if not current_user.is_authenticated or request.endpoint is None:
        return None
    page = panels.name_of(request.endpoint, request.view_args or {})
    parts = urlsplit(url_for("live.socket", page=page))
    return f"{parts.path}?{parts.query}"  # the page knows best whether it came by TLS


def _make_hub(settings: Settings, store: Store) -> Hub:
    address = settings.redis_url or own_redis.url(settings.data_dir)
    return Hub(
        lambda: doorbells.connect(address),
        lambda: doorbells.live_channel(doorbells.site_key(store)),
        most=sockets_of(settings.web_threads),
        stuck_s=STUCK_S / settings.clock_rate,
    )


def init_app(app: Flask) -> None:
    """Make the hub; it starts with the first socket."""
    app.config["SOCK_SERVER_OPTIONS"] = {
        "ping_interval": PING_S,
        "max_message_size": LONGEST_MESSAGE,
        "event_class": Bell,
    }
    app.extensions["calltree.live"] = _make_hub(
        app.extensions["calltree.settings"], app.extensions["calltree.store"]
    )
    app.context_processor(lambda: {"live_url": live_url()})
