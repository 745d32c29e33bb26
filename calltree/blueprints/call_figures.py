"""Figures beside the call: today's, and the lines in use."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from calltree.blueprints.assets import kept_url
from calltree.extensions import settings
from calltree.services import figures, gate, records
from calltree.services.rights import Viewer
from calltree.text.days import site_day


def today(session: Session, *, viewer: Viewer, now: datetime) -> dict[str, Any]:
    """Give one's own figures of the site day (R-CL-11)."""
    day = site_day(now, settings().timezone)
    summed = figures.today(session, user_id=viewer.user_id, day=day)
    return {
        "dials": summed.dials,
        "connects": summed.connects,
        "blanks": records.count_own_blanks(session, user_id=viewer.user_id, now=now),
        "blanks_url": kept_url("history.index", status="blank"),
        "url": kept_url("calling.part", name="today"),
    }


def lines(session: Session) -> dict[str, Any]:
    """Give the lines in use of how many (R-CL-8)."""
    in_use = gate.lines_in_use(session)
    return {
        "used": in_use.total,
        "total": in_use.limit,
        "poll": kept_url("calling.part", name="lines"),
    }
