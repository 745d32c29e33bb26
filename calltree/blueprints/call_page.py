"""The whole call screen's values: what changes by itself, the customer's side and the boxes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import url_for
from sqlalchemy.orm import Session

from calltree.blueprints import call_form, call_panels, call_screen
from calltree.services.rights import Viewer


def draw(session: Session, *, viewer: Viewer, now: datetime) -> dict[str, Any] | None:
    """Give the whole screen's values, or None when no customer is open."""
    at = call_screen.desk(session, viewer=viewer, now=now)
    if at is None or at.customer is None or at.folder is None or at.project is None:
        return None
    pushed = call_screen.is_pushed(at)
    return {
        **call_screen.live(session, at),
        **call_panels.customer_side(session, at),
        **call_form.form(session, at),
        "queue": None if pushed else call_panels.queue(session, viewer=viewer),
        "save_url": url_for("predictive.save" if pushed else "saving.save"),
        "last_url": url_for("call_side.last"),
        "errors": [],
        "confirms": "",
        "result_missing": False,
    }
