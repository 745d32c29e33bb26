"""The columns of each table that a generated year writes, in the order in which it gives them."""

from typing import Any

from calltree.models import (
    Attempt,
    AuditEntry,
    CallRecord,
    Customer,
    DoNotCall,
    ExtraNumber,
    Import,
    Line,
    MemoEntry,
    OperatorInterval,
    RecordCorrection,
    Recording,
    Task,
)

SHEETS: dict[str, tuple[Any, str]] = {
    "imports": (
        Import,
        "id state project_id list_id user_id filename stored_name rows_total rows_done counts "
        "created_at started_at published_at ended_at",
    ),
    "customers": (
        Customer,
        "id list_id import_id position number_given number cells folded prospect_level "
        "assigned_user_id cycle dials connects last_record_id last_status_id last_system "
        "last_user_id last_dialled_at created_at updated_at deleted_at deleted_by",
    ),
    "extra_numbers": (ExtraNumber, "id customer_id number_given number label"),
    "attempts": (
        Attempt,
        "id uuid origin user_id customer_id list_id project_id number caller_number_id node "
        "verdict state created_at dialled_at answered_at joined_at ended_at talk_ms",
    ),
    "lines": (Line, "id attempt_id uuid kind caller_number_id taken_at released_at"),
    "call_records": (
        CallRecord,
        "id kind attempt_id customer_id list_id project_id user_id number caller_number_id cycle "
        "started_at site_day talk_ms status_id system saved_at closed_at prospect_level "
        "callback_at memo counts_dial counts_connect counts_conversion",
    ),
    "recordings": (
        Recording,
        "id attempt_id record_id node raw_name stored_name state started_at stopped_at length_ms "
        "size_bytes waveform problem problem_checked_at destroyed_at destroyed_reason",
    ),
    "record_corrections": (RecordCorrection, "id record_id at user_id before after"),
    "memo_entries": (MemoEntry, "id customer_id record_id user_id at text"),
    "tasks": (
        Task,
        "id customer_id list_id record_id user_id created_by due_at opened_at done_at done_by "
        "done_record_id",
    ),
    "do_not_call": (DoNotCall, "id number source user_id record_id created_at"),
    "operator_intervals": (
        OperatorInterval,
        "id user_id site_day state reason started_at ended_at",
    ),
    "audit_entries": (
        AuditEntry,
        "id at user_id user_name address action object_kind object_id",
    ),
}

NUMBERED: tuple[Any, ...] = (
    Attempt, AuditEntry, CallRecord, Customer, DoNotCall, ExtraNumber, Import, Line, MemoEntry,
    OperatorInterval, RecordCorrection, Recording, Task,
)  # fmt: skip
