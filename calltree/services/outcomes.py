"""What a call's end means: which result is proposed, whether it was our side, and what is said.

Causes are FreeSWITCH's; the table was measured on 1.10.12 and joined with what carriers are known
to answer. The raw cause, SIP status and Q.850 number stay with the attempt, so the meaning can be
read again when a carrier turns out to differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from calltree.models.projects import BuiltIn
from calltree.services.breaker import Sign


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended. `sentence` is a code of `services.sentences`."""

    sentence: str
    proposed: BuiltIn | None = None
    """The result that the operator is offered; None when only a person can say."""
    line_error: bool = False
    """Our side or the carrier's: 回線エラー, no result needed, not counted."""
    abandoned: bool = False
    """Answered, and nobody of ours was joined: 放棄."""


TALKED = Outcome("call_ended")
ABANDONED = Outcome("call_abandoned", abandoned=True)
MISSED = Outcome("call_missed")
"""It came in, and nobody of ours was joined."""
LOST = Outcome("call_lost", line_error=True)
NOT_SENT = Outcome("call_not_sent", line_error=True)
BUSY = Outcome("call_busy", BuiltIn.NO_ANSWER)
NO_ANSWER = Outcome("call_no_answer", BuiltIn.NO_ANSWER)
OUT_OF_REACH = Outcome("call_out_of_reach", BuiltIn.NO_ANSWER)
CANCELLED = Outcome("call_cancelled", BuiltIn.NO_ANSWER)
REJECTED = Outcome("call_rejected", BuiltIn.NO_ANSWER)
NOT_IN_USE = Outcome("call_not_in_use", BuiltIn.NOT_IN_USE)
LINE_ERROR = Outcome("call_line_error", line_error=True)
TRUNK_REFUSED = Outcome("call_trunk_refused", line_error=True)
GATEWAY_DOWN = Outcome("call_gateway_down", line_error=True)
SWITCH_DOWN = Outcome("call_switch_down", line_error=True)
NO_TRUNK = Outcome("call_no_trunk", line_error=True)
TRUNK_FULL = Outcome("call_trunk_full", line_error=True)
TRUNK_DOWN = Outcome("call_trunk_down", line_error=True)
QUEUE_DOWN = Outcome("call_queue_down", line_error=True)
QUEUE_DOWN_CAUSE = "QUEUE_DOWN"

NO_CHANNEL_CAUSES = frozenset(
    {"INVALID_GATEWAY", "GATEWAY_DOWN", "CHAN_NOT_IMPLEMENTED", "DESTINATION_OUT_OF_ORDER"}
)
"""An originate that ends so never had a channel, and no HANGUP_COMPLETE follows it."""

_BY_CAUSE: dict[str, Outcome] = {
    "USER_BUSY": BUSY,
    "NO_ANSWER": NO_ANSWER,
    "ALLOTTED_TIMEOUT": NO_ANSWER,
    "LOSE_RACE": NO_ANSWER,
    "NO_USER_RESPONSE": OUT_OF_REACH,
    "SUBSCRIBER_ABSENT": OUT_OF_REACH,
    "USER_NOT_REGISTERED": OUT_OF_REACH,
    "ORIGINATOR_CANCEL": CANCELLED,
    "NORMAL_CLEARING": CANCELLED,
    "MANAGER_REQUEST": CANCELLED,
    "CALL_REJECTED": REJECTED,
    "UNWANTED": REJECTED,
    "UNALLOCATED_NUMBER": NOT_IN_USE,
    "NUMBER_CHANGED": NOT_IN_USE,
    "INVALID_NUMBER_FORMAT": NOT_IN_USE,
    "NO_ROUTE_DESTINATION": NOT_IN_USE,
    "GATEWAY_DOWN": GATEWAY_DOWN,
    "INVALID_GATEWAY": GATEWAY_DOWN,
    "SYSTEM_SHUTDOWN": SWITCH_DOWN,
    "NO_TRUNK": NO_TRUNK,
    "TRUNK_FULL": TRUNK_FULL,
    "TRUNK_DOWN": TRUNK_DOWN,
    QUEUE_DOWN_CAUSE: QUEUE_DOWN,
    "DIAL_TOO_OLD": NOT_SENT,
    "NUMBER_BANNED": NOT_SENT,
    "QUEUED_TOO_LONG": NOT_SENT,
    "UNSAFE": NOT_SENT,
    "CANCELLED": NOT_SENT,
}

