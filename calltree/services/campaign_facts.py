"""What a campaign's page shows: who waits, what rings, what today came to, and why (R-DL-6).

Counts come from rows. What only the loop knows, when it last ticked and why it does not dial, it
says in the leader's own note beside its lease; so nothing of a loop that is gone is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, exists, func, select
from sqlalchemy.orm import Session

from calltree.models import (
    Attempt,
    CallState,
    Campaign,
    CampaignState,
    Operator,
    OperatorState,
    Project,
    Site,
)
from calltree.pacing.rule import Share
from calltree.services import campaign_team, hours, leases
from calltree.text.days import day_begins
from calltree.text.hours import after_open, open_between

NOTE = "dialler"
"""The loop's part of the leader's note: {str(campaign id): {…}} and "ticked_at"."""
PACE_OVER = timedelta(minutes=30)
"""The pace of so long tells when the lists end."""
SILENT_S = 10.0
"""A loop that has not ticked for so long is not alive."""


@dataclass(frozen=True, slots=True)
class Day:
    """One campaign's site day (R-DL-4). `joined` + `abandoned` is what 放棄率 is a share of."""

    dials: int = 0
    answers: int = 0
    joined: int = 0
    abandoned: int = 0
    improper: int = 0
    """放棄 although an operator was free."""

    @property
    def share(self) -> Share:
        """The two counts as the pacing rule takes them; `raw` and `smoothed(limit)` are its."""
        return Share(self.joined, self.abandoned)

    @property
    def answer_rate(self) -> float | None:
        """Answers ÷ dials; None when nothing was dialled."""
        return self.answers / self.dials if self.dials else None


@dataclass(frozen=True, slots=True)
class Why:
    """A code of `services.sentences` and what fills it."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """A campaign at one moment."""

    campaign: Campaign
    ringing: int
    """Lines dialled and not yet answered."""
    waiting_customers: int
    """Answered, and not joined yet."""
    talking: int
    ready: int
    """Operators in 待機."""
    in_call: int
    wrap_up: int
    away: int
    """Joined, and 離席 or with a customer open by hand."""
    day: Day
    raw_share: float | None
    smoothed_share: float
    left: int | None
    """Customers who can still be dialled, by the loop's last count; None: not counted yet."""
    ends_at: datetime | None
    """When the lists end at the last half hour's pace, in the project's hours and with the tries
    that the day's answer rate leaves; None where nothing tells it."""
    why: Why
    """One sentence: why it is not dialling, or how many it dials and why no more."""
    dialling: bool
    """Whether the loop would dial now, given operators."""
    ticked_at: datetime | None
    alarms: list[Why]

    @property
    def live_lines(self) -> int:
        """Lines of this campaign in use."""
        return self.ringing + self.waiting_customers + self.talking


def of(session: Session, *, campaign: Campaign, now: datetime) -> Facts:
    """Gather everything that the page shows; some eight short statements."""
    lines = _lines(session, campaign.id)
    team = _team(session, campaign.id)
    day = day_of(session, campaign_id=campaign.id, now=now)
    told = told_by_loop(session)
    mine = told.get(str(campaign.id), {})
    limit = campaign.limit_thousandths / 1000
    told_left = mine.get("tries_left")
    tries = None if told_left is None else dict(told_left)
    return Facts(
        campaign=campaign,
        ringing=lines["ringing"],
        waiting_customers=lines["waiting"],
        talking=lines["talking"],
        ready=team["ready"],
        in_call=team["in_call"],
        wrap_up=team["wrap_up"],
        away=team["away"],
        day=day,
        raw_share=day.share.raw,
        smoothed_share=day.share.smoothed(limit),
        left=None if tries is None else sum(tries.values()),
        ends_at=_ends_at(session, campaign, tries or {}, day, now),
        why=_why(campaign, told, mine, now),
        dialling=bool(mine.get("dialling")) and campaign.state is CampaignState.RUNNING,
        ticked_at=_moment(told.get("ticked_at")),
        alarms=[Why(alarm["code"], alarm["values"]) for alarm in mine.get("alarms", [])],
    )


_COUNTS = (
    func.count(),
    func.count(Attempt.answered_at),
    func.count(Attempt.joined_at),
    func.count(case((Attempt.state == CallState.ABANDONED, 1))),
    func.count(case((and_(Attempt.improper, Attempt.state == CallState.ABANDONED), 1))),
)


def day_of(session: Session, *, campaign_id: int, now: datetime) -> Day:
    """Count a campaign's site day; a call belongs to the day its dial began."""
    row = session.execute(
        select(*_COUNTS).where(
            Attempt.campaign_id == campaign_id, Attempt.dialled_at >= day_begins(now)
        )
    ).one()
    return Day(*(int(count) for count in row))


