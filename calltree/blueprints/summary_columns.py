"""The columns of 集計: how each is called, what it counts, and where its records are (R-WT-2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import url_for
from flask_babel import gettext as _

from calltree.blueprints.formats import day as day_text
from calltree.blueprints.history import address
from calltree.models import RecordKind, SystemResult
from calltree.services.figures import DIALLED
from calltree.services.history_criteria import (
    AUTOMATIC,
    NO_GROUP,
    UNANSWERED,
    Counted,
    HistoryCriteria,
)
from calltree.services.record_names import AUTOMATIC_WORD, UNANSWERED_WORD
from calltree.services.sentences import N_
from calltree.services.summaries import UNANSWERED_KEY, Figures, Line, Summary
from calltree.services.summary_criteria import Axis, Period, SummaryCriteria
from calltree.text.workbooks_out import Cell, Duration, Share


@dataclass(frozen=True, slots=True)
class Column:
    """One figure: its name, its definition, its value and the search that finds its records."""

    code: str
    label: str
    definition: str
    value: Callable[[Figures], Cell]
    records: dict[str, Any] | None = None
    """What a search of コール履歴 asks besides; None where no record is behind it."""
    of_time: bool = False
    """Behind it are operators' hours, not records."""

    def shown(self, figures: Figures) -> str:
        """Write the value as pages do; 「–」 for none."""
        return written(self.value(figures))


def written(value: Cell) -> str:
    """Write a value as pages do."""
    if value is None:
        return "–"
    if isinstance(value, Share | Duration | str):
        return str(value)
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def _share(part: float | None) -> Share | None:
    return None if part is None else Share(part)


def _time(ms: float | None) -> Duration | None:
    return None if ms is None else Duration(ms)


DIAL: dict[str, Any] = {"counted": Counted.DIAL}
COLUMNS = (
    Column(
        "dials",
        N_("Calls"),
        N_(
            "Dials of customers by an operator or by predictive dialling, answered or not. Line "
            "errors, hand-dialled numbers, calls received and entries by hand are not counted."
        ),
        lambda of: of.dials,
        DIAL,
    ),
    Column(
        "connects",
        N_("Connects"),
        N_("Calls whose result is set as connected."),
        lambda of: of.connects,
        {"counted": Counted.CONNECT},
    ),
    Column(
        "connect_rate",
        N_("Connect rate"),
        N_("Connects ÷ calls."),
        lambda of: _share(of.connect_rate),
        {"counted": Counted.CONNECT},
    ),
    Column(
        "conversions",
        N_("CV"),
        N_("Calls whose result is set as CV."),
        lambda of: of.conversions,
        {"counted": Counted.CONVERSION},
    ),
    Column(
        "conversion_rate",
        N_("CV rate"),
        N_("CV ÷ connects."),
        lambda of: _share(of.conversion_rate),
        {"counted": Counted.CONVERSION},
    ),
    Column(
        "target",
        N_("Target"),
        N_(
            "CV aimed at: the project's target of a day × its calling days in the period "
            "(weekdays, holidays and closed days as they are set now; running projects only)."
        ),
        lambda of: of.target,
    ),
    Column(
        "reached",
        N_("Target reached"),
        N_("CV ÷ target."),
        lambda of: _share(of.reached),
        {"counted": Counted.CONVERSION},
    ),
    Column(
        "talk",
        N_("Talk time"),
        N_("From answer to hang-up, of the calls counted here."),
        lambda of: Duration(of.talk_ms),
        DIAL,
    ),
    Column(
        "talk_each",
        N_("Talk per connect"),
        N_("Talk time ÷ connects."),
        lambda of: _time(of.talk_each_ms),
        {"counted": Counted.CONNECT},
    ),
    Column(
        "wrap_up",
        N_("Wrap-up"),
        N_(
            "Operators' time from the end of a call to its saved result. It cannot be told apart "
            "by project, list or result."
        ),
        lambda of: Duration(of.spent.wrap_up_ms) if of.spent else None,
        of_time=True,
    ),
    Column(
        "idle",
        N_("Idle"),
        N_(
            "Operators' time ready or browsing: neither in a call nor in wrap-up nor away. "
            "It cannot be told apart by project, list or result."
        ),
        lambda of: Duration(of.spent.idle_ms) if of.spent else None,
        of_time=True,
    ),
    Column(
        "working",
        N_("Working time"),
        N_("Operators' time signed in, less the time away."),
        lambda of: Duration(of.spent.working_ms) if of.spent else None,
        of_time=True,
    ),
    Column(
        "dials_an_hour",
        N_("Calls an hour"),
        N_("Calls ÷ working time."),
        lambda of: of.dials_an_hour,
        of_time=True,
    ),
    Column(
        "entries",
        N_("Entries by hand"),
        N_("Records made by hand, without a call."),
        lambda of: of.entries,
        {"kinds": (RecordKind.ENTRY,)},
    ),
    Column(
        "inbound",
        N_("Calls received"),
        N_("Calls that came in."),
        lambda of: of.inbound,
        {"kinds": (RecordKind.INBOUND,)},
    ),
    Column(
        "manual",
        N_("Hand-dialled"),
        N_("Numbers typed by an operator. They are not in the call history."),
        lambda of: of.manual,
    ),
    Column(
        "failures",
        N_("Line errors"),
        N_("Dials that failed on our side. They count as no call."),
        lambda of: of.failures,
        {"statuses": (SystemResult.LINE_ERROR.value,), "kinds": DIALLED},
    ),
)
RARE = {"entries", "inbound", "manual", "failures"}
"""Shown only where there is one."""
AXIS_NAMES = {
    Axis.DAY: N_("Day"),
    Axis.HOUR: N_("Hour"),
    Axis.PROJECT: N_("Project"),
    Axis.LIST: N_("List"),
    Axis.USER: N_("User"),
    Axis.GROUP: N_("Group"),
    Axis.STATUS: N_("Result"),
}


