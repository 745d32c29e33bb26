"""What the green landing screen shows of today: plain values, the same for page and push.

Every figure is one of 集計, with its definition and the way to its records.
"""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints.assets import kept_url
from calltree.blueprints.summary_columns import COLUMNS, link
from calltree.db import utcnow
from calltree.services import summaries, tasks
from calltree.services.rights import Viewer
from calltree.services.summary_criteria import Axis, Period, SummaryCriteria
from calltree.text.days import site_day

SHOWN = ("dials", "connects", "connect_rate", "conversions", "target", "reached", "inbound")
"""Of the columns of 集計."""
WHERE_AIMED = {"target", "reached"}
"""Left out on a day on which no project aims at anything."""


def today(session: Session, viewer: Viewer, *, overdue: int | None = None) -> dict[str, Any]:
    """Give the tiles (label, definition, text, address) and when that was.

    `overdue`: promised callbacks whose time has passed, where they were counted already.
    """
    now = utcnow()
    day = site_day(now)
    asked = SummaryCriteria(day, day, Period.TODAY, Axis.PROJECT)
    figures = summaries.so_far(session, viewer=viewer, day=day)
    tiles = [
        (_(column.label), _(column.definition), column.shown(figures), link(column, asked))
        for column in COLUMNS
        if column.code in SHOWN and (figures.target or column.code not in WHERE_AIMED)
    ]
    if overdue is None:
        overdue = tasks.badge(session, viewer=viewer, now=now)
    return {"now": now, "tiles": tiles, "overdue": overdue, "poll": kept_url("admin.today")}
