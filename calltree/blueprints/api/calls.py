"""Calls: dial through the one gate, and see what became of it."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Session

from calltree.blueprints.api.door import Denied
from calltree.blueprints.api.operations import operation
from calltree.blueprints.api.shapes import CallItem, NewCall
from calltree.db import utcnow
from calltree.extensions import reading, writing
from calltree.models import Attempt, CallState
from calltree.services import records, remote_dial
from calltree.services.api_tokens import Caller, Scope


def _told(session: Session, attempt: Attempt) -> CallItem:
    record = records.of_attempt(session, attempt_id=attempt.id)
    return CallItem(
        id=attempt.id,
        state=attempt.state.value,
        verdict=attempt.verdict,
        number=attempt.number,
        customer_id=attempt.customer_id,
        user_id=attempt.user_id,
        record_id=record.id if record else None,
        created_at=attempt.created_at,
        answered_at=attempt.answered_at,
        ended_at=attempt.ended_at,
        talk_s=(attempt.talk_ms or 0) // 1000,
    )


def _press_id(caller: Caller, request_id: str | None) -> str | None:
    """Two programs that number their requests alike must not meet each other's calls."""
    if request_id is None:
        return None
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"token:{caller.token_id}:{request_id}"))


@operation(
    "POST",
    "/calls",
    tag="calls",
    scope=Scope.CALLS_DIAL,
    body=NewCall,
    answer=CallItem,
    status=201,
    refuses=True,
)
def dial(caller: Caller, body: NewCall) -> CallItem:
    """Have an operator call a customer.

    The operator must be signed in with a telephone that is connected, and have no other customer
    open; their screen shows the customer and the call is theirs. The gate decides as for a press
    of CALL: do-not-call, hours, grants, lines, minimum gap. A no is answered 409 with the verdict
    as `code` and the `call_id` of the attempt; `ask_hours` and `ask_gap` may be sent again with
    `confirmed` (and another `request_id`).
    """
    wish = remote_dial.Wish(
        customer_id=body.customer_id,
        operator=body.operator or "",
        number=body.number or "",
        confirmed=body.confirmed,
        press_id=_press_id(caller, body.request_id),
    )
    with writing() as session:
        attempt = remote_dial.dial(session, viewer=caller.viewer, wish=wish, now=utcnow())
        told = _told(session, attempt)
        refused, detail = attempt.state is CallState.REFUSED, dict(attempt.verdict_detail)
    if refused:
        raise Denied(409, told.verdict, said=detail, call_id=told.id)
    return told


@operation("GET", "/calls/<int:call_id>", tag="calls", scope=Scope.CALLS_DIAL, answer=CallItem)
def one_call(caller: Caller, call_id: int) -> CallItem:
    """Return how a call is; a manager's token sees all, another its own user's."""
    session = reading()
    attempt = remote_dial.get(session, viewer=caller.viewer, attempt_id=call_id)
    return _told(session, attempt)
