"""Telephones that sign in at the switch: the one in an operator's page, and desk phones.

A page gets a random token for its sign-in. Only md5(user:domain:token), which is all that SIP's
digest needs, is kept here and told to the switch; it ends with the sign-in, with a second page,
and some minutes after the page was last heard of.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, Refused
from calltree.models import LegKind, Operator, Role, Site, Softphone, User
from calltree.services import audit, audit_changes, legs
from calltree.services.rights import Right, Viewer

DOMAIN = "calltree"
"""The directory domain of operators' telephones, in the configuration and in every SIP address."""
EXTENSION = "agent"
"""What a page calls to have its leg parked."""
TOKEN_LIVES = timedelta(minutes=5)
"""From the page's last report; a page that slept longer asks for a new one."""
REPORT_LIVES = timedelta(seconds=35)
"""Three of the page's reports: what it said before is not believed any more."""
MICROPHONE_OK = "ok"
NO_PATH = "no_path"
"""Sound finds no way to the switch; the leg's signalling may be as it should be."""
TROUBLES = frozenset(
    {
        "network",
        "mic_denied",
        "mic_missing",
        "mic_unplugged",
        "mic_silent",
        "no_audio",
        NO_PATH,
        "unstable",
        "unregistered",
        "switch",
        "no_leg",
    }
)
"""What a page may say is wrong; a word for each stands in the page's panel."""