def days(session: Session, *, now: datetime) -> dict[int, Day]:
    """Count the site day of every campaign that dialled, by its id, in one statement."""
    rows = session.execute(
        select(Attempt.campaign_id, *_COUNTS)
        .where(Attempt.campaign_id.is_not(None), Attempt.dialled_at >= day_begins(now))
        .group_by(Attempt.campaign_id)
    )
    return {row[0]: Day(*(int(count) for count in row[1:])) for row in rows if row[0]}


def told_by_loop(session: Session) -> dict[str, Any]:
    """Return the loop's part of the leader's note; empty when nobody leads."""
    told: dict[str, Any] = leases.note(session).get(NOTE, {})
    return told


def alarms(session: Session, *, now: datetime) -> list[Why]:
    """Return every campaign's alarms, and that of a loop that is silent, for the whole site."""
    connection = session.connection()
    note, running = connection.execute(
        select(
            leases.noted(connection.dialect.name).scalar_subquery(),
            exists().where(Campaign.state == CampaignState.RUNNING),
        ),
        {"lease": leases.SWITCH},
    ).one()
    return alarms_in(note or {}, running=bool(running), now=now)


def alarms_in(note: Mapping[str, Any], *, running: bool, now: datetime) -> list[Why]:
    """Return the same of a leader's note that was read already; `running`: any campaign is."""
    told: dict[str, Any] = note.get(NOTE, {})
    if running and not is_alive(told, now):
        return [Why("alarm_loop")]
    return [
        Why(alarm["code"], alarm["values"])
        for campaign in told.values()
        if isinstance(campaign, dict)
        for alarm in campaign.get("alarms", [])
    ]


def is_alive(told: Mapping[str, Any], now: datetime) -> bool:
    """Whether the loop ticks: it said so within the last seconds."""
    ticked = _moment(told.get("ticked_at"))
    return ticked is not None and now - ticked < timedelta(seconds=SILENT_S)


def _why(
    campaign: Campaign, told: Mapping[str, Any], mine: Mapping[str, Any], now: datetime
) -> Why:
    if campaign.state is CampaignState.STOPPED:
        return Why("campaign_stopped")
    if campaign.state is CampaignState.PAUSED:
        return Why("campaign_paused")
    if not is_alive(told, now):
        return Why("campaign_loop_dead")
    if not mine:
        return Why("pacing_settling", {"dial": 0})
    return Why(mine["why"], mine.get("values", {}))


def _lines(session: Session, campaign_id: int) -> dict[str, int]:
    rows = session.execute(
        select(Attempt.state, Attempt.joined_at.is_not(None), func.count())
        .where(Attempt.campaign_id == campaign_id, Attempt.ended_at.is_(None))
        .group_by(Attempt.state, Attempt.joined_at.is_not(None))
    ).all()
    counts = {"ringing": 0, "waiting": 0, "talking": 0}
    for state, joined, count in rows:
        if joined or state in (CallState.TALKING, CallState.HELD):
            counts["talking"] += count
        elif state is CallState.ANSWERED:
            counts["waiting"] += count
        else:
            counts["ringing"] += count
    return counts


def _team(session: Session, campaign_id: int) -> dict[str, int]:
    rows = session.execute(
        select(Operator.state, func.count())
        .where(Operator.campaign_id == campaign_id, Operator.state != OperatorState.SIGNED_OUT)
        .group_by(Operator.state)
    ).all()
    counts = {"ready": 0, "in_call": 0, "wrap_up": 0, "away": 0}
    for state, count in rows:
        if state is OperatorState.READY:
            counts["ready"] += count
        elif state is OperatorState.WRAP_UP:
            counts["wrap_up"] += count
        elif state in campaign_team.WORKING:
            counts["in_call"] += count
        else:
            counts["away"] += count
    return counts


def _ends_at(
    session: Session, campaign: Campaign, tries: Mapping[int, int], day: Day, now: datetime
) -> datetime | None:
    """`tries`: how many customers have so many tries left. Waits between tries are not counted."""
    if not tries or campaign.state is not CampaignState.RUNNING:
        return None
    since = max(now - PACE_OVER, campaign.state_since)
    dials = session.scalar(
        select(func.count()).where(Attempt.campaign_id == campaign.id, Attempt.dialled_at >= since)
    )
    project = session.get_one(Project, campaign.project_id)
    rules = hours.rules_of(session, site=session.get_one(Site, 1), project=project)
    span = open_between(rules, since, now)
    if not dials or not span:
        return None
    silent = 1 - (day.answer_rate or 0.0)
    expected = sum(
        count * sum(silent**before for before in range(left)) for left, count in tries.items()
    )
    return after_open(rules, now, span * (expected / dials))


def _moment(shown: object) -> datetime | None:
    return datetime.fromisoformat(shown) if isinstance(shown, str) else None
