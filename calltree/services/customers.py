"""Customers one at a time: adding by hand, editing, extra numbers (R-LS-8, R-LS-9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, select, union, union_all
from sqlalchemy.orm import Session, aliased

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    SYSTEM_RESULT_NAMES,
    CallRecord,
    Customer,
    CustomerList,
    ExtraNumber,
    ItemTarget,
    Project,
    ResultStatus,
    Site,
    SystemResult,
    User,
)
from calltree.services import attributes, audit, do_not_call, figures, holds, patterns, scope
from calltree.services.lists import MAX_CUSTOMERS
from calltree.services.rights import Right, Viewer
from calltree.text.folding import fold_cells
from calltree.text.phones import Phone, Rejected, normalise

MAX_CELL = 32_767
MAX_NOTE = 256
MAX_LABEL = 32
MAX_EXTRA = 20


@dataclass(frozen=True, slots=True)
class CustomerForm:
    """What a form says of a customer; None where a box was not shown: left as it is."""

    cells: Mapping[str, str]
    """{column: text}; columns that are not named stay."""
    attributes: Mapping[str, Any] | None = None
    """{str(item id): text as typed}, 顧客属性 only."""
    prospect_level: str | None = None
    short_note: str | None = None


@dataclass(frozen=True, slots=True)
class LastWords:
    """What is said of customers besides what they hold."""

    results: dict[int, str]
    """Last result in this 周回 by customer; those without one are left out."""
    users: dict[int, str]
    """Last callers and 担当 by their ids, deleted users too."""


def add(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int,
    number: str,
    form: CustomerForm,
    now: datetime,
) -> Customer:
    """Add one customer at the end of a list (手動でリスト登録); only the number is required.

    Raises NotAllowed, NotFound; Refused 'number_<reason>' (see text.phones.Reason),
    'number_in_list', 'list_full', 'cell_long', 'note_long', and what attributes refuse.
    """
    if not viewer.may(Right.IMPORT):
        raise NotAllowed(Right.IMPORT)
    folder = scope.get_list(session, viewer=viewer, list_id=list_id)
    return _add(session, viewer, folder, number, form, now)


def add_caller(
    session: Session,
    *,
    viewer: Viewer,
    list_id: int,
    number: str,
    form: CustomerForm,
    now: datetime,
) -> Customer:
    """Add somebody who called in to a list that the viewer may call (R-IN-2). Raises as `add`."""
    if not viewer.may(Right.ANSWER_INBOUND):
        raise NotAllowed(Right.ANSWER_INBOUND)
    folder = session.scalar(
        select(CustomerList).where(CustomerList.id == list_id, scope.lists_dialled(viewer))
    )
    if folder is None:
        raise NotFound(f"list {list_id}")
    return _add(session, viewer, folder, number, form, now)


def _add(
    session: Session,
    viewer: Viewer,
    folder: CustomerList,
    number: str,
    form: CustomerForm,
    now: datetime,
) -> Customer:
    session.refresh(folder, with_for_update=True)  # two writers must not take one position
    phone = read_number(session, number, field="number")
    if folder.customers >= MAX_CUSTOMERS:
        raise Refused("list_full", most=MAX_CUSTOMERS)
    _refuse_twin(session, folder, phone.number)
    customer = Customer(
        list_id=folder.id,
        position=folder.next_position,
        number_given=phone.given.strip()[:64],
        number=phone.number,
        cells=[""] * len(folder.columns),
        created_at=now,
        updated_at=now,
    )
    folder.next_position += 1
    _fill(session, customer, folder, form)
    session.add(customer)
    session.flush()
    figures.enter(session, customers=[customer])
    _note(session, viewer, "customer.added", customer, now)
    return customer


def edit(
    session: Session, *, viewer: Viewer, customer_id: int, form: CustomerForm, now: datetime
) -> Customer:
    """Change columns, attributes, 見込レベル and 簡易メモ; never the number (R-LS-9).

    Raises NotAllowed, NotFound; Refused as `add` does.
    """
    customer, folder = _to_edit(session, viewer, customer_id)
    before = list(customer.cells)
    _fill(session, customer, folder, form)
    customer.updated_at = now
    session.flush()
    changed = [
        name
        for place, name in enumerate(folder.columns)
        if (before[place] if place < len(before) else "") != customer.cells[place]
    ]
    _note(session, viewer, "customer.edited", customer, now, columns=changed)
    return customer


def extra_numbers(session: Session, *, customer_id: int) -> list[ExtraNumber]:
    """Return a customer's extra numbers in their order."""
    return list(
        session.scalars(
            select(ExtraNumber)
            .where(ExtraNumber.customer_id == customer_id)
            .order_by(ExtraNumber.position, ExtraNumber.id)
        )
    )


