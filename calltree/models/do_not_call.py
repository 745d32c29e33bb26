"""Do-not-call (架電禁止): numbers that must never be dialled."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId


class DncSource(StrEnum):
    """Where a do-not-call entry came from."""

    STATUS = "status"
    FORM = "form"
    CSV = "csv"
    API = "api"


class DoNotCall(Base):
    """A number that must never be dialled (架電禁止, R-DN-1). Released, never removed."""

    __tablename__ = "do_not_call"
    __table_args__ = (Index("ix_do_not_call_number", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(String(16))
    all_projects: Mapped[bool] = mapped_column(default=True)
    source: Mapped[DncSource]
    note: Mapped[str] = mapped_column(String(256), default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    record_id: Mapped[int | None] = mapped_column(BigId, index=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("bulk_jobs.id"))
    """The file that it came with."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    released_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    release_reason: Mapped[str] = mapped_column(String(256), default="")


class DoNotCallProject(Base):
    """A project in which a narrower entry holds."""

    __tablename__ = "do_not_call_projects"

    entry_id: Mapped[int] = mapped_column(BigId, ForeignKey("do_not_call.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
