"""The customer's side of the call screen: who it is, the numbers, the script, what was before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from calltree.blueprints.call_screen import Desk, chosen_number
from calltree.blueprints.formats import by_whom, moment
from calltree.extensions import settings
from calltree.models import (
    CallRecord,
    Customer,
    CustomerList,
    Project,
    RecordKind,
)
from calltree.services import (
    customers,
    do_not_call,
    history,
    holds,
    projects,
    records,
    scope,
    tasks,
    transfer_facts,
    work_queue,
)
from calltree.services.rights import Right, Viewer
from calltree.services.sentences import N_
from calltree.text.days import site_day

SKIPPED_WORDS = {
    work_queue.GONE: N_("deleted %(n)s"),
    work_queue.OUT_OF_GRANT: N_("moved %(n)s"),
    work_queue.BANNED: N_("do-not-call %(n)s"),
    work_queue.ASSIGNED: N_("others' customers %(n)s"),
    work_queue.HELD: N_("open elsewhere %(n)s"),
    work_queue.DONE: N_("already called %(n)s"),
    work_queue.CHANGED: N_("no longer matching %(n)s"),
}


def queue(session: Session, *, viewer: Viewer) -> dict[str, Any] | None:
    """Give the progress through the operator's queue, with what the last step passed over."""
    progress = work_queue.progress(session, user_id=viewer.user_id)
    if progress is None:
        return None
    folder = session.get(CustomerList, progress.list_id)
    return {
        "list_name": folder.name if folder else "",
        "position": progress.position,
        "size": progress.size,
        "skipped": skipped_sentence(progress.skipped),
        "search_url": url_for("operator.search_page", list_id=progress.list_id),
        "at_end": progress.at_end,
    }


def skipped_sentence(skipped: dict[str, int]) -> str:
    """Say 「3件スキップ: 対応済み2・架電禁止1」; empty when nobody was passed over."""
    if not skipped:
        return ""
    parts = [_(SKIPPED_WORDS[reason], n=count) for reason, count in skipped.items()]
    whole = sum(skipped.values())
    return str(_("%(n)s passed over: %(parts)s", n=whole, parts="・".join(parts)))


def customer_side(session: Session, at: Desk) -> dict[str, Any]:
    """Give the left and the middle column. Only with a customer open."""
    customer, folder, project = at.customer, at.folder, at.project
    # for the type checker: whoever draws the panels has a customer open
    assert customer is not None and folder is not None and project is not None  # noqa: S101, PT018
    return {
        "customer": _customer(session, at, customer, folder, project),
        "numbers": _numbers(session, customer, project, at.now),
        "chosen": chosen_number(at),
        "choose_url": url_for("calling.choose"),
        "numbers_edit_url": url_for("call_side.numbers", customer_id=customer.id)
        if at.viewer.may(Right.EDIT_CUSTOMERS)
        else "",
        "script": _script(at, folder, customer, project),
        "history": past(session, viewer=at.viewer, customer=customer),
        "memo_log": "\n".join(
            entry.text for entry in records.memo_of(session, customer_id=customer.id)
        ),
    }


def _customer(
    session: Session, at: Desk, customer: Customer, folder: CustomerList, project: Project
) -> dict[str, Any]:
    return {
        "columns": _columns(folder, customer),
        "marks": _marks(session, at, customer, project),
        "last": _last_dial(session, customer, folder),
        "warnings": _warnings(session, at, customer),
        "held_by": _held_by(session, at, customer),
        "edit_url": url_for("call_side.customer", customer_id=customer.id)
        if at.viewer.may(Right.EDIT_CUSTOMERS)
        else "",
        "short_note": customer.short_note,
        "short_note_url": url_for("saving.short_note", customer_id=customer.id),
    }


def _last_dial(session: Session, customer: Customer, folder: CustomerList) -> str:
    """Say who called last, when and with which result: also to those who opened by hand."""
    if customer.last_dialled_at is None:
        return ""
    last = customers.last_words(session, customers=[customer], cycles={folder.id: folder.cycle})
    name = last.users.get(customer.last_user_id or 0, "")
    parts = (moment(customer.last_dialled_at), name, last.results.get(customer.id, ""))
    return " ".join(part for part in parts if part)


def _columns(folder: CustomerList, customer: Customer) -> list[tuple[str, str, bool]]:
    """Order the columns as 表示項目 says; those it does not know come last, as they stand."""
    values = dict(zip(folder.columns, customer.cells, strict=False))
    chosen = {entry["column"]: entry for entry in folder.shown if entry["column"] in values}
    ordered = [*chosen, *(name for name in folder.columns if name not in chosen)]
    return [
        (name, values.get(name, ""), bool(chosen.get(name, {}).get("large")))
        for name in ordered
        if not chosen.get(name, {}).get("hidden")
    ]


