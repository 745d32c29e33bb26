"""Leases: who leads a role."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base


class Lease(Base):
    """Who leads a role, judged by the database's clock (design §1)."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64), default="")
    epoch: Mapped[int] = mapped_column(default=0)
    until: Mapped[datetime]
    note: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the holder says of itself: link up, last event, last pass of reconcile."""
