"""What a supervisor may do to somebody else's work, each press audited: 離席, hang up, sign out.

A result that is still owed is never saved or skipped by force (R-CL-14).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from calltree.errors import NotAllowed, Refused
from calltree.models import Operator, OperatorState
from calltree.services import audit, desk, operators, people, presses
from calltree.services.rights import Right, Viewer


def send_away(session: Session, *, viewer: Viewer, user_id: int, now: datetime) -> None:
    """Put somebody who stands by, or looks at a customer, on 離席.

    Raises NotAllowed; Refused 'not_at_work', 'in_a_call', 'wrap_up_open'.
    """
    _require_at_work(session, viewer, user_id)
    desk.go_away(session, user_id=user_id, reason="", now=now)
    _note(session, viewer, "supervisor.sent_away", user_id, now)


def hang_up(session: Session, *, viewer: Viewer, user_id: int, now: datetime) -> None:
    """End somebody's call; its result is still theirs to save. Raises NotAllowed, 'no_call'."""
    _require_right(viewer)
    command = presses.hang_up(session, user_id=user_id, now=now)
    _note(session, viewer, "supervisor.hung_up", user_id, now, call=command.attempt_id)


def sign_out(session: Session, *, viewer: Viewer, user_id: int, now: datetime) -> None:
    """End somebody's day: their customer, their telephone and every session.

    Raises NotAllowed, as for a manager pressed by a supervisor; Refused 'in_a_call'.
    """
    _require_right(viewer)
    people.sign_out_everywhere(session, viewer=viewer, user_id=user_id, now=now)
    desk.get_up(session, user_id=user_id, now=now)


def _require_at_work(session: Session, viewer: Viewer, user_id: int) -> None:
    _require_right(viewer)
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is None or operator.state is OperatorState.SIGNED_OUT:
        raise Refused("not_at_work")
    operators.require_free(session, user_id=user_id)


def _require_right(viewer: Viewer) -> None:
    if not viewer.may(Right.WATCH):
        raise NotAllowed(Right.WATCH)


def _note(
    session: Session, viewer: Viewer, action: str, user_id: int, now: datetime, **detail: Any
) -> None:
    audit.note(
        session, viewer=viewer, action=action, kind="user", object_id=user_id, now=now, **detail
    )