NOBODY_WORDS = {None: AUTOMATIC_WORD, UNANSWERED_KEY: UNANSWERED_WORD}
"""Who stands where a user's name does, by the line's key."""


def columns_of(table: Summary) -> list[Column]:
    """Leave out what has nothing to say in this table."""
    everything = [table.total, *(line.figures for line in table.lines)]
    return [
        column
        for column in COLUMNS
        if any(
            value if column.code in RARE else value is not None
            for value in map(column.value, everything)
        )
    ]


def label(axis: Axis, key: Any, name: str) -> str:
    """Write what a line stands for."""
    if axis is Axis.DAY:
        return day_text(key)
    if axis is Axis.HOUR:
        return str(_("%(hour)s:00–", hour=key))
    if axis is Axis.USER and key in NOBODY_WORDS:
        return str(_(NOBODY_WORDS[key]))
    if key is None:
        return name or (str(_("In no group")) if axis is Axis.GROUP else "–")
    return name


def labels(table: Summary, line: Line) -> list[str]:
    """Write all that a line stands for."""
    return [
        label(axis, key, name)
        for axis, key, name in zip(table.criteria.axes, line.keys, line.names, strict=True)
    ]


def link(column: Column, criteria: SummaryCriteria, keys: Sequence[Any] = ()) -> str:
    """Give the address of the records behind a figure; empty where there is none.

    `keys` are the line's, none for the total.
    """
    line = dict(zip(criteria.axes, keys, strict=bool(keys)))
    if column.of_time:
        return _link_to_hours(criteria, line)
    if column.records is None:
        return ""
    asked = _behind(criteria, line)
    if asked is None:
        return ""
    return address("history.index", replace(asked, **column.records))


def _link_to_hours(criteria: SummaryCriteria, line: dict[Axis, Any]) -> str:
    if Axis.HOUR in line:
        return ""
    day = line.get(Axis.DAY)
    asked = replace(
        criteria,
        first=day or criteria.first,
        last=day or criteria.last,
        period=Period.CUSTOM if day else criteria.period,
        user=str(line.get(Axis.USER) or criteria.user),
        group=_group(line, criteria),
    )
    return url_for("summaries.hours", **dict(asked.pairs()))  # type: ignore[arg-type] # plain texts


def _group(line: dict[Axis, Any], criteria: SummaryCriteria) -> str:
    if Axis.GROUP not in line:
        return criteria.group
    return NO_GROUP if line[Axis.GROUP] is None else str(line[Axis.GROUP])


_NOBODY = {None: AUTOMATIC, UNANSWERED_KEY: UNANSWERED}


def _behind(criteria: SummaryCriteria, line: dict[Axis, Any]) -> HistoryCriteria | None:
    """Write a line as a search; None for 「–」, which no search can ask for."""
    if any(axis in line and line[axis] is None for axis in (Axis.PROJECT, Axis.LIST)):
        return None
    user = criteria.user
    if Axis.USER in line:
        user = _NOBODY.get(line[Axis.USER]) or str(line[Axis.USER])
    return HistoryCriteria(
        started_from=line.get(Axis.DAY, criteria.first),
        started_to=line.get(Axis.DAY, criteria.last),
        project_id=line.get(Axis.PROJECT, criteria.project_id),
        list_id=line.get(Axis.LIST, criteria.list_id),
        user=user,
        group=_group(line, criteria),
        hour=line.get(Axis.HOUR),
        statuses=(str(line[Axis.STATUS]),) if Axis.STATUS in line else (),
    )


def heat_link(criteria: SummaryCriteria, weekday: int, hour: int) -> str:
    """Give the address of the calls of a field of the heat map."""
    asked = _behind(criteria, {Axis.HOUR: hour})
    assert asked is not None  # noqa: S101 - an hour is always one
    return address("history.index", replace(asked, weekday=weekday, **DIAL))
