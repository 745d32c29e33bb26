"""When a project may call (R-PJ-5): its rules as they stand, for `text.hours` to judge."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import Audience, ClosedDay, Project, Site
from calltree.text.hours import CallingHours


def rules_of(session: Session, *, site: Site, project: Project) -> CallingHours:
    """Gather a project's hours and days; the site's bound holds for B2C projects only (R-PJ-6)."""
    return rules(site, project, closed_days=session.scalars(select(ClosedDay.day)))


def rules(site: Site, project: Project, *, closed_days: Iterable[date]) -> CallingHours:
    """Give the same where the site's closed days are known, or those of them that matter."""
    bound = (site.b2c_opens, site.b2c_closes) if project.audience is Audience.B2C else None
    return CallingHours(
        opens=project.opens,
        closes=project.closes,
        weekdays=frozenset(project.weekdays),
        on_holidays=project.on_holidays,
        closed_days=frozenset(closed_days),
        bound=bound,
    )
