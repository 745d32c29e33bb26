"""A dial whose doorbell nobody heard is taken back at once (design §3, "Degraded").

The press is answered with a sentence instead of a telephone that rings a second later by the
leader's sweep, or not at all. Hanging up and all other commands are left to that sweep.
"""

from __future__ import annotations

from collections.abc import Iterable

from calltree.db import Store, utcnow
from calltree.models import Attempt, CommandKind, SwitchCommand
from calltree.services import outcomes, switch_commands
from calltree.telephony import endings

BY = "press"


def withdraw_dials(store: Store, command_ids: Iterable[int]) -> None:
    """End the calls of those commands that are dials and that nobody has taken yet.

    Taken by compare-and-set, as by any who serves: a bell that was heard all the same, or a sweep
    that was quicker, has the call.
    """
    for command_id in command_ids:
        now = utcnow()
        with store.write() as session:
            if session.get_one(SwitchCommand, command_id).kind is not CommandKind.DIAL:
                continue
            taken = switch_commands.take(session, command_id=command_id, by=BY, now=now)
            if taken is None:
                continue
            switch_commands.finish(
                session, command_id=command_id, now=now, failure=outcomes.QUEUE_DOWN_CAUSE
            )
            attempt = session.get_one(Attempt, taken.attempt_id)
            endings.not_sent(session, attempt, reason=outcomes.QUEUE_DOWN_CAUSE, now=now)
