"""更新: existing customers overwritten with non-empty cells, and brought back (R-LS-6, R-LS-7)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from calltree.models import BeforeImage, Customer, CustomerList
from calltree.services.import_writing import Claim
from calltree.text.folding import fold_cells, fold_name


def plan(
    session: Session,
    *,
    import_id: int,
    list_id: int,
    columns: list[str],
    wanted: Sequence[tuple[int, dict[str, str]]],
) -> None:
    """Write down what shall be overwritten: (customer, {column: text}) each.

    `columns` are those of the import's own list as they will be; other lists have their own.
    """
    ids = {customer_id for customer_id, _ in wanted}
    held = {
        row.id: (columns if row.list_id == list_id else list(row.columns), list(row.cells))
        for row in session.execute(
            select(Customer.id, Customer.list_id, Customer.cells, CustomerList.columns)
            .join(CustomerList, CustomerList.id == Customer.list_id)
            .where(Customer.id.in_(ids))
        )
    }
    images = {
        image.customer_id: image
        for image in session.scalars(
            select(BeforeImage).where(
                BeforeImage.import_id == import_id, BeforeImage.customer_id.in_(ids)
            )
        )
    }
    for customer_id, texts in wanted:
        if customer_id not in held:  # gone since the check
            continue
        names, cells = held[customer_id]
        image = images.get(customer_id)
        if image is None:
            image = BeforeImage(
                import_id=import_id, customer_id=customer_id, cells=cells, new_cells=cells
            )
            images[customer_id] = image
            session.add(image)
        image.new_cells = _overwritten(names, image.new_cells, texts)


def _overwritten(names: list[str], cells: list[str], texts: dict[str, str]) -> list[str]:
    given = {fold_name(name): text for name, text in texts.items() if text}
    new = _padded(cells, max(len(names), len(cells)))
    for place, name in enumerate(names):
        new[place] = given.get(fold_name(name), new[place])
    return new


def apply(claim: Claim) -> None:
    """Overwrite what is planned and not yet done."""
    while _step(claim, applied=False):
        pass


def restore(claim: Claim) -> None:
    """Bring back what was overwritten; a cell that somebody changed since stays as it is."""
    while _step(claim, applied=True):
        pass


def _step(claim: Claim, *, applied: bool) -> bool:
    with claim.write() as session:
        images = session.scalars(
            select(BeforeImage)
            .where(BeforeImage.import_id == claim.import_id, BeforeImage.applied == applied)
            .limit(claim.pace.rows)
        ).all()
        customers = {
            customer.id: customer
            for customer in session.scalars(
                select(Customer)
                .where(Customer.id.in_([image.customer_id for image in images]))
                .with_for_update()
            )
        }
        for image in images:
            customer = customers[image.customer_id]
            if applied:
                cells = _changed(customer.cells, image.new_cells, image.cells, only_ours=True)
            else:
                cells = _changed(customer.cells, image.cells, image.new_cells, only_ours=False)
                image.cells, image.new_cells = list(customer.cells), cells
            image.applied = not applied
            _set_cells(session, customer.id, cells, claim)
    return bool(images)


def _changed(
    present: list[str], before: list[str], after: list[str], *, only_ours: bool
) -> list[str]:
    length = max(len(present), len(after))
    cells = _padded(present, length)
    old, new = _padded(before, length), _padded(after, length)
    for place in range(length):
        if old[place] == new[place] or (only_ours and cells[place] != old[place]):
            continue
        cells[place] = new[place]
    return cells


def _padded(cells: list[str], length: int) -> list[str]:
    return (list(cells) + [""] * length)[:length]


def _set_cells(session: Session, customer_id: int, cells: list[str], claim: Claim) -> None:
    session.execute(
        update(Customer)
        .where(Customer.id == customer_id)
        .values(cells=cells, folded=fold_cells(cells), updated_at=claim.clock())
        .execution_options(synchronize_session=False)
    )
