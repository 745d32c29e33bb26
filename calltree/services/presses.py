"""What an operator's buttons ask of the switch during a call (R-CL-4).

Each writes one command and rings for it; the call's state changes when the switch says so, never
here. Pressing twice asks once: while the same wish is unserved, its command is given again.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import Attempt, CallState, CommandKind, Operator, SwitchCommand, Transfer
from calltree.services import operators, switch_commands

_DIGITS = re.compile(r"[0-9*#]{1,32}\Z")


def live_attempt(session: Session, *, user_id: int) -> Attempt:
    """Return the operator's call. Raises Refused 'no_call'."""
    attempt = session.scalar(
        select(Attempt)
        .where(Attempt.user_id == user_id, Attempt.ended_at.is_(None))
        .execution_options(populate_existing=True)
    )
    if attempt is None:
        raise Refused("no_call")
    return attempt


def hang_up(session: Session, *, user_id: int, now: datetime) -> SwitchCommand:
    """End the call, ringing or talking. Raises Refused 'no_call'."""
    attempt = live_attempt(session, user_id=user_id)
    return _ask(session, CommandKind.HANG_UP, attempt, now)


def hold(session: Session, *, user_id: int, now: datetime) -> SwitchCommand | None:
    """Put the customer on hold; None when they are. Raises Refused 'no_call', 'not_talking'."""
    attempt = live_attempt(session, user_id=user_id)
    _require_no_transfer(session, attempt)
    if attempt.held_since is not None or attempt.state is CallState.HELD:
        return None
    if attempt.state is not CallState.TALKING:
        raise Refused("not_talking")
    return _ask(session, CommandKind.HOLD, attempt, now)


def resume(session: Session, *, user_id: int, now: datetime) -> SwitchCommand | None:
    """Take the customer off hold; None when they are. Raises Refused 'no_call', 'not_talking'."""
    attempt = live_attempt(session, user_id=user_id)
    _require_no_transfer(session, attempt)
    if attempt.held_since is None and attempt.state is not CallState.HELD:
        if attempt.state is CallState.TALKING:
            return None
        raise Refused("not_talking")
    return _ask(session, CommandKind.RESUME, attempt, now)


def mute(session: Session, *, user_id: int, now: datetime) -> SwitchCommand | None:
    """Shut the operator's microphone at the switch; None when it is. Raises as `unmute`."""
    return _set_mute(session, user_id, CommandKind.MUTE, now)


def unmute(session: Session, *, user_id: int, now: datetime) -> SwitchCommand | None:
    """Open the microphone; None when it is open. Raises Refused 'no_call', 'no_leg'."""
    return _set_mute(session, user_id, CommandKind.UNMUTE, now)


def dtmf(session: Session, *, user_id: int, digits: str, now: datetime) -> SwitchCommand:
    """Send tones to the customer; two presses are two tones.

    Raises Refused 'no_call', 'not_talking', 'dtmf_wrong' for anything but 0-9 * #.
    """
    if not _DIGITS.match(digits):
        raise Refused("dtmf_wrong", field="digits")
    attempt = live_attempt(session, user_id=user_id)
    if attempt.state not in (CallState.TALKING, CallState.EARLY, CallState.ANSWERED):
        raise Refused("not_talking")
    return _write(session, CommandKind.DTMF, attempt, {"digits": digits}, now)


def _require_no_transfer(session: Session, attempt: Attempt) -> None:
    """The customer's music belongs to the transfer: 戻る ends both."""
    under_way = select(Transfer.id).where(
        Transfer.attempt_id == attempt.id, Transfer.settled_at.is_(None)
    )
    if session.scalar(under_way) is not None:
        raise Refused("transfer_under_way")


def _set_mute(
    session: Session, user_id: int, kind: CommandKind, now: datetime
) -> SwitchCommand | None:
    attempt = live_attempt(session, user_id=user_id)
    operator = session.get(Operator, user_id, populate_existing=True)
    if operator is None or operator.leg_state not in operators.LIVE_LEGS:
        raise Refused("no_leg")
    if operator.muted is (kind is CommandKind.MUTE):
        return None
    return _ask(session, kind, attempt, now)


def _ask(session: Session, kind: CommandKind, attempt: Attempt, now: datetime) -> SwitchCommand:
    unserved = session.scalar(
        select(SwitchCommand).where(
            SwitchCommand.attempt_id == attempt.id,
            SwitchCommand.kind == kind,
            SwitchCommand.done_at.is_(None),
        )
    )
    return unserved or _write(session, kind, attempt, {}, now)


def _write(
    session: Session, kind: CommandKind, attempt: Attempt, args: dict[str, Any], now: datetime
) -> SwitchCommand:
    return switch_commands.ask(
        session,
        kind=kind,
        node=attempt.node,
        attempt_id=attempt.id,
        user_id=attempt.user_id,
        args=args,
        now=now,
    )
