"""The call box where no customer is open: 手動発信 (R-CL-13)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from calltree.blueprints.assets import kept_url
from calltree.locale import sentence
from calltree.models import Attempt
from calltree.services import gate, manual_calls

SAID_FOR = timedelta(minutes=2)
"""How long a refusal or question of the gate stands: then the screen has forgotten the number."""


def over(
    session: Session,
    values: dict[str, Any],
    *,
    user_id: int,
    attempt: Attempt | None,
    now: datetime,
) -> dict[str, Any]:
    """Give the box's values with CALL going to 手動発信, and what the gate said of the last press.

    A question is put for the number that was asked about, and no other.
    """
    values["buttons"]["call"]["url"] = kept_url("manual.dial")
    if values["state"] not in {"idle", "ended"}:
        return values
    said = manual_calls.last_attempt(session, user_id=user_id)
    fresh = said is not None and now - said.created_at < SAID_FOR
    if said is None or not fresh or said.verdict == gate.ALLOWED:
        return values
    if attempt is not None and attempt.id >= said.id:
        return values
    words = sentence(said.verdict, **said.verdict_detail)
    if said.verdict.startswith("ask_"):
        return values | {"asks": words, "asked_number": said.number, "outcome": ""}
    return values | {"outcome": words}
