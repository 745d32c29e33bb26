"""What an operator is typing about a customer, kept on the server (R-CL-7)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from calltree.models import Draft


def keep(
    session: Session,
    *,
    user_id: int,
    customer_id: int,
    memo: str,
    fields: dict[str, Any] | None = None,
    now: datetime,
) -> None:
    """Keep what stands in the boxes now; empty boxes leave no row behind.

    `fields` are the other inputs of the page by name, as JSON values.
    """
    if not memo and not fields:
        discard(session, user_id=user_id, customer_id=customer_id)
        return
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    values = {"memo": memo, "fields": fields or {}, "updated_at": now}
    session.execute(
        insert(Draft)
        .values(user_id=user_id, customer_id=customer_id, **values)
        .on_conflict_do_update(index_elements=[Draft.user_id, Draft.customer_id], set_=values),
        execution_options={"populate_existing": True},
    )


def find(session: Session, *, user_id: int, customer_id: int) -> Draft | None:
    """Return what was being typed here, after a reload or a crash."""
    return session.get(Draft, (user_id, customer_id), populate_existing=True)


def discard(session: Session, *, user_id: int, customer_id: int) -> None:
    """Forget it: it was saved."""
    session.execute(delete(Draft).where(Draft.user_id == user_id, Draft.customer_id == customer_id))
