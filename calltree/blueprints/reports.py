"""報告履歴: what projects report to their clients, to look at only (R-HS-5)."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.history import address, may_export, player
from calltree.db import utcnow
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.models import Customer, CustomerList
from calltree.services import history, patterns, projects, reporting
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
    reporting_now = history.reporting_projects(session, viewer=viewer())
    wanted = {status_id for project in reporting_now for status_id in project.reported_status_ids}
    statuses = history.offered_statuses(session, project_ids=[p.id for p in reporting_now])
    return render_template(
        "reports/index.html",
        page=found,
        criteria=criteria,
        next_url=address("reports.index", criteria, after=found.next_key)
        if found.next_key
        else None,
        first_url=address("reports.index", criteria) if after else None,
        export_url=address("exports.records", criteria, reported=1) if may_export() else None,
        projects=[(str(project.id), project.name) for project in reporting_now],
        statuses=[(str(s.id), s.name) for s in statuses if s.id in wanted],
        player=player(),
    )


@bp.get("/settings")
@requires(Right.ADMIN_SCREEN)
def settings() -> ResponseReturnValue:
    """Show what each project reports, and to whom."""
    session = reading()
    return render_template(
        "reports/settings.html",
        projects=projects.all_projects(session),
        named=reporting.named(session),
    )


@bp.get("/settings/<int:project_id>")
@requires(Right.ADMIN_SCREEN)
def setting(project_id: int) -> ResponseReturnValue:
    """Show one project's 報告機能設定."""
    session = reading()
    project = projects.get(session, project_id)
    return render_template(
        "reports/setting.html",
        project=project,
        kept=reporting.of(session, project),
        statuses=reporting.statuses(session, project),
        clients=reporting.recipients(session),
    )


@bp.post("/settings/<int:project_id>")
@requires(Right.EDIT_MASTER_DATA)
def save_setting(project_id: int) -> ResponseReturnValue:
    """Set what a project reports."""
    given = request.form
    wanted = reporting.Reporting(
        enabled=given.get("enabled") == "1",
        status_ids=frozenset(given.getlist("status", type=int)),
        recipient_ids=frozenset(given.getlist("user", type=int)),
        recordings=given.get("recordings") == "1",
    )
    with writing() as session:
        reporting.save(session, viewer=viewer(), project_id=project_id, wanted=wanted, now=utcnow())
    flash(_("Saved."), "ok")
    return go(url_for("reports.settings"))


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
