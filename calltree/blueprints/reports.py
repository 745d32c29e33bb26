"""報告履歴: what projects report to their clients, to look at only (R-HS-5)."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.history import address, may_export, player
from calltree.db import utcnow
from calltree.extensions import reading
from calltree.models import Customer, CustomerList
from calltree.services import history, patterns
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.rights import Right

bp = Blueprint("reports", __name__, url_prefix="/reports")


@bp.get("/")
@requires(Right.SEE_REPORTS)
def index() -> ResponseReturnValue:
    """Show the reported records, newest first, of all time unless dates are given."""
    asked = HistoryCriteria.parse(request.args.items(multi=True))
    criteria = replace(asked, span=Span.ALL, user="", items=(), customer_id=None)
    session, after = reading(), request.args.get("after", "")
    found = history.reports(session, viewer=viewer(), criteria=criteria, now=utcnow(), after=after)
    projects = history.reporting_projects(session, viewer=viewer())
    wanted = {status_id for project in projects for status_id in project.reported_status_ids}
    statuses = history.offered_statuses(session, project_ids=[p.id for p in projects])
    return render_template(
        "reports/index.html",
        page=found,
        criteria=criteria,
        next_url=address("reports.index", criteria, after=found.next_key)
        if found.next_key
        else None,
        first_url=address("reports.index", criteria) if after else None,
        export_url=address("exports.records", criteria, reported=1) if may_export() else None,
        projects=[(str(project.id), project.name) for project in projects],
        statuses=[(str(s.id), s.name) for s in statuses if s.id in wanted],
        player=player(),
    )


@bp.get("/<int:record_id>")
@requires(Right.SEE_REPORTS)
def show(record_id: int) -> ResponseReturnValue:
    """Show one reported record with its customer."""
    session = reading()
    record = history.get_reported(session, viewer=viewer(), record_id=record_id)
    customer = session.get(Customer, record.customer_id) if record.customer_id else None
    folder = session.get(CustomerList, customer.list_id) if customer else None
    items = patterns.items_of(session, record.project_id) if record.project_id else []
    values = {**(customer.attributes if customer else {}), **record.attributes}
    return render_template(
        "reports/record.html",
        record=record,
        row=history.row_of(session, viewer=viewer(), record=record),
        customer=customer if customer and customer.deleted_at is None else None,
        columns=folder.columns if folder else [],
        items=[(item, values.get(str(item.id))) for item in items],
        player=player(),
    )
