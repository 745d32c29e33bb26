"""Bulk work: what a manager asks for many rows at once and the worker does."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId


class BulkKind(StrEnum):
    """What is done to each row."""

    BAN_ADD = "ban_add"
    """CSVで登録 of do-not-call numbers."""
    BAN_RELEASE = "ban_release"
    """CSVで解除."""
    BAN_RELEASE_FOUND = "ban_release_found"
    """Release of entries that were chosen or found."""
    RECORD_DELETE = "record_delete"
    """Deletion of call records that were chosen or found."""
    CUSTOMER_ASSIGN = "customer_assign"
    """割当: customers given to operators, or taken away from whoever has them."""
    CUSTOMER_MOVE = "customer_move"
    """Customers moved to another list of the project."""
    CUSTOMER_RESET = "customer_reset"
    """リセット: a new 周回 for customers; what happened stays in the history."""
    CUSTOMER_DELETE = "customer_delete"
    """Customers put into the bin."""
    CUSTOMER_RESTORE = "customer_restore"
    """Customers taken out of the bin."""
    CUSTOMER_DEDUPE = "customer_dedupe"
    """All but one row of each number put into the bin."""
    RECORDING_ZIP = "recording_zip"
    """A zip of recordings that were found; nothing is changed."""
    WHAT_IF = "what_if"
    """Days simulated under several dialling methods; nothing is changed."""


class BulkState(StrEnum):
    """From the request to the end; a file is checked first."""

    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class BulkJob(Base):
    """One piece of bulk work. What was done before it was cancelled stays done."""

    __tablename__ = "bulk_jobs"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[BulkKind]
    state: Mapped[BulkState] = mapped_column(index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    filename: Mapped[str] = mapped_column(String(256), default="")
    stored_name: Mapped[str] = mapped_column(String(64), default="")
    """File under the uploads directory, named by us; empty for work on what was found."""
    size_bytes: Mapped[int] = mapped_column(BigId, default=0)
    choices: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What was asked for: scope, reason, the search, …"""
    findings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the check of a file found, as codes and counts."""
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What was done so far."""
    rows_total: Mapped[int] = mapped_column(default=0)
    rows_done: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    failure: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
