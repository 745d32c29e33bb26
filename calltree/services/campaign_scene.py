"""How things stand for a campaign's next dials: what forbids them, and what the pacing rule counts.

Counted from rows at each tick, in the transaction that dials: whoever has left 待機 by then is not
counted any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from calltree.models import (
    Attempt,
    CallState,
    Campaign,
    CampaignMode,
    Line,
    Project,
    ProjectState,
    Site,
)
from calltree.services import campaign_answers, gate, hours, trunk_health, trunks
from calltree.services.campaign_facts import Why
from calltree.text.hours import HoursVerdict, hours_verdict, next_opening


@dataclass(frozen=True, slots=True)
class Counted:
    """What a campaign has under way."""

    ready: dict[str, int]
    """待機, by switch."""
    signed_in: int
    ringing: dict[int, datetime]
    """Attempt → when it was allowed, of calls not answered yet; without reserved ones."""
    waiting: int
    """Answered, and no operator is kept for them."""
    reserved: int
    """Calls under way with an operator kept free; they answer for themselves."""
    by_node: dict[str, int]
    """Lines under way, by switch."""


def why_not(
    session: Session,
    *,
    project: Project,
    lists: Sequence[int],
    nodes: Collection[str],
    now: datetime,
) -> Why | None:
    """Say what forbids every dial of this campaign, or None. `nodes` are the switches heard now."""
    if project.state is not ProjectState.RUNNING:
        return Why("campaign_project_stopped", {"project": project.name})
    if not lists:
        return Why("campaign_no_lists")
    if not gate.caller_numbers(session, project=project):
        return Why("campaign_no_caller_number")
    site = session.get_one(Site, 1)
    rules = hours.rules_of(session, site=site, project=project)
    if hours_verdict(rules, now) is not HoursVerdict.OPEN:
        opens = next_opening(rules, now)
        if opens is None:
            return Why("campaign_never_open")
        return Why("campaign_outside_hours", {"opens_at": opens.isoformat()})
    if not nodes:
        return Why("campaign_switch_down")
    return _trunk_down(session, site, now)


def _trunk_down(session: Session, site: Site, now: datetime) -> Why | None:
    shut = trunk_health.shut(session, now=now)
    if not shut:
        return None
    ways = [trunks.DEFAULT_GATEWAY]
    if not site.practice:
        ways = [trunk.gateway for trunk in trunks.all_trunks(session) if trunk.enabled]
    if not ways or not shut.keys() >= {*ways}:
        return None
    until = min((shut[way] or now for way in ways), default=now)
    return Why("campaign_trunk_down", {"seconds": max(1, int((until - now).total_seconds()) + 1)})


def count(session: Session, *, campaign_id: int) -> Counted:
    """Count a campaign's lines and operators."""
    rows = session.execute(
        select(
            Attempt.id,
            Attempt.state,
            Attempt.node,
            Attempt.created_at,
            Attempt.user_id,
            Attempt.joined_at,
            Attempt.reserved_user_id,
        ).where(Attempt.campaign_id == campaign_id, Attempt.ended_at.is_(None))
    ).all()
    ringing: dict[int, datetime] = {}
    by_node: dict[str, int] = {}
    waiting = reserved = 0
    for row in rows:
        if row.joined_at is not None or row.state in (CallState.TALKING, CallState.HELD):
            continue
        if row.user_id is not None:
            continue  # an operator is kept for them
        if row.reserved_user_id is not None:
            reserved += 1
            continue
        by_node[row.node] = by_node.get(row.node, 0) + 1
        if row.state is CallState.ANSWERED:
            waiting += 1
        else:
            ringing[row.id] = row.created_at
    return Counted(
        ready=campaign_answers.ready_count(session, campaign_id=campaign_id),
        signed_in=campaign_answers.signed_in(session, campaign_id=campaign_id),
        ringing=ringing,
        waiting=waiting,
        reserved=reserved,
        by_node=by_node,
    )


def lines_free(session: Session, *, campaign: Campaign, project: Project) -> tuple[int, int]:
    """Say how many more lines the gate would give this campaign, and of how many in all."""
    site = session.get_one(Site, 1)
    lines = gate.lines_in_use(session)
    free = lines.free_outbound
    if site.lines_max_predictive is not None and campaign.mode is not CampaignMode.PROGRESSIVE:
        free = min(free, max(0, site.lines_max_predictive - lines.predictive))
    numbers = gate.caller_numbers(session, project=project)
    if len(numbers) == 1 and numbers[0].line_cap is not None:
        taken = select(func.count(Line.id)).where(
            Line.caller_number_id == numbers[0].id, Line.released_at.is_(None)
        )
        free = min(free, max(0, numbers[0].line_cap - (session.scalar(taken) or 0)))
    return free, lines.limit


def node_for(counted: Counted, nodes: Collection[str]) -> str | None:
    """Choose the switch to dial from: the one with most free operators for its lines under way."""
    offered = [node for node in counted.ready if node in nodes]
    if not offered:
        return None
    return max(offered, key=lambda node: counted.ready[node] - counted.by_node.get(node, 0))
