"""Attempts, lines, commands, records, tasks, do-not-call, and operators' states."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId
from calltree.models.people import LegKind


class Origin(StrEnum):
    """Which path decided to dial."""

    CALL = "call"
    NEXT = "next"
    CALLBACK = "callback"
    MANUAL = "manual"
    PROGRESSIVE = "progressive"
    PREDICTIVE = "predictive"
    INBOUND = "inbound"
    API = "api"
    TEST = "test"


class CallState(StrEnum):
    """States of an attempt (telephony/calls.py holds the table of moves)."""

    REFUSED = "refused"
    QUEUED = "queued"
    DIALLING = "dialling"
    RINGING = "ringing"
    EARLY = "early"
    ANSWERED = "answered"
    TALKING = "talking"
    HELD = "held"
    ENDED = "ended"
    FAILED = "failed"
    ABANDONED = "abandoned"


LIVE_STATES = (
    CallState.QUEUED,
    CallState.DIALLING,
    CallState.RINGING,
    CallState.EARLY,
    CallState.ANSWERED,
    CallState.TALKING,
    CallState.HELD,
)
TERMINAL_STATES = (
    CallState.REFUSED,
    CallState.ENDED,
    CallState.FAILED,
    CallState.ABANDONED,
)

_LIVE = text("ended_at IS NULL")
# Two callers who withhold their numbers have the same one, and a customer may call in while they
# are being called; what we dial is dialled once.
_LIVE_AND_OURS = text("ended_at IS NULL AND origin <> 'inbound'")


class Attempt(Base):
    """One decision to dial, allowed or refused, with its verdict (発信), or one call that came in.

    Written before anything is dialled. `uuid` is the customer's channel, chosen by us; of a call
    that came in it is the switch's, and `dialled_at` stays empty: it is nobody's dial.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        Index(
            "uq_attempts_live_number",
            "number",
            unique=True,
            sqlite_where=_LIVE_AND_OURS,
            postgresql_where=_LIVE_AND_OURS,
        ),
        Index(
            "uq_attempts_live_user",
            "user_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index("ix_attempts_number_dialled", "number", "dialled_at"),
        Index("ix_attempts_customer", "customer_id", "id"),
        # A campaign's day is counted at every tick of the dialler, from this index alone.
        Index(
            "ix_attempts_campaign_day",
            "campaign_id",
            "dialled_at",
            "answered_at",
            "joined_at",
            "state",
            sqlite_where=text("campaign_id IS NOT NULL"),
            postgresql_where=text("campaign_id IS NOT NULL"),
        ),
        Index(
            "ix_attempts_live_campaign",
            "campaign_id",
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    press_id: Mapped[str | None] = mapped_column(String(36), unique=True)
    """Made by the page for each press: a double click or resent request meets the same row."""
    origin: Mapped[Origin]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    list_id: Mapped[int | None] = mapped_column(ForeignKey("lists.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"))
    """The campaign that dialled it."""
    reserved_user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """The operator kept free for it before it was dialled (R-DL-4)."""
    number: Mapped[str] = mapped_column(String(16))
    caller_number_id: Mapped[int | None] = mapped_column(ForeignKey("caller_numbers.id"))
    node: Mapped[str] = mapped_column(String(64), default="")
    trunk_id: Mapped[int | None] = mapped_column(ForeignKey("trunks.id"))
    """The trunk it left by; None before that, and where no trunk is set up."""
    verdict: Mapped[str] = mapped_column(String(32))
    """'allowed', or the code of the gate's refusal."""
    verdict_detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[CallState] = mapped_column(index=True)
    epoch: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    dialled_at: Mapped[datetime | None]
    """The dial left for the network."""
    ringing_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    joined_at: Mapped[datetime | None]
    """First CHANNEL_BRIDGE with the operator's leg."""
    held_since: Mapped[datetime | None]
    apology_at: Mapped[datetime | None]
    """Nobody was free in time: from here on the customer is not joined any more (R-DL-3)."""
    improper: Mapped[bool] = mapped_column(default=False)
    """放棄 although an operator was free."""
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str] = mapped_column(String(16), default="")
    """operator | customer | carrier | system"""
    hangup_cause: Mapped[str] = mapped_column(String(64), default="")
    sip_status: Mapped[str] = mapped_column(String(8), default="")
    q850: Mapped[str] = mapped_column(String(8), default="")
    disposition: Mapped[str] = mapped_column(String(32), default="")
    talk_ms: Mapped[int] = mapped_column(default=0)
    """billmsec of the switch."""
    seen_sequence: Mapped[int] = mapped_column(BigId, default=0)


class AttemptEvent(Base):
    """An event already applied; the key makes a second delivery harmless. Kept 30 days."""

    __tablename__ = "attempt_events"

    event_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Core-UUID:Event-Sequence."""
    attempt_id: Mapped[int] = mapped_column(BigId, ForeignKey("attempts.id"), index=True)
    name: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime]


class Line(Base):
    """One simultaneous call with the outside: taken at the gate's yes, until its leg's end."""

    __tablename__ = "lines"
    __table_args__ = (
        Index(
            "ix_lines_open",
            "caller_number_id",
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    attempt_id: Mapped[int] = mapped_column(BigId, ForeignKey("attempts.id"), index=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    kind: Mapped[str] = mapped_column(String(16), default="outbound")
    """outbound | inbound | predictive | transfer"""
    caller_number_id: Mapped[int | None] = mapped_column(ForeignKey("caller_numbers.id"))
    taken_at: Mapped[datetime]
    released_at: Mapped[datetime | None]


class CommandKind(StrEnum):
    """What a press asks of the switch."""

    DIAL = "dial"
    HANG_UP = "hang_up"
    HOLD = "hold"
    RESUME = "resume"
    MUTE = "mute"
    UNMUTE = "unmute"
    DTMF = "dtmf"
    CONNECT_LEG = "connect_leg"
    DROP_LEG = "drop_leg"
    MONITOR = "monitor"
    """Put a supervisor's leg into a call, or change who hears it there."""
    MONITOR_END = "monitor_end"
    TRANSFER = "transfer"
    """A step of a transfer: `args` name the transfer and the step."""
    RECORD_PAUSE = "record_pause"
    RECORD_GO_ON = "record_go_on"
    LOAD_TRUNKS = "load_trunks"
    """Write the trunks into the switch's configuration and let it read them."""
    CHECK = "check"
    """Read how the switch is, for the page that shows it."""
    CALL_IN = "call_in"
    """Practice alone: somebody calls one of our numbers."""
    ANSWER = "answer"
    """Answer a call that came in, and join it with the operator who took it."""


class SwitchCommand(Base):
    """The row is the command, the queue its doorbell (design §1)."""

    __tablename__ = "switch_commands"
    __table_args__ = (
        Index(
            "ix_switch_commands_open",
            "node",
            "id",
            sqlite_where=text("taken_at IS NULL"),
            postgresql_where=text("taken_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    node: Mapped[str] = mapped_column(String(64))
    kind: Mapped[CommandKind]
    attempt_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("attempts.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    args: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]
    taken_by: Mapped[str] = mapped_column(String(64), default="")
    done_at: Mapped[datetime | None]
    failure: Mapped[str] = mapped_column(String(128), default="")


class RecordKind(StrEnum):
    """種別 of a call record."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    ENTRY = "entry"
    PREDICTIVE = "predictive"
    MANUAL = "manual"
    """手動発信: outside the lists; not in コール履歴."""


class SystemResult(StrEnum):
    """Results that only the system sets; in no pattern, names reserved (spec §1)."""

    NONE = ""
    BLANK = "blank"
    ABANDONED = "abandoned"
    LINE_ERROR = "line_error"
    MISSED = "missed"
    """A call that came in and that nobody answered."""


SYSTEM_RESULT_NAMES = {
    SystemResult.BLANK: "空白",
    SystemResult.ABANDONED: "放棄",
    SystemResult.LINE_ERROR: "回線エラー",
    SystemResult.MISSED: "不在着信",
}


class CallRecord(Base):
    """One entry per dial, inbound call or manual entry (コール履歴)."""

    __tablename__ = "call_records"
    __table_args__ = (
        Index("ix_call_records_started", "started_at", "id"),
        Index("ix_call_records_saved", "saved_at", "id"),
        Index("ix_call_records_user_day", "user_id", "site_day"),
        # With what a search asks of somebody's records besides: who has none of a project is found
        # to have none without a look at all they have.
        Index("ix_call_records_user", "user_id", "started_at", "id", "project_id", "list_id"),
        Index("ix_call_records_list", "list_id", "started_at", "id"),
        Index("ix_call_records_project", "project_id", "started_at", "id"),
        Index("ix_call_records_customer", "customer_id", "started_at", "id"),
        Index("ix_call_records_number", "number", "started_at"),
        Index(
            "ix_call_records_by_hand",
            "id",
            sqlite_where=text("kind = 'manual'"),
            postgresql_where=text("kind = 'manual'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[RecordKind]
    attempt_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("attempts.id"), unique=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    list_id: Mapped[int | None] = mapped_column(ForeignKey("lists.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """None: 自動発信."""
    number: Mapped[str] = mapped_column(String(16))
    caller_number_id: Mapped[int | None] = mapped_column(ForeignKey("caller_numbers.id"))
    cycle: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime]
    site_day: Mapped[date]
    talk_ms: Mapped[int] = mapped_column(default=0)
    status_id: Mapped[int | None] = mapped_column(ForeignKey("result_statuses.id"))
    system: Mapped[SystemResult] = mapped_column(default=SystemResult.BLANK)
    """BLANK until a status is saved; empty once `status_id` is set."""
    saved_at: Mapped[datetime | None]
    """When the result was (first) saved."""
    closed_at: Mapped[datetime | None]
    """Next dial of this operator, or leaving: from then a save is a correction."""
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """結果属性."""
    prospect_level: Mapped[str] = mapped_column(String(32), default="")
    callback_at: Mapped[datetime | None]
    memo: Mapped[str] = mapped_column(default="")
    """Text of this record alone; the customer's memo is its MemoEntry rows."""
    counts_dial: Mapped[bool] = mapped_column(default=False)
    counts_connect: Mapped[bool] = mapped_column(default=False)
    counts_conversion: Mapped[bool] = mapped_column(default=False)
    """The three are written by `services.figures` when the status is, and summed everywhere."""


class RecordCorrection(Base):
    """A line left by each correction (R-HS-3)."""

    __tablename__ = "record_corrections"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(BigId, ForeignKey("call_records.id"), index=True)
    at: Mapped[datetime]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]


class MemoEntry(Base):
    """One appended piece of a customer's memo; its head line is text and stays (R-CL-7, R-US-3)."""

    __tablename__ = "memo_entries"
    __table_args__ = (Index("ix_memo_entries_customer", "customer_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    record_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("call_records.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    at: Mapped[datetime]
    text: Mapped[str]
    """【2026/11/22 14:30 山田太郎 見込】text"""


class Task(Base):
    """A customer promised a callback (対応タスク); at most one open per customer."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index(
            "uq_tasks_open_customer",
            "customer_id",
            unique=True,
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
        Index("ix_tasks_user", "user_id", "due_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    list_id: Mapped[int] = mapped_column(ForeignKey("lists.id"), index=True)
    record_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("call_records.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """None: 担当なし."""
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    due_at: Mapped[datetime | None]
    """None: フリー."""
    told_due_at: Mapped[datetime | None]
    """The `due_at` of which webhooks have been told."""
    opened_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    done_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    done_record_id: Mapped[int | None] = mapped_column(BigId)


class TaskReminder(Base):
    """Somebody has closed the reminder of a task; of a new time they are reminded again."""

    __tablename__ = "task_reminders"

    task_id: Mapped[int] = mapped_column(BigId, ForeignKey("tasks.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    due_at: Mapped[datetime]
    """The task's when it was closed."""


class OperatorState(StrEnum):
    """R-CL-14; 保留 is shown from the call."""

    SIGNED_OUT = "signed_out"
    AWAY = "away"
    BROWSING = "browsing"
    READY = "ready"
    OFFERED = "offered"
    DIALLING = "dialling"
    TALKING = "talking"
    WRAP_UP = "wrap_up"


class LegState(StrEnum):
    """The operator's own leg, as far as it was heard of."""

    NONE = "none"
    CONNECTING = "connecting"
    PARKED = "parked"
    JOINED = "joined"
    LOST = "lost"


class Operator(Base):
    """A user's present state. `attempt_id` is the one lock on an operator (design §1)."""

    __tablename__ = "operators"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    state: Mapped[OperatorState] = mapped_column(default=OperatorState.SIGNED_OUT)
    reason: Mapped[str] = mapped_column(String(32), default="")
    since: Mapped[datetime]
    attempt_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("attempts.id"))
    """The call this operator is locked for; set and cleared by compare-and-set only."""
    customer_id: Mapped[int | None] = mapped_column(BigId)
    """The customer whose page is open."""
    queue_id: Mapped[int | None]
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"), index=True)
    """The campaign whose customers are pushed while 待機 (R-DL-7)."""
    leaves_campaign: Mapped[bool] = mapped_column(default=False)
    """この通話で終了: this call is the last one."""
    record_id: Mapped[int | None] = mapped_column(BigId)
    """The record being worked on, open for rewriting until the next dial (R-CL-6)."""
    dial_at: Mapped[datetime | None]
    """When 保存して次へ dials by itself, unless 中止 is pressed first (R-CL-5)."""
    chosen_number: Mapped[str] = mapped_column(String(16), default="")
    """The number that 保存して別番号へ went on to; empty: the customer's main one."""
    chosen_caller_id: Mapped[int | None] = mapped_column(ForeignKey("caller_numbers.id"))
    """The caller number picked on the call screen; None: the customer's last, else メイン."""
    page_id: Mapped[str] = mapped_column(String(36), default="")
    """The one page in use (R-CL-17)."""
    page_machine: Mapped[str] = mapped_column(String(32), default="")
    """Which browser that page is in: a call moves to another page of the same one only."""
    page_seen_at: Mapped[datetime | None]
    leg_kind: Mapped[LegKind] = mapped_column(default=LegKind.DEVICE)
    leg_uuid: Mapped[str] = mapped_column(String(36), default="")
    leg_node: Mapped[str] = mapped_column(String(64), default="")
    leg_state: Mapped[LegState] = mapped_column(default=LegState.NONE)
    leg_since: Mapped[datetime | None]
    muted: Mapped[bool] = mapped_column(default=False)


class OperatorInterval(Base):
    """How long an operator was in which state (稼働時間)."""

    __tablename__ = "operator_intervals"
    __table_args__ = (
        UniqueConstraint("user_id", "started_at"),
        Index("ix_operator_intervals_day", "site_day", "user_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    site_day: Mapped[date]
    state: Mapped[OperatorState]
    reason: Mapped[str] = mapped_column(String(32), default="")
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
