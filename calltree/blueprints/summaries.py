"""集計: today, tables of a period, the heat map, 稼働時間, and their files (R-WT-2…4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints import summary_sheets
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.formats import WEEKDAY_IDS
from calltree.blueprints.navigation import admin_only, screen
from calltree.blueprints.summary_charts import chart
from calltree.blueprints.summary_columns import (
    AXIS_NAMES,
    COLUMNS,
    columns_of,
    heat_link,
    labels,
    link,
    written,
)
from calltree.blueprints.summary_hours import STATE_NAMES, hours_of
from calltree.db import utcnow
from calltree.extensions import reading
from calltree.models import OperatorState
from calltree.services import history, lists, people, summaries
from calltree.services.history_criteria import AUTOMATIC, NO_GROUP, UNANSWERED
from calltree.services.record_names import AUTOMATIC_WORD, UNANSWERED_WORD
from calltree.services.rights import Right, Viewer
from calltree.services.sentences import N_
from calltree.services.summary_criteria import Axis, Period, SummaryCriteria
from calltree.text.days import site_day
from calltree.text.workbooks_out import Duration, Share

bp = Blueprint("summaries", __name__, url_prefix="/figures")

SHOWN = 500
"""Lines of a page; a file has all."""
HOURS = (9, 19)
"""Of the heat map at least; more where there were calls."""
HEAT_STEPS = 5
"""From the lowest rate of a heat map to its highest."""
HEAT_FROM = 10
"""Calls below which a field's rate says nothing yet: it wears no colour."""
PERIOD_NAMES = {
    Period.TODAY: N_("Today"),
    Period.YESTERDAY: N_("Yesterday"),
    Period.WEEK: N_("This week"),
    Period.MONTH: N_("This month"),
    Period.LAST_MONTH: N_("Last month"),
    Period.CUSTOM: N_("From … to …"),
}


@bp.get("/")
@requires(Right.SEE_FIGURES)
def index() -> ResponseReturnValue:
    """Show today's figures; they follow the calls."""
    return render_template("summaries/today.html", **_around(_asked()), today=today(viewer()))


def today(who: Viewer, session: Session | None = None) -> dict[str, Any]:
    """Give what the panel of today shows, on the page and on its live line."""
    now = utcnow()
    day = site_day(now)
    asked = SummaryCriteria(day, day, Period.TODAY, Axis.USER)
    found = session or reading()
    table = summaries.summary(found, viewer=who, criteria=asked, now=now)
    by_hour = replace(asked, by=Axis.HOUR)
    hourly = summaries.summary(found, viewer=who, criteria=by_hour, now=now, aimed=False)
    return {
        "now": now,
        "table": drawn(table),
        "chart": chart(hourly),
        "url": url_for("summaries.now"),
    }


@bp.get("/now")
@requires(Right.SEE_FIGURES)
def now() -> ResponseReturnValue:
    """Give the panel of today alone, for pages whose live line is down, and at midnight."""
    return render_template("summaries/_today.html", today=today(viewer()))


@bp.get("/table")
@requires(Right.SEE_FIGURES)
def table() -> ResponseReturnValue:
    """Show a table of a period by one axis or two."""
    asked = _asked()
    found = summaries.summary(reading(), viewer=viewer(), criteria=asked, now=utcnow())
    return render_template(
        "summaries/table.html",
        table=drawn(found),
        chart=chart(found),
        **_around(asked, kind="table"),
        **_choices(asked),
    )


def drawn(table: summaries.Summary, most: int = SHOWN) -> dict[str, Any]:
    """Write a table's lines: names, and for each column its text and the way to its records."""
    columns = columns_of(table)
    return {
        "axes": [AXIS_NAMES[axis] for axis in table.criteria.axes],
        "columns": columns,
        "lines": [
            (
                labels(table, line),
                [
                    (column.shown(line.figures), link(column, table.criteria, line.keys))
                    for column in columns
                ],
            )
            for line in table.lines[:most]
        ],
        "total": [
            (column, column.shown(table.total), link(column, table.criteria)) for column in columns
        ],
        "count": len(table.lines),
        "criteria": table.criteria,
    }


