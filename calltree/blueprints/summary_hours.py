"""稼働時間 as 集計 shows it: each user's days beside what they called (R-WT-4)."""

from __future__ import annotations

from dataclasses import replace

from calltree.blueprints.access import viewer
from calltree.blueprints.summary_columns import COLUMNS, link
from calltree.db import utcnow
from calltree.extensions import reading
from calltree.models import OperatorState
from calltree.services import summaries, working_times
from calltree.services.sentences import N_
from calltree.services.summary_criteria import Axis, SummaryCriteria

STATE_NAMES = {
    OperatorState.BROWSING: N_("Browsing"),
    OperatorState.READY: N_("Ready"),
    OperatorState.OFFERED: N_("Being called"),
    OperatorState.DIALLING: N_("Dialling"),
    OperatorState.TALKING: N_("Talking"),
    OperatorState.WRAP_UP: N_("Wrap-up"),
    OperatorState.AWAY: N_("Away"),
}


HourLine = tuple[working_times.Day, int, float | None, str]


def hours_of(asked: SummaryCriteria) -> tuple[list[HourLine], list[str]]:
    """Give each user's days with calls, calls an hour and the way to them; and all reasons."""
    session, who, at = reading(), viewer(), utcnow()
    days = working_times.days(session, viewer=who, criteria=asked, now=at)
    by = replace(asked, by=Axis.USER, then=Axis.DAY, project_id=None, list_id=None)
    counted = summaries.summary(session, viewer=who, criteria=by, now=at)
    dials = {line.keys: line.figures.dials for line in counted.lines}
    lines: list[HourLine] = []
    for one in days:
        number = dials.get((one.user_id, one.day), 0)
        figures = summaries.Figures(
            dials=number, spent=working_times.Spent(working_ms=one.working_ms)
        )
        way = link(COLUMNS[0], counted.criteria, (one.user_id, one.day))
        lines.append((one, number, figures.dials_an_hour, way))
    reasons = sorted({reason for one in days for reason in one.reasons})
    return lines, reasons
