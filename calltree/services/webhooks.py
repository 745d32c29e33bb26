"""Webhooks as managers set them up, and their log (R-AR-3)."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import Webhook, WebhookDelivery
from calltree.services import audit, sealing
from calltree.services.rights import Right, Viewer

MOST = 20
LOG_PAGE = 50
_PURPOSE = "webhook"
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:]{2,45}")
DELIVER = "calltree.jobs.webhooks.deliver"
BELL_S = 15
"""The leader rings every so often too: bells must not pile up where a slow receiver is served,
in front of whoever waits in the same lane.
"""


class Event(StrEnum):
    """What may be told."""

    CALL_ENDED = "call.ended"
    STATUS_SAVED = "status.saved"
    TASK_DUE = "task.due"


PING = "ping"
"""Sent by the press that tries a webhook."""


@dataclass(frozen=True, slots=True)
class WebhookDetails:
    """What a form says of a webhook."""

    name: str
    url: str
    events: tuple[Event, ...]
    enabled: bool = True


def all_webhooks(session: Session) -> list[Webhook]:
    """Return the webhooks that were not removed, oldest first."""
    query = select(Webhook).where(Webhook.removed_at.is_(None)).order_by(Webhook.id)
    return list(session.scalars(query))


def get(session: Session, webhook_id: int) -> Webhook:
    """Return a webhook. Raises NotFound."""
    found = session.get(Webhook, webhook_id)
    if found is None or found.removed_at is not None:
        raise NotFound(f"webhook {webhook_id}")
    return found


IS_STOPPED = and_(Webhook.stopped_at.is_not(None), Webhook.removed_at.is_(None))
"""Switched off for failing, and nobody has looked at it since."""


def stopped(session: Session) -> list[Webhook]:
    """Return the webhooks that were switched off for failing, for the manager's home."""
    return list(session.scalars(select(Webhook).where(IS_STOPPED)))


def create(
    session: Session, *, viewer: Viewer, details: WebhookDetails, key: str, now: datetime
) -> tuple[Webhook, str]:
    """Add a webhook; returns it and the secret that its deliveries are signed with, shown once.

    `key` seals the secret. Raises NotAllowed; Refused 'webhook_name_missing', 'webhook_url',
    'webhook_events_missing', 'webhooks_full'.
    """
    _require(viewer)
    if len(all_webhooks(session)) >= MOST:
        raise Refused("webhooks_full", most=MOST)
    secret = _new_secret()
    row = Webhook(
        **_checked(details),
        secret_sealed=sealing.seal(secret, key=key, purpose=_PURPOSE),
        enabled_at=now,
        created_at=now,
        created_by=viewer.user_id,
    )
    session.add(row)
    session.flush()
    _note(session, viewer, "webhook.created", row, now)
    return row, secret


def change(
    session: Session, *, viewer: Viewer, webhook_id: int, details: WebhookDetails, now: datetime
) -> Webhook:
    """Change a webhook. Switched on again it begins anew: what happened meanwhile is not told.

    Raises NotAllowed, NotFound, Refused as `create`.
    """
    _require(viewer)
    row = get(session, webhook_id)
    for name, value in _checked(details).items():
        if name == "enabled" and value and not row.enabled:
            row.enabled_at, row.stopped_at = now, None
            begin_anew(row)
        if name == "url" and value != row.url:
            begin_anew(row)
        setattr(row, name, value)
    _note(session, viewer, "webhook.changed", row, now)
    return row


def begin_anew(row: Webhook) -> None:
    """Forget what failed before."""
    row.failures, row.failing_since, row.failed_at, row.paused_until = 0, None, None, None


def renew_secret(
    session: Session, *, viewer: Viewer, webhook_id: int, key: str, now: datetime
) -> tuple[Webhook, str]:
    """Give a webhook another secret, in force from the next try on; returned this once."""
    _require(viewer)
    row = get(session, webhook_id)
    secret = _new_secret()
    row.secret_sealed = sealing.seal(secret, key=key, purpose=_PURPOSE)
    _note(session, viewer, "webhook.secret_renewed", row, now)
    return row, secret


