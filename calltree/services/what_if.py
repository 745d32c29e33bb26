"""What would another multiple do to us? The site's own figures, and the trial in the worker.

The trial itself is `calltree.pacing.what_if`; it takes some seconds of CPU, so a page asks for it
as bulk work that changes nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Float, cast, func, select
from sqlalchemy.orm import Session

from calltree.errors import NotFound
from calltree.models import (
    Attempt,
    BulkJob,
    BulkKind,
    OperatorInterval,
    OperatorState,
    Site,
)
from calltree.models.moments import milliseconds
from calltree.pacing.what_if import (
    LEAST_RATE,
    METHODS,
    MOST_OPERATORS,
    SHORTEST_TALK_S,
    Figures,
    Team,
    try_out,
)
from calltree.services import bulk
from calltree.services.bulk_writing import Claim
from calltree.services.rights import Viewer

LOOKED_AT = 3000
"""The newest dials and 後処理 that the figures are taken from: what was longer ago is past."""
FEWEST_ANSWERS = 30
"""Fewer answers than this and the figures are a guess of ours."""
GUESS = Team(operators=5, answer_rate=0.2, talk_s=90, wrap_up_s=30, lines=10)


@dataclass(frozen=True, slots=True)
class Start:
    """What the form begins with."""

    team: Team
    dials: int
    """How many of our own dials it is taken from; 0: a guess."""


def start(session: Session) -> Start:
    """Give the site's own figures, within what can be tried out; a guess while there are few."""
    lines = session.scalar(select(Site.lines).where(Site.id == 1)) or GUESS.lines
    newest = (
        select(Attempt.answered_at, Attempt.talk_ms)
        .where(Attempt.dialled_at.is_not(None), Attempt.ended_at.is_not(None))
        .order_by(Attempt.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    talked = cast(func.sum(newest.c.talk_ms), Float)
    dials, answers, talk_ms = session.execute(
        select(func.count(), func.count(newest.c.answered_at), talked).select_from(newest)
    ).one()
    if answers < FEWEST_ANSWERS:
        return Start(Team(**(asdict(GUESS) | {"lines": lines})), 0)
    return Start(
        Team(
            operators=min(MOST_OPERATORS, _operators(session) or GUESS.operators),
            answer_rate=max(LEAST_RATE, round(answers / dials, 2)),
            talk_s=max(SHORTEST_TALK_S, round((talk_ms or 0) / answers / 1000)),
            wrap_up_s=_wrap_up_s(session),
            lines=lines,
        ),
        dials,
    )


def _operators(session: Session) -> int:
    """How many talked on the newest day with talk."""
    talking = OperatorInterval.state == OperatorState.TALKING
    newest = select(func.max(OperatorInterval.site_day)).where(talking).scalar_subquery()
    users = func.count(OperatorInterval.user_id.distinct())
    return session.scalar(select(users).where(talking, OperatorInterval.site_day == newest)) or 0


def _wrap_up_s(session: Session) -> int:
    length = milliseconds(OperatorInterval.started_at, OperatorInterval.ended_at)
    newest = (
        select(length.label("ms"))
        .where(
            OperatorInterval.state == OperatorState.WRAP_UP,
            OperatorInterval.ended_at.is_not(None),
        )
        .order_by(OperatorInterval.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    mean = session.scalar(select(cast(func.avg(newest.c.ms), Float)))
    return GUESS.wrap_up_s if mean is None else round(mean / 1000)


def ask(session: Session, *, viewer: Viewer, team: Team, now: datetime) -> BulkJob:
    """Have it tried out in the worker. Raises NotAllowed."""
    return bulk.begin(
        session,
        viewer=viewer,
        kind=BulkKind.WHAT_IF,
        choices=asdict(team),
        count=len(METHODS),
        now=now,
    )


def get(session: Session, *, viewer: Viewer, trial_id: int) -> BulkJob:
    """Return a trial. Raises NotFound."""
    job = bulk.get(session, viewer=viewer, job_id=trial_id)
    if job.kind is not BulkKind.WHAT_IF:
        raise NotFound
    return job


def team_of(job: BulkJob) -> Team:
    """Return what was asked for."""
    return Team(**job.choices)


def came_of(job: BulkJob) -> dict[str, Figures]:
    """Return what each method tried so far came to."""
    return {name: Figures(**found) for name, found in job.findings.items()}


def run(claim: Claim, *, job: BulkJob) -> None:
    """Try one method after the other, from where an earlier worker left it."""
    team = team_of(job)
    for done, method in enumerate(METHODS[job.rows_done :], job.rows_done + 1):
        came = try_out(team, method)
        with claim.write(rows_done=done) as session:
            kept = session.get_one(BulkJob, claim.job_id)
            kept.findings = kept.findings | {method: came.to_json()}
