"""Transfers of a call: to another operator or to an outside number, blind or after a word."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId
from calltree.models.calls import OperatorState


class TransferKind(StrEnum):
    """Whether the first operator talks with the target before the customer does."""

    BLIND = "blind"
    """転送: the customer is joined as soon as the target answers."""
    ATTENDED = "attended"
    """相談転送: the first operator talks with the target first."""
    PARKED = "parked"
    """保留して残す: whoever is free takes the customer. Until somebody does there is no target."""


class TransferState(StrEnum):
    """How far a transfer is."""

    RINGING = "ringing"
    """The number is dialled, or the colleague is asked."""
    ANSWERED = "answered"
    """The target is there; with whom they are joined was not heard of yet."""
    CONSULTING = "consulting"
    """The first operator and the target talk; the customer hears music."""
    THREE_WAY = "three_way"
    CONNECTED = "connected"
    """The customer is the target's; the first operator has left."""
    ENDED = "ended"


class TransferWish(StrEnum):
    """What was asked of the switch and not heard of yet."""

    NONE = ""
    COMPLETE = "complete"
    THREE_WAY = "three_way"
    BACK = "back"


class TransferOutcome(StrEnum):
    """How a transfer went."""

    OPEN = ""
    TRANSFERRED = "transferred"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"
    """The target said no."""
    NOT_IN_USE = "not_in_use"
    TARGET_LEFT = "target_left"
    WITHDRAWN = "withdrawn"
    """The first operator took the customer back."""
    CUSTOMER_LEFT = "customer_left"
    FAILED = "failed"
    """Our side failed: no line, no gateway, a switch that did not do it."""


_UNDER_WAY = text("settled_at IS NULL")
_OPEN = text("ended_at IS NULL")


class Transfer(Base):
    """One leg beside a call's own: who was to take the customer over, and what became of it.

    One is under way for a call at a time, and one for a target. An outside leg has a line of its
    own, of kind `transfer`, under the same `uuid`.
    """

    __tablename__ = "transfers"
    __table_args__ = (
        Index(
            "uq_transfers_under_way",
            "attempt_id",
            unique=True,
            sqlite_where=_UNDER_WAY,
            postgresql_where=_UNDER_WAY,
        ),
        Index("ix_transfers_open", "uuid", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_transfers_attempt", "attempt_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    attempt_id: Mapped[int] = mapped_column(BigId, ForeignKey("attempts.id"))
    press_id: Mapped[str | None] = mapped_column(String(36), unique=True)
    kind: Mapped[TransferKind]
    state: Mapped[TransferState] = mapped_column(default=TransferState.RINGING)
    wish: Mapped[TransferWish] = mapped_column(default=TransferWish.NONE)
    wished_at: Mapped[datetime | None]
    from_user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    to_user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """The colleague; None for an outside number, and while nobody took a parked customer."""
    was: Mapped[OperatorState | None]
    """The colleague's state before: where they go back to when it comes to nothing."""
    number: Mapped[str] = mapped_column(String(16), default="")
    caller_number_id: Mapped[int | None] = mapped_column(ForeignKey("caller_numbers.id"))
    trunk_id: Mapped[int | None] = mapped_column(ForeignKey("trunks.id"))
    node: Mapped[str] = mapped_column(String(64), default="")
    uuid: Mapped[str] = mapped_column(String(36))
    """The target's leg: of an outside number chosen by us, of a colleague their own; else ""."""
    began_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    consulted_at: Mapped[datetime | None]
    """First joined with the first operator."""
    three_way_at: Mapped[datetime | None]
    joined_at: Mapped[datetime | None]
    """First joined with the customer."""
    settled_at: Mapped[datetime | None]
    """It was carried out, or came to nothing: the call may be transferred again."""
    ended_at: Mapped[datetime | None]
    """The target's part is over: their leg, or their share of the call."""
    outcome: Mapped[TransferOutcome] = mapped_column(default=TransferOutcome.OPEN)
    hangup_cause: Mapped[str] = mapped_column(String(64), default="")
    sip_status: Mapped[str] = mapped_column(String(8), default="")
    talk_ms: Mapped[int] = mapped_column(default=0)
    """billmsec of an outside leg."""
