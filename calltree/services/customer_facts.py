"""Customers as other programs know them: columns and attributes by name, not by place or id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    AttributeItem,
    Customer,
    CustomerList,
    ExtraNumber,
    ItemTarget,
    ResultStatus,
    SystemResult,
)
from calltree.services import do_not_call, patterns
from calltree.services.customers import CustomerForm


@dataclass(frozen=True, slots=True)
class Facts:
    """A customer with what is told of them."""

    customer: Customer
    columns: dict[str, str]
    attributes: dict[str, str | bool]
    extras: list[ExtraNumber]
    last_result: str
    dials: int
    """In this 周回."""
    banned: bool


def of(session: Session, *, customers: Sequence[Customer], now: datetime) -> list[Facts]:
    """Gather the facts of a page of customers, in its order, in a few statements."""
    ids = [customer.id for customer in customers]
    folders = _folders(session, {customer.list_id for customer in customers})
    items = item_names(session, [customer.attributes for customer in customers])
    extras: dict[int, list[ExtraNumber]] = {}
    further = select(ExtraNumber).where(ExtraNumber.customer_id.in_(ids))
    for extra in session.scalars(further.order_by(ExtraNumber.position, ExtraNumber.id)):
        extras.setdefault(extra.customer_id, []).append(extra)
    banned = _banned(session, ids, now)
    statuses = {s.id: s.name for s in session.scalars(select(ResultStatus))}
    return [
        Facts(
            customer,
            dict(zip(folders[customer.list_id].columns, customer.cells, strict=False)),
            named(customer.attributes, items),
            extras.get(customer.id, []),
            _last_result(customer, folders[customer.list_id].cycle, statuses),
            customer.dials if customer.cycle == folders[customer.list_id].cycle else 0,
            customer.id in banned,
        )
        for customer in customers
    ]


def _last_result(customer: Customer, cycle: int, statuses: Mapping[int, str]) -> str:
    if customer.cycle != cycle:
        return ""
    if customer.last_status_id is not None:
        return statuses.get(customer.last_status_id, "")
    return SYSTEM_RESULT_NAMES.get(SystemResult(customer.last_system), "")


def _folders(session: Session, ids: set[int]) -> dict[int, CustomerList]:
    found = session.scalars(select(CustomerList).where(CustomerList.id.in_(ids)))
    return {folder.id: folder for folder in found}


def _banned(session: Session, ids: Sequence[int], now: datetime) -> set[int]:
    query = (
        select(Customer.id)
        .join(CustomerList, CustomerList.id == Customer.list_id)
        .where(
            Customer.id.in_(ids),
            do_not_call.banned(Customer.number, CustomerList.project_id, now),
        )
    )
    return set(session.scalars(query))


def item_names(session: Session, values: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Name the attribute items that these values are of, by their ids as keys."""
    ids = {int(key) for one in values for key in one}
    if not ids:
        return {}
    rows = session.execute(
        select(AttributeItem.id, AttributeItem.name).where(AttributeItem.id.in_(ids))
    )
    return {str(item_id): name for item_id, name in rows}


def named(values: Mapping[str, str | bool], names: Mapping[str, str]) -> dict[str, str | bool]:
    """Give values by the names of their items."""
    return {names[key]: value for key, value in values.items() if key in names}


def form_by_names(
    session: Session,
    *,
    list_id: int,
    columns: Mapping[str, str],
    attributes: Mapping[str, str],
    prospect_level: str | None,
    short_note: str | None,
) -> CustomerForm:
    """Read names into what `customers.add` and `edit` take.

    Raises Refused 'column_unknown', 'attribute_unknown' (`name`).
    """
    folder = session.get_one(CustomerList, list_id)
    for name in columns:
        if name not in folder.columns:
            raise Refused("column_unknown", field="columns", name=name)
    by_name = {
        item.name: str(item.id)
        for item in patterns.items_of(session, folder.project_id, ItemTarget.CUSTOMER)
    }
    for name in attributes:
        if name not in by_name:
            raise Refused("attribute_unknown", field="attributes", name=name)
    return CustomerForm(
        cells=columns,
        attributes={by_name[name]: text for name, text in attributes.items()} or None,
        prospect_level=prospect_level,
        short_note=short_note,
    )
