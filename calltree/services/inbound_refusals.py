"""着信拒否リスト: callers who are refused on every number of ours (R-IN-1)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import InboundRefusal, Site
from calltree.services import audit
from calltree.services.rights import Right, Viewer
from calltree.text.phones import Phone, normalise

MAX_NOTE = 128


def all_refusals(session: Session) -> list[InboundRefusal]:
    """Return them, the newest first."""
    query = select(InboundRefusal).order_by(InboundRefusal.created_at.desc(), InboundRefusal.number)
    return list(session.scalars(query))


def add(session: Session, *, viewer: Viewer, number: str, note: str, now: datetime) -> None:
    """Refuse a caller. Raises NotAllowed; Refused 'number_unreadable', 'refusal_known'."""
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    read = normalise(number)
    if not isinstance(read, Phone):
        raise Refused("number_unreadable", field="number")
    session.get_one(Site, 1, with_for_update=True)  # two who enter one number do it in turn
    if session.get(InboundRefusal, read.number):
        raise Refused("refusal_known", field="number")
    session.add(
        InboundRefusal(
            number=read.number,
            note=note.strip()[:MAX_NOTE],
            user_id=viewer.user_id,
            created_at=now,
        )
    )
    audit.note(
        session, viewer=viewer, action="inbound.caller_refused", kind="inbound_refusal", now=now,
        ending=read.number[-4:],
    )  # fmt: skip


def remove(session: Session, *, viewer: Viewer, number: str, now: datetime) -> None:
    """Take the caller's calls again. Raises NotAllowed, NotFound."""
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    row = session.get(InboundRefusal, number)
    if row is None:
        raise NotFound("refused caller")
    session.delete(row)
    audit.note(
        session, viewer=viewer, action="inbound.caller_admitted", kind="inbound_refusal", now=now,
        ending=number[-4:],
    )  # fmt: skip
