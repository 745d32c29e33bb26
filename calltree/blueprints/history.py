"""コール履歴: search, look, correct, delete (R-HS-1…3). The same pages on both screens."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from calltree.blueprints import call_transfer, recordings
from calltree.blueprints.access import requires, viewer
from calltree.blueprints.criteria_fields import address_of
from calltree.blueprints.navigation import screen
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go
from calltree.locale import sentence
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    AttributeItem,
    BulkKind,
    CallRecord,
    Customer,
    ItemTarget,
    Project,
    RecordCorrection,
    RecordKind,
    SystemResult,
    User,
)
from calltree.services import (
    audit,
    bulk,
    history,
    lists,
    patterns,
    record_names,
    recording_space,
    records,
    results,
    scope,
)
from calltree.services.history_criteria import AUTOMATIC, UNANSWERED, HistoryCriteria, Span
from calltree.services.rights import Right

bp = Blueprint("history", __name__, url_prefix="/history")


def address(endpoint: str, criteria: HistoryCriteria, **values: Any) -> str:
    """Write the address of a search."""
    return address_of(endpoint, criteria.pairs(), **values)


@bp.get("/")
@requires(Right.SEE_RECORDS)
def index() -> ResponseReturnValue:
    """Show what a search finds, newest first."""
    criteria = _criteria()
    after = request.args.get("after", "")
    found = history.page(reading(), viewer=viewer(), criteria=criteria, now=utcnow(), after=after)
    return render_template(
        "history/index.html",
        page=found,
        criteria=criteria,
        next_url=address("history.index", criteria, after=found.next_key)
        if found.next_key
        else None,
        first_url=address("history.index", criteria) if after else None,
        wider_url=address("history.index", criteria.wider),
        export_url=address("exports.records", criteria) if may_export() else None,
        delete_url=address("history.ask_delete", criteria, found=1) if _may_delete() else None,
        blanks_url=address("history.index", _blanks()),
        plain_url=address("history.index", _without_figure(criteria)),
        player=player(),
        **choices(criteria),
    )


def _without_figure(criteria: HistoryCriteria) -> HistoryCriteria:
    return replace(criteria, counted=None, group="", weekday=None, hour=None)


def may_export() -> bool:
    """Whether a file may leave from this page: 管理画面 alone lets them."""
    return viewer().may(Right.EXPORT) and screen() == "admin"


def _may_delete() -> bool:
    return viewer().may(Right.DELETE_RECORDS) and screen() == "admin"


def _blanks() -> HistoryCriteria:
    """Search for 空白: one's own, or everybody's for who may correct them all."""
    whose = "" if viewer().may(Right.CORRECT_ANY_RECORD) else str(viewer().user_id)
    return HistoryCriteria(span=Span.ALL, statuses=(SystemResult.BLANK.value,), user=whose)


def player() -> str:
    """Name the endpoint that plays a recording; empty as long as there is none."""
    return "recordings.play" if "recordings.play" in current_app.view_functions else ""


def choices(criteria: HistoryCriteria) -> dict[str, Any]:
    """Give what the boxes of a search of call records offer the viewer."""
    session = reading()
    known = lists.offered(session, viewer=viewer())
    chosen = [p for p in known if criteria.project_id in (None, p.id)]
    statuses = history.offered_statuses(session, project_ids=[p.id for p in chosen])
    levels = dict.fromkeys(level for p in chosen for level in p.prospect_levels)
    return {
        "projects": [(str(p.id), p.name) for p in known],
        "lists": [(str(key), name) for key, name in lists.under(known, criteria.project_id)],
        "statuses": [
            *((str(status.id), status.name) for status in statuses),
            *((code.value, name) for code, name in SYSTEM_RESULT_NAMES.items()),
        ],
        "users": [
            *((str(user.id), user.name) for user in history.offered_users(session)),
            (AUTOMATIC, _(record_names.AUTOMATIC_WORD)),
            (UNANSWERED, _(record_names.UNANSWERED_WORD)),
        ],
        "kinds": [
            (kind.value, _(record_names.KIND_WORDS[kind])) for kind in record_names.KIND_NAMES
        ],
        "levels": [(level, level) for level in levels],
        "items": patterns.items_of_any(session, [p.id for p in chosen], ItemTarget.RESULT),
    }


@bp.get("/<int:record_id>")
@requires(Right.SEE_RECORDS)
def show(record_id: int) -> ResponseReturnValue:
    """Show one record, its trace, and the boxes to correct it with."""
    record = history.get(reading(), viewer=viewer(), record_id=record_id)
    return _page(record)


@bp.post("/<int:record_id>")
@requires(Right.ADD_RECORDS)
def correct(record_id: int) -> ResponseReturnValue:
    """Correct a record: its author, or a manager (R-HS-3)."""
    record = history.get(reading(), viewer=viewer(), record_id=record_id)
    answer = request.form.get("withdraw_ban", "")
    try:
        form = _form(record)
        with writing() as session:
            saved = results.correct(
                session,
                viewer=viewer(),
                record_id=record_id,
                form=form,
                withdraw_ban={"yes": True, "no": False}.get(answer),
                now=utcnow(),
            )
    except Refused as refusal:
        asks = refusal.code == "ask_withdraw_ban"
        record = history.get(reading(), viewer=viewer(), record_id=record_id)
        message = "" if asks else sentence(refusal.code, **refusal.values)
        return _page(
            record, error=message, box=refusal.field or "", bans=refusal.values.get("count", 0)
        )
    if saved.changed:
        flash(_("The record has been corrected."), "ok")
    else:
        flash(_("There was nothing to change."), "info")
    if request.form.get("then") == "next_blank":
        return _next_blank(record_id)
    return go(url_for("history.show", record_id=record_id))


def _next_blank(record_id: int) -> ResponseReturnValue:
    following = records.next_blank(reading(), viewer=viewer(), other_than=record_id, now=utcnow())
    if following is not None:
        return go(url_for("history.show", record_id=following))
    flash(_("There are no more blank records."), "ok")
    return go(address("history.index", _blanks()))


@bp.post("/<int:record_id>/delete")
@requires(Right.DELETE_RECORDS)
def delete(record_id: int) -> ResponseReturnValue:
    """Delete one record for good."""
    history.get(reading(), viewer=viewer(), record_id=record_id)
    with writing() as session:
        results.delete_record(session, viewer=viewer(), record_id=record_id, now=utcnow())
    flash(_("The record has been deleted."), "ok")
    return go(url_for("history.index"))


@bp.get("/delete")
@requires(Right.DELETE_RECORDS)
def ask_delete() -> ResponseReturnValue:
    """Ask before chosen records, or with `found` all that a search finds, are deleted."""
    return _ask_delete()


def _ask_delete(error: str = "") -> ResponseReturnValue:
    session, now = reading(), utcnow()
    found, criteria = request.args.get("found") == "1", _criteria()
    if found:
        chosen: list[int] = []
        count, _newest = history.count(session, viewer=viewer(), criteria=criteria, now=now)
        some = history.page(session, viewer=viewer(), criteria=criteria, now=now, size=10).rows
    else:
        rows = _chosen()
        chosen, count = [record.id for record in rows], len(rows)
        some = history.rows_of(session, viewer=viewer(), records=rows[:10])
    page = render_template(
        "history/delete.html",
        count=count,
        found=found,
        chosen=chosen,
        some=some,
        action=address("history.start_delete", criteria, found=1)
        if found
        else url_for("history.start_delete"),
        back=address("history.index", criteria) if found else url_for("history.index"),
        error=error,
    )
    return page, 422 if error else 200


def _criteria() -> HistoryCriteria:
    return HistoryCriteria.parse(request.args.items(multi=True))


def _chosen() -> list[CallRecord]:
    """Return the ticked records that are still there, newest first."""
    ids = request.values.getlist("record", type=int)[: history.PAGE]
    query = reading().query(CallRecord).filter(CallRecord.id.in_(ids))
    kept = query.filter(CallRecord.kind != RecordKind.MANUAL)
    return kept.order_by(CallRecord.started_at.desc(), CallRecord.id.desc()).all()


@bp.post("/delete")
@requires(Right.DELETE_RECORDS)
def start_delete() -> ResponseReturnValue:
    """Let the worker delete them: the count must have been typed."""
    now, criteria, found = utcnow(), _criteria(), request.args.get("found") == "1"
    chosen = [] if found else [record.id for record in _chosen()]
    try:
        with writing() as session:
            choices: dict[str, Any] = {"ids": chosen}
            count = len(chosen)
            if found:
                count, newest = history.count(session, viewer=viewer(), criteria=criteria, now=now)
                choices = {
                    "criteria": criteria.pairs(),
                    "last_id": newest,
                    "at": now.isoformat(),
                }
            bulk.check_typed(request.form.get("confirmation", ""), count)
            job = bulk.begin(
                session,
                viewer=viewer(),
                kind=BulkKind.RECORD_DELETE,
                choices=choices,
                count=count,
                search=audit.conditions(criteria.pairs()) if found else "",
                now=now,
            )
            job_id = job.id
    except Refused as refusal:
        return _ask_delete(sentence(refusal.code, **refusal.values))
    return go(url_for("bulk.show", job_id=job_id))


def _form(record: CallRecord) -> results.ResultForm:
    typed = request.form
    return results.ResultForm(
        status_id=typed.get("status", type=int),
        memo=typed.get("memo", ""),
        # an empty check box sends nothing, and that is its answer
        attributes={str(item.id): typed.get(f"item-{item.id}", "") for item in _boxes(record)},
        prospect_level=typed.get("prospect_level"),
        callback_at=_moment(typed.get("callback_at", "")),
    )


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=settings().timezone)
    except ValueError:
        raise Refused("time_unreadable", field="callback_at") from None


def _boxes(record: CallRecord) -> list[AttributeItem]:
    return patterns.items_of(reading(), record.project_id) if record.project_id else []


def _page(record: CallRecord, *, error: str = "", box: str = "", bans: int = 0) -> tuple[str, int]:
    session, who = reading(), viewer()
    project = session.get(Project, record.project_id) if record.project_id else None
    statuses = patterns.offered(session, project.pattern_id if project else None)
    lines = results.corrections_of(session, record_id=record.id)
    names = _names({line.user_id for line in lines})
    correctable = record.system is not SystemResult.LINE_ERROR and scope.may_correct(who, record)
    page = render_template(
        "history/record.html",
        record=record,
        row=history.row_of(session, viewer=who, record=record),
        correctable=correctable,
        next_blank=correctable
        and record.system is SystemResult.BLANK
        and records.next_blank(session, viewer=who, other_than=record.id, now=utcnow()),
        statuses=_with_present(record, [(s.id, s.name) for s in statuses]),
        levels=project.prospect_levels if project else [],
        boxes=_boxes(record),
        values=_values(record),
        lines=[(line, names[line.user_id], changes(line)) for line in lines],
        handed=call_transfer.chain(session, attempt_id=record.attempt_id),
        callback=_local(record.callback_at),
        player=player(),
        gone=_gone(record),
        typed=request.form,
        error=error,
        box=box,
        bans=bans,
    )
    return page, 422 if error or bans else 200


def _gone(record: CallRecord) -> str:
    """Say when and why the sound was removed, where room or time was short (R-RC-2)."""
    removed = recording_space.removed_of(reading(), record_id=record.id)
    return recordings.why_silent(removed) if removed else ""


def _with_present(record: CallRecord, offered: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Offer what the record has already, though it may be retired or of a former pattern."""
    if record.status_id is None or record.status_id in {status_id for status_id, _name in offered}:
        return offered
    return [(record.status_id, results.result_name(reading(), record)), *offered]