def add_extra(
    session: Session,
    *,
    viewer: Viewer,
    customer_id: int,
    number: str,
    label: str,
    now: datetime,
) -> ExtraNumber:
    """Add a further number, checked like the main one (R-LS-9).

    Raises NotAllowed, NotFound; Refused 'number_<reason>', 'number_twice', 'extra_numbers_full'.
    """
    customer, _folder = _to_edit(session, viewer, customer_id)
    phone = read_number(session, number, field="number")
    standing = extra_numbers(session, customer_id=customer_id)
    if phone.number in {customer.number, *(extra.number for extra in standing)}:
        raise Refused("number_twice", field="number")
    if len(standing) >= MAX_EXTRA:
        raise Refused("extra_numbers_full", field="number", most=MAX_EXTRA)
    extra = ExtraNumber(
        customer_id=customer_id,
        number_given=phone.given.strip()[:64],
        number=phone.number,
        label=label.strip()[:MAX_LABEL],
        position=max((one.position for one in standing), default=0) + 1,
    )
    session.add(extra)
    customer.updated_at = now
    session.flush()
    _note(session, viewer, "customer.number_added", customer, now)
    return extra


def set_short_note(
    session: Session, *, viewer: Viewer, customer_id: int, text: str, now: datetime
) -> None:
    """Keep the 簡易メモ, as it is typed on the call screen. Raises NotAllowed, NotFound."""
    customer, _folder = _to_edit(session, viewer, customer_id)
    customer.short_note = text.strip()[:256]
    customer.updated_at = now


def remove_extra(session: Session, *, viewer: Viewer, extra_id: int, now: datetime) -> Customer:
    """Take a further number away; records keep the number they dialled. Raises NotFound."""
    extra = session.get(ExtraNumber, extra_id)
    if extra is None:
        raise NotFound(f"extra number {extra_id}")
    customer, _folder = _to_edit(session, viewer, extra.customer_id)
    session.delete(extra)
    customer.updated_at = now
    session.flush()
    _note(session, viewer, "customer.number_removed", customer, now)
    return customer


def read_number(session: Session, given: str, *, field: str) -> Phone:
    """Read a number by the rules of an import. Raises Refused 'number_<reason>' (R-LS-5)."""
    site = session.get(Site, 1)
    found = normalise(given, site.extra_prefixes if site else ())
    if isinstance(found, Rejected):
        raise Refused(f"number_{found.reason}", field=field)
    return found


def same_number(
    session: Session, *, viewer: Viewer, customer: Customer, extras: Iterable[ExtraNumber]
) -> list[tuple[Customer, CustomerList]]:
    """Return customers of other lists the viewer may see who have one of the same numbers.

    `extras`: the customer's own.
    """
    own = {customer.number} | {extra.number for extra in extras}
    main = aliased(Customer)
    with_one = union(  # as one set of ids: of an OR Postgres would read all customers
        select(main.id).where(main.number.in_(own)),
        select(ExtraNumber.customer_id).where(ExtraNumber.number.in_(own)),
    )
    seen = scope.customers_seen(session, viewer=viewer)
    folder = aliased(CustomerList)  # whom one sees asks the lists on its own account
    query = (
        select(Customer, folder)
        .join(folder, folder.id == Customer.list_id)
        .where(seen, Customer.id != customer.id, Customer.id.in_(with_one))
    )
    rows = session.execute(query.order_by(Customer.id).limit(20))
    return [(other, of) for other, of in rows]


def standing(
    session: Session, *, viewer: Viewer, customer: Customer, project_id: int, now: datetime
) -> tuple[bool, str | None, int]:
    """Say whether the customer's number is on do-not-call, who has the customer open, and how many
    calls by hand (手動発信) to the number the viewer may see.
    """
    holder = select(User.name).where(User.id == holds.holder_id().scalar_subquery())
    banned = do_not_call.banned(customer.number, project_id, now)
    by_hand = select(func.count(CallRecord.id)).where(
        scope.dialled_by_hand(viewer), CallRecord.number == customer.number
    )
    asked = select(banned, holder.scalar_subquery(), by_hand.scalar_subquery())
    given = {"customer": customer.id, **holds.over_by(now)}
    is_banned, name, count = session.execute(asked, given).one()
    return bool(is_banned), name, count


