"""Another trunk for a call that its first one certainly did not bring anywhere.

The same attempt goes on: one press stays one row, one record and one line. Its leg gets another
uuid, so that what is still told of the first leg belongs to nobody.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models.calls import Attempt, CallState, CommandKind, Line, SwitchCommand
from calltree.models.projects import Site
from calltree.services import outcomes, switch_commands, trunk_health, trunks
from calltree.services.outcomes import Outcome

log = structlog.get_logger(__name__)

WITHIN = timedelta(seconds=3)
"""After the press: later nobody expects the call to begin any more, nor does the sweep."""


def next_trunk(session: Session, attempt: Attempt, outcome: Outcome, *, now: datetime) -> bool:
    """Dial the same call by the next trunk; False, and nothing changed, where that is not right.

    Right only when the first one gave no channel or the carrier's "cannot" before any ring, the
    operator has not hung up, the caller number is bound to no trunk, and another one takes calls
    to this number. What the end told of the first trunk is noted.
    """
    rang = attempt.ringing_at is not None or attempt.state is not CallState.DIALLING
    if attempt.trunk_id is None or attempt.ended_by or now - attempt.created_at > WITHIN:
        return False
    if not outcomes.may_try_another(
        cause=attempt.hangup_cause,
        sip_status=attempt.sip_status,
        rang=rang,
        answered=attempt.answered_at is not None,
    ):
        return False
    command = session.scalar(
        select(SwitchCommand)
        .where(SwitchCommand.attempt_id == attempt.id, SwitchCommand.kind == CommandKind.DIAL)
        .order_by(SwitchCommand.id.desc())
        .limit(1)
    )
    if command is None or command.args.get("trunk_id") is not None:
        return False
    tried = [*command.args.get("without", ()), trunk_health.gateway_of(attempt)]
    before = attempt.uuid
    if not _another(session, attempt, tried, now) or not _claim(session, attempt):
        return False
    trunk_health.call_ended(session, attempt=attempt, outcome=outcome, now=now)
    _dial_again(session, attempt, before, command, tried, now)
    return True


def _another(session: Session, attempt: Attempt, tried: list[str], now: datetime) -> bool:
    without = {*tried, *trunk_health.shut(session, now=now)}
    if session.get_one(Site, 1).practice:
        return False
    route = trunks.route(session, number=attempt.number, trunk_id=None, without=without)
    return isinstance(route, trunks.Route)


def _claim(session: Session, attempt: Attempt) -> bool:
    """Take the call back to before its dial, under another uuid; False when it went on."""
    session.flush()
    claimed = session.scalar(
        update(Attempt)
        .where(
            Attempt.id == attempt.id,
            Attempt.state == CallState.DIALLING,
            Attempt.uuid == attempt.uuid,
            Attempt.ended_by == "",
        )
        .values(state=CallState.QUEUED, uuid=str(uuid.uuid4()), seen_sequence=0)
        .returning(Attempt)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return claimed is not None


def _dial_again(
    session: Session,
    attempt: Attempt,
    before: str,
    command: SwitchCommand,
    tried: list[str],
    now: datetime,
) -> None:
    attempt.trunk_id = None
    attempt.hangup_cause = attempt.sip_status = attempt.q850 = attempt.disposition = ""
    session.execute(
        update(Line)
        .where(Line.uuid == before, Line.released_at.is_(None))
        .values(uuid=attempt.uuid)
        .execution_options(synchronize_session=False)
    )
    switch_commands.ask(
        session,
        kind=CommandKind.DIAL,
        node=command.node,
        attempt_id=attempt.id,
        user_id=command.user_id,
        args=command.args | {"uuid": attempt.uuid, "without": tried},
        now=now,
    )
    announce(session, "call", attempt_id=attempt.id, user_id=attempt.user_id)
    log.warning("call goes to the next trunk", attempt=attempt.id, tried=tried)