def _marks(
    session: Session, at: Desk, customer: Customer, project: Project
) -> list[tuple[str, str]]:
    marks = []
    if do_not_call.is_banned(session, number=customer.number, project_id=project.id, now=at.now):
        marks.append((_("Do-not-call"), "bad"))
    if tasks.of_customer(session, customer_id=customer.id):
        marks.append((_("Callback promised"), "info"))
    if customer.deleted_at is not None:
        marks.append((_("Deleted"), "mute"))
    return marks


def _warnings(session: Session, at: Desk, customer: Customer) -> list[str]:
    elsewhere = session.scalar(
        select(CallRecord.id)
        .where(
            CallRecord.number == customer.number,
            CallRecord.list_id != customer.list_id,
            CallRecord.site_day == site_day(at.now, settings().timezone),
            CallRecord.counts_dial,
        )
        .limit(1)
    )
    return [_("Called today from another list.")] if elsewhere else []


def _held_by(session: Session, at: Desk, customer: Customer) -> str:
    mine = at.viewer.user_id
    who = holds.holder(session, customer_id=customer.id, now=at.now)
    if who is None or who.id == mine:
        return ""
    consulted = transfer_facts.sees_customer(session, user_id=mine, customer_id=customer.id)
    return "" if consulted else who.name


def numbers_of(session: Session, customer: Customer) -> list[str]:
    """Give the customer's numbers in the order in which they are dialled, the main one first."""
    extra = customers.extra_numbers(session, customer_id=customer.id)
    return [customer.number, *(number.number for number in extra)]


def _numbers(
    session: Session, customer: Customer, project: Project, now: datetime
) -> list[tuple[str, str, bool, str]]:
    extra = customers.extra_numbers(session, customer_id=customer.id)
    found = [(customer.number, "", True), *((n.number, n.label, False) for n in extra)]
    return [
        (number, label, main, _blocked(session, number, project, now))
        for number, label, main in found
    ]


def _blocked(session: Session, number: str, project: Project, now: datetime) -> str:
    banned = do_not_call.is_banned(session, number=number, project_id=project.id, now=now)
    return _("Do-not-call") if banned else ""


OPENING_LABELS = {
    "business_name": N_("Business name"),
    "caller_person": N_("Caller's name"),
    "purpose": N_("Purpose of the call"),
}


def _script(
    at: Desk, folder: CustomerList, customer: Customer, project: Project
) -> dict[str, str] | None:
    opening = [
        f"{_(OPENING_LABELS[code])}: {text}"
        for code, text in projects.opening_words(project, operator=at.viewer.name)
        if text
    ]
    if not project.script and not project.business_name:
        return None
    return {
        "opening": "\n".join(opening),
        "body": projects.fill_script(project.script, folder.columns, customer.cells),
        "url": url_for("calling.screen"),
    }


def past(session: Session, *, viewer: Viewer, customer: Customer) -> list[dict[str, Any]]:
    """Give the customer's records and the same numbers' in other lists one may see."""
    found = session.scalars(
        select(CallRecord)
        .where(
            or_(CallRecord.customer_id == customer.id, _same_number(session, customer)),
            CallRecord.kind != RecordKind.MANUAL,  # has a page of its own (R-CL-13)
            scope.records_seen(session, viewer=viewer),
        )
        .order_by(CallRecord.started_at.desc(), CallRecord.id.desc())
        .limit(50)
    ).all()
    by_id = {record.id: record for record in found}
    rows = history.rows_of(session, viewer=viewer, records=found)
    return [_past_row(row, by_id[row.id], customer) for row in rows]


def _same_number(session: Session, customer: Customer) -> ColumnElement[bool]:
    return CallRecord.number.in_(numbers_of(session, customer))


def _past_row(row: history.Row, record: CallRecord, customer: Customer) -> dict[str, Any]:
    elsewhere = record.list_id != customer.list_id
    return {
        "id": row.id,
        "at": row.started_at,
        "user": by_whom(row),
        "result": row.result,
        "manual": row.by_hand,
        "other_list": row.list_name if elsewhere else "",
        "number": row.number if row.number != customer.number else "",
        "talk_s": row.talk_ms / 1000 if row.talk_ms else None,
        "memo": row.memo,
        "recording_id": row.recording_id,
        "detail_url": url_for("call_side.record", record_id=row.id),
    }
