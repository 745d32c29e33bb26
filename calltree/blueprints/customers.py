"""顧客検索・履歴作成 on both screens, and the customer's page with records, edit and new entry."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, settings, writing
from calltree.htmx import go, wants_fragment
from calltree.locale import sentence
from calltree.models import ItemTarget
from calltree.services import (
    customers,
    desk,
    do_not_call,
    history,
    lists,
    patterns,
    records,
    results,
    scope,
    search,
)
from calltree.services.criteria import Criteria
from calltree.services.history_criteria import HistoryCriteria, Span
from calltree.services.rights import Right

bp = Blueprint("customers", __name__, url_prefix="/customers")

POPUP_RECORDS = 10


@bp.get("/", endpoint="search")
@requires(Right.SEE_CUSTOMERS)
def search_page() -> ResponseReturnValue:
    """Search by number or name over every list one may see (R-LS-12)."""
    session = reading()
    criteria = Criteria(text=Criteria.parse(request.args.items()).text)
    rows, folders, next_after = [], {}, None
    if criteria.text:
        found = search.page(
            session,
            list_id=None,
            criteria=criteria,
            viewer=viewer(),
            now=utcnow(),
            after=request.args.get("after", type=int),
        )
        rows, next_after = found.rows, found.next_after
        folders = scope.lists_by_id(session, {row.list_id for row in rows})
    return render_template(
        "customers/search.html",
        text=criteria.text,
        rows=rows,
        folders=folders,
        next_url=url_for("customers.search", q=criteria.text, after=next_after)
        if next_after
        else None,
    )


@bp.get("/<int:customer_id>")
@requires(Right.SEE_CUSTOMERS)
def show(customer_id: int) -> ResponseReturnValue:
    """Show a customer: details, records, edit, 新規履歴作成."""
    return _page(customer_id)


@bp.get("/<int:customer_id>/popup")
@requires(Right.SEE_CUSTOMERS)
def popup(customer_id: int) -> ResponseReturnValue:
    """Show a customer in a window over another page; without htmx it is the page itself."""
    session, now = reading(), utcnow()
    customer, folder, project = scope.get_customer_and_place(
        session, viewer=viewer(), customer_id=customer_id
    )
    if not wants_fragment():
        return go(url_for("customers.show", customer_id=customer_id))
    return render_template(
        "customers/_popup.html",
        customer=customer,
        folder=folder,
        project=project,
        columns=lists.shown(folder),
        extras=customers.extra_numbers(session, customer_id=customer_id),
        banned=do_not_call.is_banned(
            session, number=customer.number, project_id=folder.project_id, now=now
        ),
        records=_past(customer_id, now, POPUP_RECORDS),
    )


def _past(customer_id: int, now: datetime, most: int = history.PAGE) -> list[history.Row]:
    """Give the customer's records: all that one may see, or the reported ones."""
    asked = HistoryCriteria(span=Span.ALL, customer_id=customer_id)
    past = history.page if viewer().may(Right.SEE_RECORDS) else history.reports
    return past(reading(), viewer=viewer(), criteria=asked, now=now, size=most).rows


def _page(customer_id: int, error: str = "", box: str = "") -> tuple[str, int]:
    session = reading()
    customer, folder, project = scope.get_customer_and_place(
        session, viewer=viewer(), customer_id=customer_id
    )
    extras = customers.extra_numbers(session, customer_id=customer_id)
    others = customers.same_number(session, viewer=viewer(), customer=customer, extras=extras)
    last = customers.last_words(
        session,
        customers=[customer, *(other for other, _of in others)],
        cycles={of.id: of.cycle for of in (folder, *(of for _other, of in others))},
    )
    items = patterns.items_of(session, project.id)
    now = utcnow()
    banned, holder, by_hand = customers.standing(
        session, viewer=viewer(), customer=customer, project_id=project.id, now=now
    )
    page = render_template(
        "customers/show.html",
        customer=customer,
        folder=folder,
        project=project,
        columns=lists.shown(folder),
        extras=extras,
        by_hand=by_hand,
        banned=banned,
        others=[(one.id, of.name, last.results.get(one.id, "")) for one, of in others],
        records=_past(customer_id, now),
        memo=records.memo_of(session, customer_id=customer_id)
        if viewer().may(Right.SEE_RECORDS)
        else [],
        last=last.results,
        names=last.users,
        statuses=patterns.offered(session, project.pattern_id),
        customer_items=[item for item in items if item.target is ItemTarget.CUSTOMER],
        result_items=[item for item in items if item.target is ItemTarget.RESULT],
        holder=holder,
        error=error,
        box=box,
        typed=request.form,
    )
    return page, 422 if error else 200


