"""What a call's end means: which result is proposed, whether it was our side, and what is said.

Causes are FreeSWITCH's; the table was measured on 1.10.12 and joined with what carriers are known
to answer. The raw cause, SIP status and Q.850 number stay with the attempt, so the meaning can be
read again when a carrier turns out to differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from calltree.models.projects import BuiltIn


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
    QUEUE_DOWN_CAUSE: QUEUE_DOWN,
    "DIAL_TOO_OLD": NOT_SENT,
    "QUEUED_TOO_LONG": NOT_SENT,
    "UNSAFE": NOT_SENT,
    "CANCELLED": NOT_SENT,
}

# 401, 402, 403 and 407 carry CALL_REJECTED too, but it is our trunk that they refuse.
_BY_SIP = dict.fromkeys(("401", "402", "403", "407"), TRUNK_REFUSED)


def judge(*, cause: str, sip_status: str, answered: bool, ours_joined: bool = True) -> Outcome:
    """Say what a call's end means.

    `cause` is FreeSWITCH's hangup cause, '' when the end was only inferred. Every cause that is
    not known to be the customer's doing is a line error: such a call must not count against the
    customer.
    """
    if answered:
        return TALKED if ours_joined else ABANDONED
    if sip_status in _BY_SIP:
        return _BY_SIP[sip_status]
    if not cause:
        return LOST
    return _BY_CAUSE.get(cause, LINE_ERROR)
