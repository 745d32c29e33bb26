"""Secrets shown once: kept from the press that made them to the page that it leads to.

A page that is the answer to the press would make another one on being loaded anew.
"""

from __future__ import annotations

from flask import session

from calltree.extensions import settings
from calltree.services import sealing

_KEPT = "shown_once"
_PURPOSE = "shown once"


def keep(secret: str, *, of: str) -> None:
    """Keep a secret for the next page; sealed, for a browser stores cookies as they come."""
    session[_KEPT] = [of, sealing.seal(secret, key=settings().secret_key, purpose=_PURPOSE)]


def take(of: str) -> str:
    """Give what was kept under this name; '' when it was shown before."""
    name, sealed = session.pop(_KEPT, ("", ""))
    if name != of:
        return ""
    return sealing.opened(sealed, key=settings().secret_key, purpose=_PURPOSE)
