"""A world in the middle of a working day: what its pages show only while people call.

The operator has a customer open, the supervisor talks with a caller whom nobody knows, somebody
asks for help; a call was missed and a number dialled by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from calltree.db import Store, utcnow
from calltree.models import (
    Attempt,
    CallRecord,
    CallState,
    Customer,
    HelpRequest,
    InboundAction,
    InboundCall,
    InboundOutcome,
    LegState,
    Line,
    OperatorState,
    Origin,
    RecordKind,
    Role,
    User,
)
from calltree.services import wallboard
from calltree.services.rights import Viewer
from calltree.text.days import site_day
from tests import factories as make
from tests.pages.world import World

CALLER = "0667890001"


@dataclass(frozen=True)
class Work:
    """Where the pages are that no walk over the routes finds by itself."""

    by_hand: int
    """A record of 手動発信 by the operator."""
    wall: str
    """The secret of the screen on the wall."""

    def paths(self, world: World) -> list[str]:
        return [
            f"/operator/manual/{self.by_hand}",
            f"/admin/exports/customers?list_id={world.near.list}",
            f"/wall/{self.wall}",
            f"/admin/lists/{world.near.list}?q=x",  # a search that finds nobody
            f"/operator/lists/{world.near.list}?shortcut=first",
            "/figures/table?period=month&by=user&then=day",
            "/history/?span=all&user=nobody",
        ]


def begin(store: Store, world: World) -> Work:
    now = utcnow()
    with store.write() as session:
        users = {role: session.get_one(User, user_id) for role, user_id in world.users.items()}
        customer = session.get_one(Customer, world.near.customer)
        operator, chief = users[Role.OPERATOR], users[Role.SUPERVISOR]
        make.make_operator(session, operator, customer_id=customer.id, since=now)
        make.make_hold(
            session, customer, operator, taken_at=now, renewed_at=now, touched_at=now
        )  # fmt: skip
        came = _came_in(session, now, user_id=chief.id, state=CallState.TALKING, joined_at=now)
        session.add(Line(attempt_id=came.id, uuid=came.uuid, taken_at=now))
        make.make_operator(
            session, chief, state=OperatorState.TALKING, attempt_id=came.id, since=now,
            leg_state=LegState.JOINED,
        )  # fmt: skip
        asking = make.make_user(session, name="応援を呼ぶ人")
        late = now - timedelta(hours=1)
        make.make_operator(session, asking, state=OperatorState.WRAP_UP, since=late)
        session.add(HelpRequest(user_id=asking.id, asked_at=late))
        missed = _came_in(session, late, state=CallState.ENDED, ended_at=late)
        session.get_one(InboundCall, missed.id).outcome = InboundOutcome.MISSED
        by_hand = CallRecord(
            kind=RecordKind.MANUAL, user_id=operator.id, number="0312349999", started_at=late,
            site_day=site_day(late), talk_ms=65_000, memo="折り返しを約束", closed_at=late,
        )  # fmt: skip
        session.add(by_hand)
        session.flush()
        manager = Viewer.of(users[Role.MANAGER])
        return Work(by_hand.id, wallboard.renew(session, viewer=manager, now=now))


def _came_in(session: Session, at: datetime, **given: object) -> Attempt:
    """A call of somebody in no list."""
    place = session.query(Attempt).count()
    attempt = Attempt(
        uuid=f"0f0e0d0c-0001-4000-8000-{place:012d}", origin=Origin.INBOUND, number=CALLER,
        node="main", verdict="allowed", created_at=at, answered_at=at, **given,
    )  # fmt: skip
    session.add(attempt)
    session.flush()
    session.add(
        InboundCall(
            attempt_id=attempt.id,
            action=InboundAction.RING_ALL,
            step_started_at=at,
            steps=[{"action": "ring_all", "seconds": 20}],
        )
    )
    session.flush()
    return attempt
