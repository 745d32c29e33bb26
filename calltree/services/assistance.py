"""What stands beside an operator's work: help on its way, who listens, notices not yet read.

One statement where there is nothing to say, which is nearly always.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, and_, bindparam, case, select
from sqlalchemy.orm import Session, aliased

from calltree.models import (
    HelpRequest,
    Monitor,
    MonitorMode,
    Notice,
    NoticeReader,
    Site,
    User,
)
from calltree.services import help_requests, notices


@dataclass(frozen=True, slots=True)
class Beside:
    """What an operator is told on whatever page they are."""

    help_since: datetime | None
    """Help was asked for and nobody comes yet."""
    helped_by: str
    """Who comes."""
    heard_by: MonitorMode | None
    """How far somebody is in their call, where the site lets them see it."""
    notices: list[tuple[Notice, str]]
    """Not read yet, oldest first, each with its author's name."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.help_since or self.helped_by or self.heard_by or self.notices)


def _statement() -> Select[HelpRequest | None, str | None, MonitorMode | None, int | None, bool]:
    taker = aliased(User)
    rank = case((Monitor.mode == MonitorMode.BARGE, 0), (Monitor.mode == MonitorMode.WHISPER, 1))
    most = (
        select(Monitor.mode)
        .where(Monitor.of_user_id == User.id)
        .order_by(case((rank.is_(None), 2), else_=rank))
        .limit(1)
        .scalar_subquery()
    )
    unread = (
        select(NoticeReader.notice_id)
        .where(NoticeReader.user_id == User.id, NoticeReader.read_at.is_(None))
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(HelpRequest, taker.name, most, unread, Site.shows_monitoring)
        .select_from(User)
        .join(Site, Site.id == 1)
        .outerjoin(HelpRequest, and_(HelpRequest.user_id == User.id, HelpRequest.over_at.is_(None)))
        .outerjoin(taker, taker.id == HelpRequest.taken_by)
        .where(User.id == bindparam("of"))
        .execution_options(populate_existing=True)
    )


_BESIDE = _statement()


def beside(session: Session, *, user_id: int, now: datetime) -> Beside:
    """Return what stands beside this user's work now."""
    asked, taker, heard_by, unread, shows = session.execute(_BESIDE, {"of": user_id}).one()
    found = notices.unread(session, user_id=user_id, now=now) if unread is not None else []
    waits = asked if help_requests.waits(asked, now) else None
    return Beside(
        help_since=waits.asked_at if waits else None,
        helped_by=(taker or "") if help_requests.is_told(asked, now) else "",
        heard_by=heard_by if shows else None,
        notices=found,
    )
