"""How many rows each table has: what a backup is compared by."""

from __future__ import annotations

import calltree.models  # noqa: F401 - imported for its tables
from calltree.db import Base

Counts = dict[str, int]

TABLES = ("alembic_version", *sorted(Base.metadata.tables))
"""Every table whose rows are kept; what a search index is made of is made anew from them."""

TOLD = ("users", "lists", "customers", "call_records", "recordings")
"""What a person wants to hear of a backup."""


def told(counts: Counts) -> str:
    """Say the counts that tell two databases apart at a glance."""
    return ", ".join(f"{name} {counts.get(name, 0):,}" for name in TOLD)


def is_empty(counts: Counts) -> bool:
    """Whether nothing in it was made by a person: no user, customer or record."""
    return not any(counts.get(name, 0) for name in ("users", "customers", "call_records"))
