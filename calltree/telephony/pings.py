"""Events of ours, fired inside the switch to see whether we still hear it."""

from collections.abc import Mapping
from dataclasses import dataclass

from calltree.telephony.safe_parts import as_uuid

PING_SUBCLASS = "calltree::ping"


@dataclass(frozen=True, slots=True)
class SendEvent:
    """An event of ours to be fired inside the switch."""

    line: str
    headers: Mapping[str, str]


def ping(token: str) -> SendEvent:
    """Our own sign of life: sent on the command link, it must come back on the event link."""
    return SendEvent(
        "sendevent CUSTOM",
        {"Event-Subclass": PING_SUBCLASS, "Calltree-Ping": as_uuid(token)},
    )
