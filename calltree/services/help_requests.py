"""ヘルプ要請: an operator asks, the row is red and heard until a supervisor takes it (R-WT-1)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed
from calltree.models import HelpRequest
from calltree.services import audit
from calltree.services.rights import Right, Viewer

LIVES = timedelta(hours=1)
"""An older one is of a call that nobody remembers."""
TAKEN_SHOWN = timedelta(minutes=5)
"""So long the operator is told who comes."""


def ask(session: Session, *, user_id: int, now: datetime) -> None:
    """Ask for help. Pressed again while nobody has come it changes nothing."""
    _close(session, HelpRequest.user_id == user_id, HelpRequest.taken_at.is_not(None), now=now)
    _close(session, HelpRequest.user_id == user_id, HelpRequest.asked_at < now - LIVES, now=now)
    on_postgres = session.get_bind().dialect.name == "postgresql"
    new = postgres_insert(HelpRequest) if on_postgres else sqlite_insert(HelpRequest)
    session.execute(new.values(user_id=user_id, asked_at=now).on_conflict_do_nothing())
    announce(session, "supervision", user_id=user_id)


def withdraw(session: Session, *, user_id: int, now: datetime) -> None:
    """Take it back, or say that it is settled."""
    _close(session, HelpRequest.user_id == user_id, now=now)
    announce(session, "supervision", user_id=user_id)


def take(session: Session, *, viewer: Viewer, user_id: int, now: datetime) -> bool:
    """Say that one comes; True for exactly one of several who press. Raises NotAllowed."""
    if not viewer.may(Right.WATCH):
        raise NotAllowed(Right.WATCH)
    taken = session.scalar(
        update(HelpRequest)
        .where(
            HelpRequest.user_id == user_id,
            HelpRequest.over_at.is_(None),
            HelpRequest.taken_at.is_(None),
        )
        .values(taken_by=viewer.user_id, taken_at=now)
        .returning(HelpRequest.id)
    )
    if taken is None:
        return False
    audit.note(session, viewer=viewer, action="help.taken", kind="user", object_id=user_id, now=now)
    announce(session, "supervision", user_id=user_id)
    return True


def waits(asked: HelpRequest | None, now: datetime) -> bool:
    """Whether this is asked for, and nobody comes yet."""
    return asked is not None and asked.taken_at is None and asked.asked_at >= now - LIVES


def is_told(asked: HelpRequest | None, now: datetime) -> bool:
    """Whether it is still said who comes."""
    return asked is not None and asked.taken_at is not None and asked.taken_at >= now - TAKEN_SHOWN


def _close(session: Session, *which: ColumnElement[bool], now: datetime) -> None:
    session.execute(
        update(HelpRequest).where(HelpRequest.over_at.is_(None), *which).values(over_at=now)
    )
