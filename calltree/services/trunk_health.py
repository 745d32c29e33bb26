"""Each trunk's breaker as a row: what the ends of its calls told, and whether it may be taken.

One row a gateway, and only once it failed: a trunk that works costs one look at an empty table.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.models import Attempt, Trunk, TrunkHealth
from calltree.services import breaker, outcomes, trunks
from calltree.services.breaker import Breaker, BreakerState, Sign
from calltree.services.outcomes import Outcome

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """A trunk that is left alone, as the manager's screen says it."""

    gateway: str
    name: str
    """Of the trunk; empty for the one gateway of a site without trunks."""
    cause: str
    until: datetime | None
    """When the next call may try; None while one is trying."""


# Built once: every press asks the first and every end the second, by column, for nearly always
# there is no row.
_NOT_CLOSED = (
    select(*TrunkHealth.__table__.columns)
    .where(TrunkHealth.state != BreakerState.CLOSED.value)
    .order_by(TrunkHealth.gateway)
)
_THERE = select(TrunkHealth.gateway).where(TrunkHealth.gateway == bindparam("of"))
_ONE = (
    select(TrunkHealth)
    .where(TrunkHealth.gateway == bindparam("of"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


def ailing(session: Session) -> dict[str, Breaker]:
    """Return the breakers that are not closed, by gateway; empty while all is well."""
    rows = session.connection().execute(_NOT_CLOSED).all()
    return {row.gateway: _read(row) for row in rows}


def shut(session: Session, *, now: datetime) -> dict[str, datetime | None]:
    """Return the gateways that no call may take now, each with when one may try again."""
    return shut_among(ailing(session), now)


def shut_among(ailing: dict[str, Breaker], now: datetime) -> dict[str, datetime | None]:
    """Give those of `ailing` that no call may take now."""
    return {
        gateway: found.until for gateway, found in ailing.items() if not breaker.admits(found, now)
    }


def taken(session: Session, *, gateway: str, attempt_id: int, now: datetime) -> bool:
    """Note that a call leaves by this gateway; past a wait it is the probe.

    False when another has become the probe meanwhile: this one has to be routed anew.
    """
    row = _locked(session, gateway)
    if row is None or row.state == BreakerState.CLOSED.value:
        return True
    state = _read(row)
    if not breaker.admits(state, now):
        return False
    _write(row, breaker.let_through(state, now))
    row.probe_attempt_id = attempt_id
    session.flush()
    return True


def call_ended(session: Session, *, attempt: Attempt, outcome: Outcome, now: datetime) -> None:
    """Note what a call's end tells about its trunk. In the transaction that ends the call."""
    if attempt.dialled_at is None:
        return
    rang = attempt.ringing_at is not None or attempt.answered_at is not None
    sign = outcomes.trunk_sign(outcome, cause=attempt.hangup_cause, rang=rang)
    gateway = gateway_of(attempt)
    failed = sign in (Sign.FAULT, Sign.DOWN)
    if not failed and session.connection().scalar(_THERE, {"of": gateway}) is None:
        return
    row = _locked(session, gateway) or _made(session, gateway)
    before = _read(row)
    after = breaker.heard(before, sign, probe=row.probe_attempt_id == attempt.id, now=now)
    if after == before:
        return
    _write(row, after)
    if failed:
        row.cause = f"{attempt.hangup_cause} {attempt.sip_status}".strip()
    if after.state is not before.state:
        _alarm(session, row, after)
    session.flush()  # what is asked by column sees only what was written


def gateway_of(attempt: Attempt) -> str:
    """Name the gateway that a call left by."""
    return f"trunk{attempt.trunk_id}" if attempt.trunk_id else trunks.DEFAULT_GATEWAY


def faults(session: Session) -> list[Fault]:
    """Return the trunks that are left alone, for the manager and for the monitor."""
    names = {trunk.gateway: trunk.name for trunk in trunks.all_trunks(session, retired=True)}
    rows = session.connection().execute(_NOT_CLOSED).all()
    return [Fault(row.gateway, names.get(row.gateway, ""), row.cause, row.until) for row in rows]


def forget(session: Session, *, trunk: Trunk) -> None:
    """Begin anew with a trunk whose settings were changed: the next call may try at once."""
    row = _locked(session, trunk.gateway)
    if row is not None:
        _write(row, Breaker())
        row.probe_attempt_id = None
        session.flush()
        announce(session, "site")


def _alarm(session: Session, row: TrunkHealth, after: Breaker) -> None:
    if after.state is BreakerState.CLOSED:
        row.probe_attempt_id = None
        log.warning("trunk works again", gateway=row.gateway)
    else:
        log.error("trunk is left alone", gateway=row.gateway, cause=row.cause, until=str(row.until))
    announce(session, "site")


def _locked(session: Session, gateway: str) -> TrunkHealth | None:
    return session.scalar(_ONE, {"of": gateway})


def _made(session: Session, gateway: str) -> TrunkHealth:
    insert = postgres_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    values = {"gateway": gateway, **_columns(Breaker())}
    session.execute(insert(TrunkHealth).values(values).on_conflict_do_nothing())
    row = _locked(session, gateway)
    assert row is not None  # noqa: S101 - inserted, or there before
    return row


def _read(row: Any) -> Breaker:
    """Take a row, or a row's columns, for what the table of states knows."""
    return Breaker(
        state=BreakerState(row.state),
        faults=row.faults,
        last_fault_at=row.last_fault_at,
        until=row.until,
        wait_s=row.wait_s,
        probe_since=row.probe_since,
    )


def _write(row: TrunkHealth, state: Breaker) -> None:
    for name, value in _columns(state).items():
        setattr(row, name, value)


def _columns(state: Breaker) -> dict[str, object]:
    return {**asdict(state), "state": state.state.value}
