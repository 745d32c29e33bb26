"""Lists, customers, imports, and who works on what."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId


class CustomerList(Base):
    """A folder of customers inside one project (リスト).

    The four figures are kept in the transaction that changes them, by `services.figures` alone.
    """

    __tablename__ = "lists"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    enabled: Mapped[bool] = mapped_column(default=False)
    """有効; an operator sees it only if it is also granted."""
    columns: Mapped[list[str]] = mapped_column(default=list)
    """Header names besides 電話番号, in file order; a customer's `cells` line up with them."""
    shown: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """表示項目: [{"column": name, "hidden": bool, "large": bool}] in the order on screen."""
    cycle: Mapped[int] = mapped_column(default=1)
    """周回: a customer's counters count only if theirs equals it."""
    next_position: Mapped[int] = mapped_column(default=1)
    customers: Mapped[int] = mapped_column(default=0)
    """登録数."""
    worked: Mapped[int] = mapped_column(default=0)
    """作業数."""
    dials: Mapped[int] = mapped_column(default=0)
    """コール数."""
    connects: Mapped[int] = mapped_column(default=0)
    """コネクト数."""
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    """Not there: in the bin, or of an import that has not made it yet."""
    deleted_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """Who put it into the bin; None for one that no person deleted."""
    purged_at: Mapped[datetime | None]
    """Out of the bin for good: the name stays for the ledger."""


