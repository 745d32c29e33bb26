"""What other programs use: API tokens, webhooks and the outbox that feeds them (R-AR-3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId


class ApiToken(Base):
    """Lets a program in as a user, for the scopes it names. The token itself was shown once."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256: the tokens are random enough that a slow hash would add nothing."""
    ending: Mapped[str] = mapped_column(String(8))
    """Its last characters, by which people tell one from another."""
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    """In whose name it acts: it never may more than they."""
    scopes: Mapped[list[str]] = mapped_column(default=list)
    per_minute: Mapped[int] = mapped_column(default=300)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("users.id"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    """Last use, to the minute."""
    used_from: Mapped[str] = mapped_column(String(64), default="")
    read_days: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """{scope: site day} of the last line in the audit log that it was read by."""


class Webhook(Base):
    """An address that is told of events."""

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(String(512))
    events: Mapped[list[str]] = mapped_column(default=list)
    secret_sealed: Mapped[str] = mapped_column(String(256))
    """What deliveries are signed with, encrypted (`services.sealing`)."""
    enabled: Mapped[bool] = mapped_column(default=True)
    enabled_at: Mapped[datetime]
    """What happened before is not told."""
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("users.id"))
    removed_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    """In a row, since the last answer that was good."""
    failing_since: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    """The last try that failed."""
    paused_until: Mapped[datetime | None]
    """It did not answer: nothing is sent until then."""
    stopped_at: Mapped[datetime | None]
    """Switched off by the system after failing for long; a manager is told."""


class WebhookDelivery(Base):
    """One event for one webhook: written with what happened, sent afterwards, kept as the log."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_key"),
        Index(
            "ix_webhook_deliveries_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_webhook_deliveries_log", "webhook_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id"))
    event: Mapped[str] = mapped_column(String(32))
    event_key: Mapped[str] = mapped_column(String(64))
    """The event's id as the receiver sees it: the same one again is the same event."""
    customer_id: Mapped[int | None] = mapped_column(BigId, index=True)
    """Whose personal data the body holds."""
    body: Mapped[str]
    """JSON, exactly as it is signed and sent."""
    created_at: Mapped[datetime] = mapped_column(index=True)
    due_at: Mapped[datetime | None]
    """When to try next; None: delivered, or given up."""
    tries: Mapped[int] = mapped_column(default=0)
    tried_at: Mapped[datetime | None]
    took_ms: Mapped[int] = mapped_column(default=0)
    status: Mapped[int | None]
    """HTTP status of the last answer; None while there was none."""
    failure: Mapped[str] = mapped_column(String(32), default="")
    """Code of why there was no good answer."""
    delivered_at: Mapped[datetime | None]
