"""集計 as files: the whole table, the heat map or 稼働時間, as CSV or XLSX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from urllib.parse import quote

from flask import Response
from flask_babel import gettext as _

from calltree.blueprints import taken_away
from calltree.blueprints.access import viewer
from calltree.blueprints.formats import WEEKDAY_IDS, clock
from calltree.blueprints.summary_columns import AXIS_NAMES, COLUMNS, labels
from calltree.blueprints.summary_hours import STATE_NAMES, HourLine, hours_of
from calltree.db import utcnow
from calltree.errors import NotFound
from calltree.extensions import reading, settings
from calltree.models import OperatorState
from calltree.services import audit, summaries
from calltree.services.sentences import N_
from calltree.services.summary_criteria import SummaryCriteria
from calltree.text import workbooks_out
from calltree.text.sheets_out import CsvTable
from calltree.text.workbooks_out import Cell, Duration, Share

Table = tuple[list[str], list[list[Cell]]]
TITLES = {"table": N_("Figures"), "heat": N_("Hour × weekday"), "hours": N_("Working hours")}
STATES = tuple(state for state in STATE_NAMES if state is not OperatorState.AWAY)


def send(kind: str, form: str, asked: SummaryCriteria) -> Response:
    """Answer with the file, and note in the audit log that it left. Raises NotFound."""
    if kind not in TITLES or form not in ("csv", "xlsx"):
        raise NotFound(f"{kind}.{form}")
    header, rows = {"table": _table, "heat": _heat, "hours": _hours}[kind](asked)
    taken_away.note(
        action="figures.exported",
        kind="figures",
        object_id=kind,
        rows=len(rows),
        form=form,
        search=audit.conditions(asked.pairs()),
    )
    title = _(TITLES[kind])
    if form == "xlsx":
        body: Iterable[bytes] = workbooks_out.chunks(title, header, rows)
        response = Response(body, mimetype=workbooks_out.MEDIA_TYPE)
    else:
        texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
        response = Response(CsvTable().chunks(header, texts), mimetype="text/csv; charset=utf-8")
    name = f"{title}_{asked.first:%Y%m%d}-{asked.last:%Y%m%d}.{form}"
    response.headers["Content-Disposition"] = (
        f"attachment; filename={kind}.{form}; filename*=UTF-8''{quote(name, safe='')}"
    )
    return response


def _table(asked: SummaryCriteria) -> Table:
    table = summaries.summary(reading(), viewer=viewer(), criteria=asked, now=utcnow())
    header = [
        *(_(AXIS_NAMES[axis]) for axis in table.criteria.axes),
        *(_(column.label) for column in COLUMNS),
    ]
    rows: list[list[Cell]] = [
        [*labels(table, line), *(column.value(line.figures) for column in COLUMNS)]
        for line in table.lines
    ]
    blanks: list[Cell] = [""] * (len(table.criteria.axes) - 1)
    rows.append([_("Total"), *blanks, *(column.value(table.total) for column in COLUMNS)])
    return header, rows


def _heat(asked: SummaryCriteria) -> Table:
    found = summaries.heat(reading(), viewer=viewer(), criteria=asked)
    header = [_("Weekday"), _("Hour"), _("Calls"), _("Connects"), _("Connect rate")]
    rows: list[list[Cell]] = [
        [
            _(WEEKDAY_IDS[weekday]),
            hour,
            one.dials,
            one.connects,
            None if one.connect_rate is None else Share(one.connect_rate),
        ]
        for (weekday, hour), one in sorted(found.items())
        if one.dials
    ]
    return header, rows


def _hours(asked: SummaryCriteria) -> Table:
    lines, reasons = hours_of(asked)
    header = [
        _("Day"), _("User"), _("First sign-in"), _("Last sign-out"), _("Present"),
        _("Working time"), _("Calls"), _("Calls an hour"),
        *(_(STATE_NAMES[state]) for state in STATES),
        *(_away(reason) for reason in reasons),
    ]  # fmt: skip
    return header, list(_hour_rows(lines, reasons))


def _away(reason: str) -> str:
    return str(_("Away: %(reason)s", reason=reason) if reason else _("Away"))


def _hour_rows(lines: Sequence[HourLine], reasons: list[str]) -> Iterator[list[Cell]]:
    for one, dials, an_hour, _way in lines:
        yield [
            one.day.isoformat(),
            one.user,
            _moment(one.first_in),
            _moment(one.last_out),
            Duration(one.present_ms),
            Duration(one.working_ms),
            dials,
            an_hour,
            *(Duration(one.states.get(state, 0)) for state in STATES),
            *(Duration(one.reasons.get(reason, 0)) for reason in reasons),
        ]


def _moment(value: datetime | None) -> str:
    return clock(value.astimezone(settings().timezone)) if value else ""
