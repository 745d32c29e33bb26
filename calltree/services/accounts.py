"""Signing in: login ids, passwords, and sessions that can be ended from the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from calltree.errors import NotFound
from calltree.models import Site, User
from calltree.services.operators import has_live_leg
from calltree.services.rights import Viewer
from calltree.text import networks
from calltree.text.folding import fold_name

IDLE_MANAGING = timedelta(minutes=30)
IDLE_CALLING = timedelta(hours=8)

# Checked when the login id is unknown, so that the answer takes as long.
_NOBODY = generate_password_hash("nobody has this password")


@dataclass(frozen=True, slots=True)
class Account:
    """A user who may be signed in, and the session version that is valid now."""

    viewer: Viewer
    session_version: int
    owes_factor: bool = False
    """Not in yet: a second factor is asked first (`services.second_factor`)."""
    site: Site | None = None
    """Read along with the user, for the page to come."""


def verify(session: Session, *, login_id: str, password: str) -> Account | None:
    """Return the account if the pair is right, else None; takes as long either way."""
    user = session.scalar(
        select(User).where(User.login_key == fold_name(login_id), User.deleted_at.is_(None))
    )
    known = user.password_hash if user else _NOBODY
    right = check_password_hash(known, password)
    if user is None or not right:
        return None
    asked = session.scalar(select(Site.second_factor_roles).where(Site.id == 1))
    return Account(Viewer.of(user), user.session_version, user.role in (asked or ()))


def load(
    session: Session,
    *,
    user_id: int,
    session_version: int,
    address: str,
    seen_at: float | None,
    proven: bool = False,
    now: datetime,
) -> Account | None:
    """Return the account of a session, or None once it has ended (R-US-6).

    It ends with a password change, deletion, an `address` outside the allowed networks, or
    idleness: 30 minutes for those who manage, 8 hours for the others, never while the operator's
    leg is live. `seen_at` is its last use in seconds since the epoch.

    A session that has not `proven` a second factor owes one from the next request on after the
    site begins to ask for it: whoever holds a stolen session would otherwise keep it for as long as
    they use it. While the leg is live it is not asked, since that would take the page away from
    somebody who speaks with a customer; it is asked once the telephone has been left.
    """
    found = session.execute(
        select(User, Site)
        .outerjoin(Site, Site.id == 1)
        .where(User.id == user_id, User.deleted_at.is_(None))
    ).one_or_none()
    if found is None or found[0].session_version != session_version:
        return None
    user, site = found
    asked, allowed = (site.second_factor_roles, site.allowed_networks) if site else ((), ())
    if not networks.allows(allowed, address):
        return None
    viewer = Viewer.of(user)
    limit = IDLE_MANAGING if viewer.manages else IDLE_CALLING
    idle = seen_at is None or now.timestamp() - seen_at > limit.total_seconds()
    owes = not proven and user.role in asked
    if (idle or owes) and has_live_leg(session, user_id=user_id):
        idle = owes = False
    return None if idle else Account(viewer, user.session_version, owes, site)


def of(session: Session, *, user_id: int) -> Account:
    """Return the account as it is now. Raises NotFound."""
    user = session.get(User, user_id)
    if user is None or user.deleted_at:
        raise NotFound(f"user {user_id}")
    return Account(Viewer.of(user), user.session_version)


def may_come_from(session: Session, *, address: str) -> bool:
    """Whether one may be signed in from this address (R-US-6)."""
    allowed = session.scalar(select(Site.allowed_networks).where(Site.id == 1))
    return networks.allows(allowed or (), address)


def note_sign_in(session: Session, *, user_id: int, now: datetime) -> None:
    """Remember when a user last signed in."""
    session.execute(update(User).where(User.id == user_id).values(last_sign_in_at=now))


def set_locale(session: Session, *, user_id: int, locale: str) -> None:
    """Keep the language in which this user reads the screens."""
    session.execute(update(User).where(User.id == user_id).values(locale=locale))
