"""How an import writes: as all bulk work does, and with the search index in each transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import BulkJob, Import
from calltree.services import bulk_writing, search
from calltree.services.bulk_writing import STALE_S, Cancelled, Clock, Superseded

__all__ = ["STALE_S", "Cancelled", "Claim", "Clock", "Superseded"]


@dataclass(slots=True)
class Claim(bulk_writing.Claim):
    """One worker's hold on an import."""

    table: ClassVar[type[Import] | type[BulkJob]] = Import

    @property
    def import_id(self) -> int:
        """The import's id."""
        return self.job_id

    def tell(self, session: Session) -> None:
        """Let the import's page draw it anew."""
        announce(session, "imports", import_id=self.job_id)

    def before_commit(self, session: Session) -> None:
        """Merge the index in the same transaction: half as many waits for the disk."""
        if self.pace.sqlite:
            search.merge_index(session, pages=self.pace.rows // 3 + 2)
