"""Values of attribute items (顧客属性, 結果属性) as typed, checked and kept as {item id: value}."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import AttributeItem, ItemKind, ItemTarget
from calltree.services import patterns
from calltree.text.folding import strip_invisible


def read(
    session: Session,
    *,
    project_id: int,
    typed: Mapping[str, Any],
    of_call: dict[str, Any],
    of_customer: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Put what was typed into the values of the call and of the customer.

    Items of other projects are passed over; values of items no longer used stay. A required item
    must have a value, typed now or before. Raises Refused 'attribute_missing' or 'attribute_wrong'
    with the item's `name`, at field `item-<id>`.
    """
    kept = {ItemTarget.RESULT: dict(of_call), ItemTarget.CUSTOMER: dict(of_customer)}
    for item in patterns.items_of(session, project_id):
        values, key = kept[item.target], str(item.id)
        if key in typed:
            value = read_one(item, typed[key])
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        if item.required and values.get(key) in (None, "", False):
            raise Refused("attribute_missing", field=f"item-{key}", name=item.name)
    return kept[ItemTarget.RESULT], kept[ItemTarget.CUSTOMER]


def read_one(item: AttributeItem, typed: Any) -> str | bool | None:
    """Give a typed value in the form in which it is kept; None when the box is empty.

    Numbers and dates are kept as text in one spelling (1234.5, 2026-11-22), so that they compare.
    """
    if item.kind is ItemKind.CHECK:
        return True if str(typed).lower() in ("true", "1", "on", "yes") else None
    text = strip_invisible(str(typed)).strip()
    if not text:
        return None
    known: str | None = text
    if item.kind is ItemKind.NUMBER:
        known = _number(text)
    elif item.kind is ItemKind.DATE:
        known = _date(text)
    elif item.kind is ItemKind.CHOICE and text not in item.choices:
        known = None
    if known is None:
        raise Refused("attribute_wrong", field=f"item-{item.id}", name=item.name)
    return known


def _number(text: str) -> str | None:
    plain = unicodedata.normalize("NFKC", text).replace(",", "")
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return None
    return f"{number:f}" if number.is_finite() else None


def _date(text: str) -> str | None:
    plain = unicodedata.normalize("NFKC", text).replace("/", "-")
    try:
        year, month, day = (int(part) for part in plain.split("-"))
        return date(year, month, day).isoformat()
    except ValueError:
        return None
