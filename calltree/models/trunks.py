"""Trunks (電話回線): how calls leave for the network."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId


class TrunkKind(StrEnum):
    """How the carrier knows us."""

    REGISTERED = "registered"
    """By user name and password: the switch registers."""
    ADDRESS = "address"
    """By our address alone."""


class Transport(StrEnum):
    """What carries SIP to the carrier."""

    UDP = "udp"
    TCP = "tcp"


class NumberForm(StrEnum):
    """How the carrier wants numbers, the called one and ours."""

    NATIONAL = "national"
    """0312345678"""
    E164 = "e164"
    """+81312345678"""


class CallerIdForm(StrEnum):
    """Where the carrier looks for our number."""

    FROM = "from"
    ASSERTED = "asserted"
    """P-Asserted-Identity; From is the trunk's user."""
    ANONYMOUS = "anonymous"
    """As asserted, with Privacy: id, so that the called do not see it (非通知)."""


class Trunk(Base):
    """One contract with a carrier. Retired, never deleted: calls point to it."""

    __tablename__ = "trunks"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    kind: Mapped[TrunkKind] = mapped_column(default=TrunkKind.REGISTERED)
    proxy: Mapped[str] = mapped_column(String(255))
    """host or host:port"""
    realm: Mapped[str] = mapped_column(String(255), default="")
    """SIP domain; empty: the proxy's host."""
    transport: Mapped[Transport] = mapped_column(default=Transport.UDP)
    username: Mapped[str] = mapped_column(String(64), default="")
    password: Mapped[str] = mapped_column(String(128), default="")
    """As the carrier gave it: the switch must send what it proves."""
    lines: Mapped[int | None]
    """Calls at once; None: only the site's limit."""
    prefixes: Mapped[list[str]] = mapped_column(default=list)
    """Called numbers it takes, by their first digits; empty: all."""
    number_form: Mapped[NumberForm] = mapped_column(default=NumberForm.NATIONAL)
    caller_id_form: Mapped[CallerIdForm] = mapped_column(default=CallerIdForm.FROM)
    position: Mapped[int] = mapped_column(default=0)
    enabled: Mapped[bool] = mapped_column(default=True)
    retired_at: Mapped[datetime | None]

    @property
    def gateway(self) -> str:
        """Its name in the switch's configuration."""
        return f"trunk{self.id}"


class TrunkHealth(Base):
    """The breaker of one gateway (services/breaker.py); no row: closed and without a fault."""

    __tablename__ = "trunk_health"

    gateway: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), default="closed", index=True)
    """A `services.breaker.BreakerState`."""
    faults: Mapped[int] = mapped_column(default=0)
    last_fault_at: Mapped[datetime | None]
    until: Mapped[datetime | None]
    wait_s: Mapped[int]
    probe_since: Mapped[datetime | None]
    probe_attempt_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("attempts.id"))
    """The one call that may try while it is half open."""
    cause: Mapped[str] = mapped_column(String(64), default="")
    """Of the last fault, with its SIP status."""
