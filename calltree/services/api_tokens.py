"""API tokens: how another program is let in, as whom and for what (R-AR-3).

A token acts as a user. It may what its scopes name and what that user may at this moment, never
more: a restriction, a list that is no longer granted or the user's deletion holds for it at once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import ApiToken, User
from calltree.services import audit
from calltree.services.rights import Right, Viewer
from calltree.text.days import site_day

PREFIX = "ct_"
"""By which scanners of leaked secrets, and people, know one."""
PER_MINUTE = 300
MOST_PER_MINUTE = 6000
_ENDING = 4
_USE_NOTED_EVERY = timedelta(minutes=1)


class Scope(StrEnum):
    """What a token may be made for."""

    LISTS_READ = "lists:read"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    RECORDS_READ = "records:read"
    BANS_READ = "do_not_call:read"
    BANS_WRITE = "do_not_call:write"
    BANS_RELEASE = "do_not_call:release"
    TASKS_READ = "tasks:read"
    CALLS_DIAL = "calls:dial"


RIGHT_OF: dict[Scope, Right] = {
    Scope.LISTS_READ: Right.SEE_CUSTOMERS,
    Scope.CUSTOMERS_READ: Right.SEE_CUSTOMERS,
    Scope.CUSTOMERS_WRITE: Right.EDIT_CUSTOMERS,
    Scope.RECORDS_READ: Right.SEE_RECORDS,
    Scope.BANS_READ: Right.SEE_BANS,
    Scope.BANS_WRITE: Right.ADD_BANS,
    Scope.BANS_RELEASE: Right.RELEASE_BANS,
    Scope.TASKS_READ: Right.SEE_TASKS,
    Scope.CALLS_DIAL: Right.DIAL,
}
"""The right of the user that a scope stands on."""


READS = {Scope.CUSTOMERS_READ, Scope.RECORDS_READ, Scope.BANS_READ, Scope.TASKS_READ}
"""Scopes by which somebody's data are read."""


@dataclass(frozen=True, slots=True)
class TokenDetails:
    """What a form says of a new token."""

    name: str
    user_id: int
    scopes: tuple[Scope, ...]
    expires_at: datetime | None = None
    per_minute: int = PER_MINUTE


@dataclass(frozen=True, slots=True)
class Caller:
    """A token that was let in: as whom it acts, and what it may."""

    token_id: int
    name: str
    viewer: Viewer
    scopes: frozenset[Scope]
    per_minute: int
    expires_at: datetime | None
    read_days: Mapping[str, str]
    """Scope → the last site day on which its use to read stands in the audit log."""

    def may(self, scope: Scope) -> bool:
        """Whether the token has the scope and its user the right, both now."""
        return scope in self.scopes and self.viewer.may(RIGHT_OF[scope])


def create(
    session: Session, *, viewer: Viewer, details: TokenDetails, now: datetime
) -> tuple[ApiToken, str]:
    """Make a token; returns its row and the token itself, which nobody can read again.

    Raises NotAllowed; Refused 'token_name_missing', 'token_scopes_missing', 'token_scope_beyond'
    (`scope`, `name`), 'token_expiry_past', 'token_rate_range', 'user_gone'.
    """
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    user = session.get(User, details.user_id)
    if user is None or user.deleted_at is not None:
        raise Refused("user_gone", field="user_id")
    _check(details, Viewer.of(user), now)
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        name=details.name.strip()[:64],
        token_hash=_hash(token),
        ending=token[-_ENDING:],
        user_id=user.id,
        scopes=[scope.value for scope in Scope if scope in details.scopes],
        per_minute=details.per_minute,
        created_at=now,
        created_by=viewer.user_id,
        expires_at=details.expires_at,
    )
    session.add(row)
    session.flush()
    audit.note(
        session, viewer=viewer, action="token.created", kind="token", object_id=row.id, now=now,
        name=row.name, scopes=row.scopes, acts_as=user.name,
    )  # fmt: skip
    return row, token


