"""What 管理画面 opens with, asked in one statement: the page shall not cost more than any other.

The first steps, how far the lists are, what is overdue, what the leader says of itself, and
whether there is a fault at all whose details would have to be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from calltree.models import Campaign, CampaignState, CustomerList, TrunkHealth
from calltree.services import leases, settings, tasks, webhooks
from calltree.services.breaker import BreakerState
from calltree.services.figures import Totals
from calltree.services.rights import Viewer
from calltree.services.settings import Step


@dataclass(frozen=True, slots=True)
class Landing:
    """The answer."""

    steps: list[Step]
    lists: Totals
    """Of all enabled lists."""
    overdue: int
    """Promised callbacks whose time has passed, of all whom the viewer sees."""
    campaign_runs: bool
    trunk_ails: bool
    webhook_stopped: bool
    note: dict[str, Any]
    """The leader's; empty when nobody leads."""


def landing(session: Session, *, viewer: Viewer, now: datetime) -> Landing:
    """Ask for everything."""
    lists = (
        select(
            *(
                func.coalesce(func.sum(getattr(CustomerList, name)), 0).label(name)
                for name in Totals._fields
            )
        )
        .where(CustomerList.deleted_at.is_(None), CustomerList.enabled)
        .subquery()
    )
    steps = settings.steps_asked()
    connection = session.connection()
    note, overdue, runs, ails, stopped, *rest = connection.execute(
        select(
            leases.noted(connection.dialect.name).scalar_subquery(),
            tasks.due(viewer, now).scalar_subquery(),
            exists().where(Campaign.state == CampaignState.RUNNING),
            exists().where(TrunkHealth.state != BreakerState.CLOSED.value),
            exists().where(webhooks.IS_STOPPED),
            *lists.c,
            *steps.values(),
        ),
        {"lease": leases.SWITCH},
    ).one()
    wide = len(Totals._fields)
    return Landing(
        steps=[Step(code, bool(done)) for code, done in zip(steps, rest[wide:], strict=True)],
        lists=Totals(*map(int, rest[:wide])),
        overdue=overdue or 0,
        campaign_runs=bool(runs),
        trunk_ails=bool(ails),
        webhook_stopped=bool(stopped),
        note=dict(note or {}),
    )