_WEB_USER = re.compile(r"web-([1-9][0-9]{0,17})\Z")
_DEVICE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?\Z")
_MICROPHONES = frozenset(
    {MICROPHONE_OK, "mic_denied", "mic_missing", "mic_unplugged", "mic_silent"}
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a page signs in with; the token is told this once."""

    user: str
    token: str


@dataclass(frozen=True, slots=True)
class Account:
    """What the switch is told of a telephone that signs in."""

    user: str
    user_id: int
    a1_hash: str
    site_key: str


def a1_hash(user: str, token: str) -> str:
    """Return what SIP's digest is made from."""
    text = f"{user}:{DOMAIN}:{token}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def issue(session: Session, *, user_id: int, page_id: str, now: datetime) -> Credentials:
    """Give this page credentials of its own; those of a page before it end.

    Raises Refused: 'device_leg' for someone whose telephone is no page, 'page_in_use' when this
    is not the user's page.
    """
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is None or operator.leg_kind is not LegKind.BROWSER:
        raise Refused("device_leg")
    if operator.page_id != page_id:
        raise Refused("page_in_use")
    row = _row(session, user_id)
    given = Credentials(f"web-{user_id}", secrets.token_urlsafe(24))
    row.a1_hash = a1_hash(given.user, given.token)
    row.session_version = session.get_one(User, user_id).session_version
    row.page_id = page_id
    row.expires_at = now + TOKEN_LIVES
    row.microphone, row.trouble, row.reported_at = "", "", None
    session.flush()
    return given


def _row(session: Session, user_id: int) -> Softphone:
    row = session.get(Softphone, user_id)
    if row is None:
        # a page may ask twice at once: the other request's row is as good
        on_postgres = session.get_bind().dialect.name == "postgresql"
        new = postgres_insert(Softphone) if on_postgres else sqlite_insert(Softphone)
        session.execute(new.values(user_id=user_id).on_conflict_do_nothing())
        row = session.get_one(Softphone, user_id)
    return row


def report(
    session: Session, *, user_id: int, page_id: str, microphone: str, trouble: str, now: datetime
) -> bool:
    """Note what the page says of itself and let its credentials live on; False: not its page."""
    row = session.get(Softphone, user_id, populate_existing=True)
    if row is None or row.page_id != page_id:
        return False
    before = (row.microphone, row.trouble)
    row.microphone = microphone if microphone in _MICROPHONES else ""
    row.trouble = trouble if trouble in TROUBLES else ""
    row.reported_at = now
    if row.a1_hash:
        row.expires_at = now + TOKEN_LIVES
    if before != (row.microphone, row.trouble):
        announce(session, "operator", user_id=user_id)
    return True


def revoke(session: Session, *, user_id: int, now: datetime) -> None:
    """End the telephone's credentials and leg: at sign-out, and for somebody who is forced out.

    A call that goes on keeps its leg: the customer is not to pay for it.
    """
    session.execute(
        update(Softphone)
        .where(Softphone.user_id == user_id)
        .values(a1_hash="", page_id="", expires_at=None, microphone="", trouble="")
    )
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is not None and operator.attempt_id is None:
        legs.drop(session, user_id=user_id, now=now)


def why_not_ready(session: Session, *, user_id: int, now: datetime) -> str:
    """Return '' when the operator would be heard, else what is wrong (R-CL-10).

    A desk phone has a microphone of its own, of which nothing is known here.
    """
    operator = session.get(Operator, user_id)
    if operator is None or operator.leg_kind is not LegKind.BROWSER:
        return ""
    row = session.get(Softphone, user_id, populate_existing=True)
    if row is None or row.reported_at is None or now - row.reported_at > REPORT_LIVES:
        return "mic_unknown"
    if row.trouble == NO_PATH:
        return NO_PATH
    return "" if row.microphone == MICROPHONE_OK else row.microphone or "mic_unknown"


def find(session: Session, *, sip_user: str, now: datetime) -> Account | None:
    """Return what the switch may know of this telephone; None for one that may not sign in."""
    site = session.get(Site, 1)
    if site is None or not _DEVICE.match(sip_user):
        return None
    web = _WEB_USER.match(sip_user)
    found = _page(session, int(web[1]), now) if web else _device(session, sip_user)
    if found is None or not found[1]:
        return None
    return Account(sip_user, found[0], found[1], site.site_key)


def _page(session: Session, user_id: int, now: datetime) -> tuple[int, str] | None:
    row = session.execute(
        select(Softphone.user_id, Softphone.a1_hash)
        .join(User, User.id == Softphone.user_id)
        .where(
            Softphone.user_id == user_id,
            Softphone.expires_at > now,
            Softphone.session_version == User.session_version,
            User.deleted_at.is_(None),
        )
    ).one_or_none()
    return (row.user_id, row.a1_hash) if row else None


def _device(session: Session, extension: str) -> tuple[int, str] | None:
    own_id = int(extension) if extension.isdigit() and len(extension) < 18 else 0
    row = session.execute(
        select(User.id, User.device_hash).where(
            or_(User.device == extension, (User.device == "") & (User.id == own_id)),
            User.leg_kind == LegKind.DEVICE,
            User.deleted_at.is_(None),
        )
    ).first()
    return (row.id, row.device_hash) if row else None


def set_telephone(
    session: Session, *, viewer: Viewer, user_id: int, kind: LegKind, extension: str, now: datetime
) -> None:
    """Say how a user's ear is reached; in force when they next sign in to their screen.

    Raises NotAllowed; Refused 'extension_unreadable', 'extension_taken'.
    """
    user = session.get_one(User, user_id)
    _require_may_edit(viewer, user)
    extension = extension.strip()
    if extension and (not _DEVICE.match(extension) or _WEB_USER.match(extension)):
        raise Refused("extension_unreadable", field="device")
    twin = select(User.id).where(User.device == extension, User.id != user_id)
    if extension and session.scalar(twin.where(User.deleted_at.is_(None))) is not None:
        raise Refused("extension_taken", field="device", extension=extension)
    if (user.leg_kind, user.device) == (kind, extension):
        return
    if user.device != extension:
        user.device_hash = ""  # it holds the extension's name
    before = audit_changes.state_of(user)
    user.leg_kind, user.device = kind, extension
    audit_changes.note(
        session, viewer=viewer, action="user.telephone", kind="user", object_id=user_id,
        before=before, after=audit_changes.state_of(user), now=now,
    )  # fmt: skip


def new_device_secret(session: Session, *, viewer: Viewer, user_id: int, now: datetime) -> str:
    """Give a desk phone a new password, returned once and not kept. Raises NotAllowed."""
    user = session.get_one(User, user_id)
    _require_may_edit(viewer, user)
    secret = secrets.token_urlsafe(15)
    user.device_hash = a1_hash(user.device or str(user.id), secret)
    audit.note(
        session, viewer=viewer, action="user.telephone_secret", kind="user", object_id=user_id,
        now=now,
    )  # fmt: skip
    return secret


def _require_may_edit(viewer: Viewer, user: User) -> None:
    if viewer.may(Right.EDIT_USERS):
        return
    if not viewer.may(Right.CREATE_USERS) or user.role is not Role.OPERATOR:
        raise NotAllowed(Right.EDIT_USERS)
