"""What the telephone in an operator's page signs in with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base


class Softphone(Base):
    """The telephone in an operator's page: what it signs in with, and what it says of itself.

    One a user, so a second page's credentials end the first one's.
    """

    __tablename__ = "softphones"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    a1_hash: Mapped[str] = mapped_column(String(32), default="")
    """md5(user:domain:token): the token itself is known to the page alone."""
    session_version: Mapped[int] = mapped_column(default=0)
    """The user's when it was given out: whoever is forced out loses it too."""
    page_id: Mapped[str] = mapped_column(String(36), default="")
    expires_at: Mapped[datetime | None]
    microphone: Mapped[str] = mapped_column(String(16), default="")
    """'ok', or what is wrong with it; '' before the page has said anything."""
    trouble: Mapped[str] = mapped_column(String(16), default="")
    """What the page shows in red; '' when all is well."""
    reported_at: Mapped[datetime | None]
