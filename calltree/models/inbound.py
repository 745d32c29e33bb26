"""Inbound calls (受電): what each number of ours does with a caller, and the sounds it plays."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId


class Situation(StrEnum):
    """Where a call stands when something must be done with it (R-IN-1)."""

    OPEN = "open"
    AFTER_HOURS = "after_hours"
    """Outside the hours of a day that is open."""
    CLOSED_DAY = "closed_day"
    """A closed day, a holiday, or a weekday without hours."""
    ALL_BUSY = "all_busy"
    """Open, and nobody is 待機."""
    NO_ANSWER = "no_answer"
    """Rung, or kept in the queue, for as long as was set."""
    WITHHELD = "withheld"
    """非通知: the caller does not show a number."""


FALLS_BACK_TO = (Situation.AFTER_HOURS, Situation.CLOSED_DAY, Situation.NO_ANSWER)
"""The first of them that says or forwards anything is what a caller meets while we are away."""


class InboundAction(StrEnum):
    """What is done with a call."""

    RING_ALL = "ring_all"
    RING_IDLE = "ring_idle"
    """The operator who has waited longest; after so many seconds the next one."""
    QUEUE = "queue"
    """Music, and the first operator who becomes free."""
    GUIDANCE = "guidance"
    """A sound, then the call is released."""
    FORWARD = "forward"
    VOICEMAIL = "voicemail"
    """A sound, the tone, and what the caller says is kept."""
    REFUSE = "refuse"
    """Busy, without answering: it costs the caller nothing."""
    ACCEPT = "accept"
    """非通知 alone: as any other call."""


class HolidayHours(StrEnum):
    """What a public holiday is like."""

    CLOSED = "closed"
    WEEKDAY = "weekday"
    """Like the weekday that it falls on."""
    OWN = "own"
    """The eighth of `InboundRoute.hours`."""


class Guidance(Base):
    """A sound that callers hear (ガイダンス): 8 kHz, 16 bit, mono WAV, at one level.

    In the database rather than in a file: backups hold it, and every machine has it.
    """

    __tablename__ = "guidances"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    sound: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    length_ms: Mapped[int]
    size_bytes: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    retired_at: Mapped[datetime | None]
    """Chosen no more; a call that is playing it ends with it."""
    queue_place: Mapped[int | None]
    """Said to whoever is at this place of a queue; `LAST_PLACE` is for all behind it too."""


class InboundRoute(Base):
    """When a number of ours is open. A number without one has the defaults."""

    __tablename__ = "inbound_routes"

    caller_number_id: Mapped[int] = mapped_column(ForeignKey("caller_numbers.id"), primary_key=True)
    hours: Mapped[list[str]] = mapped_column(default=list)
    """Eight days as `text.opening` writes them: Monday … Sunday, public holidays."""
    holidays: Mapped[HolidayHours] = mapped_column(default=HolidayHours.CLOSED)
    observes_closed_days: Mapped[bool] = mapped_column(default=True)
    """Whether the site's 休業日 close this number too."""
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id"))
    """Whose telephones ring; None: everybody's who may answer."""
    version: Mapped[str] = mapped_column(String(32), default=lambda: uuid.uuid4().hex)
    """Another one with each save, and never one that was there: a process keeps what it read."""


class InboundStep(Base):
    """What a number does in one situation; without a row, what is usual there."""

    __tablename__ = "inbound_steps"

    caller_number_id: Mapped[int] = mapped_column(
        ForeignKey("inbound_routes.caller_number_id"), primary_key=True
    )
    situation: Mapped[Situation] = mapped_column(primary_key=True)
    action: Mapped[InboundAction]
    guidance_id: Mapped[int | None] = mapped_column(ForeignKey("guidances.id"), index=True)
    """Played first; None: nothing is."""
    forward_to: Mapped[str] = mapped_column(String(16), default="")
    seconds: Mapped[int] = mapped_column(default=0)
    """How long it rings, waits or listens; of RING_IDLE for each operator."""
    tells_position: Mapped[bool] = mapped_column(default=False)


