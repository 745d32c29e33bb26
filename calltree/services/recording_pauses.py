"""録音の一時停止: while card data is spoken the file holds silence (R-RC-3).

A row says from when to when and who asked. It is only a request until the switch has said that the
file is silent: `confirmed` and `refused` take its answer. It ends with a press, with 保留 or a
transfer, with the call, and at the latest after LONGEST, whoever leads the switch by then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import Refused
from calltree.models import (
    Attempt,
    CallState,
    CommandKind,
    PauseEnd,
    Recording,
    RecordingPause,
    RecordingState,
    User,
)
from calltree.services import audit, effects, presses, switch_commands
from calltree.services.rights import Viewer

LONGEST = timedelta(seconds=120)


class Mark(NamedTuple):
    """A silent stretch of a file, in milliseconds of it."""

    from_ms: int
    to_ms: int


def begin(session: Session, *, user_id: int, now: datetime) -> RecordingPause:
    """Ask to pause the recording of one's call; pressed twice it is one pause.

    Raises Refused 'no_call', 'not_talking', 'not_recorded'.
    """
    attempt = presses.live_attempt(session, user_id=user_id)
    if attempt.state is not CallState.TALKING:
        raise Refused("not_talking")
    recording = effects.recording_of(session, attempt_id=attempt.id)
    if recording is None or recording.state is not RecordingState.RECORDING:
        raise Refused("not_recorded")
    known = open_of(session, attempt_id=attempt.id)
    if known is not None:
        return known
    pause = RecordingPause(
        recording_id=recording.id, user_id=user_id, began_at=now, until=now + LONGEST
    )
    session.add(pause)
    session.flush()
    _ask(session, CommandKind.RECORD_PAUSE, attempt, recording, now)
    _tell(session, attempt)
    return pause


def confirmed(session: Session, *, attempt_id: int, now: datetime) -> None:
    """Note that the switch has made the file silent: from now on the pause is one."""
    pause = open_of(session, attempt_id=attempt_id)
    if pause is None or pause.ended_by is not PauseEnd.REQUESTED:
        return
    silent = session.scalar(
        update(RecordingPause)
        .where(
            RecordingPause.id == pause.id,
            RecordingPause.ended_at.is_(None),
            RecordingPause.ended_by == PauseEnd.REQUESTED,
        )
        .values(ended_by=PauseEnd.OPEN, began_at=now)
        .returning(RecordingPause.id)
    )
    session.refresh(pause)
    if silent is not None:
        attempt = session.get_one(Attempt, attempt_id)
        _note(session, pause, "recording.paused", attempt, now)
        _tell(session, attempt)


def refused(session: Session, *, attempt_id: int, now: datetime) -> None:
    """Take back a pause that the switch did not make; the call's page says so."""
    pause = open_of(session, attempt_id=attempt_id)
    if pause is None:
        return
    pause.ended_at, pause.ended_by = now, PauseEnd.REFUSED
    attempt = session.get_one(Attempt, attempt_id)
    _note(session, pause, "recording.pause_refused", attempt, now)
    _tell(session, attempt)


def ask_again(session: Session, *, attempt_id: int, now: datetime) -> None:
    """Ask the switch for an open pause of a live call once more: its answer was lost."""
    pause = open_of(session, attempt_id=attempt_id)
    attempt = session.get_one(Attempt, attempt_id)
    if pause is not None and attempt.ended_at is None:
        recording = session.get_one(Recording, pause.recording_id)
        _ask(session, CommandKind.RECORD_PAUSE, attempt, recording, now)


def ask_unanswered_again(
    session: Session, *, node: str, settle: timedelta, untold: bool, now: datetime
) -> None:
    """Ask again for the pauses of a switch that it has not answered for `settle`.

    `untold`: the link to it is new, and every open pause is asked for.
    """
    query = (
        select(Attempt.id)
        .join(Recording, Recording.attempt_id == Attempt.id)
        .join(RecordingPause, RecordingPause.recording_id == Recording.id)
        .where(RecordingPause.ended_at.is_(None), Attempt.ended_at.is_(None), Attempt.node == node)
    )
    if not untold:
        query = query.where(
            RecordingPause.ended_by == PauseEnd.REQUESTED, RecordingPause.began_at <= now - settle
        )
    for attempt_id in session.scalars(query).all():
        ask_again(session, attempt_id=attempt_id, now=now)


def go_on(session: Session, *, user_id: int, now: datetime) -> None:
    """Record again; nothing happens when it is recorded. Raises Refused 'no_call'."""
    attempt = presses.live_attempt(session, user_id=user_id)
    end(session, attempt=attempt, by=PauseEnd.OPERATOR, now=now)


