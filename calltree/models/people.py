"""Users, groups and what each may do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId


class Role(StrEnum):
    """The five roles (spec §2)."""

    MANAGER = "MGR"
    SUPERVISOR = "SV"
    OPERATOR = "OP"
    BUSINESS = "BIZ"
    BACKYARD = "BY"


class LegKind(StrEnum):
    """How an operator's ear is reached: the page calls us, or we call a telephone."""

    BROWSER = "browser"
    DEVICE = "device"


class User(Base):
    """A person who signs in. Never removed: history points here (R-US-4)."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    login_id: Mapped[str] = mapped_column(String(64))
    login_key: Mapped[str] = mapped_column(String(64), unique=True)
    """`login_id` folded; unique for ever, deleted users included."""
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[Role]
    password_hash: Mapped[str] = mapped_column(String(256))
    session_version: Mapped[int] = mapped_column(default=1)
    """Raised on password change and deletion; older sessions end (R-US-6)."""
    locale: Mapped[str] = mapped_column(String(8), default="ja")
    note: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    last_sign_in_at: Mapped[datetime | None]

    totp_sealed: Mapped[str] = mapped_column(String(256), default="")
    """The second factor's secret, encrypted (`services.second_factor`); empty: none yet."""
    totp_step: Mapped[int] = mapped_column(BigId, default=0)
    """Step of the last code that was taken; neither it nor an older one is taken again."""

    leg_kind: Mapped[LegKind] = mapped_column(default=LegKind.BROWSER)
    device: Mapped[str] = mapped_column(String(64), default="")
    """Extension of the desk phone; empty: the user's own id."""
    device_hash: Mapped[str] = mapped_column(String(32), default="")
    """md5(extension:domain:secret) of the desk phone; the secret was shown once and not kept."""

    # 機能制限 (R-US-5)
    may_monitor: Mapped[bool] = mapped_column(default=False)
    may_dial_manually: Mapped[bool] = mapped_column(default=True)
    may_answer_inbound: Mapped[bool] = mapped_column(default=True)
    may_edit_customers: Mapped[bool] = mapped_column(default=True)
    may_play_recordings: Mapped[bool] = mapped_column(default=True)
    may_search_others_prospects: Mapped[bool] = mapped_column(default=True)


class RecoveryCode(Base):
    """A code that lets in once without the second factor; used ones are deleted."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256: the codes are random enough that a slow hash would add nothing."""


class Group(Base):
    """A named set of users, for granting lists at once."""

    __tablename__ = "groups"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)


class GroupMember(Base):
    """A user's membership of a group."""

    __tablename__ = "group_members"

    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
