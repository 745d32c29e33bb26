"""Minutes and hours of redialling on a site whose clocks run faster (CLOCK_RATE; soak runs only).

Moments stay real; what is told of them, and what a manager has set, are the site's own minutes.
The rate comes with the session, from the store that opened it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from calltree.db import CLOCK_RATE


def later(session: Session, moment: datetime, span: timedelta) -> datetime:
    """Return the moment after so long a span of the site's clock."""
    return moment + span / rate(session)


def passed(session: Session, since: datetime, now: datetime) -> timedelta:
    """Return how long it has been by the site's clock."""
    return (now - since) * rate(session)


def rate(session: Session) -> float:
    """How many times faster than real this site's clock runs."""
    return float(session.info.get(CLOCK_RATE, 1.0))