def _values(record: CallRecord) -> dict[str, Any]:
    customer = reading().get(Customer, record.customer_id) if record.customer_id else None
    return {**(customer.attributes if customer else {}), **record.attributes}


def _local(moment: datetime | None) -> str:
    return f"{moment.astimezone(settings().timezone):%Y-%m-%dT%H:%M}" if moment else ""


def _names(user_ids: set[int]) -> dict[int, str]:
    if not user_ids:
        return {}
    rows = reading().execute(select(User.id, User.name).where(User.id.in_(user_ids)))
    return dict(iter(rows))


def changes(line: RecordCorrection) -> list[tuple[str, str, str]]:
    """(what, before, after) of one correction, only what changed."""
    found = []
    for key, label in (
        ("status", _("Result")),
        ("prospect_level", _("Prospect level")),
        ("callback_at", _("Callback time")),
        ("memo", _("Memo")),
    ):
        before, after = line.before.get(key) or "", line.after.get(key) or ""
        if before != after:
            found.append((label, _said(key, before), _said(key, after)))
    return found + _changed_items(line)


def _said(key: str, value: str) -> str:
    if key == "callback_at" and value:
        return f"{datetime.fromisoformat(value).astimezone(settings().timezone):%Y/%m/%d %H:%M}"
    return value


def _changed_items(line: RecordCorrection) -> list[tuple[str, str, str]]:
    before, after = line.before.get("attributes") or {}, line.after.get("attributes") or {}
    found = []
    for key in dict.fromkeys([*before, *after]):
        item = reading().get(AttributeItem, int(key))
        if item is not None and before.get(key) != after.get(key):
            found.append((item.name, _shown(before.get(key)), _shown(after.get(key))))
    return found


def _shown(value: Any) -> str:
    if value in (None, False):
        return ""
    return _("Yes") if value is True else str(value)
