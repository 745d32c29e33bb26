"""個人情報の削除: all of a number, or one customer, after it was shown what that is."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from calltree.blueprints.access import requires, viewer
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import reading, writing
from calltree.htmx import go
from calltree.locale import sentence
from calltree.models import Customer
from calltree.services import customers, erasing, scope
from calltree.services.rights import Right

bp = Blueprint("erasing", __name__, url_prefix="/admin/erase")


def _asked() -> tuple[str, int | None]:
    """The number, normalised, and the customer if only this one is meant."""
    customer_id = request.values.get("customer", type=int)
    if customer_id is not None:
        found: Customer = scope.get_customer(reading(), viewer=viewer(), customer_id=customer_id)
        return found.number, customer_id
    given = request.values.get("number", "").strip()
    return customers.read_number(reading(), given, field="number").number if given else "", None


@bp.get("/")
@requires(Right.BULK_WORK)
def ask() -> ResponseReturnValue:
    """Show what is known of a number or a customer, and ask before it is erased."""
    return _page()


def _page(error: str = "") -> tuple[str, int]:
    number, customer_id, found = "", None, None
    try:
        number, customer_id = _asked()
    except Refused as refusal:
        error = error or sentence(refusal.code, **refusal.values)
    if number:
        found = erasing.known(
            reading(), viewer=viewer(), number=number, customer_id=customer_id, now=utcnow()
        )
    page = render_template(
        "customers/erase.html",
        number=number,
        typed=request.values.get("number", "")[:40],
        customer_id=customer_id,
        found=found,
        error=error,
    )
    return page, 422 if error else 200


@bp.post("/")
@requires(Right.BULK_WORK)
def erase() -> ResponseReturnValue:
    """Erase it for good; the count must have been typed."""
    try:
        number, customer_id = _asked()
        with writing() as session:
            done = erasing.erase(
                session,
                viewer=viewer(),
                number=number,
                customer_id=customer_id,
                typed=request.form.get("confirmation", ""),
                now=utcnow(),
            )
            gone, records = len(done.customers), done.records
    except Refused as refusal:
        return _page(sentence(refusal.code, **refusal.values))
    flash(
        _(
            "Erased: %(customers)s customers, %(records)s call records.",
            customers=gone,
            records=records,
        ),
        "ok",
    )
    return go(url_for("erasing.ask"))
