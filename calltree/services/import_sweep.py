"""Removing an import's customers, a few at a time."""

from __future__ import annotations

from sqlalchemy import delete, select

from calltree.models import BeforeImage, Customer
from calltree.services import erasing
from calltree.services.import_writing import Claim


def sweep_rows(claim: Claim) -> None:
    """Remove the customers and before-images of an import that nobody sees."""
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
            erasing.remove_unnamed(session, ids)  # what happened stays, hidden for good
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
