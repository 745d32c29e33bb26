"""The call box drawn ahead of the ledger, from what was drawn last and a hint of the switch.

Only forward, only for the call that is shown, and only for moments: what the ledger says is drawn
over it, and a hint that the ledger does not confirm within `_KEPT` is forgotten.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from calltree.blueprints import call_screen, call_words
from calltree.locale import sentence
from calltree.models import CallState
from calltree.services import outcomes

_KEPT = timedelta(seconds=3)
_ORDER = {
    CallState.QUEUED: 0,
    CallState.DIALLING: 0,
    CallState.RINGING: 1,
    CallState.EARLY: 2,
    CallState.ANSWERED: 3,
    CallState.TALKING: 4,
    CallState.HELD: 4,
    CallState.ENDED: 5,
}
_OVER = max(_ORDER.values())


@dataclass(frozen=True, slots=True)
class Box:
    """The call box (`values` of _call_status.html) and where its call stands."""

    values: dict[str, Any]
    desk: call_screen.Desk
    at: int
    """The place of its call in `_ORDER`; past all of them without one that goes on."""
    ahead_until: datetime | None = None

    @property
    def uuid(self) -> str:
        return self.desk.attempt.uuid if self.desk.attempt else ""

    def foretell(self, told: Mapping[str, Any], now: datetime) -> Box | None:
        """Give the box that the hint leads to; None when it is not for this call, or no news."""
        state = CallState(told["state"])
        if told["uuid"] != self.uuid or _ORDER[state] <= self.at:
            return None
        shown = state.value
        over = state is CallState.ENDED
        ahead = {
            "state": shown,
            "word": _(call_words.CALL_WORDS[shown]),
            "since": None if over else datetime.fromisoformat(told["at"]),
            "outcome": self._outcome(told) if over else "",
            "buttons": call_screen.buttons(self.desk, shown, None),
            "held": False,
            "press_id": str(uuid.uuid4()),
            "drawn": int(now.timestamp() * 1000),
        }
        if over:
            ahead |= {"name": "", "number": ""}
        return Box(self.values | ahead, self.desk, _ORDER[state], now + _KEPT)

    def or_ahead(self, said: Box) -> Box:
        """Give what to show when the ledger says `said`: itself while that is still behind."""
        if self.ahead_until is None or said.desk.now > self.ahead_until:
            return said
        return self if said.uuid == self.uuid and said.at < self.at else said

    def _outcome(self, told: Mapping[str, Any]) -> str:
        talked = self.at >= _ORDER[CallState.ANSWERED]
        judged = outcomes.judge(
            cause=told["cause"], sip_status=told["sip_status"], answered=talked, ours_joined=True
        )
        return sentence(judged.sentence)


def box(session: Session, desk: call_screen.Desk) -> Box:
    """Give the call box as the ledger has it."""
    call = desk.attempt
    at = _OVER if call is None or call.ended_at is not None else _ORDER.get(call.state, _OVER)
    return Box(call_screen.call(session, desk), desk, at)