def remove(session: Session, *, viewer: Viewer, webhook_id: int, now: datetime) -> None:
    """Remove a webhook; what is still to be sent is not."""
    _require(viewer)
    row = get(session, webhook_id)
    row.removed_at, row.enabled = now, False
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.due_at.is_not(None))
        .values(due_at=None, failure="removed")
    )
    _note(session, viewer, "webhook.removed", row, now)


def secret_of(sealed: str, *, key: str) -> bytes:
    """Return what deliveries are signed with; b'' when the site's key is another one by now."""
    secret = sealing.opened(sealed, key=key, purpose=_PURPOSE)
    return base64.b64decode(secret.removeprefix("whsec_")) if secret else b""


def log(
    session: Session, *, webhook_id: int, before_id: int | None = None, size: int = LOG_PAGE
) -> list[WebhookDelivery]:
    """Return deliveries, newest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if before_id is not None:
        query = query.where(WebhookDelivery.id < before_id)
    return list(session.scalars(query.order_by(WebhookDelivery.id.desc()).limit(size)))


def waiting(session: Session) -> dict[int, int]:
    """Count what is still to be sent, by webhook."""
    rows = session.execute(
        select(WebhookDelivery.webhook_id, func.count())
        .where(WebhookDelivery.due_at.is_not(None))
        .group_by(WebhookDelivery.webhook_id)
    )
    return {row[0]: row[1] for row in rows}


def send_again(
    session: Session, *, viewer: Viewer, webhook_id: int, delivery_id: int, now: datetime
) -> None:
    """Send a delivery once more, now, whatever became of it before.

    Raises NotAllowed, NotFound, Refused 'webhook_off'.
    """
    _require(viewer)
    row = get(session, webhook_id)
    session.refresh(row, with_for_update=True)
    delivery = session.get(WebhookDelivery, delivery_id, with_for_update=True)
    if delivery is None or delivery.webhook_id != webhook_id:
        raise NotFound(f"delivery {delivery_id}")
    if not row.enabled and delivery.event != PING:
        raise Refused("webhook_off")
    delivery.due_at, delivery.tries = now, 0
    row.paused_until = None
    ring(session)


def ping(
    session: Session, *, viewer: Viewer, webhook_id: int, event_key: str, body: str, now: datetime
) -> None:
    """Send a delivery that only tries the way. Raises NotAllowed, NotFound."""
    _require(viewer)
    row = get(session, webhook_id)
    row.paused_until = None
    session.add(
        WebhookDelivery(
            webhook_id=webhook_id,
            event=PING,
            event_key=event_key,
            body=body,
            created_at=now,
            due_at=now,
        )
    )
    ring(session)


def ring(session: Session) -> None:
    """Have what is due sent at once, after the commit."""
    announce(session, "job", lane="soon", func=DELIVER, ttl=BELL_S)


def _checked(details: WebhookDetails) -> dict[str, Any]:
    if not details.name.strip():
        raise Refused("webhook_name_missing", field="name")
    if not details.events:
        raise Refused("webhook_events_missing", field="events")
    return {
        "name": details.name.strip()[:64],
        "url": check_url(details.url),
        "events": [event.value for event in Event if event in details.events],
        "enabled": details.enabled,
    }


def check_url(given: str) -> str:
    """Return an address in one form. Raises Refused 'webhook_url'.

    Where it leads is looked at before each delivery: what a name stands for may change.
    """
    url = given.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("webhook_url", field="url") from None
    fine = (
        parts.scheme in ("http", "https")
        and _HOST.fullmatch(parts.hostname or "")
        and parts.username is None
        and not parts.fragment
        and port != 0
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and len(url) <= 512
    )
    if not fine:
        raise Refused("webhook_url", field="url")
    return url


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _require(viewer: Viewer) -> None:
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)


def _place(url: str) -> str:
    """Tell an address without what lets in: path and query of a receiver are often its secret."""
    parts = urlsplit(url)
    bare = not parts.query and parts.path in ("", "/")
    return f"{parts.scheme}://{parts.netloc}{'' if bare else '/…'}"


def _note(session: Session, viewer: Viewer, action: str, row: Webhook, now: datetime) -> None:
    audit.note(
        session, viewer=viewer, action=action, kind="webhook", object_id=row.id, now=now,
        name=row.name, url=_place(row.url), events=row.events, enabled=row.enabled,
    )  # fmt: skip