def _fill(session: Session, customer: Customer, folder: CustomerList, form: CustomerForm) -> None:
    cells = [*customer.cells, *[""] * (len(folder.columns) - len(customer.cells))]
    for place, name in enumerate(folder.columns):
        if name not in form.cells:
            continue
        text = form.cells[name].replace("\x00", "")
        if len(text) > MAX_CELL:
            raise Refused("cell_long", name=name, most=MAX_CELL)
        cells[place] = text
    customer.cells = cells
    customer.folded = fold_cells(cells)
    if form.short_note is not None:
        if len(form.short_note) > MAX_NOTE:
            raise Refused("note_long", field="short_note", most=MAX_NOTE)
        customer.short_note = form.short_note.strip()
    _fill_level(session, customer, folder, form)
    if form.attributes is not None:
        customer.attributes = _attributes(session, customer, folder, form.attributes)


def _fill_level(
    session: Session, customer: Customer, folder: CustomerList, form: CustomerForm
) -> None:
    if form.prospect_level is None or form.prospect_level == (customer.prospect_level or ""):
        return
    project = session.get_one(Project, folder.project_id)
    if form.prospect_level and form.prospect_level not in project.prospect_levels:
        raise Refused("level_unknown", field="prospect_level")
    customer.prospect_level = form.prospect_level


def _attributes(
    session: Session, customer: Customer, folder: CustomerList, typed: Mapping[str, Any]
) -> dict[str, Any]:
    kept = dict(customer.attributes or {})
    for item in patterns.items_of(session, folder.project_id, ItemTarget.CUSTOMER):
        key = str(item.id)
        if key not in typed:
            continue
        value = attributes.read_one(item, typed[key])
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value
    return kept


def _refuse_twin(session: Session, folder: CustomerList, number: str) -> None:
    # By number alone, see import_facts: few have it, and the list may hold 200,000.
    holding = select(Customer.list_id).where(Customer.number == number, scope.is_present())
    if folder.id in session.scalars(holding).all():
        raise Refused("number_in_list", field="number")


def _to_edit(session: Session, viewer: Viewer, customer_id: int) -> tuple[Customer, CustomerList]:
    if not viewer.may(Right.EDIT_CUSTOMERS):
        raise NotAllowed(Right.EDIT_CUSTOMERS)
    customer = scope.get_customer_at_hand(session, viewer=viewer, customer_id=customer_id)
    session.refresh(customer, with_for_update=True)
    return customer, session.get_one(CustomerList, customer.list_id)


def _note(
    session: Session,
    viewer: Viewer,
    action: str,
    customer: Customer,
    now: datetime,
    **detail: Any,
) -> None:
    audit.note(
        session,
        viewer=viewer,
        action=action,
        kind="customer",
        object_id=customer.id,
        now=now,
        **detail,
    )
    announce(session, "customer", customer_id=customer.id)
    announce(session, "lists", list_id=customer.list_id)


def form_of(typed: Iterable[tuple[str, str]]) -> CustomerForm:
    """Read the boxes cell.<column>, item.<id>, prospect_level and short_note."""
    boxes = dict(typed)
    cells = {k.removeprefix("cell."): v for k, v in boxes.items() if k.startswith("cell.")}
    items = {k.removeprefix("item."): v for k, v in boxes.items() if k.startswith("item.")}
    return CustomerForm(
        cells=cells,
        attributes=items or None,
        prospect_level=boxes.get("prospect_level"),
        short_note=boxes.get("short_note"),
    )


def last_words(
    session: Session, *, customers: Sequence[Customer], cycles: Mapping[int, int]
) -> LastWords:
    """Name the last results of customers, whose lists' 周回 are given, and who called them."""
    status_ids = {one.last_status_id for one in customers} - {None}
    user_ids = {user for one in customers for user in (one.last_user_id, one.assigned_user_id)}
    rows = session.execute(
        union_all(
            select(literal(1), ResultStatus.id, ResultStatus.name).where(
                ResultStatus.id.in_(status_ids)
            ),
            select(literal(2), User.id, User.name).where(User.id.in_(user_ids - {None})),
        )
    )
    names = {(kind, key): name for kind, key, name in rows}
    found = {}
    for one in customers:
        if one.cycle != cycles[one.list_id]:
            continue
        if one.last_status_id is not None:
            found[one.id] = names.get((1, one.last_status_id), "")
        elif one.last_system:
            found[one.id] = SYSTEM_RESULT_NAMES.get(SystemResult(one.last_system), "")
    return LastWords(found, {key: name for (kind, key), name in names.items() if kind == 2})
