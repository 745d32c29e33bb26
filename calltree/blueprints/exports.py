"""Exports of the admin screen: per list, per record, do-not-call; CSV or XLSX (R-HS-4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.blueprints.criteria_fields import address_of, choices_of_project
from calltree.blueprints.history import address
from calltree.blueprints.navigation import admin_only
from calltree.db import Store, utcnow
from calltree.errors import NotAllowed
from calltree.extensions import reading, settings, store, writing
from calltree.services import audit, exports
from calltree.services.ban_search import BanCriteria
from calltree.services.criteria import Criteria
from calltree.services.history_criteria import HistoryCriteria
from calltree.services.rights import Right, Viewer
from calltree.services.sentences import N_
from calltree.text import workbooks_out
from calltree.text.sheets_out import CsvTable, Encoding
from calltree.text.workbooks_out import XlsxTable

bp = Blueprint("exports", __name__, url_prefix="/admin/exports")

STATE_NAMES = {
    "export.started": N_("Being sent"),
    "export.finished": N_("Finished"),
    "export.broken_off": N_("Broken off"),
}
SHOWN = timedelta(hours=24)


@bp.get("/customers")
@requires(Right.EXPORT)
def customers() -> ResponseReturnValue:
    """Offer the columns of the export per list: a list's, or a project's with a search."""
    admin_only()
    session = reading()
    of, criteria = _of_which(), _criteria()
    folders = exports.customer_lists(session, viewer=viewer(), **of)
    boxes: dict[str, Any] = {}
    if of["list_id"] is None and of["project_id"] is not None:
        held = exports.list_columns(folders)
        boxes = choices_of_project(session, of["project_id"], held, criteria)
        boxes["project_id"] = of["project_id"]
    return _offer(
        kind="customers",
        headings=exports.customer_columns(session, folders=folders),
        action=_same_search("exports.send_customers"),
        about=[folder.name for folder in folders],
        narrowed=not criteria.is_empty,
        **boxes,
    )


@bp.post("/customers")
@requires(Right.EXPORT)
def send_customers() -> ResponseReturnValue:
    """Send the export per list."""
    admin_only()
    criteria = _criteria()
    sheet = exports.customers(
        store().read,
        viewer=viewer(),
        **_of_which(),
        criteria=criteria,
        chosen=request.form.getlist("column"),
        zone=settings().timezone,
        now=utcnow(),
    )
    of = {name: value for name, value in _of_which().items() if value is not None}
    search = audit.conditions(criteria.pairs())
    return _send(sheet, "customers", _("per list"), search=search, **of)


@bp.get("/records")
@requires(Right.EXPORT)
def records() -> ResponseReturnValue:
    """Offer the columns of the export per record: a search of コール履歴."""
    admin_only()
    criteria = HistoryCriteria.parse(request.args.items(multi=True))
    reported = {"reported": 1} if _reported() else {}
    return _offer(
        kind="reports" if reported else "records",
        headings=exports.record_columns(reading(), criteria=criteria),
        action=address("exports.send_records", criteria, **reported),
        about=[],
        narrowed=True,
    )


def _reported() -> bool:
    """Whether it is about 報告履歴, for which one needs the right to see that too."""
    asked = request.args.get("reported") == "1"
    if asked and not viewer().may(Right.SEE_REPORTS):
        raise NotAllowed
    return asked


@bp.post("/records")
@requires(Right.EXPORT)
def send_records() -> ResponseReturnValue:
    """Send the export per record."""
    admin_only()
    criteria = HistoryCriteria.parse(request.args.items(multi=True))
    sheet = exports.records(
        store().read,
        viewer=viewer(),
        criteria=criteria,
        chosen=request.form.getlist("column"),
        reported=_reported(),
        zone=settings().timezone,
        now=utcnow(),
    )
    search = audit.conditions(criteria.pairs())
    if _reported():
        return _send(sheet, "reports", _("reported"), search=search)
    return _send(sheet, "records", _("per record"), search=search)


@bp.get("/do-not-call")
@requires(Right.EXPORT)
def bans() -> ResponseReturnValue:
    """Offer the columns of the do-not-call entries that a search finds."""
    admin_only()
    criteria = BanCriteria.parse(request.args.items())
    return _offer(
        kind="do-not-call",
        headings=list(exports.BAN_COLUMNS),
        action=url_for("exports.send_bans", **dict[str, Any](criteria.pairs())),
        about=[],
        narrowed=True,
    )


@bp.post("/do-not-call")
@requires(Right.EXPORT)
def send_bans() -> ResponseReturnValue:
    """Send the do-not-call entries."""
    admin_only()
    criteria = BanCriteria.parse(request.args.items())
    sheet = exports.bans(
        store().read,
        viewer=viewer(),
        criteria=criteria,
        chosen=request.form.getlist("column"),
        zone=settings().timezone,
        now=utcnow(),
    )
    search = audit.conditions(criteria.pairs())
    return _send(sheet, "do-not-call", _("do-not-call"), search=search)


@bp.get("/recent")
@requires(Right.EXPORT)
def recent() -> ResponseReturnValue:
    """Show the viewer's exports of the last day: how far, how many rows, how many 〓."""
    admin_only()
    return render_template("exports/_recent.html", **_recent())


