"""Customers (顧客)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from calltree.blueprints.api.operations import operation
from calltree.blueprints.api.shapes import (
    CustomerChange,
    CustomerItem,
    CustomersQuery,
    ExtraNumberItem,
    NewCustomer,
    Page,
)
from calltree.db import utcnow
from calltree.extensions import reading, writing
from calltree.models import Customer
from calltree.services import customer_facts, customers, keyed_pages, scope
from calltree.services.api_tokens import Caller, Scope
from calltree.services.rights import Viewer
from calltree.text.phones import Phone, digits_fragment, normalise


def _told(session: Session, rows: Iterable[Customer]) -> list[CustomerItem]:
    return [
        CustomerItem(
            id=one.customer.id,
            list_id=one.customer.list_id,
            number=one.customer.number,
            number_given=one.customer.number_given,
            extra_numbers=[
                ExtraNumberItem(number=extra.number, label=extra.label) for extra in one.extras
            ],
            columns=one.columns,
            attributes=one.attributes,
            prospect_level=one.customer.prospect_level,
            short_note=one.customer.short_note,
            do_not_call=one.banned,
            last_result=one.last_result or None,
            last_called_at=one.customer.last_dialled_at,
            calls=one.dials,
            created_at=one.customer.created_at,
            updated_at=one.customer.updated_at,
        )
        for one in customer_facts.of(session, customers=list(rows), now=utcnow())
    ]


@operation(
    "GET",
    "/customers",
    tag="customers",
    scope=Scope.CUSTOMERS_READ,
    query=CustomersQuery,
    answer=Page[CustomerItem],
)
def list_customers(caller: Caller, query: CustomersQuery) -> Page[CustomerItem]:
    """Return customers: of one list in file order, or of every list the user may see."""
    session = reading()
    digits = _digits(query.number) if query.number else ""
    if query.number and not digits:
        return Page[CustomerItem](items=[], next_cursor=None)
    part = keyed_pages.customers(
        session,
        viewer=caller.viewer,
        list_id=query.list_id,
        number=digits or "",
        after=query.cursor or "",
        size=query.limit,
    )
    return Page[CustomerItem](items=_told(session, part.rows), next_cursor=part.next_key or None)


def _digits(given: str) -> str | None:
    """Read a whole number in any spelling as it is kept, a part of one by its digits."""
    found = normalise(given)
    return found.number if isinstance(found, Phone) else digits_fragment(given)


@operation(
    "GET",
    "/customers/<int:customer_id>",
    tag="customers",
    scope=Scope.CUSTOMERS_READ,
    answer=CustomerItem,
)
def one_customer(caller: Caller, customer_id: int) -> CustomerItem:
    """Return one customer."""
    return _one(reading(), caller.viewer, customer_id)


def _one(session: Session, viewer: Viewer, customer_id: int) -> CustomerItem:
    found = scope.get_customer(session, viewer=viewer, customer_id=customer_id)
    return _told(session, [found])[0]


@operation(
    "POST",
    "/lists/<int:list_id>/customers",
    tag="customers",
    scope=Scope.CUSTOMERS_WRITE,
    body=NewCustomer,
    answer=CustomerItem,
    status=201,
    refuses=True,
)
def add_customer(caller: Caller, list_id: int, body: NewCustomer) -> CustomerItem:
    """Add a customer at the end of a list; by a manager's or supervisor's token.

    The number is read as an import reads it; one that the list has already is refused
    (`number_in_list`). Columns are named as the list names them.
    """
    with writing() as session:
        folder = scope.get_list(session, viewer=caller.viewer, list_id=list_id)
        added = customers.add(
            session,
            viewer=caller.viewer,
            list_id=list_id,
            number=body.number,
            form=_form(session, folder.id, body),
            now=utcnow(),
        )
        return _told(session, [added])[0]


@operation(
    "PATCH",
    "/customers/<int:customer_id>",
    tag="customers",
    scope=Scope.CUSTOMERS_WRITE,
    body=CustomerChange,
    answer=CustomerItem,
    refuses=True,
)
def change_customer(caller: Caller, customer_id: int, body: CustomerChange) -> CustomerItem:
    """Change columns, attributes, 見込レベル or 簡易メモ; what is left out stays as it is."""
    with writing() as session:
        found = scope.get_customer(session, viewer=caller.viewer, customer_id=customer_id)
        changed = customers.edit(
            session,
            viewer=caller.viewer,
            customer_id=customer_id,
            form=_form(session, found.list_id, body),
            now=utcnow(),
        )
        return _told(session, [changed])[0]


def _form(session: Session, list_id: int, body: CustomerChange) -> customers.CustomerForm:
    return customer_facts.form_by_names(
        session,
        list_id=list_id,
        columns=body.columns,
        attributes=body.attributes,
        prospect_level=body.prospect_level,
        short_note=body.short_note,
    )
