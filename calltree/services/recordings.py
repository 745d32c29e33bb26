"""Recordings: what becomes of each, from the end of its call to the end of its file.

The rows' side only. `services.sound` knows the files' insides; `jobs.recordings` brings the two
together and is the only one that writes or deletes a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import (
    Attempt,
    AuditEntry,
    CallRecord,
    CustomerList,
    Origin,
    Project,
    Recording,
    RecordingState,
    RecordKind,
    ResultStatus,
    User,
)
from calltree.services import audit, effects, record_names, results, scope
from calltree.services.rights import Viewer
from calltree.services.sound import Heard
from calltree.text import file_names
from calltree.text.days import site_day

TALK_MS = 2_000
"""A call joined for this long has a recording; shorter ones may have none."""
SHORT_MS = 2_000
"""A recording may lack this much of the talk (the switch's files lack 40–60 ms)."""
SILENT_BELOW = 33.0
"""RMS of 16 bit samples: −60 dBFS. A muted microphone gives 0, a quiet line some hundred."""
SILENCE_MS = 5_000
"""In a shorter talk somebody may truly have said nothing."""
AGAIN_S = 20
"""A recording this long ready and not encoded yet has lost its job."""
SWEPT_AT_ONCE = 200


class Problem(StrEnum):
    """What is wrong with a recording, measured against its call (R-RC-5)."""

    NONE = ""
    MISSING = "missing"
    UNREADABLE = "unreadable"
    """There is a file, but no sound can be read from it; it is kept."""
    SHORT = "short"
    SILENT = "silent"
    SILENT_OPERATOR = "silent_operator"
    SILENT_CUSTOMER = "silent_customer"
    MONO = "mono"
    """Both voices on one channel: the switch lost the call's stereo variables."""


def raw_name(attempt: Attempt) -> str:
    """Name the switch's file of a call, relative to the recordings root: ids and the day only."""
    return f"{site_day(attempt.created_at):%Y/%m/%d}/{attempt.uuid}.wav"


def copy_name(attempt: Attempt) -> str:
    """Name the encoded copy, relative to the recordings root."""
    return raw_name(attempt).removesuffix(".wav") + ".mp3"


def path_below(root: Path, name: str) -> Path:
    """Return the path of a row's relative name. Raises ValueError if it would leave the root."""
    base = root.resolve()
    path = (base / name).resolve()
    if not name or path == base or not path.is_relative_to(base):
        raise ValueError("a recording's name leaves the recordings directory")
    return path


# --- after the call


def call_ended(session: Session, *, attempt: Attempt, now: datetime) -> None:
    """Have the sound of a call that has just ended checked and encoded.

    To be called in the transaction that ends the call. A call that was joined and that the switch
    reported no recording of gets a row too, so that its file is looked for, and missed.
    """
    recording = effects.recording_of(session, attempt_id=attempt.id)
    if recording is None:
        if attempt.joined_at is None or expected_ms(attempt) < TALK_MS:
            return
        recording = Recording(
            attempt_id=attempt.id,
            record_id=session.scalar(
                select(CallRecord.id).where(CallRecord.attempt_id == attempt.id)
            ),
            node=attempt.node,
            raw_name=raw_name(attempt),
            state=RecordingState.RECORDING,
            started_at=attempt.joined_at,
        )
        session.add(recording)
    if recording.state is RecordingState.RECORDING:
        recording.state, recording.stopped_at = RecordingState.STOPPED, now
    session.flush()
    if recording.state is RecordingState.STOPPED:
        ring_finish(session, recording.id)
    _tell(session, recording)


def ring_finish(session: Session, recording_id: int, ttl_s: int | None = None) -> None:
    """Ask for the job that checks and encodes this recording; a second one does no harm."""
    job = {"lane": "soon", "func": "calltree.jobs.recordings.finish", "args": [recording_id]}
    announce(session, "job", **(job if ttl_s is None else job | {"ttl": ttl_s}))


def expected_ms(attempt: Attempt) -> int:
    """Say how long the recording should be at least: from joining, or the answer, to the end."""
    if attempt.origin is Origin.INBOUND and attempt.joined_at is None:
        return 0  # a message: as long as it is, and one voice alone
    if attempt.joined_at is None or attempt.ended_at is None:
        return attempt.talk_ms
    joined = int((attempt.ended_at - attempt.joined_at).total_seconds() * 1000)
    return max(min(attempt.talk_ms, joined), 0)


def judge(heard: Heard, *, expected: int) -> Problem:
    """Check what was recorded against the talk (R-RC-5)."""
    if heard.length_ms + SHORT_MS < expected:
        return Problem.SHORT
    if heard.channels != 2 and expected:
        return Problem.MONO
    quiet_left = heard.loud_left < SILENT_BELOW
    quiet_right = heard.loud_right < SILENT_BELOW
    if expected < SILENCE_MS or not (quiet_left or quiet_right):
        return Problem.NONE
    if quiet_left and quiet_right:
        return Problem.SILENT
    return Problem.SILENT_OPERATOR if quiet_left else Problem.SILENT_CUSTOMER


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do for one recording."""

    recording_id: int
    raw: str
    copy: str
    expected_ms: int
    encode: bool
    """False: it is stored, and only the original is left to be deleted."""
    guessed: bool
    """Nobody was told of the call's end: it was found to be over, at most so late."""

    def expected(self, heard: Heard) -> int:
        """Say how long the recording should be; of a guess it knows better itself."""
        return min(self.expected_ms, heard.length_ms) if self.guessed else self.expected_ms


def work_for(session: Session, *, recording_id: int) -> Work | None:
    """Return what there is to do now; None while the call goes on, and when all is done.

    What is hidden is not encoded: it would only make another copy of what will be destroyed.
    """
    recording = session.get(Recording, recording_id, populate_existing=True)
    if recording is None:
        return None
    attempt = session.get_one(Attempt, recording.attempt_id)
    if attempt.ended_at is None:
        return None
    ready = recording.state in (RecordingState.STOPPED, RecordingState.MISSING)
    left = recording.state is RecordingState.STORED and recording.raw_name != ""
    if not ready and not left:
        return None
    return Work(
        recording.id,
        recording.raw_name or raw_name(attempt),
        recording.stored_name or copy_name(attempt),
        expected_ms(attempt),
        encode=ready,
        guessed=attempt.hangup_cause == "",
    )


def store(
    session: Session, *, work: Work, heard: Heard, size_bytes: int, now: datetime
) -> RecordingState:
    """Note that the verified copy is in its place; return the state it has now.

    Anything but STORED: it was hidden or destroyed meanwhile, and of a destroyed one the copy
    must go again.
    """
    recording = _locked(session, work.recording_id)
    if recording.state is RecordingState.DESTROYED:
        return recording.state
    if recording.state is not RecordingState.HIDDEN:
        recording.state = RecordingState.STORED
    recording.stored_name = work.copy
    recording.length_ms = heard.length_ms
    recording.size_bytes = size_bytes
    recording.waveform = heard.waveform
    _note_problem(recording, judge(heard, expected=work.expected(heard)))
    session.flush()
    _follow_status(session, recording, now)
    _tell(session, recording)
    return recording.state


def miss(session: Session, *, work: Work, problem: Problem) -> None:
    """Note that there is no sound, or none that can be read."""
    recording = _locked(session, work.recording_id)
    if recording.state in (RecordingState.STOPPED, RecordingState.MISSING):
        recording.state = RecordingState.MISSING
        _note_problem(recording, problem)
        _tell(session, recording)


def original_deleted(session: Session, *, recording_id: int) -> None:
    """Note that only the copy is left."""
    _locked(session, recording_id).raw_name = ""


def _locked(session: Session, recording_id: int) -> Recording:
    return session.scalars(
        select(Recording)
        .where(Recording.id == recording_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _note_problem(recording: Recording, problem: Problem) -> None:
    if recording.problem != problem:
        recording.problem, recording.problem_checked_at = problem, None


def _follow_status(session: Session, recording: Recording, now: datetime) -> None:
    record = session.get(CallRecord, recording.record_id) if recording.record_id else None
    if record is not None:
        status = session.get(ResultStatus, record.status_id) if record.status_id else None
        effects.follow_recording(session, record=record, status=status, now=now)


def _tell(session: Session, recording: Recording) -> None:
    announce(session, "recording", recording_id=recording.id, attempt_id=recording.attempt_id)


# --- the sweep


def sweep(session: Session, *, now: datetime) -> Sequence[int]:
    """Ring again for what lost its job; return the ids of what is to be destroyed now (R-ST-2).

    Those are claimed: from here on no change of status brings them back.
    """
    forgotten = select(Recording.id).where(_forgotten(now)).order_by(Recording.id)
    left = session.scalars(forgotten.limit(SWEPT_AT_ONCE)).all()
    picked_up = session.scalars(  # they have waited: a second time would be more than a minute
        update(Recording)
        .where(_never_stopped(now))
        .values(state=RecordingState.STOPPED, stopped_at=now)
        .returning(Recording.id)
        .execution_options(synchronize_session=False)
    ).all()
    for recording_id in (*left, *picked_up):
        ring_finish(session, recording_id, ttl_s=AGAIN_S)
    due = and_(Recording.destroy_after.is_not(None), Recording.destroy_after <= now)
    session.execute(
        update(Recording)
        .where(due, Recording.state == RecordingState.HIDDEN)
        .values(state=RecordingState.DESTROYED)
        .execution_options(synchronize_session=False)
    )
    return session.scalars(
        select(Recording.id)
        .where(due, Recording.state == RecordingState.DESTROYED)
        .order_by(Recording.id)
        .limit(SWEPT_AT_ONCE)
    ).all()


def anything_to_sweep(session: Session, *, now: datetime) -> bool:
    """Whether a sweep would find anything, so that a quiet one takes no writer's turn."""
    wanted = or_(
        _forgotten(now),
        _never_stopped(now),
        and_(Recording.destroy_after.is_not(None), Recording.destroy_after <= now),
    )
    return session.scalar(select(Recording.id).where(wanted).limit(1)) is not None


def _never_stopped(now: datetime) -> ColumnElement[bool]:
    over = select(Attempt.id).where(
        Attempt.id == Recording.attempt_id,
        Attempt.ended_at < now - timedelta(seconds=AGAIN_S),
    )
    return and_(Recording.state == RecordingState.RECORDING, over.exists())


def _forgotten(now: datetime) -> ColumnElement[bool]:
    old = Recording.stopped_at < now - timedelta(seconds=AGAIN_S)
    left = and_(Recording.state == RecordingState.STORED, Recording.raw_name != "")
    return and_(or_(Recording.state == RecordingState.STOPPED, left), old)


def stored_after(session: Session, recording_id: int) -> Sequence[tuple[int, str]]:
    """Return ids and names of some copies that are kept, after an id; none after the last."""
    rows = session.execute(
        select(Recording.id, Recording.stored_name)
        .where(Recording.id > recording_id, Recording.stored_name != "", _is_kept())
        .order_by(Recording.id)
        .limit(SWEPT_AT_ONCE)
    )
    return [(row[0], row[1]) for row in rows]


def kept_name(session: Session, *, recording_id: int) -> str:
    """Return the name of a copy that is to be kept; '' when there is none, or its end is near."""
    kept = select(Recording.stored_name).where(Recording.id == recording_id, _is_kept())
    return session.scalar(kept) or ""


def _is_kept() -> ColumnElement[bool]:
    return Recording.state.in_((RecordingState.STORED, RecordingState.HIDDEN))


def unrecorded_name(session: Session, *, attempt_id: int) -> str:
    """Name the original of a call that is over and has no recording; '' for any other."""
    attempt = session.get_one(Attempt, attempt_id)
    if attempt.ended_at is None or effects.recording_of(session, attempt_id=attempt_id):
        return ""
    return raw_name(attempt)


def files_of(session: Session, *, recording_id: int) -> tuple[str, str]:
    """Name the original and the copy of a recording, whether they are there or not."""
    attempt = session.scalars(
        select(Attempt)
        .join(Recording, Recording.attempt_id == Attempt.id)
        .where(Recording.id == recording_id)
    ).one()
    return raw_name(attempt), copy_name(attempt)


def destroyed(session: Session, *, recording_id: int, now: datetime) -> None:
    """Note that original and copy are gone."""
    recording = _locked(session, recording_id)
    recording.destroyed_at, recording.destroy_after = now, None
    if not recording.destroyed_reason:  # room was made, or its time was over
        recording.destroyed_reason = "no_answer" if recording.record_id else "record_deleted"
    recording.raw_name = recording.stored_name = ""
    recording.size_bytes, recording.waveform = 0, b""
    _tell(session, recording)


# --- playing


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording as a person asks for it, with what its call was."""

    recording: Recording
    record: CallRecord
    project: str
    list_name: str
    user: str
    """Empty: nobody of ours."""
    result: str
    """Empty for a number dialled by hand."""

    @property
    def kind(self) -> RecordKind:
        """種別 of its call."""
        return self.record.kind

    @property
    def named_user(self) -> str:
        """Name whose call it was, in a file."""
        return self.user or record_names.nobody_name(self.kind)

    @property
    def named_result(self) -> str:
        """Name how it ended, in a file."""
        return record_names.MANUAL_NAME if self.kind is RecordKind.MANUAL else self.result

    def file_name(self, zone: tzinfo) -> str:
        """Name the download: 20261122-143012_案件_番号_ユーザー_結果.mp3 (R-RC-1)."""
        moment = self.record.started_at.astimezone(zone)
        parts = (self.project, self.record.number, self.named_user, self.named_result)
        return "_".join([f"{moment:%Y%m%d-%H%M%S}", *map(file_names.part, parts)]) + ".mp3"


def find(session: Session, *, viewer: Viewer, recording_id: int) -> Sound:
    """Return a recording the viewer may play, whatever its state. Raises NotFound."""
    recording = scope.get_recording(session, viewer=viewer, recording_id=recording_id)
    return sounds_of(session, [recording])[0]


def play_noted(
    session: Session, *, viewer: Viewer, recording_id: int, player: str, opened_at: datetime
) -> bool:
    """Whether the audit log has a line for this player, which was opened at `opened_at`."""
    lines = session.scalars(
        select(AuditEntry.detail).where(
            AuditEntry.at >= opened_at,
            AuditEntry.user_id == viewer.user_id,
            AuditEntry.action == "recording.played",
            AuditEntry.object_id == str(recording_id),
        )
    )
    return any(detail.get("player") == player for detail in lines)


def note_play(
    session: Session,
    *,
    viewer: Viewer,
    recording_id: int,
    player: str,
    opened_at: datetime,
    address: str = "",
    now: datetime,
) -> None:
    """Audit that a recording is played, once for each player (R-RC-4).

    A browser asks for one file in many pieces, several at once: they meet at the row's lock.
    """
    _locked(session, recording_id)
    noted = play_noted(
        session, viewer=viewer, recording_id=recording_id, player=player, opened_at=opened_at
    )
    if not noted:
        _audit(session, viewer, "recording.played", recording_id, address, now, player=player)


def note_download(
    session: Session, *, viewer: Viewer, recording_id: int, address: str = "", now: datetime
) -> None:
    """Audit a download (R-RC-4)."""
    _audit(session, viewer, "recording.downloaded", recording_id, address, now)


def _audit(
    session: Session,
    viewer: Viewer,
    action: str,
    recording_id: int,
    address: str,
    now: datetime,
    **detail: str,
) -> None:
    audit.note(
        session,
        viewer=viewer,
        action=action,
        kind="recording",
        object_id=recording_id,
        address=address,
        now=now,
        **detail,
    )


def sounds_of(session: Session, recordings: Sequence[Recording]) -> list[Sound]:
    """Say of recordings what their calls were, in the order given; each must have a record."""
    ids = [recording.record_id for recording in recordings]
    rows = session.execute(
        select(CallRecord, Project.name, CustomerList.name, User.name)
        .outerjoin(Project, Project.id == CallRecord.project_id)
        .outerjoin(CustomerList, CustomerList.id == CallRecord.list_id)
        .outerjoin(User, User.id == CallRecord.user_id)
        .where(CallRecord.id.in_(ids))
    )
    found: dict[int | None, tuple[CallRecord, str | None, str | None, str | None]]
    found = {record.id: (record, project, folder, user) for record, project, folder, user in rows}
    named = {record.status_id for record, *_names in found.values()} - {None}
    # held while the loop runs: each name below comes from these and not from a query of its own
    statuses = session.scalars(select(ResultStatus).where(ResultStatus.id.in_(named))).all()
    sounds = []
    for recording in recordings:
        record, project, folder, user = found[recording.record_id]
        sounds.append(
            Sound(
                recording,
                record,
                project or "",
                folder or "",
                user or "",
                "" if record.kind is RecordKind.MANUAL else results.result_name(session, record),
            )
        )
    del statuses
    return sounds
