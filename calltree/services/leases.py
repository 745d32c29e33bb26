"""Leases: who leads a role. The database's clock judges, so that no machine's own clock can.

The epoch grows with every new holder. A leader's every write begins with `require`, so one that
was paused and woke up after another took over writes nothing.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from calltree.models.leases import Lease

SWITCH = "switch"
CLOCK_LIMIT_S = 2.0


class LeaseLost(Exception):
    """Another process leads by now; nothing may be written in this one's name."""


def take(session: Session, *, name: str, holder: str, ttl_s: float) -> int | None:
    """Take the lease if nobody holds it; give the new epoch, or None while another holds it.

    On Postgres it waits for what the leader before is writing (`require`).
    """
    _ensure(session, name)
    free = select(Lease.name).where(Lease.name == name, Lease.until < _now(session))
    if session.scalar(free.with_for_update()) is None:
        return None
    taken = (
        update(Lease)
        .where(Lease.name == name, Lease.until < _now(session))
        .values(holder=holder, epoch=Lease.epoch + 1, until=_now(session, ttl_s), note={})
        .returning(Lease.epoch)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(taken)


def renew(session: Session, *, name: str, epoch: int, ttl_s: float, note: dict[str, Any]) -> bool:
    """Hold it for another `ttl_s` seconds and say how one is; False when it is lost.

    A lease that ran out is lost even if nobody else took it: others were free to.
    """
    renewed = session.execute(
        update(Lease)
        .where(Lease.name == name, Lease.epoch == epoch, Lease.until >= _now(session))
        .values(until=_now(session, ttl_s), note=note)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(renewed, CursorResult)  # noqa: S101 - an UPDATE has a cursor
    return bool(renewed.rowcount)


def require(session: Session, *, name: str, epoch: int) -> None:
    """Raise LeaseLost unless this epoch leads until the end of this transaction.

    On SQLite the write transaction itself keeps everyone else out. On Postgres the row is locked
    FOR KEY SHARE, so that the leader's own `renew`, which leaves the key alone, need not wait for
    its writes: they follow one another so closely that in share mode it could wait for seconds, and
    lose the lease. `take` locks FOR UPDATE, and only that keeps it out: it waits for this commit,
    and a row that it has changed counts as one whose key was changed. So a `require` that meets it
    waits too and compares the epoch anew; of a row that was merely renewed it would be content with
    what it saw before.
    """
    connection = session.connection()
    held = _held(connection.dialect.name)
    if connection.scalar(held, {"lease": name, "of_epoch": epoch}) is None:
        raise LeaseLost(name)


@cache
def _held(dialect: str) -> Select[int]:
    """Built once: every write of a leader begins with it."""
    held = select(Lease.epoch).where(
        Lease.name == bindparam("lease"),
        Lease.epoch == bindparam("of_epoch"),
        Lease.until >= _clock(dialect),
    )
    return held.with_for_update(read=True, key_share=True) if dialect == "postgresql" else held


def give_up(session: Session, *, name: str, epoch: int) -> None:
    """End one's own lease at once, so that a stand-by need not wait for it to run out."""
    session.execute(
        update(Lease)
        .where(Lease.name == name, Lease.epoch == epoch)
        .values(until=_now(session, -1), note={})
        .execution_options(synchronize_session=False)
    )


def note(session: Session, *, name: str = SWITCH) -> dict[str, Any]:
    """Give what the present leader says of itself; empty when nobody leads."""
    connection = session.connection()
    return dict(connection.scalar(noted(connection.dialect.name), {"lease": name}) or {})


@cache
def noted(dialect: str) -> Select[dict[str, Any]]:
    """Give the statement of `note`, which binds `lease`, for this dialect."""
    return select(Lease.note).where(
        Lease.name == bindparam("lease"), Lease.until >= _clock(dialect)
    )


def clocks_off(session: Session) -> dict[str, float]:
    """Give the switches whose clock is more than 2 s from ours, and by how many seconds.

    Durations come from the switch and moments from us: between two clocks a call could end before
    it began (design §5).
    """
    return clocks_off_in(note(session))


def clocks_off_in(told: dict[str, Any]) -> dict[str, float]:
    """Give the same of a leader's note that was read already."""
    nodes = told.get("nodes", {})
    off = {name: float(told.get("clock_off_s") or 0) for name, told in nodes.items()}
    return {name: seconds for name, seconds in off.items() if abs(seconds) > CLOCK_LIMIT_S}


def link_is_up(session: Session, *, node: str) -> bool:
    """Answer whether what happens on this node is heard now; nothing is dialled otherwise."""
    return hears(note(session), node)


def hears(note: dict[str, Any], node: str) -> bool:
    """Answer the same of a leader's `note` that was read already."""
    return bool(note.get("nodes", {}).get(node, {}).get("link_up"))


def database_now(session: Session) -> datetime:
    """Give the database's own clock."""
    if session.get_bind().dialect.name == "postgresql":
        moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return moment
    shown = session.execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")).scalar_one()
    return datetime.fromisoformat(shown)


def _now(session: Session, plus_s: float = 0.0) -> ColumnElement[datetime]:
    return _clock(session.get_bind().dialect.name, plus_s)


def _clock(dialect: str, plus_s: float = 0.0) -> ColumnElement[datetime]:
    """Give the database's clock as an expression in the form in which it stores moments."""
    if dialect == "postgresql":
        shift = func.make_interval(0, 0, 0, 0, 0, 0, plus_s)
        return func.clock_timestamp(type_=DateTime(timezone=True)).op("+")(shift)
    # SQLite keeps moments as text with six digits after the second; its clock gives three.
    shift_text = f"{plus_s:+.3f} seconds"
    return literal_column(
        f"(strftime('%Y-%m-%d %H:%M:%f', 'now', '{shift_text}') || '000')", DateTime()
    )


def _ensure(session: Session, name: str) -> None:
    insert = postgres_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    values = {"name": name, "holder": "", "epoch": 0, "until": _now(session, -1), "note": {}}
    session.execute(insert(Lease).values(values).on_conflict_do_nothing())