def _offer(**values: Any) -> str:
    return render_template("exports/choose.html", **values, **_recent())


def _of_which() -> dict[str, int | None]:
    return {
        "list_id": request.args.get("list_id", type=int),
        "project_id": request.args.get("project_id", type=int),
    }


def _criteria() -> Criteria:
    return Criteria.parse(request.args.items(multi=True))


def _same_search(endpoint: str) -> str:
    return address_of(endpoint, request.args.items(multi=True))


def _recent() -> dict[str, object]:
    runs = exports.recent(reading(), viewer=viewer(), since=utcnow() - SHOWN)
    return {"runs": runs, "state_names": STATE_NAMES}


def _send(sheet: exports.Sheet, kind: str, suffix: str, *, search: str, **of: int) -> Response:
    form = _form(sheet)
    with writing() as session:
        started = audit.note(
            session,
            viewer=viewer(),
            action="export.started",
            kind=kind,
            address=request.remote_addr or "",
            now=utcnow(),
            title=sheet.title,
            rows=sheet.expected,
            columns=len(sheet.header),
            encoding=form.name,
            search=search,
            **of,
        )
        session.flush()
        run_id = started.id
    note = _noter(store(), viewer(), kind, run_id, request.remote_addr or "", sheet.title)
    response = Response(
        _watched(sheet, form.table, note),
        mimetype=form.media_type,
        content_type=form.media_type,
    )
    name = f"{sheet.title or _('All projects')}_{suffix}_"
    name += f"{utcnow().astimezone(settings().timezone):%Y%m%d-%H%M}.{form.ending}"
    spelled = quote(name.replace("/", "_"), safe="")
    response.headers["Content-Disposition"] = (
        f"attachment; filename={kind}.{form.ending}; filename*=UTF-8''{spelled}"
    )
    return response


@dataclass(frozen=True, slots=True)
class _Form:
    """In which form a table leaves."""

    name: str
    table: CsvTable | XlsxTable
    ending: str
    media_type: str


def _form(sheet: exports.Sheet) -> _Form:
    """Read the choice: XLSX, or CSV in one of two encodings."""
    asked = request.form.get("encoding")
    if asked == "xlsx":
        title = sheet.title or _("Export")
        return _Form("xlsx", XlsxTable(title), "xlsx", workbooks_out.MEDIA_TYPE)
    encoding = Encoding.CP932 if asked == "cp932" else Encoding.UTF_8_BOM
    charset = "cp932" if encoding is Encoding.CP932 else "utf-8"
    return _Form(encoding.value, CsvTable(encoding), "csv", f"text/csv; charset={charset}")


Note = Callable[[str, int, int], None]


def _noter(to: Store, who: Viewer, kind: str, run_id: int, remote: str, title: str) -> Note:
    """Make what writes an export's end into the audit log; the request is over by then."""

    def note(action: str, rows: int, replaced: int) -> None:
        with to.write() as session:
            audit.note(
                session,
                viewer=who,
                action=action,
                kind=kind,
                object_id=run_id,
                address=remote,
                now=utcnow(),
                title=title,
                rows=rows,
                replaced=replaced,
            )

    return note


def _watched(sheet: exports.Sheet, table: CsvTable | XlsxTable, note: Note) -> Iterator[bytes]:
    """Send the table and note how it ended, also when the browser hung up."""
    sent, ending = 0, "export.broken_off"

    def counted() -> Iterator[exports.Row]:
        nonlocal sent
        for row in sheet.rows:
            sent += 1
            yield row

    try:
        yield from table.chunks(sheet.header, counted())
        ending = "export.finished"
    finally:
        note(ending, sent, table.replaced)
