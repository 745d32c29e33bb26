"""Removing an import's customers, a few at a time."""

from __future__ import annotations

from sqlalchemy import and_, delete, exists, select

from calltree.models import (
    Attempt,
    BeforeImage,
    CallRecord,
    Customer,
    CustomerHold,
    Draft,
    ExtraNumber,
    MemoEntry,
    Task,
)
from calltree.services.import_writing import Claim

_OWN = (ExtraNumber, BeforeImage, CustomerHold, Draft)
"""Tables whose rows go with their customer."""
_LEDGER = (Attempt, CallRecord, MemoEntry, Task)
"""What happened stays: a customer named there is kept, hidden for good."""


def sweep_rows(claim: Claim) -> None:
    """Remove the customers and before-images of an import that nobody sees."""
    unnamed = and_(*(~exists().where(table.customer_id == Customer.id) for table in _LEDGER))
    last = 0
    while True:
        with claim.write() as session:
            ids = session.scalars(
                select(Customer.id)
                .where(Customer.import_id == claim.import_id, Customer.id > last)
                .order_by(Customer.id)
                .limit(claim.pace.rows)
            ).all()
            if not ids:
                break
            last = ids[-1]
            gone = session.scalars(select(Customer.id).where(Customer.id.in_(ids), unnamed)).all()
            for own in _OWN:
                session.execute(delete(own).where(own.customer_id.in_(gone)))
            session.execute(
                delete(Customer)
                .where(Customer.id.in_(gone))
                .execution_options(synchronize_session=False)
            )
    _sweep_images(claim)


def _sweep_images(claim: Claim) -> None:
    while True:
        with claim.write() as session:
            ids = session.scalars(
                select(BeforeImage.customer_id)
                .where(BeforeImage.import_id == claim.import_id)
                .limit(claim.pace.rows)
            ).all()
            if not ids:
                return
            session.execute(
                delete(BeforeImage).where(
                    BeforeImage.import_id == claim.import_id, BeforeImage.customer_id.in_(ids)
                )
            )
