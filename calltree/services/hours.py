"""When a project may call (R-PJ-5): the site's bound for B2C, the project's own hours and days."""

from __future__ import annotations

from datetime import datetime

import jpholiday
from sqlalchemy.orm import Session

from calltree.models import ClosedDay, Project, Site
from calltree.text.days import TOKYO


def inside_site_bound(site: Site, now: datetime) -> bool:
    """Whether B2C customers may be called at all; no project can widen it."""
    return site.b2c_opens <= now.astimezone(TOKYO).time() < site.b2c_closes


def inside_project_hours(session: Session, *, project: Project, now: datetime) -> bool:
    """Whether the project calls now: its hours, weekdays, holidays and the site's closed days."""
    local = now.astimezone(TOKYO)
    day = local.date()
    if not project.opens <= local.time() < project.closes:
        return False
    if day.weekday() not in project.weekdays:
        return False
    if not project.on_holidays and jpholiday.is_holiday(day):
        return False
    return session.get(ClosedDay, day) is None
