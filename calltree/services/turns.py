"""One press of an operator after another, on Postgres as behind SQLite's one writer.

A press opens one customer, leaves another and moves the operator: two at once would wait for each
other. A turn is taken before any row is locked, but for the site's, and ends with the transaction.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

TURNS = 7001
"""Of all advisory locks of the database, those that are operators' turns."""


def take(session: Session, *, user_id: int) -> None:
    """Wait for this operator's turn; whoever has it already goes on at once."""
    if _has_writers(session):
        session.execute(select(func.pg_advisory_xact_lock(TURNS, user_id)))


def take_if_free(session: Session, *, user_id: int) -> bool:
    """As `take`, but False while somebody else has it."""
    if not _has_writers(session):
        return True
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(TURNS, user_id))))


def _has_writers(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