def _check(details: TokenDetails, acts_as: Viewer, now: datetime) -> None:
    if not details.name.strip():
        raise Refused("token_name_missing", field="name")
    if not details.scopes:
        raise Refused("token_scopes_missing", field="scopes")
    for scope in details.scopes:
        if not acts_as.may(RIGHT_OF[scope]):
            raise Refused("token_scope_beyond", field="scopes", scope=scope, name=acts_as.name)
    if details.expires_at is not None and details.expires_at <= now:
        raise Refused("token_expiry_past", field="expires_on")
    if not 1 <= details.per_minute <= MOST_PER_MINUTE:
        raise Refused("token_rate_range", field="per_minute", most=MOST_PER_MINUTE)


def get(session: Session, token_id: int) -> ApiToken:
    """Return a token's row. Raises NotFound."""
    found = session.get(ApiToken, token_id)
    if found is None:
        raise NotFound(f"token {token_id}")
    return found


def revoke(session: Session, *, viewer: Viewer, token_id: int, now: datetime) -> None:
    """End a token at once and for good. Raises NotAllowed, NotFound."""
    if not viewer.may(Right.EDIT_SETTINGS):
        raise NotAllowed(Right.EDIT_SETTINGS)
    row = get(session, token_id)
    if row.revoked_at is None:
        row.revoked_at = now
        audit.note(
            session, viewer=viewer, action="token.revoked", kind="token", object_id=row.id,
            now=now, name=row.name,
        )  # fmt: skip


def all_tokens(session: Session) -> list[tuple[ApiToken, User]]:
    """Return every token with the user it acts as: those that work first, newest first."""
    rows = session.execute(
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .order_by(ApiToken.revoked_at.is_not(None), ApiToken.id.desc())
    )
    return [(token, user) for token, user in rows]


def state_of(token: ApiToken, user: User, *, now: datetime) -> str:
    """Say how a token is: 'works', 'revoked', 'expired' or 'user_gone'."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return "user_gone" if user.deleted_at is not None else "works"


def caller_of(session: Session, *, token: str, now: datetime) -> Caller | None:
    """Return who comes with this token; None for one that does not (or no longer) let in."""
    if not token.startswith(PREFIX):
        return None
    found = session.execute(
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .where(
            ApiToken.token_hash == _hash(token),
            ApiToken.revoked_at.is_(None),
            or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
            User.deleted_at.is_(None),
        )
    ).one_or_none()
    if found is None:
        return None
    row, user = found
    scopes = frozenset(Scope(scope) for scope in row.scopes if scope in set(Scope))
    viewer = replace(Viewer.of(user), token=row.name)
    return Caller(
        row.id, row.name, viewer, scopes, row.per_minute, row.expires_at, dict(row.read_days)
    )


def is_use_due(session: Session, *, token_id: int, now: datetime) -> bool:
    """Whether the last use that was noted is a minute old: not every request should write."""
    used_at = session.scalar(select(ApiToken.used_at).where(ApiToken.id == token_id))
    return used_at is None or now - used_at >= _USE_NOTED_EVERY


def note_use(session: Session, *, token_id: int, address: str, now: datetime) -> None:
    """Remember when and from where a token was last used."""
    session.execute(
        update(ApiToken).where(ApiToken.id == token_id).values(used_at=now, used_from=address[:64])
    )


def is_read_untold(caller: Caller, *, scope: Scope, now: datetime) -> bool:
    """Whether this is the day's first reading of somebody's data by this token."""
    return scope in READS and caller.read_days.get(scope.value) != str(site_day(now))


def note_read(
    session: Session, *, caller: Caller, scope: Scope, address: str, now: datetime
) -> None:
    """Write the day's line of what a token reads: page by page all may be taken away (R-US-7)."""
    row = session.get_one(ApiToken, caller.token_id, with_for_update=True)
    today = str(site_day(now))
    if row.read_days.get(scope.value) == today:  # another request's came first
        return
    row.read_days = {**row.read_days, scope.value: today}
    audit.note(
        session, viewer=caller.viewer, action="token.read", kind="token", object_id=row.id,
        address=address, now=now, scopes=[scope.value],
    )  # fmt: skip


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
