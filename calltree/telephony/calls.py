"""The state table of a call: which state follows which, and nothing else.

`queued → dialling → ringing | early → answered → talking ⇄ held → ended`, with `failed` (it never
became a call, or our side broke it) and `abandoned` (answered, and nobody of ours joined).

Events come twice, late or out of order: one that does not fit gives None, and whoever asked logs it
and goes on. Nothing leaves a terminal state. `talking` is entered only by what a CHANNEL_BRIDGE
told, and only once the customer has answered: the operator is joined to early media too, to hear
the ringing, and that is no conversation.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from calltree.models.calls import LIVE_STATES, CallState

S = CallState


class Heard(StrEnum):
    """What may happen to a call, as far as its state is concerned."""

    SENT = "sent"
    """The dial left for the network (our own act)."""
    RINGS = "rings"
    """CHANNEL_PROGRESS."""
    SOUND = "sound"
    """CHANNEL_PROGRESS_MEDIA: ringing or an announcement in early media."""
    ANSWERED = "answered"
    """CHANNEL_ANSWER of a customer not joined yet."""
    ANSWERED_JOINED = "answered_joined"
    """CHANNEL_ANSWER of a customer whom CHANNEL_BRIDGE joined in early media."""
    JOINED_EARLY = "joined_early"
    """CHANNEL_BRIDGE before the answer."""
    JOINED = "joined"
    """CHANNEL_BRIDGE of an answered customer."""
    HELD = "held"
    """CHANNEL_UNBRIDGE after our own 保留."""
    LEG_LOST = "leg_lost"
    """The operator's leg went; the customer is kept and can be joined again."""
    ENDED = "ended"
    FAILED = "failed"
    ABANDONED = "abandoned"


_BEFORE_ANSWER = (S.DIALLING, S.RINGING, S.EARLY)

_COMMON: dict[Heard, dict[CallState, CallState]] = {
    Heard.SENT: {S.QUEUED: S.DIALLING},
    Heard.RINGS: {S.DIALLING: S.RINGING},
    Heard.SOUND: {S.DIALLING: S.EARLY, S.RINGING: S.EARLY},
    Heard.ANSWERED: dict.fromkeys(_BEFORE_ANSWER, S.ANSWERED),
    Heard.ANSWERED_JOINED: dict.fromkeys(_BEFORE_ANSWER, S.TALKING),
    Heard.JOINED_EARLY: {S.DIALLING: S.EARLY, S.RINGING: S.EARLY},
    Heard.JOINED: dict.fromkeys((*_BEFORE_ANSWER, S.ANSWERED, S.HELD), S.TALKING),
    Heard.HELD: {S.TALKING: S.HELD},
    Heard.LEG_LOST: {S.TALKING: S.ANSWERED},
    Heard.ENDED: dict.fromkeys(LIVE_STATES, S.ENDED),
    Heard.FAILED: dict.fromkeys(LIVE_STATES, S.FAILED),
    Heard.ABANDONED: dict.fromkeys(LIVE_STATES, S.ABANDONED),
}

MOVES: Mapping[Heard, Mapping[CallState, CallState]] = _COMMON


def next_state(state: CallState, heard: Heard) -> CallState | None:
    """Give the state that follows, or None when `heard` means nothing in this state."""
    return MOVES[heard].get(state)
