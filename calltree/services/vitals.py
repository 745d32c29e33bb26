"""The site's vital figures for a monitor: what is going on now, and what of today (R-AR-4).

Every figure is counted from rows at the moment of asking: processes keep no counters that a
restart would lose or that two of them would have to add up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from calltree.models import (
    Attempt,
    CallRecord,
    Line,
    Operator,
    OperatorState,
    Recording,
    RecordingState,
    Site,
    SwitchCommand,
)
from calltree.models.calls import LIVE_STATES
from calltree.services import backups, campaign_facts, leases, recording_problems, trunk_health

Figures = dict[str, int]


@dataclass(frozen=True, slots=True)
class Vitals:
    """Counted at one moment of the database."""

    calls: Figures
    """Calls that live now, by state."""
    lines: Figures
    """Lines taken now, by kind."""
    lines_limit: int
    operators: Figures
    """Operators signed in, by state."""
    records_today: Figures
    """Records of the site's day, by 'result' (saved), 'blank', 'line_error', 'abandoned'."""
    talk_today_s: float
    commands_waiting: int
    command_age_s: float
    """Of the oldest command that nobody has taken; 0 when there is none."""
    nodes: dict[str, bool]
    """Whether each switch is heard by a leader."""
    recordings_waiting: int
    """Ended, and not checked and encoded yet."""
    recording_problems: int
    trunks_shut: Figures
    """1 for each gateway that is left alone after faults in a row."""
    campaign_alarms: Figures
    """How many of each kind the dialler raises (`services.campaign_words.ALARMS`)."""
    backup_age_s: float | None
    backup_failed: bool


def take(session: Session, *, nodes: tuple[str, ...], zone: tzinfo, now: datetime) -> Vitals:
    """Count everything; needs no more than an index for each figure."""
    today = datetime.combine(now.astimezone(zone).date(), time(), zone)
    heard = leases.note(session).get("nodes", {})
    backup = backups.state(session, now=now)
    oldest = session.scalar(
        select(func.min(SwitchCommand.created_at)).where(SwitchCommand.taken_at.is_(None))
    )
    records, talk_s = _records(session, today)
    return Vitals(
        calls=_count(session, Attempt.state, Attempt.state.in_(LIVE_STATES)),
        lines=_count(session, Line.kind, Line.released_at.is_(None)),
        lines_limit=session.scalar(select(Site.lines)) or 0,
        operators=_count(session, Operator.state, Operator.state != OperatorState.SIGNED_OUT),
        records_today=records,
        talk_today_s=talk_s,
        commands_waiting=session.scalar(
            select(func.count(SwitchCommand.id)).where(SwitchCommand.taken_at.is_(None))
        )
        or 0,
        command_age_s=max((now - oldest).total_seconds(), 0.0) if oldest else 0.0,
        nodes={name: bool(heard.get(name, {}).get("link_up")) for name in nodes},
        recordings_waiting=session.scalar(
            select(func.count(Recording.id)).where(Recording.state == RecordingState.STOPPED)
        )
        or 0,
        recording_problems=recording_problems.count_problems(session),
        trunks_shut={fault.gateway: 1 for fault in trunk_health.faults(session)},
        campaign_alarms=_alarms(session, now),
        backup_age_s=(now - backup.good_at) / timedelta(seconds=1) if backup.good_at else None,
        backup_failed=bool(backup.problem),
    )


def _alarms(session: Session, now: datetime) -> Figures:
    return dict(Counter(alarm.code for alarm in campaign_facts.alarms(session, now=now)))


def _records(session: Session, since: datetime) -> tuple[Figures, float]:
    rows = session.execute(
        select(
            CallRecord.system,
            func.count(CallRecord.id),
            func.coalesce(func.sum(CallRecord.talk_ms), 0),
        )
        .where(CallRecord.started_at >= since)
        .group_by(CallRecord.system)
    ).all()
    counts = {str(row[0]) or "result": int(row[1]) for row in rows}
    return counts, sum(int(row[2]) for row in rows) / 1000


def _count(session: Session, by: InstrumentedAttribute[Any], where: ColumnElement[bool]) -> Figures:
    rows = session.execute(select(by, func.count()).where(where).group_by(by)).all()
    return {str(row[0]): int(row[1]) for row in rows}