def end(session: Session, *, attempt: Attempt, by: PauseEnd, now: datetime) -> bool:
    """End a call's pause; False when it is recorded as it is."""
    pause = open_of(session, attempt_id=attempt.id)
    if pause is None:
        return False
    session.flush()
    ended = session.scalar(
        update(RecordingPause)
        .where(RecordingPause.id == pause.id, RecordingPause.ended_at.is_(None))
        .values(
            # What was never confirmed has no length: nobody knows of any silence.
            began_at=case(
                (RecordingPause.ended_by == PauseEnd.REQUESTED, now), else_=RecordingPause.began_at
            ),
            ended_at=now,
            ended_by=by,
        )
        .returning(RecordingPause.id)
    )
    session.refresh(pause)
    if ended is None:
        return False
    recording = session.get_one(Recording, pause.recording_id)
    if by is not PauseEnd.CALL:
        _ask(session, CommandKind.RECORD_GO_ON, attempt, recording, now)
    seconds = max(int((now - pause.began_at).total_seconds()), 0)
    _note(session, pause, "recording.went_on", attempt, now, seconds=seconds)
    _tell(session, attempt)
    return True


def open_of(session: Session, *, attempt_id: int) -> RecordingPause | None:
    """Return the pause that a call's recording is in."""
    return session.scalar(
        select(RecordingPause)
        .join(Recording, Recording.id == RecordingPause.recording_id)
        .where(Recording.attempt_id == attempt_id, RecordingPause.ended_at.is_(None))
    )


def latest_of(session: Session, *, attempt_id: int) -> RecordingPause | None:
    """Return the last pause that was asked for in a call, open or not."""
    return session.scalar(
        select(RecordingPause)
        .join(Recording, Recording.id == RecordingPause.recording_id)
        .where(Recording.attempt_id == attempt_id)
        .order_by(RecordingPause.id.desc())
        .limit(1)
    )


def overdue(session: Session, *, now: datetime) -> list[Attempt]:
    """Return the calls whose recording has paused long enough."""
    return list(
        session.scalars(
            select(Attempt)
            .join(Recording, Recording.attempt_id == Attempt.id)
            .join(RecordingPause, RecordingPause.recording_id == Recording.id)
            .where(RecordingPause.ended_at.is_(None), RecordingPause.until <= now)
        )
    )


def sweep(session: Session, *, now: datetime) -> None:
    """Let go on what has paused long enough."""
    for attempt in overdue(session, now=now):
        end(session, attempt=attempt, by=PauseEnd.LIMIT, now=now)


def to_be_heard_again(session: Session, *, node: str) -> list[tuple[str, str]]:
    """Return channel and file of the calls that paused before and are recorded by now.

    Whether the switch was told is not known after a link was lost: it is told again.
    """
    paused = select(RecordingPause.recording_id)
    still = select(RecordingPause.recording_id).where(RecordingPause.ended_at.is_(None))
    rows = session.execute(
        select(Attempt.uuid, Recording.raw_name)
        .join(Recording, Recording.attempt_id == Attempt.id)
        .where(
            Attempt.ended_at.is_(None),
            Attempt.node == node,
            Recording.id.in_(paused),
            Recording.id.not_in(still),
        )
    ).all()
    return [(row.uuid, row.raw_name) for row in rows]


def marks(session: Session, *, recording: Recording) -> list[Mark]:
    """Return the silent stretches of a recording, for its waveform."""
    found = session.scalars(
        select(RecordingPause)
        .where(
            RecordingPause.recording_id == recording.id,
            RecordingPause.ended_by.not_in((PauseEnd.REQUESTED, PauseEnd.REFUSED)),
        )
        .order_by(RecordingPause.id)
    )

    def at(moment: datetime) -> int:
        return max(int((moment - recording.started_at).total_seconds() * 1000), 0)

    over = recording.stopped_at or recording.started_at
    stretches = [Mark(at(one.began_at), at(one.ended_at or over)) for one in found]
    return [mark for mark in stretches if mark.to_ms > mark.from_ms]


def _ask(
    session: Session, kind: CommandKind, attempt: Attempt, recording: Recording, now: datetime
) -> None:
    switch_commands.ask(
        session,
        kind=kind,
        node=attempt.node,
        attempt_id=attempt.id,
        user_id=attempt.user_id,
        args={"file": recording.raw_name},
        now=now,
    )


def _note(
    session: Session,
    pause: RecordingPause,
    action: str,
    attempt: Attempt,
    now: datetime,
    **more: Any,
) -> None:
    user = session.get(User, pause.user_id) if pause.user_id else None
    audit.note(
        session, viewer=Viewer.of(user) if user else None, action=action, kind="recording",
        object_id=pause.recording_id, now=now, call=attempt.id, **more,
    )  # fmt: skip


def _tell(session: Session, attempt: Attempt) -> None:
    announce(session, "call", attempt_id=attempt.id, user_id=attempt.user_id)