class InboundClosedDay(Base):
    """A closed day of one number, beside the site's."""

    __tablename__ = "inbound_closed_days"

    caller_number_id: Mapped[int] = mapped_column(
        ForeignKey("inbound_routes.caller_number_id"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), default="")


class InboundRefusal(Base):
    """A caller who is refused on every number (着信拒否リスト)."""

    __tablename__ = "inbound_refusals"

    number: Mapped[str] = mapped_column(String(16), primary_key=True)
    note: Mapped[str] = mapped_column(String(128), default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]


class InboundOutcome(StrEnum):
    """What became of a call that came in."""

    OPEN = "open"
    """It is on its way through its steps."""
    JOINED = "joined"
    """An operator talked with the caller."""
    MISSED = "missed"
    """The caller gave up, or nobody was reached: to be called back."""
    VOICEMAIL = "voicemail"
    """The caller left a message."""
    GUIDANCE = "guidance"
    """Heard the guidance of closed hours: to be called back as a missed one."""
    FORWARDED = "forwarded"
    REFUSED = "refused"
    """Busy without an answer: the list of refused callers, no line, a number that takes none. Or
    non-disclosed callers who were told so by a guidance."""


TO_BE_CALLED_BACK = (InboundOutcome.MISSED, InboundOutcome.VOICEMAIL, InboundOutcome.GUIDANCE)
"""Outcomes that somebody has to see to (R-IN-3)."""
_OPEN = text("outcome = 'open'")
_UNSEEN = text("outcome IN ('missed', 'voicemail', 'guidance') AND done_at IS NULL")


class InboundCall(Base):
    """A call that came in: its plan, which step it is at, and what became of it.

    Rows alone say what the caller should hear now, so that a new leader goes on where the last one
    stopped. `serial` grows with every change of it; what the switch was told is `carried_*`.
    """

    __tablename__ = "inbound_calls"
    __table_args__ = (
        Index("ix_inbound_calls_open", "attempt_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index(
            "ix_inbound_calls_unseen",
            "attempt_id",
            sqlite_where=_UNSEEN,
            postgresql_where=_UNSEEN,
        ),
    )

    attempt_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("attempts.id"), primary_key=True, autoincrement=False
    )
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id"))
    """Whose telephones ring; None: everybody's who may answer."""
    reason: Mapped[str] = mapped_column(String(32), default="")
    """Why the plan is as it is: a code of `inbound_words.REASONS`."""
    reason_name: Mapped[str] = mapped_column(String(64), default="")
    """Of the closed day or holiday."""
    steps: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    step: Mapped[int] = mapped_column(default=0)
    """Which of `steps` it is at; their number when all came to nothing."""
    action: Mapped[InboundAction]
    """Of the present step."""
    step_started_at: Mapped[datetime]
    step_ends_at: Mapped[datetime | None]
    """When the next one follows; None: it ends by itself."""
    passed_over: Mapped[list[int]] = mapped_column(default=list)
    """Users who declined, or did not answer when it was their turn."""
    offered_user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """RING_IDLE: whose turn it is; they are locked for it."""
    offered_until: Mapped[datetime | None]
    taken_at: Mapped[datetime | None]
    """When an operator took it; the join is to follow at once."""
    parked_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    parked_at: Mapped[datetime | None]
    told_place: Mapped[int] = mapped_column(default=0)
    """QUEUE: the place in the queue that they were told last; 0: none yet."""
    told_at: Mapped[datetime | None]
    serial: Mapped[int] = mapped_column(default=1)
    carried_serial: Mapped[int] = mapped_column(default=0)
    carried_epoch: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[InboundOutcome] = mapped_column(default=InboundOutcome.OPEN)
    assigned_user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    """Who is to call back; None: anybody."""
    done_at: Mapped[datetime | None]
    done_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    called_back_attempt_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("attempts.id"))
    """The latest call back to the caller."""
