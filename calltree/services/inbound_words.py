"""What the codes of inbound routes mean, as English message ids."""

from __future__ import annotations

from calltree.models import HolidayHours, InboundAction, Situation
from calltree.services.sentences import N_

SITUATIONS: dict[Situation, str] = {
    Situation.OPEN: N_("During the hours"),
    Situation.ALL_BUSY: N_("Nobody is ready"),
    Situation.NO_ANSWER: N_("Nobody answers"),
    Situation.AFTER_HOURS: N_("Outside the hours"),
    Situation.CLOSED_DAY: N_("On closed days"),
    Situation.WITHHELD: N_("Number withheld"),
}
"""In the order in which a manager thinks of them."""

ACTIONS: dict[InboundAction, str] = {
    InboundAction.RING_ALL: N_("Ring everybody who is ready"),
    InboundAction.RING_IDLE: N_("Ring who has waited longest, then the next"),
    InboundAction.QUEUE: N_("Let them wait with music"),
    InboundAction.GUIDANCE: N_("Play a guidance and hang up"),
    InboundAction.FORWARD: N_("Forward to a number"),
    InboundAction.VOICEMAIL: N_("Take a voicemail"),
    InboundAction.REFUSE: N_("Busy tone, without answering"),
    InboundAction.ACCEPT: N_("Like any other call"),
}

HOLIDAYS: dict[HolidayHours, str] = {
    HolidayHours.CLOSED: N_("Closed all day"),
    HolidayHours.WEEKDAY: N_("Like the weekday"),
    HolidayHours.OWN: N_("The hours entered for public holidays"),
}

REASONS: dict[str, str] = {
    "not_inbound": N_("The number is not for calls that come in."),
    "caller_refused": N_("The caller is on the list of refused callers."),
    "withheld": N_("The caller withholds the number."),
    "no_lines": N_("Every line is in use."),
    "closed_day": N_("It is a closed day."),
    "closed_day_named": N_("It is a closed day (%(name)s)."),
    "holiday": N_("It is a public holiday (%(name)s)."),
    "weekday_closed": N_("This weekday is closed."),
    "after_hours": N_("It is outside the hours."),
    "nobody_ready": N_("It is open, and nobody is ready."),
    "open": N_("It is open."),
}
"""Why a plan is as it is; 'closed_day' with a name is 'closed_day_named'."""

CLOSED = ("closed_day", "holiday", "weekday_closed", "after_hours")
"""The reasons that are times when nobody is there."""


def why(reason: str, name: str) -> str:
    """Return the message of a plan's reason."""
    return REASONS[f"{reason}_named" if reason == "closed_day" and name else reason]