@bp.get("/heat")
@requires(Right.SEE_FIGURES)
def heat() -> ResponseReturnValue:
    """Show when customers are reached: the connect rate by hour and weekday (R-WT-3)."""
    asked = _asked()
    found = summaries.heat(reading(), viewer=viewer(), criteria=asked)
    asked = asked.asked_by(viewer())
    dialled = {place: figures for place, figures in found.items() if figures.dials}
    known = [hour for _weekday, hour in dialled]
    hours = range(min([HOURS[0], *known]), max([HOURS[1], *known]) + 1)
    coloured = _steps(dialled)
    rows = [
        (
            name,
            [
                _field(asked, dialled[weekday, hour], (weekday, hour), coloured)
                if (weekday, hour) in dialled
                else None
                for hour in hours
            ],
        )
        for weekday, name in enumerate(WEEKDAY_IDS)
    ]
    return render_template(
        "summaries/heat.html",
        hours=hours,
        rows=rows,
        dials=sum(figures.dials for figures in dialled.values()),
        **_around(asked, kind="heat"),
        **_choices(asked),
    )


def _steps(fields: Mapping[tuple[int, int], summaries.Figures]) -> dict[tuple[int, int], int]:
    """Give how dark each field is: 1 to HEAT_STEPS, those of few calls left out."""
    rates = {
        place: figures.connect_rate or 0
        for place, figures in fields.items()
        if figures.dials >= HEAT_FROM
    }
    least, most = min(rates.values(), default=0), max(rates.values(), default=0)
    wide = most - least
    return {
        place: 1 + min(int((rate - least) / wide * HEAT_STEPS), HEAT_STEPS - 1) if wide else 1
        for place, rate in rates.items()
    }


def _field(
    asked: SummaryCriteria,
    figures: summaries.Figures,
    place: tuple[int, int],
    steps: Mapping[tuple[int, int], int],
) -> dict[str, Any]:
    return {
        "rate": str(Share(figures.connect_rate or 0)),
        "step": steps.get(place, 0),
        "dials": figures.dials,
        "connects": figures.connects,
        "url": heat_link(asked, *place),
    }


@bp.get("/hours")
@requires(Right.SEE_FIGURES)
def hours() -> ResponseReturnValue:
    """Show 稼働時間 (R-WT-4)."""
    asked = _asked()
    lines, reasons = hours_of(asked)
    return render_template(
        "summaries/hours.html",
        lines=lines[:SHOWN],
        count=len(lines),
        reasons=reasons,
        states=STATE_NAMES,
        duration=lambda ms: written(Duration(ms)) if ms else "–",
        hourly=written,
        away=OperatorState.AWAY,
        **_around(asked, kind="hours"),
        **_choices(asked),
    )


@bp.get("/file/<kind>.<form>")
@requires(Right.EXPORT)
def file(kind: str, form: str) -> ResponseReturnValue:
    """Send a table, the heat map or 稼働時間 as CSV or XLSX; all of its lines."""
    admin_only()
    return summary_sheets.send(kind, form, _asked())


def _asked() -> SummaryCriteria:
    pairs = request.args.items(multi=True)
    return SummaryCriteria.parse(pairs, today=site_day(utcnow()))


def _around(asked: SummaryCriteria, kind: str = "") -> dict[str, Any]:
    """Give what stands on every page of 集計: its tabs, its period, its files."""
    who = viewer()
    query: dict[str, Any] = dict(asked.pairs())
    may_export = bool(kind) and who.may(Right.EXPORT) and screen() == "admin"
    files = [
        (form.upper(), url_for("summaries.file", kind=kind, form=form, **query))
        for form in (("csv", "xlsx") if may_export else ())
    ]
    return {
        "files": files,
        "pages": [
            (endpoint, url_for(endpoint, **(query if endpoint != "summaries.index" else {})))
            for endpoint in (
                "summaries.index",
                "summaries.table",
                "summaries.heat",
                "summaries.hours",
            )
        ],
        "definitions": COLUMNS,
        "asked": asked,
        "manages": who.manages,
    }


def _choices(asked: SummaryCriteria) -> dict[str, Any]:
    """Give the boxes of the filter."""
    session, who = reading(), viewer()
    known = lists.offered(session, viewer=who)
    chosen: dict[str, Any] = {
        "projects": [(str(one.id), one.name) for one in known],
        "lists": [(str(key), name) for key, name in lists.under(known, asked.project_id)],
        "users": [],
        "groups": [],
        "periods": PERIOD_NAMES,
        "axes": AXIS_NAMES,
    }
    if who.manages:
        chosen["users"] = [
            *((str(user.id), user.name) for user in history.offered_users(session)),
            (AUTOMATIC, _(AUTOMATIC_WORD)),
            (UNANSWERED, _(UNANSWERED_WORD)),
        ]
        chosen["groups"] = [(str(key), name) for key, name in people.group_names(session)]
        chosen["no_group"] = NO_GROUP
    return chosen