class ListGrant(Base):
    """A list granted to a user."""

    __tablename__ = "list_grants"

    list_id: Mapped[int] = mapped_column(ForeignKey("lists.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)


class ListGroupGrant(Base):
    """A list granted to a group."""

    __tablename__ = "list_group_grants"

    list_id: Mapped[int] = mapped_column(ForeignKey("lists.id"), primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id"), primary_key=True, index=True)


class ImportState(StrEnum):
    """From the upload to the end of an import."""

    UPLOADED = "uploaded"
    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    PUBLISHED = "published"
    UPDATING = "updating"
    """Published; 更新 of existing customers still being applied."""
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


HIDDEN_IMPORT_STATES = (
    ImportState.RUNNING,
    ImportState.CANCELLED,
    ImportState.FAILED,
    ImportState.UNDOING,
    ImportState.UNDONE,
)
"""Rows of such an import exist for nobody; a sweep removes those of the ended ones."""


class Import(Base):
    """One uploaded file on its way into a list (R-LS-3…7)."""

    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[ImportState] = mapped_column(default=ImportState.UPLOADED, index=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    list_id: Mapped[int | None] = mapped_column(ForeignKey("lists.id"), index=True)
    """None until a new list is made by the run."""
    new_list_name: Mapped[str] = mapped_column(String(128), default="")
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    filename: Mapped[str] = mapped_column(String(256))
    stored_name: Mapped[str] = mapped_column(String(64))
    """File under the uploads directory, named by us."""
    size_bytes: Mapped[int] = mapped_column(BigId, default=0)
    choices: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the manager decided: encoding, sheet, mapping, duplicates, …"""
    findings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the check found, as codes and counts."""
    rows_total: Mapped[int] = mapped_column(default=0)
    rows_done: Mapped[int] = mapped_column(default=0)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    failure: Mapped[str] = mapped_column(String(64), default="")
    rejects_name: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]


class Customer(Base):
    """One row of a list (顧客). Deleted ones rest in the bin; the ledger keeps pointing here."""

    __tablename__ = "customers"
    __table_args__ = (
        # Carries all that a コールデータ検索 asks about: a search without a word of text is
        # answered, in file order, from this index alone.
        Index(
            "ix_customers_work",
            "list_id",
            "position",
            "deleted_at",
            "import_id",
            "cycle",
            "dials",
            "last_status_id",
            "last_system",
            "last_user_id",
            "last_dialled_at",
            "assigned_user_id",
            "prospect_level",
        ),
        Index("ix_customers_list_status", "list_id", "last_status_id", "last_dialled_at"),
        # Numbers come in no order, so each row of an import lands on another page of an index
        # over them: one such index, and none by list and number.
        Index("ix_customers_number", "number"),
        # Whom a campaign dials again, in the order in which they are due.
        Index(
            "ix_customers_due",
            "list_id",
            "next_try_at",
            sqlite_where=text("next_try_at IS NOT NULL"),
            postgresql_where=text("next_try_at IS NOT NULL"),
        ),
        # Whom nobody has dialled, in file order: near a list's end they are few among many.
        Index(
            "ix_customers_undialled",
            "list_id",
            "position",
            "id",
            sqlite_where=text("dials = 0"),
            postgresql_where=text("dials = 0"),
        ),
        # What rests in the bin, found without a look at all that does not.
        Index(
            "ix_customers_bin",
            "list_id",
            "id",
            sqlite_where=text("deleted_by IS NOT NULL"),
            postgresql_where=text("deleted_by IS NOT NULL"),
        ),
        # An import's customers in order of id, and counted by list without a look at their rows.
        Index("ix_customers_import", "import_id", "id", "list_id", "deleted_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("lists.id"))
    import_id: Mapped[int | None] = mapped_column(ForeignKey("imports.id"))
    position: Mapped[int]
    """Place in the list: file order, one file after another."""
    number_given: Mapped[str] = mapped_column(String(64))
    number: Mapped[str] = mapped_column(String(16))
    """Normalised national digits, 0312345678: what is dialled and matched."""
    cells: Mapped[list[str]] = mapped_column(default=list)
    folded: Mapped[str] = mapped_column(default="")
    """`cells` folded for search, joined by U+001F; hits of the index are verified here."""
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    prospect_level: Mapped[str] = mapped_column(String(32), default="")
    short_note: Mapped[str] = mapped_column(String(256), default="")
    """簡易メモ."""
    assigned_user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """担当."""
    caller_number_id: Mapped[int | None] = mapped_column(ForeignKey("caller_numbers.id"))
    """The caller number last used for this customer (R-PJ-4)."""
    cycle: Mapped[int] = mapped_column(default=0)
    """周回 in which the counters below were written."""
    dials: Mapped[int] = mapped_column(default=0)
    """Times dialled in `cycle` (counts in コール数)."""
    connects: Mapped[int] = mapped_column(default=0)
    last_record_id: Mapped[int | None] = mapped_column(BigId)
    """Newest record that counts as the customer's last; no foreign key: it would be a circle."""
    last_status_id: Mapped[int | None]
    last_system: Mapped[str] = mapped_column(String(16), default="")
    """System result of the newest record, or empty."""
    last_user_id: Mapped[int | None]
    last_dialled_at: Mapped[datetime | None]

    # What campaigns keep of their tries (services/redialling.py).
    next_try_at: Mapped[datetime | None]
    """Not dialled by itself before this; None: as soon as possible, or never again once dialled."""
    last_outcome: Mapped[str] = mapped_column(String(32), default="")
    """How the last try by itself ended, or why the gate refused it: a code."""
    abandoned_at: Mapped[datetime | None]
    """The last 放棄."""
    abandons: Mapped[int] = mapped_column(default=0)
    """放棄 since the customer was last talked with."""
    preview_only: Mapped[bool] = mapped_column(default=False)
    """放棄 twice: left to people who press CALL (R-DL-4)."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    deleted_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """Who put it into the bin; None for one that no person deleted."""


class ExtraNumber(Base):
    """A further number of a customer (R-LS-9)."""

    __tablename__ = "extra_numbers"
    __table_args__ = (UniqueConstraint("customer_id", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    number_given: Mapped[str] = mapped_column(String(64))
    number: Mapped[str] = mapped_column(String(16), index=True)
    label: Mapped[str] = mapped_column(String(32), default="")
    position: Mapped[int] = mapped_column(default=0)


class BeforeImage(Base):
    """What 更新 overwrote, so that an undo can restore it."""

    __tablename__ = "import_before_images"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id"), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), primary_key=True)
    cells: Mapped[list[str]]
    new_cells: Mapped[list[str]]
    applied: Mapped[bool] = mapped_column(default=False)


class CustomerHold(Base):
    """One operator's open customer page: the primary key keeps it to one (R-CL-2)."""

    __tablename__ = "customer_holds"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    page_id: Mapped[str] = mapped_column(String(36))
    taken_at: Mapped[datetime]
    renewed_at: Mapped[datetime]
    touched_at: Mapped[datetime]
    """Last thing the operator did here; an untouched page is released after 15 min."""


class WorkQueue(Base):
    """An operator's queue: the ids that a コールデータ検索 found, in their order (R-CL-1)."""

    __tablename__ = "work_queues"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("lists.id"))
    criteria: Mapped[dict[str, Any]] = mapped_column(default=dict)
    made_at: Mapped[datetime]
    customer_ids: Mapped[bytes] = mapped_column(LargeBinary)
    """Packed 64-bit ids (array 'q'): 200,000 ids are 1.6 MB and one row."""
    size: Mapped[int] = mapped_column(default=0)
    cursor: Mapped[int] = mapped_column(default=0)
    """Index of the next id to offer."""
    skipped: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Reason → how many the last step passed over, as the page says it."""
    at_end: Mapped[bool] = mapped_column(default=False)
    """The last step found nobody any more: 「リストの最後です」."""


class SavedSearch(Base):
    """A search of customers kept under a name, for the lists of one project (R-LS-10)."""

    __tablename__ = "saved_searches"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(64))
    criteria: Mapped[dict[str, Any]] = mapped_column(default=dict)
    shared: Mapped[bool] = mapped_column(default=False)
    """Seen by all who see リスト詳細; else by its author alone."""
    created_at: Mapped[datetime]


class Draft(Base):
    """What an operator is typing about a customer, kept on the server (R-CL-7)."""

    __tablename__ = "drafts"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), primary_key=True)
    memo: Mapped[str] = mapped_column(default="")
    fields: Mapped[dict[str, Any]] = mapped_column(default=dict)
    updated_at: Mapped[datetime]
