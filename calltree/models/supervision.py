"""What supervisors do beside the calls: listening in, help, notices."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId

_OPEN = text("over_at IS NULL")
_UNREAD = text("read_at IS NULL")


class MonitorMode(StrEnum):
    """Who hears the supervisor: nobody, the operator, both."""

    LISTEN = "listen"
    WHISPER = "whisper"
    BARGE = "barge"


class Monitor(Base):
    """Somebody's own leg is in another operator's call; the row goes when the leg is out of it."""

    __tablename__ = "monitors"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    """Who listens: one call at a time."""
    of_user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    attempt_id: Mapped[int] = mapped_column(BigId, ForeignKey("attempts.id"), index=True)
    mode: Mapped[MonitorMode]
    began_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    """When the mode was last set: what the switch does follows a moment later."""


class HelpRequest(Base):
    """An operator's ヘルプ要請; red and heard until somebody takes it."""

    __tablename__ = "help_requests"
    __table_args__ = (
        Index(
            "uq_help_requests_open_user",
            "user_id",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    asked_at: Mapped[datetime]
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    taken_at: Mapped[datetime | None]
    over_at: Mapped[datetime | None]


class Notice(Base):
    """お知らせ: one line to all operators, a group or one person."""

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(300))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    """Who wrote it."""
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id"))
    """The group it was sent to; None: all, or one person, who is its only reader."""
    to_all: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(index=True)
    withdrawn_at: Mapped[datetime | None]


class NoticeReader(Base):
    """One for whom a notice is: as the group was when it was sent."""

    __tablename__ = "notice_readers"
    __table_args__ = (
        Index(
            "ix_notice_readers_unread",
            "user_id",
            sqlite_where=_UNREAD,
            postgresql_where=_UNREAD,
        ),
    )

    notice_id: Mapped[int] = mapped_column(ForeignKey("notices.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    read_at: Mapped[datetime | None]
