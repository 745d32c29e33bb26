"""The exports: per list (リスト毎), per record (履歴毎), do-not-call; of any size (R-HS-4).

First the ids of what is asked for are collected, a page at a time, together with what the header
depends on; then pages of ids become rows. Each page has a short read session of its own, so that
no read transaction lives as long as a download, and what is kept in memory is eight bytes a row.
The price: a row shows its customer or record as it was when its page was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.models import AuditEntry
from calltree.services.export_bans import COLUMNS as BAN_COLUMNS
from calltree.services.export_bans import bans
from calltree.services.export_customers import (
    customer_columns,
    customer_lists,
    customers,
    list_columns,
)
from calltree.services.export_records import record_columns, records
from calltree.services.export_sheets import Row, Sheet
from calltree.services.rights import Viewer

__all__ = [
    "BAN_COLUMNS", "Row", "Run", "Sheet", "bans", "customer_columns", "customer_lists", "customers",
    "list_columns", "recent", "record_columns", "records",
]  # fmt: skip
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Run:
    """One export as the audit log tells of it."""

    started: AuditEntry
    ended: AuditEntry | None

    @property
    def action(self) -> str:
        """export.started, export.finished or export.broken_off."""
        return self.ended.action if self.ended else self.started.action

    @property
    def rows(self) -> int:
        """Rows that were sent; those that were found as long as it is being sent."""
        return int((self.ended or self.started).detail.get("rows", 0))

    @property
    def replaced(self) -> int:
        """Characters that CP932 does not have and that became 〓."""
        return int(self.ended.detail.get("replaced", 0)) if self.ended else 0


def recent(session: Session, *, viewer: Viewer, since: datetime) -> list[Run]:
    """Return the viewer's newest exports since a moment, newest first, with how they ended."""
    entries = session.scalars(
        select(AuditEntry)
        .where(
            AuditEntry.at >= since,
            AuditEntry.user_id == viewer.user_id,
            AuditEntry.action.startswith("export."),
        )
        .order_by(AuditEntry.id.desc())
        .limit(2 * SHOWN)
    ).all()
    endings = {entry.object_id: entry for entry in entries if entry.action != "export.started"}
    return [
        Run(entry, endings.get(str(entry.id)))
        for entry in entries
        if entry.action == "export.started"
    ][:SHOWN]