@bp.post("/<int:customer_id>/free")
@requires(Right.FREE_HOLDS)
def free(customer_id: int) -> ResponseReturnValue:
    """Take the customer from the operator who has the page open (R-CL-2)."""
    with writing() as session:
        desk.free(session, viewer=viewer(), customer_id=customer_id, now=utcnow())
    flash(_("The customer was freed."), "ok")
    return go(url_for("customers.show", customer_id=customer_id))


@bp.post("/<int:customer_id>")
@requires(Right.EDIT_CUSTOMERS)
def edit(customer_id: int) -> ResponseReturnValue:
    """Change columns, attributes, 見込レベル and 簡易メモ."""
    try:
        with writing() as session:
            customers.edit(
                session,
                viewer=viewer(),
                customer_id=customer_id,
                form=customers.form_of(request.form.items()),
                now=utcnow(),
            )
    except Refused as refusal:
        return _page(customer_id, sentence(refusal.code, **refusal.values), "edit")
    flash(_("Saved."), "ok")
    return go(url_for("customers.show", customer_id=customer_id))


@bp.post("/<int:customer_id>/numbers")
@requires(Right.EDIT_CUSTOMERS)
def add_number(customer_id: int) -> ResponseReturnValue:
    """Add an extra number."""
    try:
        with writing() as session:
            customers.add_extra(
                session,
                viewer=viewer(),
                customer_id=customer_id,
                number=request.form.get("number", ""),
                label=request.form.get("label", ""),
                now=utcnow(),
            )
    except Refused as refusal:
        return _page(customer_id, sentence(refusal.code, **refusal.values), "numbers")
    flash(_("The number was added."), "ok")
    return go(url_for("customers.show", customer_id=customer_id))


@bp.post("/numbers/<int:extra_id>/remove")
@requires(Right.EDIT_CUSTOMERS)
def remove_number(extra_id: int) -> ResponseReturnValue:
    """Take an extra number away."""
    with writing() as session:
        customer = customers.remove_extra(session, viewer=viewer(), extra_id=extra_id, now=utcnow())
        customer_id = customer.id
    flash(_("The number was removed."), "ok")
    return go(url_for("customers.show", customer_id=customer_id))


@bp.post("/<int:customer_id>/entries")
@requires(Right.ADD_RECORDS)
def add_entry(customer_id: int) -> ResponseReturnValue:
    """新規履歴作成: a record without a call."""
    try:
        form = results.ResultForm(
            status_id=request.form.get("status", type=int),
            memo=request.form.get("memo", ""),
            attributes=customers.form_of(request.form.items()).attributes,
            callback_at=_local(request.form.get("callback_at", "")),
        )
        with writing() as session:
            results.add_entry(
                session, viewer=viewer(), customer_id=customer_id, form=form, now=utcnow()
            )
    except Refused as refusal:
        return _page(customer_id, sentence(refusal.code, **refusal.values), "entry")
    flash(_("The entry was added."), "ok")
    return go(url_for("customers.show", customer_id=customer_id))


def _local(typed: str) -> datetime | None:
    """Read a box of date and time, in the site's zone. Raises Refused 'time_unreadable'."""
    if not typed:
        return None
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=settings().timezone)
    except ValueError:
        raise Refused("time_unreadable", field="callback_at") from None
