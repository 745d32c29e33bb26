"""壁掛け画面: an address of its own that shows the floor to whoever has it (R-WT-1).

A screen on the wall runs for months, and no sign-in lasts as long. So the address carries a secret,
shows names, states and figures, never a customer, and can be ended by a press.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime

from sqlalchemy.orm import Session

from calltree.errors import NotAllowed
from calltree.models import Setting, Site
from calltree.services import audit
from calltree.services.rights import Right, Viewer
from calltree.text import networks

NAME = "wallboard"


def secret(session: Session) -> str:
    """Return the address's secret; empty when there is none."""
    row = session.get(Setting, NAME)
    return str(row.value.get("secret", "")) if row else ""


def renew(session: Session, *, viewer: Viewer, now: datetime) -> str:
    """Make an address; one made before ends. Raises NotAllowed."""
    made = secrets.token_urlsafe(24)
    _set(session, viewer, {"secret": made})
    audit.note(session, viewer=viewer, action="wallboard.made", now=now)
    return made


def remove(session: Session, *, viewer: Viewer, now: datetime) -> None:
    """End the address. Raises NotAllowed."""
    if secret(session):
        _set(session, viewer, {})
        audit.note(session, viewer=viewer, action="wallboard.ended", now=now)


def is_open(session: Session, *, asked: str, address: str) -> bool:
    """Whether this is the secret, asked from where one may sign in from."""
    known = secret(session)
    if not known or not hmac.compare_digest(known.encode(), asked.encode()):
        return False
    site = session.get(Site, 1)
    return site is not None and networks.allows(site.allowed_networks, address)


def _set(session: Session, viewer: Viewer, value: dict[str, str]) -> None:
    if not viewer.may(Right.WATCH):
        raise NotAllowed(Right.WATCH)
    session.merge(Setting(name=NAME, value=value))