_BY_SIP: dict[str, Outcome] = {
    **dict.fromkeys(("486", "600"), BUSY),
    "480": OUT_OF_REACH,
    **dict.fromkeys(("404", "410", "484", "485", "604"), NOT_IN_USE),
    **dict.fromkeys(("603", "607", "608"), REJECTED),
    "487": CANCELLED,
}
_BY_Q850: dict[str, Outcome] = {
    "1": NOT_IN_USE,
    "17": BUSY,
    **dict.fromkeys(("18", "20"), OUT_OF_REACH),
    "19": NO_ANSWER,
    "21": REJECTED,
    **dict.fromkeys(("22", "28"), NOT_IN_USE),
}
"""For causes that FreeSWITCH has no name for, or that say nothing (NORMAL_UNSPECIFIED)."""
_SAYS_NOTHING = frozenset({"", "NORMAL_UNSPECIFIED", "INTERWORKING", "NONE"})
_RANG_OUT = frozenset({"RECOVERY_ON_TIMER_EXPIRE"})
"""408 and 504: the carrier's own time-out; after a ring it is the customer who did not answer."""
_OURS = frozenset(
    {
        *("call_ended", "call_abandoned", "call_lost", "call_not_sent", "call_switch_down"),
        *("call_no_trunk", "call_trunk_full", "call_trunk_down", "call_queue_down"),
        "call_cancelled",
    }
)
"""Outcomes that tell nothing about the trunk."""
_NO_CHANNEL_BY_TRUNK = frozenset({"INVALID_GATEWAY", "GATEWAY_DOWN", "CHAN_NOT_IMPLEMENTED"})
TRY_ANOTHER = frozenset({"500", "502", "503"})
"""Answers before any ring by which a carrier says that it cannot; another one may be able to."""

# 401, 402, 403 and 407 carry CALL_REJECTED too, but it is our trunk that they refuse.
_REFUSES_US = frozenset({"401", "402", "403", "407"})


def judge(
    *,
    cause: str,
    sip_status: str,
    answered: bool,
    ours_joined: bool = True,
    q850: str = "",
    rang: bool = False,
) -> Outcome:
    """Say what a call's end means.

    `cause` is FreeSWITCH's hangup cause, '' when the end was only inferred; `rang`: a ring or an
    announcement was heard. The cause speaks first, then the SIP status, then the Q.850 number.
    Everything that is not known to be the customer's doing is a line error: such a call must not
    count against the customer.
    """
    if answered:
        return TALKED if ours_joined else ABANDONED
    if sip_status in _REFUSES_US:
        return TRUNK_REFUSED
    if cause == "NO_ROUTE_DESTINATION" and not sip_status:
        return LINE_ERROR  # our own switch found no way; no carrier was asked
    if rang and cause in _RANG_OUT:
        return NO_ANSWER
    if cause in _BY_CAUSE:
        return _BY_CAUSE[cause]
    if cause in _SAYS_NOTHING:
        told = _BY_SIP.get(sip_status) or _BY_Q850.get(q850)
        return told or (LINE_ERROR if cause else LOST)
    return LINE_ERROR


def trunk_sign(outcome: Outcome, *, cause: str, rang: bool) -> Sign:
    """Say what a call's end tells about the trunk that it left by, for its breaker."""
    if rang or outcome is TALKED or outcome.abandoned:
        return Sign.WORKED
    if cause in _NO_CHANNEL_BY_TRUNK:
        return Sign.DOWN
    if outcome.sentence in _OURS or cause in NO_CHANNEL_CAUSES:
        return Sign.NOTHING
    if outcome is NO_ANSWER:
        return Sign.NOTHING  # silence without a ring: nobody knows whose
    return Sign.FAULT if outcome.line_error else Sign.WORKED


def may_try_another(*, cause: str, sip_status: str, rang: bool, answered: bool) -> bool:
    """Answer whether the next trunk may be tried with the same call.

    Only where this one certainly did not reach the customer: no channel, or the carrier's "cannot"
    before any ring. Never after a ring, and never for the customer's own refusal: it would ring
    twice, or ring somebody who has just said no.
    """
    if rang or answered:
        return False
    return cause in _NO_CHANNEL_BY_TRUNK or sip_status in TRY_ANOTHER
