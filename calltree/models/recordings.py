"""Recordings: the sound is a file, its row is the truth about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from calltree.db import Base, BigId


class RecordingState(StrEnum):
    """From the first second to the end of the file."""

    RECORDING = "recording"
    STOPPED = "stopped"
    """The switch has finished; a job has still to check and encode it."""
    STORED = "stored"
    HIDDEN = "hidden"
    """不通: nobody may play it; destroyed when the record closes plus ten minutes (R-ST-2)."""
    DESTROYED = "destroyed"
    MISSING = "missing"


class Recording(Base):
    """One call's sound; operator left, customer right."""

    __tablename__ = "recordings"
    __table_args__ = (
        Index("ix_recordings_state", "state", "stopped_at"),
        Index(
            "ix_recordings_doomed",
            "destroy_after",
            sqlite_where=text("destroy_after IS NOT NULL"),
            postgresql_where=text("destroy_after IS NOT NULL"),
        ),
        Index(
            "ix_recordings_problem",
            "id",
            sqlite_where=text("problem <> ''"),
            postgresql_where=text("problem <> ''"),
        ),
        # all that is asked about room, so that it is answered from the index alone
        Index(
            "ix_recordings_kept",
            *("started_at", "size_bytes", "length_ms"),
            sqlite_where=text("size_bytes > 0"),
            postgresql_where=text("size_bytes > 0"),
        ),
        Index(
            "ix_recordings_original_left",
            "stopped_at",
            sqlite_where=text("state = 'stored' AND raw_name <> ''"),
            postgresql_where=text("state = 'stored' AND raw_name <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    attempt_id: Mapped[int] = mapped_column(BigId, ForeignKey("attempts.id"), unique=True)
    record_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("call_records.id"), unique=True)
    node: Mapped[str] = mapped_column(String(64), default="")
    raw_name: Mapped[str] = mapped_column(String(128))
    """WAV relative to the recordings root; built from ids only. Empty once the copy was verified
    and the original deleted."""
    stored_name: Mapped[str] = mapped_column(String(128), default="")
    """Encoded copy relative to the recordings root; empty until made."""
    state: Mapped[RecordingState] = mapped_column(default=RecordingState.RECORDING)
    started_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
    length_ms: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int] = mapped_column(BigId, default=0)
    waveform: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    """Peaks 0–255, left and right in turn, a few hundred of each."""
    problem: Mapped[str] = mapped_column(String(32), default="")
    """A `services.recordings.Problem`, against talk time (R-RC-5); empty: none."""
    problem_checked_at: Mapped[datetime | None]
    """Somebody who manages has seen the problem and ticked it off."""
    destroy_after: Mapped[datetime | None]
    """Cleared once both files are gone."""
    destroyed_at: Mapped[datetime | None]
    destroyed_reason: Mapped[str] = mapped_column(String(32), default="")
    protected: Mapped[bool] = mapped_column(default=False)
    """保護: stays when room is made and when its project would keep it no longer."""


class PauseEnd(StrEnum):
    """How a pause stands while it is open, and what let the recording go on."""

    OPEN = ""
    """The switch has said that the file is silent."""
    REQUESTED = "requested"
    """Open, but the switch has not said so yet: the file may still hold what is spoken."""
    REFUSED = "refused"
    """The switch did not pause: there is no silence in the file."""
    OPERATOR = "operator"
    HOLD = "hold"
    """The customer was put on hold, or handed on: no card number is spoken there."""
    LIMIT = "limit"
    CALL = "call"
    """The call ended."""


class RecordingPause(Base):
    """A stretch of a call that was not recorded because its operator said so (R-RC-3).

    The file goes on in silence, so the moments stay moments of the file.
    """

    __tablename__ = "recording_pauses"
    __table_args__ = (
        Index(
            "uq_recording_pauses_open",
            "recording_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_recording_pauses_recording", "recording_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    recording_id: Mapped[int] = mapped_column(BigId, ForeignKey("recordings.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    began_at: Mapped[datetime]
    """The press; once the switch has said that the file is silent, that moment."""
    until: Mapped[datetime]
    """It goes on by itself then."""
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[PauseEnd] = mapped_column(default=PauseEnd.REQUESTED)
