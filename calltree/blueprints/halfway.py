"""Somebody whose password was right and who still owes a second factor: kept in their session.

They have no right yet; all they can reach are the pages that ask for the code.
"""

from __future__ import annotations

from datetime import timedelta

from flask import session, url_for

from calltree.db import utcnow
from calltree.errors import NotFound
from calltree.extensions import reading
from calltree.services import accounts
from calltree.services.accounts import Account

_KEY = "halfway"
LASTS = timedelta(minutes=10)


def begin(account: Account) -> None:
    """Remember who it is, for ten minutes."""
    kept = [account.viewer.user_id, account.session_version]
    if session.get(_KEY, [])[:2] != kept or who() is None:
        session[_KEY] = [*kept, utcnow().timestamp()]


def who() -> Account | None:
    """Return who it is; None when nobody is halfway, or not any more."""
    user_id, version, since = session.get(_KEY) or (0, 0, 0.0)
    if not user_id or utcnow().timestamp() - since > LASTS.total_seconds():
        return None
    try:
        account = accounts.of(reading(), user_id=user_id)
    except NotFound:
        return None
    return account if account.session_version == version else None


def account_key() -> str:
    """Name whose tries are counted together."""
    return f"halfway:{(session.get(_KEY) or [0])[0]}"


def address(wanted: str | None) -> str:
    """Return the page that asks for the code; `wanted` is where to go on to afterwards."""
    return url_for("second_factor.ask", next=wanted)
